package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/examples/handset"
)

const (
	// waitForPasscode is how long a person looks at the phone: longer than any deadline of the escalation here.
	waitForPasscode = 14 * time.Second
	// loginWithin bounds one login with everything that goes wrong in it, a restart of the server included.
	loginWithin = 60 * time.Second
)

// outcome is what a person saw.
type outcome string

const (
	signedIn  outcome = "signed in"
	noMessage outcome = "no passcode came"
	gaveUp    outcome = "gave up, as planned"
	stopped   outcome = "stopped it from the phone"
	refused   outcome = "passcode no longer good"
	cutOff    outcome = "cut off by a restart"
	tired     outcome = "left a server that was busy for a minute"
)

// seen is what one login came to: the AuthCodes that browsers were sent back with, and the outcome.
type seen struct {
	outcome   outcome
	authCodes []string
}

// live carries a person through one challenge as planned, for as long as a person has patience.
func live(ctx context.Context, in *rig.Installation, p rig.Person, plan plan) (seen, error) {
	ctx, cancel := context.WithTimeout(ctx, loginWithin)
	defer cancel()
	s, err := walk(ctx, in, p, plan)
	if errors.Is(err, context.DeadlineExceeded) {
		s.outcome, err = tired, nil
	}
	return s, err
}

func walk(ctx context.Context, in *rig.Installation, p rig.Person, plan plan) (seen, error) {
	if err := in.Phones.SetSwitches(p.Phone, plan.switches); err != nil {
		return seen{}, err
	}
	began := time.Now()
	l, err := in.Begin(ctx)
	if err != nil {
		return seen{}, err
	}
	if err := l.Password(ctx, p); err != nil {
		return seen{}, err
	}
	if !l.Has("passcode") {
		// The server was killed between two steps, and the browser was told to begin again.
		return seen{outcome: cutOff}, nil
	}
	switch plan.act {
	case never:
		return seen{outcome: gaveUp}, nil
	case deny:
		return denied(ctx, in, p, began)
	case askSMS, askAgain:
		if err := ask(ctx, l, plan.act); err != nil {
			return seen{}, err
		}
	}
	return typed(ctx, in, p, l, plan, began)
}

// ask presses a button as soon as it is there, or not at all when it never is.
func ask(ctx context.Context, l *rig.Login, a act) error {
	form := map[act]string{askSMS: "sms", askAgain: "again"}[a]
	pause(ctx, 2500*time.Millisecond)
	if err := l.Reload(ctx); err != nil || !l.Has(form) {
		return err
	}
	return l.Submit(ctx, form, nil)
}

// denied taps "I didn't request a code" in the chat.
func denied(ctx context.Context, in *rig.Installation, p rig.Person, began time.Time) (seen, error) {
	for until := time.Now().Add(waitForPasscode); ctx.Err() == nil && time.Now().Before(until); {
		for _, m := range arrived(in, p, began) {
			if m.Channel == handset.WhatsApp {
				return seen{outcome: stopped}, in.TapButton(ctx, p.Phone, m.ID)
			}
		}
		pause(ctx, 100*time.Millisecond)
	}
	return seen{outcome: noMessage}, nil
}

// typed waits for messages and enters their passcodes, the newest first, each once.
func typed(ctx context.Context, in *rig.Installation, p rig.Person, l *rig.Login, plan plan, began time.Time) (seen, error) {
	if plan.act == wrongFirst {
		if err := l.Submit(ctx, "passcode", url.Values{"passcode": {"000000"}}); err != nil {
			return seen{}, err
		}
	}
	var tried []string
	for until := time.Now().Add(waitForPasscode); ctx.Err() == nil && time.Now().Before(until); {
		passcode := ""
		for _, m := range arrived(in, p, began) {
			if !slices.Contains(tried, m.Passcode) {
				passcode = m.Passcode
				break
			}
		}
		if passcode == "" {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		tried = append(tried, passcode)
		if !l.Has("passcode") {
			return seen{outcome: refused}, nil
		}
		codes, err := submit(ctx, l, passcode, plan.act == enterTwice)
		if err != nil {
			return seen{}, err
		}
		if len(codes) > 0 {
			return seen{signedIn, codes}, nil
		}
	}
	if len(tried) > 0 {
		return seen{outcome: refused}, nil
	}
	return seen{outcome: noMessage}, nil
}

// submit enters a passcode, in two tabs at once where asked to, and returns the AuthCodes that came of it.
func submit(ctx context.Context, l *rig.Login, passcode string, twice bool) ([]string, error) {
	tabs := []*rig.Login{l}
	if twice {
		second := *l
		tabs = append(tabs, &second)
	}
	errs := make([]error, len(tabs))
	var all sync.WaitGroup
	for i, tab := range tabs {
		all.Go(func() { errs[i] = tab.Submit(ctx, "passcode", url.Values{"passcode": {passcode}}) })
	}
	all.Wait()
	var codes []string
	for i, tab := range tabs {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if tab.AuthCode != "" {
			codes = append(codes, tab.AuthCode)
		}
	}
	return codes, nil
}

// arrived are the messages with a passcode that reached the phone since a time, newest first.
func arrived(in *rig.Installation, p rig.Person, since time.Time) []handset.InboxMessage {
	return slices.DeleteFunc(in.Phones.Inbox(p.Phone), func(m handset.InboxMessage) bool {
		return m.Passcode == "" || m.At.Before(since)
	})
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// describe is for the report of an error in the rig itself.
func describe(n int, p plan, err error) error {
	return fmt.Errorf("challenge %d (%s, %s): %w", n, p.fault, strings.ToLower(string(p.act)), err)
}
