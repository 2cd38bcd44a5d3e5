package mfa

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestVerify_TheRightPasscodeIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	var inside Verified
	v, err := w.Verify(w.ctx(), w.attempt(c, w.passcode(c)), func(ctx context.Context, v Verified) error {
		inside = v
		if err := w.db.InTx(ctx, func(context.Context) error { return nil }); err != nil {
			return err
		}
		got, err := w.db.Challenge(ctx, c.ID)
		if err == nil && got.End != storage.ChallengeVerified {
			err = errors.New("then runs outside the transaction of the consume")
		}
		return err
	})
	want := Verified{ChallengeID: c.ID, PersonID: w.person, Channel: storage.WhatsApp}
	if err != nil || v != want || inside != want {
		t.Fatalf("got %+v and %+v, %v; want %+v", v, inside, err, want)
	}
	if _, err := w.enter(c, w.passcode(c)); asEnded(err) != "ended verified" {
		t.Errorf("a second time: %v", err)
	}
	w.wantEvents(audit.PasscodeSuccess, 1)
	w.wantEvents(audit.PasscodeReplayed, 1)
	w.wantNoSecrets(w.passcode(c))
}

func TestVerify_AWrongOneAfterTheEndIsNoReplay(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enter(c, w.wrongPasscode(c)); asEnded(err) != "ended verified" {
		t.Errorf("got %v", err)
	}
	w.wantEvents(audit.PasscodeReplayed, 0)
	w.wantEvents(audit.PasscodeFail, 1)
}

func TestOTP03_WhenTheCallersPartFailsNothingIsConsumed(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	broken := errors.New("the session could not be written")
	_, err := w.Verify(w.ctx(), w.attempt(c, w.passcode(c)), func(context.Context, Verified) error { return broken })
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	w.wantEvents(audit.PasscodeSuccess, 0)
	if got := w.reload(c); !got.EndedAt.IsZero() || got.Tries != 1 {
		t.Errorf("challenge %+v", got)
	}
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Errorf("the passcode is not good any more: %v", err)
	}
}

func TestOTP04_ThePasscodeIsWorthNothingElsewhere(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	for name, change := range map[string]func(*Attempt){
		"another AuthRequest": func(a *Attempt) { a.AuthRequestID = "another" },
		"another browser":     func(a *Attempt) { a.BrowserHash = []byte("another") },
		"no browser":          func(a *Attempt) { a.BrowserHash = nil },
		"another purpose":     func(a *Attempt) { a.Purpose = storage.PurposeStepUp },
		"another challenge":   func(a *Attempt) { a.ChallengeID = storage.NewID() },
	} {
		t.Run(name, func(t *testing.T) {
			a := w.attempt(c, w.passcode(c))
			change(&a)
			_, err := w.Verify(w.ctx(), a, func(context.Context, Verified) error { return nil })
			if asEnded(err) != "ended " {
				t.Errorf("got %v", err)
			}
			if got := w.reload(c); got.Tries != 0 {
				t.Errorf("it used up %d tries of the person", got.Tries)
			}
		})
	}
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Error(err)
	}
}

func TestOTP10_WhatIsNoPasscodeAsksNoDatabase(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.db.Close()
	if _, err := w.enter(c, "12345"); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
	if _, err := w.enter(c, "123456"); err == nil || errors.Is(err, ErrMalformed) || asEnded(err) != "" {
		t.Errorf("with the database down: got %v, want an outage", err)
	}
}

func TestOTP20_TheCounterGoesUpBeforeTheComparison(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	for left := c.MaxTries - 1; left > 0; left-- {
		_, err := w.enter(c, w.wrongPasscode(c))
		var wrong *WrongError
		if !errors.As(err, &wrong) || wrong.TriesLeft != left {
			t.Fatalf("got %v, want %d left", err, left)
		}
		if got := w.reload(c).Tries; got != c.MaxTries-left {
			t.Errorf("%d tries are stored", got)
		}
	}
	if _, err := w.enter(c, w.wrongPasscode(c)); asEnded(err) != "ended exhausted" {
		t.Errorf("the last wrong one: %v", err)
	}
	if _, err := w.enter(c, w.passcode(c)); asEnded(err) != "ended exhausted" {
		t.Errorf("the right one after it: %v", err)
	}
	w.wantEvents(audit.PasscodeFail, 6)
	w.wantEvents(audit.PasscodeExhausted, 1)
	w.wantEvents(audit.Partial, 1)
	w.wantEvents(audit.PasscodeSuccess, 0)
}

// afterTx is a store that does something after each transaction, or instead of it.
type afterTx struct {
	Store
	transactions int
	instead      func(n int) error
	after        func(n int)
}

func (s *afterTx) InTx(ctx context.Context, f func(context.Context) error) error {
	s.transactions++
	if err := s.instead(s.transactions); err != nil {
		return err
	}
	defer s.after(s.transactions)
	return s.Store.InTx(ctx, f)
}

func TestOTP20_HangingUpKeepsNoGuessOutOfTheLog(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	ctx, hangUp := context.WithCancel(w.ctx())
	w.store = &afterTx{Store: w.store, instead: func(int) error { return nil }, after: func(int) { hangUp() }}
	_, err := w.Verify(ctx, w.attempt(c, w.wrongPasscode(c)), nil)
	if ctx.Err() == nil {
		t.Fatal("nobody hung up")
	}
	var wrong *WrongError
	if !errors.As(err, &wrong) {
		t.Errorf("got %v", err)
	}
	w.wantEvents(audit.PasscodeFail, 1)
}

func TestOTP20_TheLastTryIsToldByABusyDatabase(t *testing.T) {
	for name, c := range map[string]struct {
		down    func(n int) bool
		told    int // before the challenge expires
		outcome storage.ChallengeEnd
	}{
		"busy for a moment":     {func(n int) bool { return n == 2 || n == 3 }, 1, "ended exhausted"},
		"down after it counted": {func(n int) bool { return n > 1 }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			challenge := w.begin()
			for range challenge.MaxTries - 1 {
				w.enter(challenge, w.wrongPasscode(challenge))
			}
			working := w.store
			busy := &afterTx{Store: w.store, after: func(int) {}, instead: func(n int) error {
				if c.down(n) {
					return errors.New("the database is busy")
				}
				return nil
			}}
			w.store = busy
			if _, err := w.enter(challenge, w.wrongPasscode(challenge)); asEnded(err) != c.outcome {
				t.Errorf("got %v", err)
			}
			w.store = expiring{working, challenge.ID}
			w.wantEvents(audit.PasscodeExhausted, c.told)
			if _, err := w.enter(challenge, w.passcode(challenge)); asEnded(err) != "ended exhausted" {
				t.Errorf("the right one after it: %v", err)
			}
			w.clock.Advance(5 * time.Minute)
			if _, err := w.lookAtDue(w.ctx()); err != nil {
				t.Fatal(err)
			}
			if got := w.reload(challenge); got.End != storage.ChallengeExhausted || got.Tries != got.MaxTries {
				t.Errorf("it ended as %q after %d tries", got.End, got.Tries)
			}
			w.wantEvents(audit.PasscodeExhausted, 1)
			w.wantEvents(audit.PasscodeExpired, 0)
			w.wantEvents(audit.Partial, 1)
		})
	}
}

func TestOTP20_TheCountSurvivesACallerInATransaction(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	err := w.db.InTx(w.ctx(), func(ctx context.Context) error {
		_, err := w.Verify(ctx, w.attempt(c, w.wrongPasscode(c)), func(context.Context, Verified) error { return nil })
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "inside a transaction") {
		t.Errorf("got %v", err)
	}
}

func TestOTP21_FailuresOfTheFactorSurviveNewChallenges(t *testing.T) {
	generous := func(c *Config) {
		l := throttle.Defaults()
		l.WrongPasscodesPerHour, l.WrongPasscodesPerDay, l.SendsPerNumberHour, l.SendsPerNumberDay = 1000, 1000, 1000, 1000
		c.Throttle = throttle.New(l, testKeys)
	}
	w := newWorld(t, generous)
	limit := w.limits.FactorFailures
	var c storage.Challenge
	for n := range limit {
		if n%5 == 0 {
			c = w.begin()
		}
		_, err := w.enter(c, w.wrongPasscode(c))
		if n < limit-1 && errors.Is(err, ErrFactorDisabled) {
			t.Fatalf("disabled at failure %d", n+1)
		}
		if n == limit-1 && !errors.Is(err, ErrFactorDisabled) {
			t.Fatalf("failure %d: %v", n+1, err)
		}
	}
	if _, err := w.Start(w.ctx(), w.request()); !errors.Is(err, ErrFactorDisabled) {
		t.Errorf("a new challenge: %v", err)
	}
	w.wantEvents(audit.FactorDisabled, 1)
	if f, _ := w.db.Phone(w.ctx(), w.phone.ID); f.DisabledAt.IsZero() {
		t.Error("the factor is not disabled")
	}
}

func TestOTP21_ASuccessResetsTheFailures(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	for range 4 {
		_, _ = w.enter(c, w.wrongPasscode(c))
	}
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Fatal(err)
	}
	f, err := w.db.Phone(w.ctx(), w.phone.ID)
	if err != nil || f.Failures != 0 || !f.LastUsedAt.Equal(testStart) {
		t.Errorf("factor %+v, %v", f, err)
	}
	if got := w.events(audit.SuccessAfterFailures); len(got) != 1 || got[0].Data["failures"] != "4" {
		t.Errorf("events %+v", got)
	}
}

func TestOTP22_WhenTheFactorIsDisabledTheChallengeEnds(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.tx(func(ctx context.Context) error {
		for range w.limits.FactorFailures + 1 {
			if _, _, err := w.db.CountPhoneFailure(ctx, w.phone.ID, w.limits.FactorFailures, testStart); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := w.enter(c, w.passcode(c)); !errors.Is(err, ErrFactorDisabled) {
		t.Errorf("the right passcode: %v", err)
	}
	if got := w.reload(c); got.End != storage.ChallengeExhausted {
		t.Errorf("the challenge ended as %q", got.End)
	}
	w.work()
	if len(w.whatsApp.sent()) != 0 {
		t.Error("its message went out")
	}
}

func TestOTP21_WrongPasscodesPerHourHoldOverChallenges(t *testing.T) {
	w := newWorld(t)
	var c storage.Challenge
	for n := range w.limits.WrongPasscodesPerHour {
		if n%4 == 0 { // so that no challenge is exhausted
			c = w.begin()
		}
		_, _ = w.enter(c, w.wrongPasscode(c))
	}
	before := w.reload(c).Tries
	_, err := w.enter(c, w.passcode(c))
	var throttled *ThrottledError
	if !errors.As(err, &throttled) || !throttled.RetryAt.After(testStart) {
		t.Fatalf("got %v", err)
	}
	if w.reload(c).Tries != before {
		t.Error("a try that was not compared was counted on the challenge")
	}
	w.wantEvents(audit.RateLimitHit, 1)
}

func TestVerify_GivesBackWhatTheLimitsTook(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.CountryFailures = 1000 })
	for range 3 * w.limits.SendsPerNumberDay {
		c := w.begin()
		w.work()
		w.report(w.last(c), storage.DeliveryFailed, Failure{Class: ClassFallback, Code: "131049"})
		w.work()
		w.wantTrail(c, "whatsapp first failed", "sms refused accepted")
		if _, err := w.enter(c, w.passcode(c)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerify_SaysWhetherAnSMSMayHaveBeenRead(t *testing.T) {
	accepted := func(d *storage.Delivery) { d.AcceptedAt = at(2) }
	for _, tt := range []struct {
		name string
		ds   []storage.Delivery
		want bool
	}{
		{"WhatsApp alone", []storage.Delivery{message(storage.DeliveryRead)}, false},
		{"an SMS that is only queued", []storage.Delivery{message(storage.DeliveryQueued, bySMS)}, false},
		{"an SMS that was dropped", []storage.Delivery{message(storage.DeliverySkipped, bySMS)}, false},
		{"an SMS that was refused", []storage.Delivery{message(storage.DeliveryFailed, bySMS)}, false},
		{"an SMS that was accepted and failed", []storage.Delivery{message(storage.DeliveryFailed, bySMS, accepted)}, true},
		{"an SMS on the wire", []storage.Delivery{message(storage.DeliverySending, bySMS)}, true},
		{"an SMS whose answer was lost", []storage.Delivery{message(storage.DeliveryUnknown, bySMS)}, true},
		{"an SMS beside WhatsApp", []storage.Delivery{message(storage.DeliveryRead), message(storage.DeliveryAccepted, bySMS)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := smsUsed(tt.ds); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
	t.Run("and then the channel is sms", func(t *testing.T) {
		w := newWorld(t)
		c := w.begin()
		w.work()
		w.after(36 * time.Second)
		w.after(0)
		v, err := w.enter(c, w.passcode(c))
		if err != nil || v.Channel != storage.SMS || !v.SMSUsed {
			t.Errorf("got %+v, %v", v, err)
		}
	})
}

func TestOTP02_APasscodeEndsWithItsTime(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.clock.Advance(5 * time.Minute)
	if _, err := w.enter(c, w.passcode(c)); asEnded(err) != "ended expired" {
		t.Errorf("got %v", err)
	}
	w.wantEvents(audit.PasscodeExpired, 1)
	w.wantEvents(audit.Partial, 1)
}

// expiring is a store that hands out what has expired too.
type expiring struct {
	Store
	challenge string
}

func (e expiring) ClaimDueChallenges(ctx context.Context, _, _ time.Time, _ int) ([]storage.Challenge, error) {
	c, err := e.Store.Challenge(ctx, e.challenge)
	return []storage.Challenge{c}, err
}

func TestOTP27_AChallengeThatNobodyAnswersIsTold(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.store = expiring{w.store, c.ID}
	w.clock.Advance(5 * time.Minute)
	for range 2 {
		if _, err := w.lookAtDue(w.ctx()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.reload(c); got.End != storage.ChallengeExpired {
		t.Errorf("it ended as %q", got.End)
	}
	w.wantEvents(audit.PasscodeExpired, 1)
	w.wantEvents(audit.Partial, 1)
}

func TestREL11_ABackwardClockRevivesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.clock.Advance(5 * time.Minute)
	_, _ = w.enter(c, w.passcode(c))
	w.clock.Advance(-4 * time.Minute)
	if _, err := w.enter(c, w.passcode(c)); asEnded(err) != "ended expired" {
		t.Errorf("got %v", err)
	}
}

func TestVerify_SurvivesANewRootSecret(t *testing.T) {
	old := mustKeys([]byte("an older root secret, 32 bytes .."), testRoot) // the phone was sealed with the newer one
	w := newWorld(t)
	w.keys = old
	c, err := w.Start(w.ctx(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	p, err := derive(old, c)
	if err != nil {
		t.Fatal(err)
	}
	w.keys = testKeys
	if _, err := w.enter(c, p.Reveal()); err == nil || asEnded(err) != "" {
		t.Errorf("without the older root: got %v, want an outage", err)
	}
}

// Each database: one passcode from 8 connections has one winner, and 50 wrong ones at once count to exactly the limit.
func TestOTP03_OnePasscodeFromEightConnectionsHasOneWinner(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db storage.Store) {
		w := newWorldOn(t, db, func(c *Config) { c.Settings.Tries = 10 })
		c := w.begin()
		results := w.together(8, func(int) error {
			_, err := w.enter(c, w.passcode(c))
			return err
		})
		if results["<nil>"] != 1 || results["ended verified"] != 7 {
			t.Errorf("results %v", results)
		}
		w.wantEvents(audit.PasscodeSuccess, 1)
	})
}

func TestOTP20_FiftyWrongPasscodesAtOnceCountToTheLimit(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db storage.Store) {
		w := newWorldOn(t, db)
		c := w.begin()
		results := w.together(50, func(int) error {
			_, err := w.enter(c, w.wrongPasscode(c))
			return err
		})
		if got := w.reload(c); got.Tries != c.MaxTries || got.End != storage.ChallengeExhausted {
			t.Errorf("%d tries, ended as %q", got.Tries, got.End)
		}
		compared := 0
		for _, e := range w.events(audit.PasscodeFail) {
			if e.Reason == "wrong" {
				compared++
			}
		}
		if compared != c.MaxTries || results["<nil>"] != 0 {
			t.Errorf("%d were compared; results %v", compared, results)
		}
		if f, _ := db.Phone(w.ctx(), w.phone.ID); f.Failures != c.MaxTries {
			t.Errorf("the factor has %d failures", f.Failures)
		}
		w.wantEvents(audit.PasscodeExhausted, 1)
		if _, err := w.enter(c, w.passcode(c)); asEnded(err) != "ended exhausted" {
			t.Errorf("the right one after them: %v", err)
		}
	})
}

// together runs f n times at once and counts the results.
func (w *world) together(n int, f func(int) error) map[string]int {
	w.Helper()
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		results = map[string]int{}
		start   = make(chan struct{})
	)
	for i := range n {
		wg.Go(func() {
			<-start
			err := f(i)
			name := string(asEnded(err))
			if name == "" {
				name = fmt.Sprint(err)
			}
			mu.Lock()
			defer mu.Unlock()
			results[name]++
		})
	}
	close(start)
	wg.Wait()
	return results
}

func TestOTP03_OfTwoRightOnesThatWereCountedTogetherOneIsTaken(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	typed := NewPasscode(w.passcode(c))
	var tries []try
	for range 2 {
		counted, err := w.countTry(w.ctx(), w.attempt(c, typed.digits), typed)
		if err != nil {
			t.Fatal(err)
		}
		tries = append(tries, counted)
	}
	calls := 0
	then := func(context.Context, Verified) error { calls++; return nil }
	if _, err := w.consume(w.ctx(), tries[0], then); err != nil {
		t.Fatal(err)
	}
	if _, err := w.consume(w.ctx(), tries[1], then); asEnded(err) != "ended verified" {
		t.Errorf("got %v", err)
	}
	if calls != 1 {
		t.Errorf("the caller's part ran %d times", calls)
	}
	w.wantEvents(audit.PasscodeSuccess, 1)
	w.wantEvents(audit.PasscodeReplayed, 1)
}
