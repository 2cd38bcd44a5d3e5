package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// An answer can be lost on its way: its node dies after the commit, a proxy asks another one, a phone changes networks. As
// long as its AuthCode is worth something, the browser that asked gets the same answer again. Nothing is issued for it: the
// AuthCode is derived anew.

// newIssued are the inputs of a new AuthCode.
func newIssued(keys *secret.Keys, grantID string) *storage.IssuedAuthCode {
	i := &storage.IssuedAuthCode{GrantID: grantID, KeyID: keys.ID(), Nonce: make([]byte, 16)}
	rand.Read(i.Nonce) // never fails: crypto/rand aborts the program instead
	return i
}

// deriveAuthCode makes an AuthCode. To whoever has no root secret it is 256 random bits, the database in hand or not; to whoever
// has the root secret and not the database it is as hard to guess as the nonce, 128 bits. It fails with secret.ErrUnknownKey when
// the root secret is gone.
func deriveAuthCode(keys *secret.Keys, authRequestID string, i storage.IssuedAuthCode) (string, error) {
	sum, err := keys.MAC(secret.AuthCode, i.KeyID, i.Nonce, []byte(authRequestID), []byte(i.GrantID))
	if err != nil {
		return "", fmt.Errorf("derive authorization code: %w", err)
	}
	return prefixAuthCode + base64.RawURLEncoding.EncodeToString(sum), nil
}

// repeat sends the answer of an ended AuthRequest again.
func (p *Provider) repeat(w http.ResponseWriter, r *http.Request, client storage.Client, a storage.AuthRequest) {
	grant, code, err := p.issued(r, client, a)
	if err == nil {
		err = p.noteRepeated(r.Context(), client, grant)
	}
	if err != nil {
		p.writePage(w, r, err)
		return
	}
	d := destinationOf(client, a.Request)
	d.repeated = true
	p.sendCode(w, r, d, grant, code)
}

// noteRepeated writes down who got the answer again: whoever holds copies of the browser's cookies could, from elsewhere. Reloads
// must not fill the log. Each source has a limit of its own, so that none is left out for what others asked before.
func (p *Provider) noteRepeated(ctx context.Context, client storage.Client, g storage.Grant) error {
	key := "code-repeated:" + g.ID
	ofAll := storage.Throttle{Key: key, Interval: time.Minute, Burst: 30}
	ofSource := storage.Throttle{Key: key + ":" + p.Keys.Hash(secret.Names, reqinfo.From(ctx).Source)[:22], Interval: time.Minute, Burst: 3}
	err := p.Store.InTx(ctx, func(ctx context.Context) error {
		refused, err := p.Store.Take(ctx, p.Clock.Now(), ofAll, ofSource)
		if err != nil || refused != nil {
			return err
		}
		ex := &exchange{client: client, grant: g}
		return p.Audit.Write(ctx, ex.event(ctx, audit.CodeRepeated, audit.Success, ""))
	})
	if err != nil {
		return fmt.Errorf("note repeated authorization code: %w", err)
	}
	return nil
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
	switch {
	case errors.Is(err, secret.ErrUnknownKey):
		return g, "", requestOver()
	case err != nil:
		return g, "", err
	}
	// Rows that were mixed up, by whatever hand, must not carry one person's grant into another's answer.
	if _, its := p.Keys.HashedBy(secret.TokenHash, code, g.AuthCodeHash); !its || g.AuthRequestID != a.ID || g.ClientID != a.ClientID {
		return g, "", requestOver()
	}
	return g, code, nil
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
