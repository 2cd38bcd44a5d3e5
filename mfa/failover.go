package mfa

import (
	"context"
	"slices"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// mayFailOver says whether a refused message may go to another carrier: an SMS that is known not to have gone out, for a
// reason that is the carrier's own. Classes N and S speak of the number or the message: no carrier changes them. A lost
// answer and a later report of failure move nothing, because the message may arrive: at most one SMS goes out by itself.
func mayFailOver(d storage.Delivery, r *Refused) bool {
	own := r.Class == ClassRetry || r.Class == ClassConfig || r.Code == codeCircuit
	return d.Channel == storage.SMS && r.NotSent && own
}

// failOver hands an SMS that its carrier refused to the next one of the route, at once and as the same delivery. It does
// not when there is none, or when the budgets do not allow what the next one asks for.
func (s *Service) failOver(ctx context.Context, c storage.Challenge, d storage.Delivery, now time.Time) (moved bool, err error) {
	if s.circuits.passage(CountryCircuit(d.Channel, c.PhoneCountry), now) == shut {
		return false, nil
	}
	tried := append(slices.Clone(d.Tried), d.Carrier)
	carrier, found := s.pick(d.Channel, c.PhoneCountry, tried, now)
	if !found {
		return false, nil
	}
	cost := s.prices.Price(carrier, c.PhoneCountry, now)
	refusal, err := s.recharge(ctx, c, d, cost, now)
	switch {
	case err != nil:
		return false, err
	case refusal != nil:
		return false, s.tellRefusal(ctx, c, d, refusal)
	}
	next := d
	next.Carrier, next.Tried, next.Cost = carrier, tried, cost
	next.State, next.DueAt, next.FailureClass, next.FailureCode = storage.DeliveryQueued, now, "", ""
	updated, err := s.store.UpdateDelivery(ctx, next, storage.DeliverySending)
	if err != nil || !updated {
		return updated, err
	}
	s.wakeSomeDispatcher(ctx, carrier)
	e := failed(deliveryEvent(ctx, audit.PasscodeSendFailed, c, d), "next_carrier")
	e.Data["next_carrier"] = carrier
	if err := s.audit.Write(ctx, e); err != nil {
		return true, err
	}
	return true, s.learn(ctx, &c, d)
}

// retryAt says whether and when a refused message is tried once more with its carrier: only class R, only when it is
// known not to have gone out, once, and inside the deadline after which the other channel has its turn.
func retryAt(d storage.Delivery, retried bool, c storage.Challenge, r *Refused, now time.Time, jitter time.Duration) (time.Time, bool) {
	at := now.Add(max(r.RetryAfter, time.Second) + jitter)
	inTime := at.Before(d.SendingAt.Add(c.Policy.NotDeliveredAfter)) && at.Before(c.ExpiresAt)
	return at, r.Class == ClassRetry && r.NotSent && !retried && inTime
}
