package mfa

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
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
	refused, err := s.store.Take(ctx, now, s.throttle.Sends(c.PersonID, phone.Hash, c.SourceAddr, c.ClientID)...)
	if err != nil {
		return c, nil, err
	}
	if refused != nil {
		return s.refuseStart(ctx, c, d, &ThrottledError{RetryAt: refused.RetryAt})
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
		ID: storage.NewID(), PersonID: st.PersonID, AuthRequestID: st.AuthRequestID, Purpose: st.Purpose,
		Nonce: nonce, BrowserHash: st.BrowserHash, KeyID: s.keys.ID(),
		ClientID: st.ClientID, CorrelationID: request.CorrelationID, SourceAddr: request.Source, Locale: st.Locale,
		Policy:    s.settings.freeze(st.Policy),
		CreatedAt: now, ExpiresAt: now.Add(s.settings.PasscodeLife), MaxTries: s.settings.Tries,
	}
}

// firstDelivery chooses the first channel and completes the challenge with it, or says why there is none.
func (s *Service) firstDelivery(c *storage.Challenge, phone storage.PhoneFactor, now time.Time) (storage.Delivery, error) {
	_, hasSMS := s.channels[storage.SMS]
	_, hasWhatsApp := s.channels[storage.WhatsApp]
	c.PhoneID, c.PhoneHash, c.PhoneCountry, c.PhoneLastTwo = phone.ID, phone.Hash, phone.Country, phone.LastTwo
	c.Policy.SMSForbidden = c.Policy.SMSForbidden || !hasSMS
	smsAllowed := !c.Policy.SMSForbidden && c.Policy.Fallback != FallbackDeny
	switch {
	case phone.ID == "" || phone.VerifiedAt.IsZero():
		return storage.Delivery{}, ErrNoPhone
	case !phone.DisabledAt.IsZero() || phone.Failures >= s.throttle.Limits().FactorFailures:
		return storage.Delivery{}, ErrFactorDisabled
	case s.settings.admitsCountry(phone.Country) != nil, !hasWhatsApp && !smsAllowed:
		return storage.Delivery{}, ErrNoChannel
	}
	d := s.newDelivery(*c, nil, storage.WhatsApp, triggerFirst, now)
	bySelf := smsAllowed && c.Policy.Fallback == FallbackAllow
	switch {
	case !hasWhatsApp:
		d.Channel = storage.SMS
	case bySelf && now.Before(phone.NoWhatsAppUntil):
		d.Channel, d.Trigger, d.Automatic = storage.SMS, triggerNoWhatsApp, true
	case bySelf && s.circuits.open(storage.WhatsApp):
		d.Channel, d.Trigger, d.Automatic = storage.SMS, triggerCircuit, true
	}
	if d.Automatic {
		c.FallbackAt = now
	}
	d.Carrier = s.carriers[d.Channel]
	c.Policy.WhatsAppFirst = d.Channel == storage.WhatsApp
	return d, nil
}

// newDelivery makes the next message of a challenge. It is later than the ones before it even within a millisecond,
// because storage gives deliveries back in the order of their creation.
func (s *Service) newDelivery(c storage.Challenge, before []storage.Delivery, ch storage.Channel, trigger string, now time.Time) storage.Delivery {
	created := now
	if n := len(before); n > 0 && !created.After(before[n-1].CreatedAt) {
		created = before[n-1].CreatedAt.Add(time.Millisecond)
	}
	return storage.Delivery{
		ID: storage.NewID(), ChallengeID: c.ID, Channel: ch, Carrier: s.carriers[ch], Trigger: trigger,
		State: storage.DeliveryQueued, CreatedAt: created, DueAt: now,
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
		s.watchers.notify(c.ID)
		s.wakeDispatcher()
	})
	return nil
}

// refuseStart records that nothing is sent and why.
func (s *Service) refuseStart(ctx context.Context, c storage.Challenge, d storage.Delivery, refusal error) (storage.Challenge, error, error) {
	c.ID, d.ID = "", ""
	e := failed(deliveryEvent(ctx, audit.PasscodeSendRefused, c, d), refusalReason(refusal))
	return storage.Challenge{}, refusal, s.audit.Write(ctx, e)
}

func refusalReason(refusal error) string {
	switch {
	case errors.Is(refusal, ErrNoPhone):
		return "no_verified_phone"
	case errors.Is(refusal, ErrFactorDisabled):
		return "factor_disabled"
	case errors.Is(refusal, ErrNoChannel):
		return "no_channel"
	default:
		return "throttled"
	}
}

// SendAgain repeats the passcode, on the channel used last unless that one's carrier is down. Refusals are *ThrottledError (too early, or a sending
// limit), ErrNotOffered (no message is left) and *EndedError.
func (s *Service) SendAgain(ctx context.Context, challengeID, authRequestID string) error {
	return s.sendMore(ctx, challengeID, authRequestID, func(c storage.Challenge, ds []storage.Delivery, now time.Time) request {
		return request{in: resendIn(c, ds, s.settings.ResendAfter, now), channel: resendOn(ds, s.circuits.open), trigger: triggerAgain}
	})
}

// SendBySMS is the button: the person says that nothing came on WhatsApp. Refusals are *ThrottledError (too early, or
// a sending limit), ErrNotOffered and *EndedError. It does not count as the automatic fallback; tapped twice it sends
// once.
func (s *Service) SendBySMS(ctx context.Context, challengeID, authRequestID string) error {
	return s.sendMore(ctx, challengeID, authRequestID, func(c storage.Challenge, ds []storage.Delivery, now time.Time) request {
		if last, sent := latest(sentOut(ds), storage.SMS); sent && last.State != storage.DeliveryFailed {
			return request{done: true}
		}
		return request{in: offerSMSIn(c, ds, now), channel: storage.SMS, trigger: triggerAsked}
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
	case want.in == Never:
		return ErrNotOffered, nil
	case want.in > 0:
		return &ThrottledError{RetryAt: now.Add(want.in)}, nil
	}
	d := s.newDelivery(c, ds, want.channel, want.trigger, now)
	if refusal, err = s.takeSend(ctx, c, d, now); err != nil || refusal != nil {
		return refusal, err
	}
	if err := s.store.ScheduleChallenge(ctx, c.ID, nextLook(c, append(ds, d), now)); err != nil {
		return nil, err
	}
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

// takeSend draws one message from the sending limits. A refusal leaves its event.
func (s *Service) takeSend(ctx context.Context, c storage.Challenge, d storage.Delivery, now time.Time) (refusal, err error) {
	refused, err := s.store.Take(ctx, now, s.throttle.Sends(c.PersonID, c.PhoneHash, c.SourceAddr, c.ClientID)...)
	if err != nil || refused == nil {
		return nil, err
	}
	d.ID = ""
	e := failed(deliveryEvent(ctx, audit.PasscodeSendRefused, c, d), "throttled")
	return &ThrottledError{RetryAt: refused.RetryAt}, s.audit.Write(ctx, e)
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
	if c.EndedAt.IsZero() {
		return storage.ChallengeExpired
	}
	return c.End
}
