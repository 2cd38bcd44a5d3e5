package mfa

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// manyFailures before a success are worth telling the person (OTP-27).
const manyFailures = 3

// Attempt is one passcode as it was typed, with everything it must be bound to (OTP-04).
type Attempt struct {
	ChallengeID   string
	AuthRequestID string
	// BrowserHash is the AuthRequest's browser hash when the challenge started, which is the current one: it changes
	// only when the password was right, and that starts a new challenge.
	BrowserHash []byte
	Purpose     storage.Purpose
	Passcode    string
	// GiveBack are further buckets that a right passcode gives back to, such as that of the password tries.
	GiveBack []storage.Throttle
}

// Verified is a second factor that was proved.
type Verified struct {
	ChallengeID string
	PersonID    string
	// Channel is SMS as soon as the passcode had gone out by SMS too: it may have been read there.
	Channel storage.Channel
	SMSUsed bool
}

// Verify checks a passcode. It counts first, in a committed transaction of its own (OTP-20), compares then in constant
// time, and consumes last: the conditional write whose row count decides (OTP-03), its event, what the limits get back,
// and then, the caller's part, all in one transaction. An error of then undoes the consuming and is returned wrapped.
//
// ctx must not carry a transaction: its rollback would undo the counting. Refusals are ErrMalformed, *WrongError,
// *EndedError, *ThrottledError and ErrFactorDisabled.
func (s *Service) Verify(ctx context.Context, a Attempt, then func(context.Context, Verified) error) (Verified, error) {
	typed, err := readPasscode(a.Passcode)
	if err != nil {
		return Verified{}, err
	}
	v, err := s.verify(ctx, a, typed, then)
	if s.hooks.Verified != nil {
		s.hooks.Verified(outcome(err))
	}
	return v, err
}

func (s *Service) verify(ctx context.Context, a Attempt, typed Passcode, then func(context.Context, Verified) error) (Verified, error) {
	if s.inTransaction(ctx) {
		return Verified{}, errors.New("verify passcode: called inside a transaction, which could undo the counting")
	}
	t, err := s.countTry(ctx, a, typed)
	if err != nil {
		return Verified{}, err
	}
	right, err := derive(s.keys, t.challenge)
	if err != nil {
		return Verified{}, fmt.Errorf("verify passcode: %w", err)
	}
	if !right.Equal(typed) {
		return Verified{}, s.wrong(ctx, t)
	}
	t.giveBack = a.GiveBack
	return s.consume(ctx, t, then)
}

func outcome(err error) string {
	var (
		wrong     *WrongError
		ended     *EndedError
		throttled *ThrottledError
	)
	switch {
	case err == nil:
		return "success"
	case errors.As(err, &wrong):
		return "wrong"
	case errors.As(err, &ended):
		return "ended"
	case errors.As(err, &throttled):
		return "throttled"
	case errors.Is(err, ErrFactorDisabled):
		return "disabled"
	default:
		return "error"
	}
}

// inTransaction asks the store in the one way it answers: AfterCommit calls at once only outside a transaction.
func (s *Service) inTransaction(ctx context.Context) bool {
	inside := true
	s.store.AfterCommit(ctx, func() { inside = false })
	return inside
}

// try is a counted try: the challenge as it stands after counting and the factor's consecutive failures, this one
// included.
type try struct {
	challenge storage.Challenge
	failures  int
	giveBack  []storage.Throttle
}

// countTry is step 1: the challenge's, the factor's and the person's counters go up together, or the try is refused.
func (s *Service) countTry(ctx context.Context, a Attempt, typed Passcode) (try, error) {
	var (
		t       try
		refusal error
	)
	err := s.store.InTx(ctx, func(ctx context.Context) (err error) {
		t, refusal, err = s.countTryIn(ctx, a, typed)
		return err
	})
	var (
		throttled *ThrottledError
		foreign   foreignAttempt
	)
	switch {
	case errors.As(err, &foreign):
		return try{}, &EndedError{}
	case errors.As(err, &throttled):
		return try{}, s.throttled(ctx, t.challenge, throttled)
	case err != nil:
		return try{}, fmt.Errorf("count passcode try: %w", err)
	}
	return t, refusal
}

func (s *Service) countTryIn(ctx context.Context, a Attempt, typed Passcode) (t try, refusal, err error) {
	now := s.clock.Now()
	c, counted, err := s.store.CountTry(ctx, a.ChallengeID, now)
	t.challenge = c
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return t, &EndedError{}, nil
	case err != nil:
		return t, nil, err
	case !boundTo(c, a):
		// Rolled back: somebody who has only seen an id must not use up another person's tries.
		return t, nil, foreignAttempt{}
	case !counted:
		refusal, err = s.notCounted(ctx, c, typed)
		return t, refusal, err
	}
	failures, disabled, err := s.store.CountPhoneFailure(ctx, c.PhoneID, s.throttle.Limits().FactorFailures, now)
	if errors.Is(err, storage.ErrNotFound) || err == nil && disabled {
		return t, ErrFactorDisabled, s.closeFactor(ctx, c, disabled)
	}
	if err != nil {
		return t, nil, err
	}
	t.failures = failures
	refused, err := s.store.Take(ctx, now, s.throttle.Tries(c.PersonID, c.PhoneID)...)
	if err == nil && refused != nil {
		err = &ThrottledError{RetryAt: refused.RetryAt} // rolls the counters back: this try is not compared
	}
	return t, nil, err
}

// foreignAttempt undoes the counting of an attempt that does not belong to its challenge. Whoever made it is told the
// same as for a challenge that does not exist.
type foreignAttempt struct{}

func (foreignAttempt) Error() string { return "the attempt does not belong to the challenge" }

// boundTo says whether the attempt comes from the AuthRequest and browser, and for the purpose, of the challenge.
func boundTo(c storage.Challenge, a Attempt) bool {
	return c.AuthRequestID == a.AuthRequestID && c.Purpose == a.Purpose &&
		subtle.ConstantTimeCompare(c.BrowserHash, a.BrowserHash) == 1
}

// notCounted tells what became of a challenge that takes no more tries. Whoever shows the right passcode of a verified
// one has it from somewhere: a replay.
func (s *Service) notCounted(ctx context.Context, c storage.Challenge, typed Passcode) (refusal, err error) {
	now := s.clock.Now()
	switch {
	case c.EndedAt.IsZero() && !now.Before(c.ExpiresAt):
		return &EndedError{End: endOf(c)}, s.expire(ctx, c)
	case c.EndedAt.IsZero():
		// Out of tries, and the last one is being compared elsewhere at this moment.
		return &EndedError{End: storage.ChallengeExhausted}, nil
	}
	kind := audit.PasscodeFail
	if right, err := derive(s.keys, c); err == nil && c.End == storage.ChallengeVerified && right.Equal(typed) {
		kind = audit.PasscodeReplayed
	}
	return &EndedError{End: c.End}, s.note(ctx, failed(event(ctx, kind, c), "ended_"+string(c.End)))
}

// note writes an event that a person can cause again and again, within a limit of its own per person: nobody fills the
// log by pressing a button.
func (s *Service) note(ctx context.Context, e storage.Event) error {
	full, err := s.store.Take(ctx, s.clock.Now(), s.throttle.Notes(e.Kind, e.PersonID))
	if err != nil || full != nil {
		return err
	}
	return s.audit.Write(ctx, e)
}

// throttled records a refused try in a transaction of its own.
func (s *Service) throttled(ctx context.Context, c storage.Challenge, refusal *ThrottledError) error {
	err := s.store.InTx(ctx, func(ctx context.Context) error {
		return s.note(ctx, failed(event(ctx, audit.RateLimitHit, c), "passcode_tries"))
	})
	if err != nil {
		return fmt.Errorf("record refused passcode: %w", err)
	}
	return refusal
}

// closeFactor ends the challenge of a disabled factor, and tells when this try was what disabled it.
func (s *Service) closeFactor(ctx context.Context, c storage.Challenge, justNow bool) error {
	if _, err := s.store.EndChallenge(ctx, c.ID, storage.ChallengeExhausted, s.clock.Now()); err != nil {
		return err
	}
	events := []storage.Event{failed(event(ctx, audit.PasscodeFail, c), "factor_disabled")}
	if justNow {
		events = append(events, failed(event(ctx, audit.FactorDisabled, c), "too_many_failures"))
	}
	return s.audit.Write(ctx, events...)
}

// recordTries is how often the record of a counted try is attempted on a database that is busy.
const recordTries = 3

// wrong records a wrong passcode, which was counted already, and ends what it was the last try of. It does so for a client
// that has hung up too: guesses must not stay out of the log by closing the connection early.
func (s *Service) wrong(ctx context.Context, t try) (err error) {
	ctx = context.WithoutCancel(ctx)
	for range recordTries {
		var refusal error
		if refusal, err = s.recordWrong(ctx, t); err == nil {
			return refusal
		}
	}
	return fmt.Errorf("record wrong passcode: %w", err)
}

func (s *Service) recordWrong(ctx context.Context, t try) (refusal, err error) {
	c := t.challenge
	refusal = &WrongError{TriesLeft: c.MaxTries - c.Tries}
	if c.Tries >= c.MaxTries {
		refusal = &EndedError{End: storage.ChallengeExhausted}
	}
	err = s.store.InTx(ctx, func(ctx context.Context) error {
		now := s.clock.Now()
		events := []storage.Event{withTries(failed(event(ctx, audit.PasscodeFail, c), "wrong"), c)}
		limit := s.throttle.Limits().FactorFailures
		if t.failures >= limit {
			// Shut the factor now and not at the next try: no message is sent whose passcode could not be accepted.
			_, disabled, err := s.store.CountPhoneFailure(ctx, c.PhoneID, limit, now)
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			refusal = ErrFactorDisabled
			if disabled {
				events = append(events, failed(event(ctx, audit.FactorDisabled, c), "too_many_failures"))
			}
		}
		if c.Tries >= c.MaxTries || t.failures >= limit {
			ended, err := s.store.EndChallenge(ctx, c.ID, storage.ChallengeExhausted, now)
			if err != nil {
				return err
			}
			if ended {
				events = append(events, withTries(failed(event(ctx, audit.PasscodeExhausted, c), "too_many_tries"), c),
					failed(event(ctx, audit.Partial, c), "exhausted"))
			}
		}
		s.changed(ctx, c.ID)
		return s.audit.Write(ctx, events...)
	})
	return refusal, err
}

// consume is step 3: the passcode was right, and of several that were right at once the row count lets one through.
func (s *Service) consume(ctx context.Context, t try, then func(context.Context, Verified) error) (Verified, error) {
	var (
		v       Verified
		refusal error
	)
	err := s.store.InTx(ctx, func(ctx context.Context) (err error) {
		v, refusal, err = s.consumeIn(ctx, t, then)
		return err
	})
	if err != nil {
		return Verified{}, fmt.Errorf("consume passcode: %w", err)
	}
	return v, refusal
}

func (s *Service) consumeIn(ctx context.Context, t try, then func(context.Context, Verified) error) (v Verified, refusal, err error) {
	now, c := s.clock.Now(), t.challenge
	ended, err := s.store.EndChallenge(ctx, c.ID, storage.ChallengeVerified, now)
	if err != nil {
		return v, nil, err
	}
	if !ended {
		refusal, err = s.lost(ctx, c.ID)
		return v, refusal, err
	}
	// After the consume, whose row lock makes a dispatcher that is about to send wait: what is read here is what went out.
	ds, err := s.store.DeliveriesOf(ctx, c.ID)
	if err != nil {
		return v, nil, err
	}
	v = Verified{ChallengeID: c.ID, PersonID: c.PersonID, Channel: storage.WhatsApp, SMSUsed: smsUsed(ds)}
	if v.SMSUsed {
		v.Channel = storage.SMS
	}
	if err := s.reward(ctx, t, ds); err != nil {
		return v, nil, err
	}
	if err := s.bindIdentity(ctx, c, ds); err != nil {
		return v, nil, err
	}
	e := withTries(event(ctx, audit.PasscodeSuccess, c), c)
	e.Channel, e.Data["sms_used"] = string(v.Channel), strconv.FormatBool(v.SMSUsed)
	events := []storage.Event{e}
	if t.failures > manyFailures {
		after := event(ctx, audit.SuccessAfterFailures, c)
		after.Data["failures"] = strconv.Itoa(t.failures - 1)
		events = append(events, after)
	}
	if err := s.audit.Write(ctx, events...); err != nil {
		return v, nil, err
	}
	s.changed(ctx, c.ID)
	return v, nil, then(ctx, v)
}

// lost tells a right passcode that came second.
func (s *Service) lost(ctx context.Context, id string) (refusal, err error) {
	c, err := s.store.Challenge(ctx, id)
	if err != nil {
		return nil, err
	}
	kind := audit.PasscodeFail
	if c.End == storage.ChallengeVerified {
		kind = audit.PasscodeReplayed
	}
	return &EndedError{End: endOf(c)}, s.audit.Write(ctx, failed(event(ctx, kind, c), "ended_"+string(endOf(c))))
}

// reward gives back what the limits took for this challenge: its messages and this try. Wrong tries stay counted.
func (s *Service) reward(ctx context.Context, t try, ds []storage.Delivery) error {
	c, now := t.challenge, s.clock.Now()
	if err := s.store.ClearPhoneFailures(ctx, c.PhoneID, now); err != nil {
		return err
	}
	back := slices.Concat(s.throttle.Tries(c.PersonID, c.PhoneID), t.giveBack, s.giveBackFor(c, ds))
	return s.store.GiveBack(ctx, now, back...)
}

// smsUsed says whether the passcode may have been read in an SMS: every message that was handed over or may have been.
// A refusal before acceptance is the one case where it is known not to have left.
func smsUsed(ds []storage.Delivery) bool {
	for _, d := range ds {
		if d.Channel != storage.SMS {
			continue
		}
		switch d.State {
		case storage.DeliveryQueued, storage.DeliverySkipped:
		case storage.DeliveryFailed:
			// A carrier that reports of it had it, even where its answer was lost.
			if !d.AcceptedAt.IsZero() || !d.SentAt.IsZero() || d.MessageHash != "" {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// expire ends a challenge whose time is up, with its event; somebody gave the right password and no passcode. Where the
// record of the last try was lost, by a crash or an outage, it is made up for here.
func (s *Service) expire(ctx context.Context, c storage.Challenge) error {
	end := endOf(c)
	ended, err := s.store.EndChallenge(ctx, c.ID, end, s.clock.Now())
	if err != nil || !ended {
		return err
	}
	s.changed(ctx, c.ID)
	kind, reason := audit.PasscodeExpired, "expired"
	if end == storage.ChallengeExhausted {
		kind, reason = audit.PasscodeExhausted, "too_many_tries"
	}
	return s.audit.Write(ctx, withTries(failed(event(ctx, kind, c), reason), c), failed(event(ctx, audit.Partial, c), string(end)))
}
