package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/parola-id/parola/bench/rig"
)

// limits are the most CPU-ms that an operation may take, by database.
type limits map[string]float64

// operation is one thing that a server is asked for.
type operation struct {
	name   string
	limits limits
	// hashes says that one argon2id is in it, which the limit leaves out.
	hashes bool
	// needsPasscode says that somebody must sign in first.
	needsPasscode bool
	// stock, where set, is how many are prepared per second of the run, because each needs much that is not measured.
	stock int
	// prepare makes what one worker does again and again, with people of its own: nobody signs in twice at a time. A stocked
	// operation is made n times over.
	prepare func(ctx context.Context, t *target, people []rig.Person, n int) (func(context.Context) error, error)
}

// operations are those of docs/performance.md, with what is promised there.
func operations() []operation {
	return []operation{
		{name: "login", limits: limits{"sqlite": 4, "postgres": 8}, hashes: true, needsPasscode: true, prepare: prepareLogin},
		{name: "client_credentials", limits: limits{"sqlite": 0.35, "postgres": 0.8}, prepare: prepareClientCredentials},
		{name: "refresh", limits: limits{"sqlite": 0.6, "postgres": 1.6}, needsPasscode: true, prepare: prepareRefresh},
		{name: "userinfo", limits: limits{"sqlite": 0.12, "postgres": 0.35}, needsPasscode: true, prepare: prepareUserInfo},
		{name: "introspection", limits: limits{"sqlite": 0.12, "postgres": 0.35}, needsPasscode: true, prepare: prepareIntrospection},
		{name: "passcode", limits: limits{"sqlite": 0.5, "postgres": 1.2}, needsPasscode: true, stock: 40, prepare: preparePasscode},
		{name: "discovery", limits: limits{"sqlite": 0.05, "postgres": 0.05}, prepare: prepareDocument("/.well-known/openid-configuration", "authorization_endpoint")},
		{name: "jwks", limits: limits{"sqlite": 0.05, "postgres": 0.05}, prepare: prepareDocument("/jwks", "keys")},
	}
}

// prepareLogin is a whole login, of one person after the other.
func prepareLogin(ctx context.Context, t *target, people []rig.Person, _ int) (func(context.Context) error, error) {
	w, err := newWire(ctx, t.issuer)
	if err != nil {
		return nil, err
	}
	turn := 0
	return func(ctx context.Context) error {
		p := people[turn%len(people)]
		turn++
		got, err := t.signIn(ctx, w, p, false)
		if err == nil && got.ID == "" {
			err = errors.New("a login without an ID token")
		}
		return err
	}, nil
}

func prepareClientCredentials(ctx context.Context, t *target, _ []rig.Person, _ int) (func(context.Context) error, error) {
	w, err := newWire(ctx, t.issuer)
	if err != nil {
		return nil, err
	}
	return func(context.Context) error {
		_, err := w.token(t.client.basic(), url.Values{"grant_type": {"client_credentials"}})
		return err
	}, nil
}

// signedIn is a connection and what a login brought.
func signedIn(ctx context.Context, t *target, p rig.Person) (*wire, tokens, error) {
	w, err := newWire(ctx, t.issuer)
	if err != nil {
		return nil, tokens{}, err
	}
	got, err := t.signIn(ctx, w, p, true)
	return w, got, err
}

func prepareRefresh(ctx context.Context, t *target, people []rig.Person, _ int) (func(context.Context) error, error) {
	w, got, err := signedIn(ctx, t, people[0])
	if err != nil {
		return nil, err
	}
	if got.Refresh == "" {
		return nil, errors.New("a login without a refresh token")
	}
	return func(context.Context) error {
		next, err := w.token(t.client.basic(), url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
		if err != nil {
			return err
		}
		if next.Refresh == "" || next.Refresh == got.Refresh {
			return errors.New("the refresh token was not rotated")
		}
		got = next
		return nil
	}, nil
}

func prepareUserInfo(ctx context.Context, t *target, people []rig.Person, _ int) (func(context.Context) error, error) {
	w, got, err := signedIn(ctx, t, people[0])
	if err != nil {
		return nil, err
	}
	return func(context.Context) error {
		return expect(w, "/userinfo", "Bearer "+got.Access, nil, []byte(`"sub"`))
	}, nil
}

func prepareIntrospection(ctx context.Context, t *target, people []rig.Person, _ int) (func(context.Context) error, error) {
	w, got, err := signedIn(ctx, t, people[0])
	if err != nil {
		return nil, err
	}
	return func(context.Context) error {
		return expect(w, "/introspect", t.client.basic(), url.Values{"token": {got.Access}}, []byte(`"active":true`))
	}, nil
}

// preparePasscode brings n logins as far as the passcode. What is measured is the one POST that carries it.
func preparePasscode(ctx context.Context, t *target, people []rig.Person, n int) (func(context.Context) error, error) {
	w, err := newWire(ctx, t.issuer)
	if err != nil {
		return nil, err
	}
	stock := make([]*login, n)
	for i := range stock {
		if stock[i], err = t.toPasscode(ctx, people[i%len(people)], true); err != nil {
			return nil, err
		}
	}
	return func(context.Context) error {
		l := stock[0]
		stock = stock[1:]
		return w.redirected(l.Request("passcode", url.Values{"passcode": {l.passcode}}))
	}, nil
}

// prepareDocument reads a public document, which holds a member.
func prepareDocument(path, member string) func(context.Context, *target, []rig.Person, int) (func(context.Context) error, error) {
	return func(ctx context.Context, t *target, _ []rig.Person, _ int) (func(context.Context) error, error) {
		w, err := newWire(ctx, t.issuer)
		if err != nil {
			return nil, err
		}
		return func(context.Context) error {
			return expect(w, path, "", nil, []byte(`"`+member+`"`))
		}, nil
	}
}

// expect asks for a JSON document that must hold a text.
func expect(w *wire, path, authorization string, form url.Values, text []byte) error {
	body, err := w.do(w.request(path, authorization, form))
	if err != nil {
		return err
	}
	if !json.Valid(body) || !bytes.Contains(body, text) {
		return fmt.Errorf("%s answered %.200s", path, body)
	}
	return nil
}
