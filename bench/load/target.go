package main

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"

	"github.com/parola-id/parola/bench/rig"
)

// client is a confidential OAuth client. It asks for tokens, and may introspect them.
type client struct {
	ID          string `json:"id"`
	Secret      string `json:"secret"`
	RedirectURI string `json:"redirect_uri"`
	Scope       string `json:"scope"`
}

// basic is the header with which it authenticates (RFC 6749 §2.3.1).
func (c client) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ID)+":"+url.QueryEscape(c.Secret)))
}

// target is a running server and what is needed to use it.
type target struct {
	issuer string
	client client
	people []rig.Person
	// carrier is nil where the server's messages go elsewhere: then nobody can sign in.
	carrier *carrier
	// nodes are the server's processes, others those of its database.
	nodes, others []int
	// settle waits until the server has done what operations leave for later: receipts, the sealing of events, the ledger.
	settle func(context.Context) error
	// server is nil where it is not ours.
	server *rig.Server
}

func (t *target) processes() []int { return slices.Concat(t.nodes, t.others) }

// share are the people of one worker of several.
func (t *target) share(worker, workers int) (people []rig.Person) {
	for i := worker; i < len(t.people); i += workers {
		people = append(people, t.people[i])
	}
	return people
}

// login is one person on the way to a passcode, and further.
type login struct {
	*rig.Login
	passcode string
}

// toPasscode signs a person in as far as the passcode, which has arrived then. A browser that was put off is an error
// unless patient: a load that the server refuses is not the load that was asked for.
func (t *target) toPasscode(ctx context.Context, p rig.Person, patient bool) (*login, error) {
	waits := t.carrier.expect(p.Phone)
	l, err := rig.Begin(ctx, t.issuer, rig.Application{ClientID: t.client.ID, RedirectURI: t.client.RedirectURI, Scope: t.client.Scope})
	if err != nil {
		return nil, err
	}
	if err := l.Password(ctx, p); err != nil {
		return nil, err
	}
	switch {
	case l.PutOff > 0 && !patient:
		return nil, errors.New("the server put a login off (503)")
	case !l.Has("passcode"):
		return nil, errors.New("no page for a passcode at " + l.Page.Path)
	}
	digits, err := passcode(ctx, waits)
	return &login{l, digits}, err
}

// enter types the passcode and goes on to the AuthCode.
func (l *login) enter(ctx context.Context) error {
	if err := l.Submit(ctx, "passcode", url.Values{"passcode": {l.passcode}}); err != nil {
		return err
	}
	if l.AuthCode == "" {
		return errors.New("a right passcode did not lead back to the client: " + l.Page.Path + " " + l.Error)
	}
	return nil
}

// redeem exchanges the AuthCode.
func (t *target) redeem(w *wire, l *login) (tokens, error) {
	return w.token(t.client.basic(), url.Values{"grant_type": {"authorization_code"}, "code": {l.AuthCode},
		"redirect_uri": {t.client.RedirectURI}, "code_verifier": {rig.CodeVerifier}})
}

// signIn is a whole login.
func (t *target) signIn(ctx context.Context, w *wire, p rig.Person, patient bool) (tokens, error) {
	l, err := t.toPasscode(ctx, p, patient)
	if err != nil {
		return tokens{}, err
	}
	if err := l.enter(ctx); err != nil {
		return tokens{}, err
	}
	return t.redeem(w, l)
}
