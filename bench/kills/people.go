package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/examples/handset"
)

const (
	// waitForPasscode is longer than any deadline of the escalation here.
	waitForPasscode = 14 * time.Second
	// lifeWithin bounds one login with everything that comes after it.
	lifeWithin = 60 * time.Second
)

// What a login comes to.
const (
	signedIn  = "signed in"
	noMessage = "no passcode came"
	overtaken = "the passcode was no longer good"
	cutOff    = "cut off by a restart, and told to begin again"
	tired     = "gave up after a minute"
	lost      = "the answer with the tokens was lost, and the family with it"
)

// party is the client that they sign in to.
var party = rig.Application{ClientID: clientID, RedirectURI: rig.RedirectURI, Scope: "openid offline_access"}

// faults are what happens to some messages, so that kills hit SMS calls and waits too.
var faults = []handset.Switches{{PhoneOff: true}, {Meta: "131016"}, {WhatsAppFails: "131000"}, {Meta: "lost_answer"}}

// lives signs a person in again and again until the last kill is over.
func (k *killer) lives(ctx context.Context, i int, p rig.Person) error {
	for life := 0; !k.stopping.Load() && ctx.Err() == nil; life++ {
		k.setOut()
		r := rand.New(rand.NewPCG(k.seed, uint64(i)<<32|uint64(life)))
		within, cancel := context.WithTimeout(ctx, lifeWithin)
		outcome, err := k.life(within, p, r)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			outcome, err = tired, nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("life %d of %s: %w", life, p.Username, err)
		}
		k.came(outcome)
	}
	return nil
}

// setOut waits until nobody reads the database, and counts a step.
func (k *killer) setOut() {
	k.looking.RLock()
	defer k.looking.RUnlock()
	k.walked.Add(1)
}

func (k *killer) life(ctx context.Context, p rig.Person, r *rand.Rand) (outcome string, err error) {
	var fault handset.Switches
	if r.IntN(8) == 0 {
		fault = faults[r.IntN(len(faults))]
	}
	if err := k.in.Phones.SetSwitches(p.Phone, fault); err != nil {
		return "", err
	}
	l, outcome, err := k.signIn(ctx, p, r)
	if err != nil || outcome != "" {
		return outcome, err
	}
	k.witness.AuthCode(p.ID, l.AuthCode)
	first := l.AuthCode
	if outcome, err = k.tokens(ctx, p, first, r); err != nil || outcome != signedIn {
		return outcome, err
	}
	if r.IntN(4) == 0 {
		return signedIn, k.stillSignedIn(ctx, p, l)
	}
	return signedIn, nil
}

// signIn goes as far as the AuthCode, or to an outcome on the way.
func (k *killer) signIn(ctx context.Context, p rig.Person, r *rand.Rand) (*rig.Login, string, error) {
	began, calm := time.Now(), k.calm()
	l, err := rig.Begin(ctx, k.in.Issuer, party)
	if err != nil {
		return nil, "", err
	}
	k.walked.Add(1)
	if err := l.Password(ctx, p); err != nil {
		return nil, "", err
	}
	k.walked.Add(1)
	if !l.Has("passcode") {
		if calm() && l.PutOff == 0 {
			k.finds("nobody is turned away without a reason", "%s gave the right password and saw %s %s", p.Username, l.Page.Path, l.Error)
		}
		return nil, cutOff, nil
	}
	if r.IntN(6) == 0 {
		if err := l.Submit(ctx, "passcode", url.Values{"passcode": {"000000"}}); err != nil {
			return nil, "", err
		}
		if l.Has("passcode") {
			k.witness.Wrong(p.ID)
		}
	}
	tried := ""
	for until := time.Now().Add(waitForPasscode); time.Now().Before(until); {
		passcode := newest(k.in.Phones.Inbox(p.Phone), began)
		switch {
		case passcode == "" || passcode == tried:
			pause(ctx, 10*time.Millisecond)
			if ctx.Err() != nil {
				return nil, "", ctx.Err()
			}
			continue
		case !l.Has("passcode"):
			return nil, k.over(p, l), nil
		}
		tried = passcode
		if err := l.Submit(ctx, "passcode", url.Values{"passcode": {passcode}}); err != nil {
			return nil, "", err
		}
		k.walked.Add(1)
		if l.AuthCode != "" {
			return l, "", nil
		}
	}
	if tried == "" {
		return nil, noMessage, nil
	}
	return nil, overtaken, nil
}

// over is what a login without a form came to. The answer with its AuthCode is no reason: whoever lost it gets it again.
func (k *killer) over(p rig.Person, l *rig.Login) string {
	if l.Page.Path == "/authorize/resume" {
		k.finds("a kill loses no answer", "%s had signed in, and sees a page instead of an AuthCode", p.Username)
	}
	return overtaken
}

// newest is the passcode of the newest message since a time.
func newest(inbox []handset.InboxMessage, since time.Time) string {
	for _, m := range inbox {
		if m.Passcode != "" && m.At.After(since) {
			return m.Passcode
		}
	}
	return ""
}

// tokens exchanges the AuthCode, uses and refreshes what came, and sometimes presents what was used again.
func (k *killer) tokens(ctx context.Context, p rig.Person, authCode string, r *rand.Rand) (string, error) {
	got, err := k.ask(ctx, redeeming(authCode))
	if err != nil || got.status != http.StatusOK {
		return k.refused(got, "AuthCode of "+p.Username), err
	}
	k.witness.Redeemed(p.ID, authCode)
	if status, err := k.userInfo(ctx, got.AccessToken); err != nil || status != http.StatusOK {
		k.finds("what was told is kept", "userinfo answers %d to a token that was just issued to %s", status, p.Username)
		return signedIn, err
	}
	used := ""
	for range r.IntN(3) {
		next, err := k.ask(ctx, refreshing(got.RefreshToken))
		if err != nil || next.status != http.StatusOK {
			return k.refused(next, "refresh token of "+p.Username), err
		}
		k.witness.Refreshed(p.ID, got.RefreshToken)
		used, got = got.RefreshToken, next
	}
	switch r.IntN(6) {
	case 0:
		return signedIn, k.again(ctx, p, "an AuthCode", redeeming(authCode), func() { k.witness.Redeemed(p.ID, authCode) }, got.RefreshToken)
	case 1:
		if used != "" {
			return signedIn, k.again(ctx, p, "a refresh token", refreshing(used), func() { k.witness.Refreshed(p.ID, used) }, got.RefreshToken)
		}
	}
	return signedIn, nil
}

// refused judges a refusal: right when an answer before it was lost, which may have been the tokens.
func (k *killer) refused(got answer, what string) string {
	if got.status != http.StatusOK && !got.lost {
		k.finds("what was told is kept", "a good %s is answered with %d %s", what, got.status, got.Error)
	}
	return lost
}

// again presents what was used, which must be refused and take its family with it.
func (k *killer) again(ctx context.Context, p rig.Person, what string, used url.Values, accepted func(), good string) error {
	got, err := k.ask(ctx, used)
	if err != nil {
		return err
	}
	if got.status == http.StatusOK {
		accepted()
		return nil
	}
	if got, err = k.ask(ctx, refreshing(good)); err == nil && got.Error != "invalid_grant" {
		k.finds("what works once worked once", "%s of %s was used twice, and its family lives: %d %s", what, p.Username, got.status, got.Error)
	}
	return err
}

// stillSignedIn asks for another AuthCode in the same browser, without a word to the person.
func (k *killer) stillSignedIn(ctx context.Context, p rig.Person, l *rig.Login) error {
	page, err := url.Parse(k.in.Issuer + "/authorize?" + url.Values{
		"client_id": {party.ClientID}, "redirect_uri": {party.RedirectURI}, "response_type": {"code"}, "scope": {"openid"}, "prompt": {"none"},
		"code_challenge_method": {"S256"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "state": {"silent"},
	}.Encode())
	if err != nil {
		return err
	}
	before := l.AuthCode
	l.Page = page
	if err := l.Reload(ctx); err != nil {
		return err
	}
	if l.AuthCode == "" || l.AuthCode == before {
		k.finds("what was told is kept", "%s had signed in, and is asked again: %s %s", p.Username, l.Error, l.Page.Path)
		return nil
	}
	k.witness.AuthCode(p.ID, l.AuthCode)
	return nil
}
