package webapp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// refreshRecord is what the account page shows of the last refresh.
type refreshRecord struct {
	At            time.Time `json:"at"`
	RefreshBefore string    `json:"refresh_before"` // fingerprints; the tokens themselves are shown to nobody
	RefreshAfter  string    `json:"refresh_after"`
	AccessBefore  string    `json:"access_before"`
	AccessAfter   string    `json:"access_after"`
	NewIDToken    bool      `json:"new_id_token"`
}

// Rotated reports whether the old refresh token has been replaced.
func (r refreshRecord) Rotated() bool { return r.RefreshBefore != r.RefreshAfter }

var errNoRefreshToken = errors.New("no refresh token: offline_access was not granted")

func (a *app) refresh(w http.ResponseWriter, r *http.Request) {
	acct := a.account(r.Context())
	if acct == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if err := a.refreshAccount(r.Context(), acct); err != nil {
		a.refreshFailed(w, r, err)
		return
	}
	http.Redirect(w, r, "/#tokens", http.StatusSeeOther)
}

// refreshAccount exchanges the refresh token and saves the new tokens.
func (a *app) refreshAccount(ctx context.Context, acct *account) error {
	if acct.RefreshToken == "" {
		return errNoRefreshToken
	}
	p, err := a.provider.get()
	if err != nil {
		return err
	}
	upstream := oidc.ClientContext(ctx, a.cfg.HTTPClient)
	token, err := p.oauth2.TokenSource(upstream, &oauth2.Token{RefreshToken: acct.RefreshToken}).Token()
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	record := &refreshRecord{
		At:            a.cfg.Now(),
		RefreshBefore: fingerprint(acct.RefreshToken),
		AccessBefore:  fingerprint(acct.AccessToken),
	}
	if _, ok := token.Extra("id_token").(string); ok {
		if err := a.replaceIDToken(upstream, p, acct, token); err != nil {
			return err
		}
		record.NewIDToken = true
	}
	acct.setTokens(token)
	record.RefreshAfter, record.AccessAfter = fingerprint(acct.RefreshToken), fingerprint(acct.AccessToken)
	acct.Refreshed = record
	return a.putAccount(ctx, acct)
}

// replaceIDToken takes an ID token from a refresh if it tells of the same login: same person, same moment, and no
// stronger or weaker than it was (Core §12.2, RFC 9470 §6.1).
func (a *app) replaceIDToken(ctx context.Context, p *provider, acct *account, token *oauth2.Token) error {
	before := parseClaims(acct.Claims)
	fresh, after, err := a.verifyIDToken(ctx, p, token)
	if err != nil {
		return err
	}
	if after.Nonce != "" && after.Nonce != before.Nonce {
		return errors.New("the refreshed ID token has another nonce")
	}
	if after.Subject != before.Subject {
		return errOtherPerson
	}
	if after.AuthTime != before.AuthTime || after.ACR != before.ACR || !slices.Equal(after.AMR, before.AMR) {
		return errors.New("a refresh changed what the login was")
	}
	acct.IDToken, acct.Claims = fresh.IDToken, fresh.Claims
	return nil
}

// fresh makes sure that the access token will live long enough for one call.
func (a *app) fresh(ctx context.Context, acct *account) error {
	if acct.Expiry.IsZero() || a.cfg.Now().Add(10*time.Second).Before(acct.Expiry) {
		return nil
	}
	return a.refreshAccount(ctx, acct)
}

func (a *app) refreshFailed(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *oauth2.RetrieveError
	switch {
	case errors.Is(err, errNoRefreshToken):
		a.problem(w, r, http.StatusConflict, problemPage{
			Headline: "There is no refresh token",
			Text:     "The provider did not grant offline_access to this application, or you did not allow it.",
			Retry:    "/login",
		})
	case unavailable(err):
		a.unreachable(w, r, err)
	case errors.As(err, &refusal) && refusal.ErrorCode == "invalid_grant":
		// The provider has ended this login. Keeping the session would be pretending.
		a.sessions.Remove(r.Context(), keyAccount)
		a.problem(w, r, http.StatusUnauthorized, problemPage{
			Headline: "Your login has ended",
			Text: "The provider no longer accepts the refresh token: it expired, it was used twice, " +
				"or you signed out elsewhere.",
			Code:  refusal.ErrorCode,
			Retry: "/login",
		})
	default:
		a.notVerified(w, r, err)
	}
}

// fingerprint names a token without giving it away.
func fingerprint(token string) string {
	if token == "" {
		return "none"
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:4])
}
