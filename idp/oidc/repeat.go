package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// An answer can be lost on its way: its node dies after the commit, a proxy asks another one, a phone changes networks. As
// long as its AuthCode is worth something, the browser that asked gets the same answer again. Nothing is issued or written for
// it: the AuthCode is derived anew.

// newIssued are the inputs of a new AuthCode.
func newIssued(keys *secret.Keys, grantID string) *storage.IssuedAuthCode {
	i := &storage.IssuedAuthCode{GrantID: grantID, KeyID: keys.ID(), Nonce: make([]byte, 16)}
	rand.Read(i.Nonce) // never fails: crypto/rand aborts the program instead
	return i
}

// deriveAuthCode makes an AuthCode of 256 bits. Whoever has only the database, or only the root secret, cannot tell it from a
// random one. It fails with secret.ErrUnknownKey when the root secret is gone.
func deriveAuthCode(keys *secret.Keys, authRequestID string, i storage.IssuedAuthCode) (string, error) {
	sum, err := keys.MAC(secret.AuthCode, i.KeyID, i.Nonce, []byte(authRequestID), []byte(i.GrantID))
	if err != nil {
		return "", fmt.Errorf("derive authorization code: %w", err)
	}
	return prefixAuthCode + base64.RawURLEncoding.EncodeToString(sum), nil
}

// repeat sends the answer of an ended AuthRequest again. No event tells of it: it gives nobody what they did not have, and a
// reload must not fill the log.
func (p *Provider) repeat(w http.ResponseWriter, r *http.Request, client storage.Client, a storage.AuthRequest) {
	grant, code, err := p.issued(r, client, a)
	if err != nil {
		p.writePage(w, r, err)
		return
	}
	p.sendCode(w, r, destinationOf(client, a.Request), grant, code)
}

// repeatOf is repeat for a call that lost the race to end the request.
func (p *Provider) repeatOf(w http.ResponseWriter, r *http.Request) {
	a, client, err := p.returning(r)
	if err == nil && a.EndedAt.IsZero() { // another tab moved it on instead
		err = requestOver()
	}
	if err != nil {
		p.writePage(w, r, err)
		return
	}
	p.repeat(w, r, client, a)
}

// issued returns the AuthCode of an ended AuthRequest with its grant. The browser and its session are asked what they were
// asked the first time, and the AuthCode must be unused: a client that gets it again after using it would revoke its own
// tokens (OA-24). Whatever is missing, the request is over.
func (p *Provider) issued(r *http.Request, client storage.Client, a storage.AuthRequest) (storage.Grant, string, error) {
	_, err := p.admit(r, client, a)
	if _, told := asRefusal(err); told || errors.Is(err, errSignInAgain) {
		return storage.Grant{}, "", requestOver()
	}
	if err != nil {
		return storage.Grant{}, "", err
	}
	g, err := p.liveCode(r.Context(), a.Progress.Issued.GrantID, p.Clock.Now())
	if err != nil {
		return g, "", err
	}
	code, err := deriveAuthCode(p.Keys, a.ID, *a.Progress.Issued)
	if errors.Is(err, secret.ErrUnknownKey) {
		err = requestOver()
	}
	return g, code, err
}

// liveCode returns a grant whose AuthCode would be good at /token. The row decides.
func (p *Provider) liveCode(ctx context.Context, grantID string, now time.Time) (storage.Grant, error) {
	g, err := p.Store.Grant(ctx, grantID)
	switch {
	case notFound(err):
		return g, requestOver()
	case err != nil:
		return g, err
	case !g.AuthCodeUsedAt.IsZero() || !now.Before(g.AuthCodeExpiresAt) || usable(g) != nil:
		return g, requestOver()
	}
	return g, nil
}
