package mfa

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/storage"
)

// nonceSize is 128 bits (OTP-01).
const nonceSize = 16

// Start says whom to challenge, for what, and how.
type Start struct {
	PersonID      string
	AuthRequestID string
	ClientID      string
	// BrowserHash is the AuthRequest's browser hash as it is now; the passcode is worth nothing in another browser.
	BrowserHash []byte
	Purpose     storage.Purpose
	Locale      string
	Policy      Policy
	// Phone is the person's phone factor where the caller has read it a moment ago; nil makes Start read it.
	Phone *storage.PhoneFactor
	// First says that the AuthRequest has had no challenge before, so that there is none to end.
	First bool
}

// Start ends older challenges of the AuthRequest (OTP-05), and stores a new one with its first delivery and their
// events; the message goes out after the commit. It joins the transaction that ctx carries, or opens one. Call it only
// after the password was right (OTP-25).
//
// Refusals are *ThrottledError, ErrNoPhone, ErrFactorDisabled and ErrNoChannel. They leave an event in the transaction
// and nothing else: commit it.
func (s *Service) Start(ctx context.Context, st Start) (storage.Challenge, error) {
	var (
		c       storage.Challenge
		refusal error
	)
	ctx, span := tracing.Start(ctx, "start challenge")
	defer span.End()
	err := s.store.InTx(ctx, func(ctx context.Context) error {
		var err error
		c, refusal, err = s.start(ctx, st)
		return err
	})
	if err != nil {
		return storage.Challenge{}, fmt.Errorf("start challenge: %w", err)
	}
	return c, refusal
}

func (s *Service) start(ctx context.Context, st Start) (c storage.Challenge, refusal, err error) {
	now := s.clock.Now()
	c = s.newChallenge(ctx, st, now)
	phone, err := s.phoneOf(ctx, st)
	if err != nil {
		return c, nil, err
	}
	d, refusal := s.firstDelivery(&c, phone, now)
	if refusal != nil {
		return s.refuseStart(ctx, c, d, refusal)
	}
	refusal, err = s.draw(ctx, c, d, nil, now)
	if err == nil && refusal != nil && d.Automatic && refusalReason(refusal) != reasonThrottled {
		// The SMS at once is refused, for its prefix or its price: WhatsApp may get through all the same.
		if err = s.tellRefusal(ctx, c, d, refusal); err != nil {
			return c, nil, err
		}
		c.FallbackAt, c.Policy.WhatsAppFirst, c.SMSRefused = time.Time{}, true, refusalReason(refusal)
		d = s.newDelivery(c, nil, storage.WhatsApp, triggerFirst, now)
		refusal, err = s.draw(ctx, c, d, nil, now)
	}
	switch {
	case err != nil:
		return c, nil, err
	case errors.Is(refusal, ErrSMSRefused):
		return s.refuseStart(ctx, c, d, fmt.Errorf("%w: %w", ErrNoChannel, refusal))
	case refusal != nil:
		return s.refuseStart(ctx, c, d, refusal)
	}
	if !st.First {
		if err := s.store.EndChallengesOf(ctx, st.AuthRequestID, storage.ChallengeReplaced, now); err != nil {
			return c, nil, err
		}
	}
	c.DueAt = nextLook(c, []storage.Delivery{d}, now)
	if err := s.store.InsertChallenge(ctx, c); err != nil {
		return c, nil, err
	}
	return c, nil, s.announce(ctx, c, d)
}

// phoneOf is the phone to challenge; the zero one when the person has none.
func (s *Service) phoneOf(ctx context.Context, st Start) (storage.PhoneFactor, error) {
	if st.Phone != nil {
		return *st.Phone, nil
	}
	phone, err := s.store.PhoneOf(ctx, st.PersonID)
	if errors.Is(err, storage.ErrNotFound) {
		return storage.PhoneFactor{}, nil
	}
	return phone, err
}

func (s *Service) newChallenge(ctx context.Context, st Start, now time.Time) storage.Challenge {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	request := reqinfo.From(ctx)
	return storage.Challenge{
		ID: storage.NewTimeID(now), PersonID: st.PersonID, AuthRequestID: st.AuthRequestID, Purpose: st.Purpose,
		Nonce: nonce, BrowserHash: st.BrowserHash, KeyID: s.keys.ID(),
		ClientID: st.ClientID, CorrelationID: request.CorrelationID, Trace: tracing.Parent(ctx), SourceAddr: request.Source, Locale: st.Locale,
		Policy:    s.settings.freeze(st.Policy),
		CreatedAt: now, ExpiresAt: now.Add(s.settings.PasscodeLife), MaxTries: s.settings.Tries,
	}
}

// firstDelivery chooses the first channel and completes the challenge with it, or says why there is none.
func (s *Service) firstDelivery(c *storage.Challenge, phone storage.PhoneFactor, now time.Time) (storage.Delivery, error) {
	hasSMS, hasWhatsApp := len(s.routes.to(storage.SMS, phone.Country)) > 0, len(s.routes.to(storage.WhatsApp, phone.Country)) > 0
	// Whoever holds the number now may not be the person who bound it: a new owner without WhatsApp must not get by SMS what
	// the bound account did not get.
	c.Policy.SMSForbidden = c.Policy.SMSForbidden || !hasSMS || !phone.BarredAt.IsZero()
	smsAllowed := !c.Policy.SMSForbidden && c.Policy.Fallback != FallbackDeny
	if err := s.address(c, phone); err != nil {
		return storage.Delivery{}, err
	}
	if !hasWhatsApp && !smsAllowed {
		return storage.Delivery{}, ErrNoChannel
	}
	bySelf := smsAllowed && c.Policy.Fallback == FallbackAllow
	ch, trigger, automatic := storage.WhatsApp, triggerFirst, false
	switch {
	case !hasWhatsApp:
		ch = storage.SMS
	case bySelf && now.Before(phone.NoWhatsAppUntil):
		ch, trigger, automatic = storage.SMS, triggerNoWhatsApp, true
	case bySelf && s.shut(storage.WhatsApp, phone.Country, now):
		ch, trigger, automatic = storage.SMS, triggerCircuit, true
	}
	if automatic {
		c.FallbackAt = now
	}
	c.Policy.WhatsAppFirst = ch == storage.WhatsApp
	d := s.newDelivery(*c, nil, ch, trigger, now)
	d.Automatic = automatic
	return d, nil
}

// address gives the challenge its phone, or says why no passcode goes there: the rules of binding a number hold for
// sending to it too, as they are now (OTP-26, OTP-37).
func (s *Service) address(c *storage.Challenge, phone storage.PhoneFactor) error {
	c.PhoneID, c.PhoneHash, c.PhoneCountry, c.PhoneLastTwo = phone.ID, phone.Hash, phone.Country, phone.LastTwo
	switch {
	case phone.ID == "" || phone.VerifiedAt.IsZero():
		return ErrNoPhone
	case !phone.DisabledAt.IsZero() || phone.Failures >= s.throttle.Limits().FactorFailures:
		return ErrFactorDisabled
	}
	number, err := OpenPhone(s.keys, phone)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoChannel, errUnknownKey)
	}
	if err := s.settings.Admits(number); err != nil {
		return ErrNoChannel
	}
	c.PhonePrefix = number.Prefix()
	return nil
}

// newDelivery makes the next message of a challenge, for the first carrier whose circuit lets it through. It is later
// than the ones before it even within a millisecond, because storage gives deliveries back in the order of their creation.
func (s *Service) newDelivery(c storage.Challenge, before []storage.Delivery, ch storage.Channel, trigger string, now time.Time) storage.Delivery {
	created := now
	if n := len(before); n > 0 && !created.After(before[n-1].CreatedAt) {
		created = before[n-1].CreatedAt.Add(time.Millisecond)
	}
	carrier, open := s.pick(ch, c.PhoneCountry, nil, now)
	if route := s.routes.to(ch, c.PhoneCountry); !open && len(route) > 0 {
		carrier = route[0] // whose circuit refuses it when its turn comes, unless it has closed by then
	}
	return storage.Delivery{
		ID: storage.NewTimeID(created), ChallengeID: c.ID, Channel: ch, Carrier: carrier, Trigger: trigger,
		State: storage.DeliveryQueued, CreatedAt: created, DueAt: now, Cost: s.prices.Price(carrier, c.PhoneCountry, now),
		Trace: tracing.Ahead(c.Trace),
	}
}

// announce stores a delivery with its events and wakes the dispatcher once that has committed: no carrier is called
// for a message that is not on disk (REL-03).
func (s *Service) announce(ctx context.Context, c storage.Challenge, d storage.Delivery) error {
	if err := s.store.InsertDelivery(ctx, d); err != nil {
		return err
	}
	events := []storage.Event{deliveryEvent(ctx, audit.PasscodeQueued, c, d)}
	if d.Automatic {
		events = append(events, deliveryEvent(ctx, audit.PasscodeFallback, c, d))
	}
	if err := s.audit.Write(ctx, events...); err != nil {
		return err
	}
	s.store.AfterCommit(ctx, func() {
		if d.Automatic && s.hooks.Fallback != nil {
			s.hooks.Fallback(d.Trigger)
		}
	})
	s.wakeSomeDispatcher(ctx, d.Carrier)
	return nil
}

// refuseStart records that nothing is sent and why.
func (s *Service) refuseStart(ctx context.Context, c storage.Challenge, d storage.Delivery, refusal error) (storage.Challenge, error, error) {
	c.ID = "" // it is not stored
	if errors.Is(refusal, errUnknownKey) {
		d.FailureClass, d.FailureCode = string(ClassConfig), codeUnknownKey
		if err := s.alarm(ctx, c, d); err != nil {
			return storage.Challenge{}, nil, err
		}
	}
	return storage.Challenge{}, refusal, s.tellRefusal(ctx, c, d, refusal)
}

// SendAgain repeats the passcode, on the channel used last unless that one is down. Refusals are *ThrottledError (too
// early, or a sending limit), ErrNotOffered (no message is left), ErrSMSRefused and *EndedError.
func (s *Service) SendAgain(ctx context.Context, challengeID, authRequestID string) error {
	return s.sendMore(ctx, challengeID, authRequestID, func(c storage.Challenge, ds []storage.Delivery, now time.Time) request {
		shut := func(ch storage.Channel) bool { return s.shut(ch, c.PhoneCountry, now) }
		return request{in: resendIn(c, ds, s.settings.ResendAfter, now), channel: resendOn(ds, shut), trigger: triggerAgain}
	})
}

// SendBySMS is the button: the person says that nothing came on WhatsApp. Refusals are *ThrottledError (too early, or
// a sending limit), ErrNotOffered, ErrSMSRefused and *EndedError. It does not count as the automatic fallback; tapped
// twice it sends once.
func (s *Service) SendBySMS(ctx context.Context, challengeID, authRequestID string) error {
	return s.sendMore(ctx, challengeID, authRequestID, func(c storage.Challenge, ds []storage.Delivery, now time.Time) request {
		if last, sent := latest(sentOut(ds), storage.SMS); sent && last.State != storage.DeliveryFailed {
			return request{done: true}
		}
		want := request{in: offerSMSIn(c, ds, now), channel: storage.SMS, trigger: triggerAsked}
		if current, _ := latest(sentOut(ds), storage.WhatsApp); current.State == storage.DeliveryFailed && Class(current.FailureClass) == ClassNumber {
			want.trigger = triggerAskedUndeliverable
		}
		return want
	})
}

// request is what the person asked for: a message on a channel, possible in a while, now, or Never.
type request struct {
	done    bool // it is on its way already
	in      time.Duration
	channel storage.Channel
	trigger string
}

func (s *Service) sendMore(ctx context.Context, challengeID, authRequestID string,
	choose func(storage.Challenge, []storage.Delivery, time.Time) request,
) error {
	var refusal error
	err := s.store.InTx(ctx, func(ctx context.Context) error {
		var err error
		refusal, err = s.sendMoreIn(ctx, challengeID, authRequestID, choose)
		return err
	})
	if err != nil {
		return fmt.Errorf("send passcode again: %w", err)
	}
	return refusal
}

func (s *Service) sendMoreIn(ctx context.Context, challengeID, authRequestID string,
	choose func(storage.Challenge, []storage.Delivery, time.Time) request,
) (refusal, err error) {
	now := s.clock.Now()
	c, ds, err := s.lockChallenge(ctx, challengeID)
	switch {
	case errors.Is(err, storage.ErrNotFound), err == nil && c.AuthRequestID != authRequestID:
		return &EndedError{}, nil
	case err != nil:
		return nil, err
	case !isOpen(c, now):
		return &EndedError{End: endOf(c)}, nil
	}
	want := choose(c, ds, now)
	switch {
	case want.done:
		return nil, nil
	case want.in == Never && want.channel == storage.SMS && c.SMSRefused != "":
		return ErrSMSRefused, nil
	case want.in == Never:
		return ErrNotOffered, nil
	case want.in > 0:
		return &ThrottledError{RetryAt: now.Add(want.in)}, nil
	}
	d := s.newDelivery(c, ds, want.channel, want.trigger, now)
	if refusal, err = s.draw(ctx, c, d, nil, now); err != nil {
		return nil, err
	}
	if refusal != nil {
		return refusal, s.refuseMore(ctx, c, d, refusal)
	}
	if err := s.store.ScheduleChallenge(ctx, c.ID, nextLook(c, append(ds, d), now)); err != nil {
		return nil, err
	}
	s.changed(ctx, c.ID)
	return nil, s.announce(ctx, c, d)
}

// lockChallenge reads a challenge and its deliveries so that nobody else adds one meanwhile: writing the row first makes
// two taps, or a tap and a timer, wait for each other on PostgreSQL as they do on SQLite anyway. The write leaves the
// challenge due, which costs one look too many and never one too few.
func (s *Service) lockChallenge(ctx context.Context, id string) (storage.Challenge, []storage.Delivery, error) {
	c, _, err := s.store.LockChallenge(ctx, id, s.clock.Now())
	if err != nil {
		return storage.Challenge{}, nil, err
	}
	ds, err := s.store.DeliveriesOf(ctx, id)
	return c, ds, err
}

// refuseMore records that a further message is not sent. An SMS that the defence or a budget refuses is not offered again,
// nor promised: what refused the button would refuse the automatic one.
func (s *Service) refuseMore(ctx context.Context, c storage.Challenge, d storage.Delivery, refusal error) error {
	if errors.Is(refusal, ErrSMSRefused) {
		if err := s.store.NoteSMSRefused(ctx, c.ID, refusalReason(refusal)); err != nil {
			return err
		}
		if _, err := s.store.TakeFallback(ctx, c.ID, s.clock.Now()); err != nil {
			return err
		}
	}
	return s.tellRefusal(ctx, c, d, refusal)
}

// Cancel ends the open challenge of an AuthRequest that goes no further, in the transaction that ctx carries.
func (s *Service) Cancel(ctx context.Context, authRequestID string) error {
	return s.store.InTx(ctx, func(ctx context.Context) error {
		if err := s.store.EndChallengesOf(ctx, authRequestID, storage.ChallengeCancelled, s.clock.Now()); err != nil {
			return fmt.Errorf("cancel challenge: %w", err)
		}
		return nil
	})
}

// endOf is how a challenge that is not open ended; its time may be up without anybody having written so.
func endOf(c storage.Challenge) storage.ChallengeEnd {
	switch {
	case !c.EndedAt.IsZero():
		return c.End
	case c.Tries >= c.MaxTries:
		return storage.ChallengeExhausted
	default:
		return storage.ChallengeExpired
	}
}
