package mfa

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
)

// draw asks for one message: an SMS of the defence against pumping, any message of the sending limits. A refusal is
// ErrSMSRefused or a *ThrottledError; nothing was taken then. With later the limits are asked when that is paid.
func (s *Service) draw(ctx context.Context, c storage.Challenge, d storage.Delivery, later *tab, now time.Time) (refusal, err error) {
	if d.Channel == storage.SMS && s.defence.Refuses(SMSQuestion{
		Country: c.PhoneCountry, Prefix: c.PhonePrefix, Instant: instant(d.Trigger),
	}) {
		return ErrSMSRefused, nil
	}
	if later != nil {
		later.add(s.throttle.Sends(sendsOf(c, d)))
		return nil, nil
	}
	refused, err := s.store.Take(ctx, now, s.throttle.Sends(sendsOf(c, d))...)
	return throttledBy(refused), err
}

// tab is what several messages of one transaction draw, to be taken at once and last: one statement instead of many, and
// the buckets that all messages share are locked for a moment only.
type tab struct{ buckets map[string]storage.Throttle }

func (t *tab) add(buckets []storage.Throttle) {
	for _, b := range buckets {
		b.Cost += t.buckets[b.Key].Cost
		t.buckets[b.Key] = b
	}
}

// errTab says that the limits do not allow all of these messages, and perhaps some of them.
var errTab = errors.New("a limit refuses several messages together")

func (s *Service) pay(ctx context.Context, t *tab) error {
	refused, err := s.store.Take(ctx, s.clock.Now(), slices.Collect(maps.Values(t.buckets))...)
	if err == nil && refused != nil {
		return errTab
	}
	return err
}

func throttledBy(refused *storage.Refusal) error {
	if refused == nil {
		return nil
	}
	return &ThrottledError{RetryAt: refused.RetryAt, budget: throttle.IsBudget(refused.Key)}
}

// instant says whether an SMS goes out at once because the number has no WhatsApp: what pumping aims at.
func instant(trigger string) bool {
	return trigger == triggerNoWhatsApp || trigger == triggerUndeliverable || trigger == triggerAskedUndeliverable
}

// sendsOf is what messages of a challenge take from the limits, together.
func sendsOf(c storage.Challenge, ds ...storage.Delivery) throttle.Send {
	send := throttle.Send{
		PersonID: c.PersonID, NumberHash: c.PhoneHash, Source: c.SourceAddr, ClientID: c.ClientID,
		Prefix: c.PhonePrefix, Country: c.PhoneCountry, Messages: len(ds),
		Cost: map[storage.Channel]storage.Money{},
	}
	for _, d := range ds {
		send.Cost[d.Channel] += d.Cost
	}
	return send
}

// giveBackFor are the buckets that a verified challenge gives back to, with what its messages took. So the limits and
// the budgets count unverified messages only: people who sign in cost the attacker's budget nothing, and the other way
// round.
func (s *Service) giveBackFor(c storage.Challenge, ds []storage.Delivery) []storage.Throttle {
	if len(ds) == 0 {
		return nil
	}
	return s.throttle.Sends(sendsOf(c, ds...))
}

// recharge moves the budgets from what a message was reckoned at to what the next carrier asks for it.
func (s *Service) recharge(ctx context.Context, c storage.Challenge, d storage.Delivery, cost storage.Money, now time.Time) (refusal, err error) {
	send := sendsOf(c, d)
	more := cost - d.Cost
	send.Cost = map[storage.Channel]storage.Money{d.Channel: max(more, -more)}
	if more >= 0 {
		refused, err := s.store.Take(ctx, now, s.throttle.Spends(send)...)
		return throttledBy(refused), err
	}
	return nil, s.store.GiveBack(ctx, now, s.throttle.Spends(send)...)
}

// reasonThrottled is a limit in numbers, which is the same for every channel.
const reasonThrottled = "throttled"

// tellRefusal records that a message is not sent, and why.
func (s *Service) tellRefusal(ctx context.Context, c storage.Challenge, d storage.Delivery, refusal error) error {
	d.ID = "" // it was never stored
	return s.audit.Write(ctx, failed(deliveryEvent(ctx, audit.PasscodeSendRefused, c, d), refusalReason(refusal)))
}

func refusalReason(refusal error) string {
	var throttled *ThrottledError
	switch {
	case errors.Is(refusal, ErrSMSRefused):
		return "fraud"
	case errors.As(refusal, &throttled) && throttled.budget:
		return "budget"
	case errors.Is(refusal, ErrNoPhone):
		return "no_verified_phone"
	case errors.Is(refusal, ErrFactorDisabled):
		return "factor_disabled"
	case errors.Is(refusal, errUnknownKey):
		return codeUnknownKey
	case errors.Is(refusal, ErrNoChannel):
		return "no_channel"
	default:
		return reasonThrottled
	}
}
