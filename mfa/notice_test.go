package mfa

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// warner takes warnings and answers as the test says; nil accepts.
type warner struct {
	mu     sync.Mutex
	warned []Warning
	answer func(n int) error
}

func (w *warner) Warn(_ context.Context, warning Warning) error {
	w.mu.Lock()
	w.warned = append(w.warned, warning)
	n, answer := len(w.warned), w.answer
	w.mu.Unlock()
	if answer != nil {
		return answer(n)
	}
	return nil
}

func (w *warner) numbers() (numbers []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, warning := range w.warned {
		numbers = append(numbers, warning.To.Reveal())
	}
	return numbers
}

func newWarnedWorld(t *testing.T, answer func(n int) error) (*world, *warner) {
	told := &warner{answer: answer}
	return newWorld(t, func(c *Config) { c.Warner = told }), told
}

// tap is "I didn't request a code" on the newest message.
func (w *world) tap(c storage.Challenge) {
	w.Helper()
	d := w.last(c)
	err := w.Receive(w.ctx(), []Report{{Channel: d.Channel, Carrier: d.Carrier, DeliveryID: d.ID, NotRequested: true}})
	if err != nil {
		w.Fatal(err)
	}
}

// notices are the states of all notices of a challenge, as SettleNotice left them.
func (w *world) wantWarned(want ...string) {
	w.Helper()
	var got []string
	for _, e := range w.events(audit.PersonWarned) {
		got = append(got, e.Outcome+" "+e.Reason)
	}
	if !slices.Equal(got, want) {
		w.Errorf("warned %q, want %q", got, want)
	}
}

func TestNotRequested_EndsTheChallengeAndWarnsThePerson(t *testing.T) {
	w, told := newWarnedWorld(t, nil)
	c := w.begin()
	w.work()
	w.tap(c)
	w.tap(c) // carriers repeat what they say
	w.work()
	if _, err := w.enter(c, w.passcode(c)); asEnded(err) != "ended not_requested" {
		t.Errorf("the passcode: %v", err)
	}
	if got := w.events(audit.NotRequested); len(got) != 1 || got[0].Severity != audit.High || got[0].ChallengeID != c.ID || got[0].Data["challenge"] != "not_requested" {
		t.Errorf("events %+v", got)
	}
	if len(told.warned) != 1 || told.warned[0].To.Reveal() != testNumber || told.warned[0].Locale != "it" || told.warned[0].Kind != storage.NoticeNotRequested {
		t.Errorf("warned %+v", told.warned)
	}
	w.wantWarned("success ")
	w.wantNoSecrets(w.passcode(c))
	w.after(10 * time.Minute)
	if len(told.numbers()) != 1 || len(w.sms.sent()) != 0 {
		t.Error("something followed")
	}
}

func TestNotRequested_OneWarningPerPersonAndDay(t *testing.T) {
	w, told := newWarnedWorld(t, nil)
	for range 3 {
		c := w.begin()
		w.work()
		w.tap(c)
		w.after(time.Hour)
	}
	if got := told.numbers(); len(got) != 1 {
		t.Errorf("%d warnings in one day", len(got))
	}
	w.wantEvents(audit.NotRequested, 3)
	w.clock.Advance(24 * time.Hour)
	c := w.begin()
	w.work()
	w.tap(c)
	w.work()
	if got := told.numbers(); len(got) != 2 {
		t.Errorf("%d warnings after a day, want 2", len(got))
	}
}

// The worst news has words of its own: nobody is told that a sign-in was stopped that was not.
func TestNotRequested_AfterTheSignInThePersonIsToldThatSomebodyIsIn(t *testing.T) {
	w, told := newWarnedWorld(t, nil)
	c := w.begin()
	w.work()
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Fatal(err)
	}
	w.tap(c)
	w.work()
	if got := w.events(audit.NotRequested); len(got) != 1 || got[0].Data["challenge"] != "verified" {
		t.Errorf("events %+v", got)
	}
	if len(told.warned) != 1 || told.warned[0].Kind != storage.NoticeSignedIn {
		t.Errorf("warned %+v", told.warned)
	}
}

func TestWarning_WhatBecomesOfIt(t *testing.T) {
	cut := errors.New("connection reset")
	retry := &Refused{Failure: Failure{Class: ClassRetry, Code: "131000"}, NotSent: true}
	for name, tt := range map[string]struct {
		answer func(n int) error
		calls  int
		warned []string
	}{
		"accepted":                                   {nil, 1, []string{"success "}},
		"refused: not repeated":                      {refuse(ClassFallback, "131047"), 1, []string{"failure refused"}},
		"cut off: it may have gone out":              {func(int) error { return cut }, 1, []string{"failure unknown"}},
		"class R, known not sent: once more":         {func(n int) error { return []error{retry, nil}[n-1] }, 2, []string{"success "}},
		"class R twice: no third time":               {func(int) error { return retry }, 2, []string{"failure refused"}},
		"class R that may have gone out: not at all": {func(int) error { return &Refused{Failure: retry.Failure} }, 1, []string{"failure refused"}},
		"a panic: it may have gone out":              {func(int) error { panic("channel") }, 1, []string{"failure unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, told := newWarnedWorld(t, tt.answer)
			c := w.begin()
			w.work()
			w.tap(c)
			for range 10 {
				w.after(3 * time.Second)
			}
			if got := len(told.numbers()); got != tt.calls {
				t.Errorf("%d calls, want %d", got, tt.calls)
			}
			w.wantWarned(tt.warned...)
			w.wantNoSecrets()
		})
	}
}

func TestREL03_AWarningIsOwedAcrossAKill_AndIsNotRepeatedOnceTheSocketMayHaveOpened(t *testing.T) {
	for name, tt := range map[string]struct {
		killed func(w *world)
		calls  int
	}{
		"killed before it was claimed": {func(*world) {}, 1},
		"killed while sending": {func(w *world) {
			w.tx(func(ctx context.Context) error {
				claimed, err := w.db.ClaimNotices(ctx, w.clock.Now(), w.clock.Now().Add(sendLease), 10)
				if err == nil && len(claimed) != 1 {
					w.Errorf("claimed %d", len(claimed))
				}
				return err
			})
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newWarnedWorld(t, nil)
			c := w.begin()
			w.work()
			w.tap(c)
			tt.killed(w)
			told := &warner{}
			next := newNode(t, w.db, w.clock, func(c *Config) { c.Warner = told })
			next.after(sendLease + time.Second)
			next.after(time.Minute)
			if got := len(told.numbers()); got != tt.calls {
				t.Errorf("the next node warned %d times, want %d", got, tt.calls)
			}
		})
	}
}

func TestWarning_EndsWhereThereIsNoWayAnyMore(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(w *world)
		config func(c *Config)
		code   string
	}{
		"nobody warns on this node": {func(*world) {}, func(*Config) {}, "no_channel"},
		"the carrier is gone": {func(*world) {}, func(c *Config) {
			c.Warner = &warner{}
			c.Carriers = slices.DeleteFunc(c.Carriers, func(c Carrier) bool { return c.Channel == storage.WhatsApp })
		}, "no_channel"},
		"the phone was replaced": {func(w *world) {
			other, err := ParsePhone("+393331234568", "")
			if err != nil {
				w.Fatal(err)
			}
			w.tx(func(ctx context.Context) error {
				return w.db.PutPhone(ctx, SealPhone(testKeys, w.person, other, testStart, testStart))
			})
		}, func(c *Config) { c.Warner = &warner{} }, "phone_removed"},
	} {
		t.Run(name, func(t *testing.T) {
			w, told := newWarnedWorld(t, nil)
			c := w.begin()
			w.work()
			w.tap(c)
			tt.before(w)
			newNode(t, w.db, w.clock, tt.config).after(time.Second)
			w.work()
			if len(told.numbers()) != 0 {
				t.Error("warned")
			}
			w.wantWarned("failure refused")
			if got := w.events(audit.PersonWarned)[0].Data["failure_code"]; got != tt.code {
				t.Errorf("code %s, want %s", got, tt.code)
			}
		})
	}
}
