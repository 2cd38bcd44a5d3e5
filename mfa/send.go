package mfa

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// panicNoteTime bounds the writing of a panic's event: a worker that has just failed must not hang as well.
const panicNoteTime = 5 * time.Second

// maxCalls is one call and the one retry of class R.
const maxCalls = 2

// Failure codes of our own, beside codeCircuit.
const (
	codeUnknownKey = "unknown_key" // sealed or derived with a root secret that is gone
	codeNoCarrier  = "no_carrier"  // the configuration no longer has it
)

// job is a claimed delivery on its way to its carrier.
type job struct {
	delivery  storage.Delivery
	challenge storage.Challenge
	message   Message
}

// claimQueued moves due deliveries to "sending", with everything their calls need, in one transaction, and starts the
// calls once that has committed: no socket opens before (REL-03).
func (s *Service) claimQueued(ctx context.Context, calls *sync.WaitGroup) (claimed int, err error) {
	busy, free := s.room()
	if free == 0 {
		return 0, nil
	}
	var jobs []job
	err = s.store.InTx(ctx, func(ctx context.Context) error {
		jobs, claimed = nil, 0
		now := s.clock.Now()
		ds, err := s.store.ClaimQueued(ctx, now, now.Add(sendLease), free, busy...)
		if err != nil {
			return err
		}
		claimed = len(ds)
		for _, d := range ds {
			j, ready, err := s.prepare(ctx, d)
			if err != nil {
				return err
			}
			if ready {
				jobs = append(jobs, j)
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("claim deliveries: %w", err)
	}
	for _, j := range jobs {
		s.launch(ctx, calls, j)
	}
	return claimed, nil
}

// room says which carriers' lanes are all taken, and how many deliveries each of the others can take: as many are claimed,
// so that every one of them has a lane whoever its carrier is. A slow carrier keeps its own messages waiting (REL-07).
func (s *Service) room() (busy []string, free int) {
	for _, name := range slices.Sorted(maps.Keys(s.lanes)) {
		switch left := cap(s.lanes[name]) - len(s.lanes[name]); {
		case left <= 0:
			busy = append(busy, name)
		case free == 0 || left < free:
			free = left
		}
	}
	return busy, free
}

// prepare reads what a delivery needs, or drops it when nobody waits for it any more. Writing the challenge's row first
// makes this wait for a verification in progress, and a verification for this: either it sees the message as going
// out, or this sees that it has ended. The date written is the deadline of a message that is sent now; where another
// one holds, the look that comes too early sets it.
func (s *Service) prepare(ctx context.Context, d storage.Delivery) (j job, ready bool, err error) {
	deadline := d.SendingAt.Add(s.settings.TemplateTTL + lateCopyMargin)
	c, phone, err := s.store.LockChallenge(ctx, d.ChallengeID, deadline)
	if err != nil {
		return j, false, err
	}
	switch {
	case phone.ID == "":
		return j, false, s.skip(ctx, c, d, "phone_removed")
	case !isOpen(c, s.clock.Now()):
		return j, false, s.skip(ctx, c, d, "challenge_over")
	case !phone.DisabledAt.IsZero():
		return j, false, s.skip(ctx, c, d, "factor_disabled")
	case c.IdentityBar: // since it was queued: no retry and no next carrier takes it to whoever has the number now
		return j, false, s.skip(ctx, c, d, "identity_changed")
	case d.Channel == storage.WhatsApp && d.CreatedAt.Before(c.FallbackAt):
		return j, false, s.skip(ctx, c, d, "overtaken_by_sms")
	}
	j = job{delivery: d, challenge: c}
	refuse := func(class Class, code string) (job, bool, error) {
		return j, false, s.settleIn(ctx, j, Sent{}, &Refused{Failure: Failure{Class: class, Code: code}, NotSent: true})
	}
	if j.message, err = s.message(c, d, phone); err != nil {
		// No channel can help, an operator must.
		s.log.Error("prepare passcode message", "delivery", d.ID, "err", err)
		return refuse(ClassConfig, codeUnknownKey)
	}
	if s.routes.senders[d.Carrier].Channel != d.Channel {
		return refuse(ClassConfig, codeNoCarrier)
	}
	open, err := s.letThrough(ctx, c, d)
	if err == nil && !open {
		return refuse(ClassFallback, codeCircuit)
	}
	return j, err == nil, err
}

func (s *Service) message(c storage.Challenge, d storage.Delivery, phone storage.PhoneFactor) (Message, error) {
	to, err := OpenPhone(s.keys, phone)
	if err != nil {
		return Message{}, err
	}
	passcode, err := derive(s.keys, c)
	if err != nil {
		return Message{}, err
	}
	identity, err := s.identityFor(d, phone)
	return Message{
		DeliveryID: d.ID, To: to, Passcode: passcode, Locale: c.Locale, ValidFor: c.ExpiresAt.Sub(s.clock.Now()), Identity: identity,
	}, err
}

// skip drops a delivery before it was sent.
func (s *Service) skip(ctx context.Context, c storage.Challenge, d storage.Delivery, reason string) error {
	d.State = storage.DeliverySkipped
	if _, err := s.store.UpdateDelivery(ctx, d, storage.DeliverySending); err != nil {
		return err
	}
	return s.audit.Write(ctx, failed(deliveryEvent(ctx, audit.PasscodeSendRefused, c, d), reason))
}

// launch makes the call in a lane of its carrier's.
func (s *Service) launch(ctx context.Context, calls *sync.WaitGroup, j job) {
	lane := s.lanes[j.delivery.Carrier]
	lane <- struct{}{}
	calls.Go(func() {
		defer s.leave(lane)
		s.call(context.WithoutCancel(ctx), j)
	})
}

// leave frees a lane, and wakes the dispatcher for what waits because all of them were taken.
func (s *Service) leave(lane chan struct{}) {
	<-lane
	if len(lane) >= cap(lane)-1 {
		s.wakeDispatcher()
	}
}

// call sends one message and writes down what came of it. A panic in a channel leaves an unknown outcome.
func (s *Service) call(ctx context.Context, j job) {
	sent, err := Sent{}, errors.New("the channel panicked")
	ctx, span := s.traceCall(ctx, j)
	started := s.clock.Now()
	s.guard("send", func() {
		callCtx, cancel := context.WithTimeout(ctx, s.settings.CallTimeout)
		defer cancel()
		sent, err = s.routes.senders[j.delivery.Carrier].Sender.Send(callCtx, j.message)
	})
	traceAnswer(span, err)
	s.answered(j, err)
	if s.hooks.Sent != nil {
		result, class := sendOutcome(err)
		s.hooks.Sent(j.delivery.Channel, result, class, s.clock.Now().Sub(started))
	}
	s.settle(ctx, j, sent, err)
}

func sendOutcome(err error) (result string, class Class) {
	var refused *Refused
	switch {
	case err == nil:
		return "accepted", ""
	case errors.As(err, &refused):
		return "refused", refused.Class
	default:
		return "unknown", ""
	}
}

// settle writes the result down, a few times over if storage stumbles. When it cannot, the lease ends and the delivery
// becomes unknown, which is the truth.
func (s *Service) settle(ctx context.Context, j job, sent Sent, outcome error) {
	if outcome == nil && s.writeAcceptance(ctx, j, sent) == nil {
		return
	}
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		err := s.store.InTx(ctx, func(ctx context.Context) error { return s.settleIn(ctx, j, sent, outcome) })
		if err == nil {
			return
		}
		s.log.Error("record result of sending", "delivery", j.delivery.ID, "err", err)
		if wait > 2*time.Second {
			return
		}
		sleep(ctx, wait)
	}
}

func (s *Service) settleIn(ctx context.Context, j job, sent Sent, outcome error) error {
	var refused *Refused
	switch {
	case outcome == nil:
		return s.accepted(ctx, j, sent)
	case !errors.As(outcome, &refused):
		d := j.delivery
		d.State = storage.DeliveryUnknown
		if updated, err := s.store.UpdateDelivery(ctx, d, storage.DeliverySending); err != nil || !updated {
			return err // a receipt knows better, or the lease is over
		}
		s.log.Warn("carrier's answer was lost", "carrier", d.Carrier, "delivery", d.ID)
		return s.tellUnknown(ctx, d)
	}
	return s.refused(ctx, j, refused)
}

// refused draws the consequences of a carrier's no: the next carrier, the one retry, or the escalation.
func (s *Service) refused(ctx context.Context, j job, refused *Refused) error {
	now, c, d := s.clock.Now(), j.challenge, j.delivery
	if known, err := s.refusedBefore(ctx, d); err != nil || known {
		return err
	}
	retried := d.FailureClass != ""
	d.FailureClass, d.FailureCode = string(refused.Class), shortCode(refused.Code)
	if mayFailOver(d, refused) {
		if moved, err := s.failOver(ctx, c, d, now); err != nil || moved {
			return err
		}
	}
	if at, again := retryAt(d, retried, c, refused, now, rand.N(time.Second)); again {
		d.State, d.DueAt = storage.DeliveryQueued, at
		if updated, err := s.store.UpdateDelivery(ctx, d, storage.DeliverySending); err != nil || !updated {
			return err
		}
		return s.audit.Write(ctx, failed(deliveryEvent(ctx, audit.PasscodeSendFailed, c, d), "will_retry"))
	}
	d.State, d.FailedAt = storage.DeliveryFailed, now
	if updated, err := s.store.UpdateDelivery(ctx, d, storage.DeliverySending, storage.DeliveryUnknown); err != nil || !updated {
		return err
	}
	e := failed(deliveryEvent(ctx, audit.PasscodeSendFailed, c, d), "refused")
	if err := s.audit.Write(ctx, e); err != nil {
		return err
	}
	s.changed(ctx, c.ID)
	if err := s.learn(ctx, &c, d); err != nil {
		return err
	}
	return s.escalate(ctx, c)
}

// refusedBefore says that this call's refusal is on disk already: a commit whose answer was lost is tried again, and must not
// queue the delivery a second time while the next call is on its way.
func (s *Service) refusedBefore(ctx context.Context, d storage.Delivery) (bool, error) {
	stored, err := s.store.DeliveriesByID(ctx, []string{d.ID}) // which locks it
	return len(stored) == 0 || stored[0].Calls != d.Calls || stored[0].State == storage.DeliveryQueued, err
}

// tellUnknown records that nobody knows what became of a delivery, and lets the escalation set its deadline.
func (s *Service) tellUnknown(ctx context.Context, d storage.Delivery) error {
	c, err := s.store.Challenge(ctx, d.ChallengeID)
	if err != nil {
		return err
	}
	if err := s.audit.Write(ctx, failed(deliveryEvent(ctx, audit.PasscodeSendFailed, c, d), "unknown")); err != nil {
		return err
	}
	s.changed(ctx, c.ID)
	return s.escalate(ctx, c)
}

// panicked tells of a panic that was caught. The value is not logged: it may hold what must not be. A stack shows
// addresses, not texts.
func (s *Service) panicked(worker string, value any) {
	if s.hooks.Panic != nil {
		s.hooks.Panic(worker)
	}
	s.log.Error("worker panicked", "worker", worker, "type", fmt.Sprintf("%T", value), "stack", string(debug.Stack()))
	ctx, cancel := context.WithTimeout(context.Background(), panicNoteTime)
	defer cancel()
	err := s.store.InTx(ctx, func(ctx context.Context) error {
		return s.audit.Write(ctx, storage.Event{Kind: audit.SystemPanic, Outcome: audit.Failure, Reason: worker})
	})
	if err != nil {
		s.log.Error("record panic", "err", err)
	}
}
