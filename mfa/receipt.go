package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// MaxReports bounds one call of Receive, as the carriers bound one callback (WH-08).
const MaxReports = 1000

// reportsPerTransaction bounds how long one callback holds the one writer of SQLite.
const reportsPerTransaction = 50

// Report is what a carrier says of a message, read from a callback whose signature was right.
type Report struct {
	Channel storage.Channel
	// Carrier is who says it: nobody reports on another carrier's message.
	Carrier string
	// DeliveryID is our own mark, where the carrier repeated it; MessageID the carrier's id. One of them is enough.
	DeliveryID string
	MessageID  string
	// Status is sent, delivered, read or failed.
	Status storage.DeliveryState
	// At is the carrier's time; it is trusted only between our sending and now.
	At      time.Time
	Failure Failure
	// Identity is the identity key hash of the account it went to, where the carrier tells it.
	Identity string
	// NotRequested says, instead of a status, that the person tapped "I didn't request a code".
	NotRequested bool
}

// Receive applies reports (WH-05, WH-06): each once, whatever the order and however often they come; what is unknown
// is dropped quietly. What was applied moves the escalation at once. An error means that storage could not take all of
// them, and that the carrier should send the callback again: what was taken already is then a duplicate.
func (s *Service) Receive(ctx context.Context, reports []Report) error {
	if len(reports) > MaxReports {
		return fmt.Errorf("receive reports: %d are more than %d", len(reports), MaxReports)
	}
	reports = slices.DeleteFunc(slices.Clone(reports), func(r Report) bool { return !plausible(r) })
	for chunk := range slices.Chunk(reports, reportsPerTransaction) {
		if err := s.receive(ctx, chunk); err == nil {
			continue
		} else if len(chunk) == 1 || ctx.Err() != nil {
			return err
		}
		// One of them may be at fault: it must not take the others along (WH-08).
		var errs []error
		for _, r := range chunk {
			errs = append(errs, s.receive(ctx, []Report{r}))
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) receive(ctx context.Context, reports []Report) error {
	err := s.store.InTx(ctx, func(ctx context.Context) error {
		for _, r := range reports {
			if err := s.apply(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("apply receipts: %w", err)
	}
	return nil
}

// plausible keeps from the database what can be no report: an unknown status, an id of impossible form.
func plausible(r Report) bool {
	if r.DeliveryID == "" && r.MessageID == "" || len(r.MessageID) > 512 {
		return false
	}
	return r.NotRequested || r.Status == storage.DeliverySent || r.Status == storage.DeliveryDelivered ||
		r.Status == storage.DeliveryRead || r.Status == storage.DeliveryFailed
}

func (s *Service) apply(ctx context.Context, r Report) error {
	d, err := s.deliveryOf(ctx, r)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.NotRequested {
		return s.notRequested(ctx, d)
	}
	now := s.clock.Now()
	if !wasCalled(d) {
		return nil
	}
	fresh, err := s.store.InsertReceipts(ctx, []storage.Receipt{{
		DeliveryID: d.ID, Status: r.Status, At: between(r.At, d.SendingAt, now), ReceivedAt: now, FailureCode: shortCode(r.Failure.Code),
	}})
	if err != nil || len(fresh) == 0 {
		return err
	}
	moved := false
	if next, forward := advance(d, r, now); forward {
		if next.MessageHash == "" && r.MessageID != "" {
			next.MessageHash = s.keys.Hash(secret.MessageHash, r.MessageID)
		}
		if moved, err = s.store.UpdateDelivery(ctx, next, d.State); err != nil {
			return err
		}
		d = next
	}
	return s.applied(ctx, d, r, moved)
}

// deliveryOf finds what a report is about: by our own mark, or by the keyed hash of the carrier's id. A report from
// another channel, or about another message than the one accepted for the row, is about nothing.
func (s *Service) deliveryOf(ctx context.Context, r Report) (storage.Delivery, error) {
	hashes := s.keys.Hashes(secret.MessageHash, r.MessageID)
	if isID(r.DeliveryID) {
		d, err := s.store.Delivery(ctx, r.DeliveryID)
		if err == nil && (d.Channel != r.Channel || r.MessageID != "" && d.MessageHash != "" && !slices.Contains(hashes, d.MessageHash)) {
			return d, storage.ErrNotFound
		}
		return d, err
	}
	if r.MessageID == "" {
		return storage.Delivery{}, storage.ErrNotFound
	}
	found, err := s.store.DeliveriesByMessage(ctx, hashes)
	if err != nil {
		return storage.Delivery{}, err
	}
	for _, d := range found {
		if d.Channel == r.Channel {
			return d, nil
		}
	}
	return storage.Delivery{}, storage.ErrNotFound
}

// applied tells of a new receipt and, where it moved the delivery, lets the escalation look.
func (s *Service) applied(ctx context.Context, d storage.Delivery, r Report, moved bool) error {
	c, err := s.store.Challenge(ctx, d.ChallengeID)
	if err != nil {
		return err
	}
	e := deliveryEvent(ctx, audit.PasscodeReceipt, c, d)
	e.Data["status"] = string(r.Status)
	if r.Status == storage.DeliveryFailed && moved {
		e = failed(deliveryEvent(ctx, audit.PasscodeSendFailed, c, d), "reported")
	}
	if err := s.audit.Write(ctx, e); err != nil {
		return err
	}
	s.store.AfterCommit(ctx, func() {
		if s.hooks.Receipt != nil {
			s.hooks.Receipt(d.Channel, r.Status)
		}
		s.watchers.notify(c.ID)
	})
	switch {
	case !moved, r.Status == storage.DeliverySent: // nothing waits for "sent": the deadline counts from acceptance
		return nil
	case r.Status == storage.DeliveryFailed:
		if err := s.learn(ctx, &c, d); err != nil {
			return err
		}
		return s.escalate(ctx, c)
	default:
		return s.lookBy(ctx, c, nextLook(c, []storage.Delivery{d}, s.clock.Now()))
	}
}

// receiptNotRequested marks the tap on "I didn't request a code" among the receipts of a delivery. It is no state.
const receiptNotRequested storage.DeliveryState = "not_requested"

// notRequested ends a challenge whose person says that they did not ask for it: somebody else knows the password. It
// is told also when the challenge was over, which is the worse news.
func (s *Service) notRequested(ctx context.Context, d storage.Delivery) error {
	now := s.clock.Now()
	fresh, err := s.store.InsertReceipts(ctx, []storage.Receipt{{DeliveryID: d.ID, Status: receiptNotRequested, At: now, ReceivedAt: now}})
	if err != nil || len(fresh) == 0 { // carriers repeat what they say (WH-05)
		return err
	}
	ended, err := s.store.EndChallenge(ctx, d.ChallengeID, storage.ChallengeCancelled, now)
	if err != nil {
		return err
	}
	c, err := s.store.Challenge(ctx, d.ChallengeID)
	if err != nil {
		return err
	}
	e := failed(deliveryEvent(ctx, audit.NotRequested, c, d), "not_requested")
	e.Data["challenge"] = string(endOf(c))
	if ended {
		s.store.AfterCommit(ctx, func() { s.watchers.notify(c.ID) })
	}
	return s.audit.Write(ctx, e)
}

// rank orders the states by how much is known. A copy that reached a phone counts more than one that failed: with
// several phones on one account both happen, and the order of arrival must not matter (WH-06).
var rank = map[storage.DeliveryState]int{
	storage.DeliveryQueued: 0, storage.DeliverySending: 1, storage.DeliveryUnknown: 2, storage.DeliveryAccepted: 3,
	storage.DeliverySent: 4, storage.DeliveryFailed: 5, storage.DeliveryDelivered: 6, storage.DeliveryRead: 7,
}

// advance moves a delivery forward by a report, or says that the report brings it no further.
func advance(d storage.Delivery, r Report, now time.Time) (storage.Delivery, bool) {
	if rank[r.Status] <= rank[d.State] || !wasCalled(d) {
		return d, false
	}
	at := between(r.At, first(d.AcceptedAt, d.SendingAt), now)
	d.State = r.Status
	switch r.Status {
	case storage.DeliverySent:
		d.SentAt = at
	case storage.DeliveryDelivered:
		d.DeliveredAt = at
	case storage.DeliveryRead:
		d.ReadAt, d.DeliveredAt = at, first(d.DeliveredAt, at) // read implies delivered
	case storage.DeliveryFailed:
		d.FailedAt, d.FailureClass, d.FailureCode = at, string(r.Failure.Class), shortCode(r.Failure.Code)
	}
	return d, true
}

// wasCalled says whether a carrier can know of the delivery.
func wasCalled(d storage.Delivery) bool {
	return d.State != storage.DeliveryQueued && d.State != storage.DeliverySkipped
}

// between keeps a carrier's clock from moving our deadlines: its times are whole seconds, and may be wrong.
func between(at, earliest, now time.Time) time.Time {
	switch {
	case at.After(now), at.IsZero():
		return now
	case at.Before(earliest):
		return earliest
	default:
		return at.UTC().Truncate(time.Millisecond)
	}
}

// isID says whether s has the form of our ids: nothing else is worth a query, and PostgreSQL refuses some byte strings.
func isID(s string) bool {
	return len(s) == 26 && strings.Trim(s, "0123456789abcdefghjkmnpqrstvwxyz") == ""
}

// shortCode keeps a carrier's code short and printable.
func shortCode(code string) string {
	code = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, code)
	return code[:min(len(code), 32)]
}
