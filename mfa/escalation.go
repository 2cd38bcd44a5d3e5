package mfa

import (
	"slices"
	"time"

	"github.com/parola-id/parola/storage"
)

// The triggers of deliveries: how a message came to be sent.
const (
	triggerFirst = "first"
	triggerAgain = "again" // "Send again"
	triggerAsked = "asked" // "Send it by SMS instead"
	// triggerAskedUndeliverable is the same after class N: the defence against pumping looks at it as at an SMS at once.
	triggerAskedUndeliverable = "asked_undeliverable"

	triggerRefused       = "refused"       // WhatsApp refused or failed, classes S, C and R
	triggerUndeliverable = "undeliverable" // class N
	triggerNotDelivered  = "not_delivered"
	triggerNotEntered    = "not_entered"
	triggerUnknown       = "unknown"
	triggerCircuit       = "circuit"
	triggerNoWhatsApp    = "no_whatsapp"
)

// Never is a wait that does not end: the thing does not happen, or is not offered.
const Never time.Duration = -1

// step is what the escalation wants next.
type step int

const (
	stop    step = iota // nothing more happens by itself
	wait                // look again at decision.until
	sendSMS             // now, because of decision.trigger
)

type decision struct {
	step    step
	trigger string
	until   time.Time
}

// decide is the escalation: what happens next by itself to a challenge with these deliveries. It is the table of
// docs/escalation.md and nothing else: policy says whether an SMS may follow at all, the current WhatsApp message says
// when and why. Older messages on WhatsApp start nothing (WH-07), and after any SMS nothing more happens by itself.
func decide(c storage.Challenge, deliveries []storage.Delivery, now time.Time) decision {
	messages := sentOut(deliveries)
	current, tried := latest(messages, storage.WhatsApp)
	if !tried || !mayFallBack(c, messages, now) {
		return decision{step: stop}
	}
	trigger, at, ever := verdict(current, c.Policy)
	switch {
	case !ever || !at.Before(c.ExpiresAt):
		return decision{step: stop}
	case now.Before(at):
		return decision{step: wait, trigger: trigger, until: at}
	default:
		return decision{step: sendSMS, trigger: trigger}
	}
}

// mayFallBack says whether an SMS may follow by itself: everything that overrides the rows of the table.
func mayFallBack(c storage.Challenge, messages []storage.Delivery, now time.Time) bool {
	return maySMS(c, messages, now) && c.Policy.Fallback == FallbackAllow && c.FallbackAt.IsZero()
}

// maySMS says whether a first SMS may be sent at all, by itself or by the button.
func maySMS(c storage.Challenge, messages []storage.Delivery, now time.Time) bool {
	_, already := latest(messages, storage.SMS)
	return isOpen(c, now) && !already && !barred(c, messages) &&
		!c.Policy.SMSForbidden && c.Policy.Fallback != FallbackDeny && len(messages) < c.Policy.MaxMessages
}

// verdict is one row of the table: why and when an SMS follows this message. At the zero time it follows at once.
func verdict(d storage.Delivery, p storage.ChallengePolicy) (trigger string, at time.Time, ever bool) {
	switch d.State {
	case storage.DeliveryQueued:
		// Only a node that is overwhelmed or gone leaves a message waiting this long.
		return triggerNotDelivered, d.DueAt.Add(p.NotDeliveredAfter), true
	case storage.DeliverySending, storage.DeliveryUnknown:
		// It may have gone out: a copy of it lives as long as the template's TTL, from the moment of sending at most.
		return triggerUnknown, d.SendingAt.Add(p.NotDeliveredAfter), true
	case storage.DeliveryAccepted, storage.DeliverySent:
		return triggerNotDelivered, first(d.AcceptedAt, d.SendingAt).Add(p.NotDeliveredAfter), true
	case storage.DeliveryDelivered, storage.DeliveryRead:
		at := first(d.DeliveredAt, d.ReadAt).Add(p.NotEnteredAfter)
		return triggerNotEntered, at, p.NotEntered == NotEnteredSend
	case storage.DeliveryFailed:
		return failureTrigger(d), time.Time{}, Class(d.FailureClass) != ClassAlert
	default:
		return "", time.Time{}, false
	}
}

func failureTrigger(d storage.Delivery) string {
	switch {
	case d.FailureCode == codeCircuit:
		return triggerCircuit
	case Class(d.FailureClass) == ClassNumber:
		return triggerUndeliverable
	default:
		return triggerRefused
	}
}

// nextLook is when the escalation must look at a challenge again: at what decide waits for, and at the end of the
// challenge's life, which is an event of its own.
func nextLook(c storage.Challenge, deliveries []storage.Delivery, now time.Time) time.Time {
	switch d := decide(c, deliveries, now); {
	case d.step == sendSMS:
		return now
	case d.step == wait && d.until.Before(c.ExpiresAt):
		return d.until
	default:
		return c.ExpiresAt
	}
}

// offerSMSIn is how long until "Send it by SMS instead" is offered: at once when WhatsApp has failed, and not after our
// own limits have refused the automatic SMS.
func offerSMSIn(c storage.Challenge, deliveries []storage.Delivery, now time.Time) time.Duration {
	messages := sentOut(deliveries)
	current, tried := latest(messages, storage.WhatsApp)
	if !tried || !maySMS(c, messages, now) || c.SMSRefused != "" {
		return Never
	}
	switch current.State {
	case storage.DeliveryFailed:
		return 0
	case storage.DeliveryDelivered, storage.DeliveryRead:
		if c.Policy.NotEntered == NotEnteredOff {
			return Never
		}
	}
	return max(0, c.CreatedAt.Add(c.Policy.OfferSMSAfter).Sub(now))
}

// resendIn is how long until "Send again" is possible. Each use doubles the wait. After an SMS that failed, or whose
// answer was lost, it is possible at once.
func resendIn(c storage.Challenge, deliveries []storage.Delivery, after time.Duration, now time.Time) time.Duration {
	messages := sentOut(deliveries)
	if len(messages) == 0 || !isOpen(c, now) || barred(c, messages) || len(messages) >= c.Policy.MaxMessages {
		return Never
	}
	last := messages[len(messages)-1]
	if last.Channel == storage.SMS && (last.State == storage.DeliveryFailed || last.State == storage.DeliveryUnknown) {
		return 0
	}
	for _, d := range messages {
		if d.Trigger == triggerAgain {
			after *= 2
		}
	}
	return max(0, last.CreatedAt.Add(after).Sub(now))
}

// resendOn is the channel of "Send again": the one used last, unless its circuit is open and the other one, which had
// failed by a fault of its carrier, may work again. circuitOpen is asked of a channel.
func resendOn(deliveries []storage.Delivery, circuitOpen func(storage.Channel) bool) storage.Channel {
	messages := sentOut(deliveries)
	if len(messages) == 0 {
		return ""
	}
	last := messages[len(messages)-1].Channel
	other := storage.WhatsApp
	if last == storage.WhatsApp {
		other = storage.SMS
	}
	before, tried := latest(messages, other)
	if tried && carrierFailed(before) && circuitOpen(last) && !circuitOpen(other) {
		return other
	}
	return last
}

// isOpen says whether a passcode of the challenge can still be accepted, tries aside.
func isOpen(c storage.Challenge, now time.Time) bool {
	return c.EndedAt.IsZero() && now.Before(c.ExpiresAt)
}

// barred says whether a security signal closed the phone for this challenge: whoever holds the number now may not be
// the person who bound it.
func barred(c storage.Challenge, messages []storage.Delivery) bool {
	return c.IdentityBar || slices.ContainsFunc(messages, func(d storage.Delivery) bool {
		return d.State == storage.DeliveryFailed && Class(d.FailureClass) == ClassAlert
	})
}

// sentOut leaves out messages that were dropped before they were sent.
func sentOut(deliveries []storage.Delivery) []storage.Delivery {
	return slices.DeleteFunc(slices.Clone(deliveries), func(d storage.Delivery) bool { return d.State == storage.DeliverySkipped })
}

// latest returns the newest message on a channel; deliveries come oldest first.
func latest(messages []storage.Delivery, ch storage.Channel) (storage.Delivery, bool) {
	for _, d := range slices.Backward(messages) {
		if d.Channel == ch {
			return d, true
		}
	}
	return storage.Delivery{}, false
}

// first returns the first value that is set.
func first[T comparable](values ...T) T {
	var unset T
	for _, v := range values {
		if v != unset {
			return v
		}
	}
	return unset
}
