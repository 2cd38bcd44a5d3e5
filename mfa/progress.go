package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parola-id/parola/storage"
)

// Stage is how far the passcode has come on its way, in the general terms that a person may see (OTP-42).
type Stage int

// The stages.
const (
	StageSending      Stage = iota // queued or being sent on WhatsApp
	StageOnItsWay                  // WhatsApp took it, not delivered yet
	StageDelivered                 // delivered on WhatsApp
	StageSMSSoon                   // WhatsApp did not get through; an SMS follows
	StageSMSSending                // queued or being sent by SMS
	StageSMSSent                   // the SMS was taken
	StageSMSDelivered              // the SMS was delivered
	StageNotArriving               // no channel got through
	StageUnknown                   // the answer to the SMS was lost: it may or may not arrive
	StageSMSRefused                // WhatsApp did not get through, and our limits or our defence refused the SMS
	StageBarred                    // a security signal: nothing more is sent to this number for this login
)

// Progress is where a challenge stands, as the page and its event stream show it.
type Progress struct {
	Stage Stage
	// LastTwo are the last two digits of the number (OTP-40).
	LastTwo string
	// WhatsApp and SMS say on which channels the passcode has gone out or is going out.
	WhatsApp, SMS     bool
	WhatsAppDelivered bool
	// WhatsAppRefused says that WhatsApp took none of its messages.
	WhatsAppRefused bool
	// WhatsAppSkipped says that the first message went by SMS, because WhatsApp is down here or the number has none.
	WhatsAppSkipped bool
	// SMSIn is the time until the automatic SMS, OfferSMSIn until the button, ResendIn until "Send again"; Never when
	// there will be none. ExpiresIn is the time until the passcode ends.
	SMSIn, OfferSMSIn, ResendIn, ExpiresIn time.Duration
	// ChangesIn is the time until something of this is different though nothing happens; Never once it has ended.
	ChangesIn time.Duration
	TriesLeft int
	// CarriersDown says that nothing got out, no SMS is on offer, and the carriers are to blame, not the phone.
	CarriersDown bool
	// Ended says that the challenge is over, and End how.
	Ended bool
	End   storage.ChallengeEnd
}

// Progress returns where a challenge stands; *EndedError with an empty End when there is none.
func (s *Service) Progress(ctx context.Context, challengeID string) (Progress, error) {
	c, ds, err := s.store.ChallengeWithDeliveries(ctx, challengeID)
	if errors.Is(err, storage.ErrNotFound) {
		return Progress{}, &EndedError{}
	}
	if err != nil {
		return Progress{}, fmt.Errorf("read challenge: %w", err)
	}
	return progressOf(c, ds, s.settings.ResendAfter, s.clock.Now()), nil
}

// progressOf is the pure part.
func progressOf(c storage.Challenge, ds []storage.Delivery, resendAfter time.Duration, now time.Time) Progress {
	messages := sentOut(ds)
	p := Progress{
		LastTwo: c.PhoneLastTwo, SMSIn: Never, OfferSMSIn: offerSMSIn(c, ds, now), ExpiresIn: max(0, c.ExpiresAt.Sub(now)),
		TriesLeft: max(0, c.MaxTries-c.Tries),
	}
	p.ResendIn = resendIn(c, ds, resendAfter, now)
	if !isOpen(c, now) {
		p.Ended, p.End = true, endOf(c)
	}
	for _, d := range messages {
		switch {
		case d.Channel == storage.SMS:
			p.SMS = true
		case d.State == storage.DeliveryDelivered || d.State == storage.DeliveryRead:
			p.WhatsApp, p.WhatsAppDelivered = true, true
		default:
			p.WhatsApp = true
		}
	}
	p.WhatsAppRefused = p.WhatsApp && !slices.ContainsFunc(messages, mayBeOnWhatsApp)
	p.WhatsAppSkipped = len(messages) > 0 && skipsWhatsApp(messages[0])
	next := decide(c, ds, now)
	switch next.step {
	case wait:
		p.SMSIn = next.until.Sub(now)
	case sendSMS:
		p.SMSIn = 0
	}
	p.Stage = stageOf(c, messages, next, now)
	p.CarriersDown = (p.Stage == StageNotArriving || p.Stage == StageUnknown) && p.OfferSMSIn == Never && carriersDown(messages)
	p.ChangesIn = changesIn(p, messages, c.Policy, now)
	return p
}

// changesIn is how long a page may wait for a wake-up without looking: until the nearest of the times above, or until
// WhatsApp is given up.
func changesIn(p Progress, messages []storage.Delivery, policy storage.ChallengePolicy, now time.Time) time.Duration {
	if p.Ended {
		return Never
	}
	nearest := p.ExpiresIn
	for _, in := range []time.Duration{p.SMSIn, p.OfferSMSIn, p.ResendIn} {
		if in > 0 {
			nearest = min(nearest, in)
		}
	}
	if whatsApp, tried := latest(messages, storage.WhatsApp); tried {
		if _, at, ever := verdict(whatsApp, policy); ever && at.After(now) {
			nearest = min(nearest, at.Sub(now))
		}
	}
	return nearest
}

func stageOf(c storage.Challenge, messages []storage.Delivery, next decision, now time.Time) Stage {
	whatsApp, tried := latest(messages, storage.WhatsApp)
	if sms, sent := latest(messages, storage.SMS); sent {
		stage := smsStage(sms)
		lost := stage == StageNotArriving || stage == StageUnknown
		switch {
		case stage == StageNotArriving && anyDelivered(messages):
			return StageDelivered
		case stage == StageNotArriving && barred(c, messages):
			return StageBarred
		case !lost || messages[len(messages)-1].Channel == storage.SMS:
			return stage
		}
		// "Send again" went to WhatsApp after an SMS that did not get out: that is the message to tell of.
	}
	switch {
	case !tried:
		return StageSending
	case next.step == sendSMS:
		return StageSMSSoon
	}
	switch whatsApp.State {
	case storage.DeliveryQueued, storage.DeliverySending:
		return StageSending
	case storage.DeliveryDelivered, storage.DeliveryRead:
		return StageDelivered
	case storage.DeliveryFailed:
		return notArriving(c, messages)
	default:
		// Past its deadline WhatsApp has dropped the message, and policy lets no SMS follow.
		if _, at, ever := verdict(whatsApp, c.Policy); ever && !now.Before(at) {
			return notArriving(c, messages)
		}
		return StageOnItsWay
	}
}

// notArriving is the stage after a failure, unless an earlier copy of the same passcode had arrived.
func notArriving(c storage.Challenge, messages []storage.Delivery) Stage {
	_, bySMS := latest(messages, storage.SMS)
	switch {
	case anyDelivered(messages):
		return StageDelivered
	case barred(c, messages):
		return StageBarred
	case c.SMSRefused != "" && !bySMS:
		return StageSMSRefused
	default:
		return StageNotArriving
	}
}

// mayBeOnWhatsApp says whether WhatsApp took a message, or may have: what it refused failed without having been accepted.
func mayBeOnWhatsApp(d storage.Delivery) bool {
	return d.Channel == storage.WhatsApp && (d.State != storage.DeliveryFailed || !d.AcceptedAt.IsZero() || !d.SentAt.IsZero())
}

// skipsWhatsApp says whether a first message went by SMS though WhatsApp would have been its channel.
func skipsWhatsApp(d storage.Delivery) bool {
	return d.Channel == storage.SMS && (d.Trigger == triggerNoWhatsApp || d.Trigger == triggerCircuit)
}

func smsStage(d storage.Delivery) Stage {
	switch d.State {
	case storage.DeliveryQueued, storage.DeliverySending:
		return StageSMSSending
	case storage.DeliveryAccepted, storage.DeliverySent:
		return StageSMSSent
	case storage.DeliveryDelivered, storage.DeliveryRead:
		return StageSMSDelivered
	case storage.DeliveryUnknown:
		return StageUnknown
	default:
		return StageNotArriving
	}
}

// anyDelivered says whether some copy of the passcode arrived on WhatsApp.
func anyDelivered(messages []storage.Delivery) bool {
	for _, d := range messages {
		if d.Channel == storage.WhatsApp && (d.State == storage.DeliveryDelivered || d.State == storage.DeliveryRead) {
			return true
		}
	}
	return false
}

// carriersDown says whether every message failed by a fault of its carrier, or may have. A lost answer alone proves
// nothing, since the message may arrive: it counts beside a failure, beside the lost answer of the other carrier, and
// where the other carrier was not even tried.
func carriersDown(messages []storage.Delivery) bool {
	_, whatsApp := latest(messages, storage.WhatsApp)
	_, sms := latest(messages, storage.SMS)
	proved := whatsApp && sms
	for _, d := range messages {
		if !carrierFailed(d) {
			return false
		}
		proved = proved || d.State == storage.DeliveryFailed || d.Trigger == triggerCircuit
	}
	return proved
}

// carrierFailed says whether a message did not get out, or may not have, for no fault of the number's.
func carrierFailed(d storage.Delivery) bool {
	switch d.State {
	case storage.DeliveryUnknown:
		return true
	case storage.DeliveryFailed:
		class := Class(d.FailureClass)
		return class == ClassRetry || class == ClassConfig || d.FailureCode == codeCircuit
	default:
		return false
	}
}
