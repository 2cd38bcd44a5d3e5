package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/parola-id/parola/idp/session"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
)

const (
	clientID    = "passwordtiming"
	redirectURI = "http://127.0.0.1/callback"
	// shutAfter is where a password is shut; fewer tries than that go to one name, because a shut one answers without a
	// hash.
	shutAfter      = 60
	triesPerPerson = 50
)

// ownProvider starts a provider on loopback with people of every kind, each enough for its tries.
func ownProvider(ctx context.Context, tries int) (t target, kinds []kind, stop func(), err error) {
	dir, err := os.MkdirTemp("", "passwordtiming")
	if err != nil {
		return t, nil, nil, err
	}
	root := make([]byte, secret.RootSize)
	rand.Read(root)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return t, nil, nil, err
	}
	b, err := app.Open(ctx, config(dir, "http://"+listener.Addr().String(), root), app.Options{})
	if err != nil {
		return t, nil, nil, err
	}
	a, err := app.New(ctx, b)
	if err != nil {
		return t, nil, nil, err
	}
	server := &http.Server{Handler: a.Handler()}
	go func() { _ = server.Serve(listener) }() // ends with Close
	stop = func() { server.Close(); b.Close(); os.RemoveAll(dir) }
	t = target{b.Issuer(), clientID, redirectURI}
	if kinds, err = people(ctx, b, t, root, tries); err != nil {
		stop()
		return t, nil, nil, err
	}
	return t, kinds, stop, nil
}

func config(dir, issuer string, root []byte) app.Config {
	c := app.Defaults()
	c.Issuer = issuer
	c.Database.Path = filepath.Join(dir, "parola.db")
	c.Secrets.Root = app.NewSecret(base64.StdEncoding.EncodeToString(root))
	// Nobody gets as far as a passcode, so that no carrier is ever called.
	c.WhatsApp.PhoneNumberID = "106000000000001"
	c.WhatsApp.AccessToken, c.WhatsApp.AppSecret, c.WhatsApp.VerifyToken = random(), random(), random()
	c.Limits.PasswordFree, c.Limits.PasswordsPerSourceHour, c.Limits.RequestsPerSourceMinute = 1_000_000, 1_000_000, 1_000_000
	c.Limits.PasswordFailures = shutAfter
	return c
}

func random() app.Secret {
	b := make([]byte, 32)
	rand.Read(b)
	return app.NewSecret(base64.StdEncoding.EncodeToString(b))
}

// people adds those who are measured. Names have one length, so that the answers have too.
func people(ctx context.Context, b *app.Base, t target, root []byte, tries int) ([]kind, error) {
	client := fmt.Sprintf(`{"client_id":%q,"redirect_uris":[%q],"token_endpoint_auth_method":"none","application_type":"native"}`, clientID, redirectURI)
	if _, err := b.ImportClients(ctx, []byte(client), app.ImportOptions{}); err != nil {
		return nil, err
	}
	persons := tries/triesPerPerson + 2
	kinds := []kind{{"unknown", unknownVisitor}}
	for _, k := range []struct {
		name, prefix string
		person       app.NewUser
	}{
		{reference, "wrong", app.NewUser{Password: random().Reveal()}},
		{"disabled", "stopped", app.NewUser{Password: random().Reveal(), Disabled: true}},
		{"no password", "passless", app.NewUser{}},
	} {
		name := func(n int) string { return fmt.Sprintf("%s-%d", k.prefix, n/triesPerPerson) }
		for n := range persons {
			k.person.Username = name(n * triesPerPerson)
			if _, err := b.AddUser(ctx, k.person); err != nil {
				return nil, err
			}
		}
		kinds = append(kinds, kind{k.name, func(n int) visitor { return visitor{username: name(n)} }})
	}
	locked, err := lockedPerson(ctx, b, t, root, persons)
	return append(kinds, locked), err
}

// lockedPerson is one whom strangers have locked out, at browsers that the person has used before (PW-15).
func lockedPerson(ctx context.Context, b *app.Base, t target, root []byte, browsers int) (kind, error) {
	const name = "locked-out"
	person, err := b.AddUser(ctx, app.NewUser{Username: name, Password: random().Reveal()})
	if err != nil {
		return kind{}, err
	}
	p, err := t.open(ctx)
	if err != nil {
		return kind{}, err
	}
	for range shutAfter {
		if _, err := p.try(ctx, visitor{username: name}); err != nil {
			return kind{}, fmt.Errorf("lock a person out: %w", err)
		}
	}
	keys, err := secret.New(root)
	if err != nil {
		return kind{}, err
	}
	issuer, err := url.Parse(t.issuer)
	if err != nil {
		return kind{}, err
	}
	sessions := session.New(session.Config{Keys: keys, Clock: clock.System{}, Port: issuer.Port()})
	cookies := make([]string, browsers)
	for i := range cookies {
		c := sessions.RememberBrowser(&http.Request{}, person.ID)
		if c == nil {
			return kind{}, errors.New("make a known browser")
		}
		cookies[i] = c.Name + "=" + c.Value
	}
	return kind{"locked, known browser", func(n int) visitor { return visitor{name, cookies[n/triesPerPerson]} }}, nil
}
