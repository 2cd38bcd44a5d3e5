package mfa

import (
	"context"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// escalate carries out what the escalation decides for a challenge, in the transaction that ctx carries.
func (s *Service) escalate(ctx context.Context, c storage.Challenge) error {
	if !isOpen(c, s.clock.Now()) {
		return nil
	}
	ds, err := s.store.DeliveriesOf(ctx, c.ID)
	if err != nil {
		return err
	}
	return s.escalateWith(ctx, c, ds, nil)
}

// escalateWith does so with the deliveries at hand. With a tab its challenge was locked before they were read, so that
// nobody adds another one meanwhile, and the caller pays the tab.
func (s *Service) escalateWith(ctx context.Context, c storage.Challenge, ds []storage.Delivery, later *tab) error {
	now := s.clock.Now()
	d := decide(c, ds, now)
	if d.step != sendSMS {
		return s.store.ScheduleChallenge(ctx, c.ID, nextLook(c, ds, now))
	}
	// Taking the fallback is the conditional write that lets one of all webhooks, timers and nodes through (OTP-06).
	taken, err := s.store.TakeFallback(ctx, c.ID, now)
	if err != nil || !taken {
		return err
	}
	if later == nil {
		if ds, err = s.store.DeliveriesOf(ctx, c.ID); err != nil {
			return err
		}
	}
	return s.fallBack(ctx, c, ds, d.trigger, later)
}

// lookBy makes sure that the escalation looks at an open challenge by a time. A look that is due earlier is kept: it costs
// nothing when the passcode is entered before, and otherwise sets the right date with all deliveries in view.
func (s *Service) lookBy(ctx context.Context, c storage.Challenge, due time.Time) error {
	now := s.clock.Now()
	if !isOpen(c, now) || c.DueAt.After(now) && !c.DueAt.After(due) {
		return nil
	}
	return s.store.ScheduleChallenge(ctx, c.ID, due)
}

// fallBack sends the one automatic SMS of a challenge, which has been taken. The deliveries cannot change any more, so
// that a person who tapped the button at the same moment does not get two.
func (s *Service) fallBack(ctx context.Context, c storage.Challenge, ds []storage.Delivery, trigger string, later *tab) error {
	now := s.clock.Now()
	if _, already := latest(sentOut(ds), storage.SMS); already {
		return s.store.ScheduleChallenge(ctx, c.ID, c.ExpiresAt)
	}
	s.countOverdue(ctx, c, ds, trigger)
	d := s.newDelivery(c, ds, storage.SMS, trigger, now)
	d.Automatic = true
	refusal, err := s.draw(ctx, c, d, later, now)
	switch {
	case err != nil:
		return err
	case refusal == nil:
		s.changed(ctx, c.ID)
		return s.announce(ctx, c, d) // sending it sets the next look
	}
	if err := s.store.ScheduleChallenge(ctx, c.ID, c.ExpiresAt); err != nil {
		return err
	}
	if err := s.store.NoteSMSRefused(ctx, c.ID, refusalReason(refusal)); err != nil {
		return err
	}
	s.changed(ctx, c.ID)
	return s.tellRefusal(ctx, c, d, refusal)
}

// countOverdue counts a WhatsApp message that was accepted and did not arrive in time against its country.
func (s *Service) countOverdue(ctx context.Context, c storage.Challenge, ds []storage.Delivery, trigger string) {
	current, _ := latest(sentOut(ds), storage.WhatsApp)
	if trigger == triggerNotDelivered && current.State != storage.DeliveryQueued {
		s.store.AfterCommit(ctx, func() { s.countryOutcome(storage.WhatsApp, c, false) })
	}
}

// learn draws the consequences of a failure that reach beyond its message: a number without WhatsApp is remembered, a
// changed identity closes the phone for this challenge, and SMS to it until the identity is forgotten, a fault of our account calls an operator.
func (s *Service) learn(ctx context.Context, c *storage.Challenge, d storage.Delivery) error {
	switch Class(d.FailureClass) {
	case ClassNumber:
		if d.Channel != storage.WhatsApp {
			return nil
		}
		return s.store.NoteNoWhatsApp(ctx, c.PhoneHash, s.clock.Now().Add(s.settings.RememberNoWhatsApp))
	case ClassAlert:
		c.IdentityBar = true
		if err := s.store.BarIdentity(ctx, c.ID); err != nil {
			return err
		}
		if err := s.store.BarPhone(ctx, c.PhoneID, s.clock.Now()); err != nil {
			return err
		}
		return s.audit.Write(ctx, failed(deliveryEvent(ctx, audit.IdentityChanged, *c, d), "identity_changed"))
	case ClassConfig:
		return s.alarm(ctx, *c, d)
	default:
		return nil
	}
}

// alarm calls an operator, once per carrier and code in a while: when an account is locked, every login would.
func (s *Service) alarm(ctx context.Context, c storage.Challenge, d storage.Delivery) error {
	if !s.alarms.pass(d.Carrier+"|"+d.FailureCode, s.clock.Now()) {
		return nil
	}
	s.store.AfterCommit(ctx, func() {
		s.log.Error("carrier refuses because of our account or configuration", "carrier", d.Carrier, "code", d.FailureCode)
		if s.hooks.Alarm != nil {
			s.hooks.Alarm(Alarm{Channel: d.Channel, Carrier: d.Carrier, Kind: "carrier_refuses", Code: d.FailureCode})
		}
	})
	return s.audit.Write(ctx, failed(deliveryEvent(ctx, audit.SystemCarrierAlarm, c, d), "carrier_refuses"))
}

// CallbackRejected counts a carrier's callback whose signature or form was wrong, and keeps a sample of them as events
// (WH-03). Channels' handlers call it through their configuration.
func (s *Service) CallbackRejected(ctx context.Context, ch storage.Channel, reason string) {
	if s.hooks.CallbackRejected != nil {
		s.hooks.CallbackRejected(ch, reason)
	}
	if !s.rejects.pass(string(ch)+reason, s.clock.Now()) {
		return
	}
	s.log.Warn("callback rejected", "channel", ch, "reason", reason)
	e := rejectedEvent(ctx, ch, reason)
	if err := s.store.InTx(ctx, func(ctx context.Context) error { return s.audit.Write(ctx, e) }); err != nil {
		s.log.Error("record rejected callback", "err", err)
	}
}
