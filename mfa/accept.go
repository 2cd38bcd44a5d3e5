package mfa

import (
	"context"
	"slices"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// acceptedAtOnce bounds how many acceptances share a transaction.
const acceptedAtOnce = 16

// acceptance is a carrier's yes that waits to be written down.
type acceptance struct {
	job  job
	sent Sent
}

// writeAcceptance returns once the acceptance is on disk, or could not be written together with others.
func (s *Service) writeAcceptance(ctx context.Context, j job, sent Sent) error {
	fits := func(batch []acceptance, _ acceptance) bool { return len(batch) < acceptedAtOnce }
	return s.acceptances.do(ctx, acceptance{j, sent}, fits, func(ctx context.Context, batch []acceptance) error {
		return s.store.InTx(ctx, func(ctx context.Context) error { return s.acceptTogether(ctx, batch) })
	})
}

func (s *Service) acceptTogether(ctx context.Context, batch []acceptance) error {
	if len(batch) == 1 {
		return s.accepted(ctx, batch[0].job, batch[0].sent)
	}
	now := s.clock.Now()
	moves := make([]storage.DeliveryMove, len(batch))
	for i, a := range batch {
		moves[i] = storage.DeliveryMove{Delivery: s.acceptedNow(a.job.delivery, a.sent, now), From: storage.DeliverySending}
	}
	updated, err := s.store.UpdateDeliveries(ctx, moves)
	if err != nil {
		return err
	}
	for i, a := range batch {
		if d := moves[i].Delivery; slices.Contains(updated, d.ID) {
			err = s.tellAccepted(ctx, a.job.challenge, d, now)
		} else {
			err = s.accepted(ctx, a.job, a.sent)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// acceptedNow is a delivery as the carrier's yes makes it.
func (s *Service) acceptedNow(d storage.Delivery, sent Sent, now time.Time) storage.Delivery {
	d.State, d.AcceptedAt, d.MessageHash, d.FailureClass, d.FailureCode = storage.DeliveryAccepted, now, "", "", ""
	if sent.MessageID != "" {
		d.MessageHash = s.keys.Hash(secret.MessageHash, sent.MessageID)
	}
	return d
}

// accepted records a carrier's yes. A receipt may have been quicker than the answer: then only what it could not know
// is added.
func (s *Service) accepted(ctx context.Context, j job, sent Sent) error {
	now := s.clock.Now()
	d := s.acceptedNow(j.delivery, sent, now)
	updated, err := s.store.UpdateDelivery(ctx, d, storage.DeliverySending, storage.DeliveryUnknown)
	if err != nil {
		return err
	}
	if !updated {
		// DeliveriesByID, unlike Delivery, keeps the next receipt waiting until this is written.
		stored, err := s.store.DeliveriesByID(ctx, []string{d.ID})
		if err != nil || len(stored) == 0 {
			return err
		}
		hash := d.MessageHash
		d = stored[0]
		d.AcceptedAt, d.MessageHash = now, first(d.MessageHash, hash)
		if _, err := s.store.UpdateDelivery(ctx, d, d.State); err != nil {
			return err
		}
	}
	return s.tellAccepted(ctx, j.challenge, d, now)
}

func (s *Service) tellAccepted(ctx context.Context, c storage.Challenge, d storage.Delivery, now time.Time) error {
	if err := s.audit.Write(ctx, deliveryEvent(ctx, audit.PasscodeSent, c, d)); err != nil {
		return err
	}
	s.changed(ctx, d.ChallengeID)
	return s.lookBy(ctx, c, nextLook(c, []storage.Delivery{d}, now))
}
