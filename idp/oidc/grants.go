package oidc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	fositestorage "github.com/ory/fosite/storage"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// grants is fosite's store over storage.Grants. One row, the grant, holds what fosite keeps in three (code, PKCE, OpenID
// session); it is burned when the code is first presented, not when fosite asks for it, because in between a failed
// check would leave the code usable (A2, A9). Tokens gather in the exchange and are inserted by the handler, together.
type grants struct {
	store     storage.Grants
	keys      *secret.Keys
	lifetimes Lifetimes
}

// fosite finds these abilities by type assertion, and does without transactions in silence when one is missing (A10).
var (
	_ fosite.Storage                     = (*grants)(nil)
	_ oauth2.CoreStorage                 = (*grants)(nil)
	_ oauth2.TokenRevocationStorage      = (*grants)(nil)
	_ openid.OpenIDConnectRequestStorage = (*grants)(nil)
	_ fositestorage.Transactional        = (*grants)(nil)
)

func (s *grants) hash(token string) string { return s.keys.Hash(secret.TokenHash, token) }

// GetClient returns the client of the exchange, which our handler has read: there a missing client and a failing
// database are told apart (A18).
func (s *grants) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	if ex.client.ID != id {
		return nil, fosite.ErrNotFound
	}
	return fositeClient{ex.client}, nil
}

// CreateAuthorizeCodeSession stores the grant that the handler prepared, with its AuthCode.
func (s *grants) CreateAuthorizeCodeSession(ctx context.Context, code string, r fosite.Requester) error {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return err
	}
	ex.grant.Form = r.GetRequestForm().Encode()
	ex.grant.AuthCodeHash = s.hash(code)
	ex.grant.AuthCodeExpiresAt = ex.now.Add(s.lifetimes.AuthCode)
	if err := s.store.InsertGrant(ctx, ex.grant); err != nil {
		return fmt.Errorf("insert grant: %w", err)
	}
	return nil
}

// GetAuthorizeCodeSession burns the code at its first call in an exchange and returns its grant.
func (s *grants) GetAuthorizeCodeSession(ctx context.Context, code string, _ fosite.Session) (fosite.Requester, error) {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	if ex.grant.ID == "" {
		if err := s.burnAuthCode(ctx, ex, code); err != nil {
			return nil, err
		}
	}
	return ex.request()
}

// burnAuthCode uses the code up and judges it. A code of another client is unknown here and stays as it was (A30).
func (s *grants) burnAuthCode(ctx context.Context, ex *exchange, code string) error {
	if !wellFormed(code, prefixAuthCode) {
		return fosite.ErrNotFound
	}
	g, used, err := s.useAuthCode(ctx, ex, code)
	if err != nil {
		return err
	}
	ex.grant, ex.scopes, ex.final = g, g.Scopes, true
	switch {
	case !used:
		return s.revokeFamily(ctx, ex, audit.CodeReplayed, "code_replayed")
	case !ex.now.Before(g.AuthCodeExpiresAt):
		return refuse(errInvalidGrant, "the authorization code has expired")
	}
	if err := usable(g); err != nil {
		return err
	}
	form, err := ex.request()
	if err != nil {
		return err
	}
	if !verifierFits(form.Form.Get("code_challenge"), ex.form.Get("code_verifier")) {
		ex.events = append(ex.events, ex.event(ctx, audit.CodePKCEMismatch, audit.Failure, "pkce_mismatch"))
		return refuse(errInvalidGrant, "code_verifier does not fit")
	}
	return nil
}

// useAuthCode tries the hash of each readable generation of the key (KEY-06).
func (s *grants) useAuthCode(ctx context.Context, ex *exchange, code string) (storage.Grant, bool, error) {
	for _, hash := range s.keys.Hashes(secret.TokenHash, code) {
		g, used, err := s.store.UseAuthCode(ctx, hash, ex.client.ID, ex.now)
		if err == nil || !notFound(err) {
			return g, used, err
		}
	}
	return storage.Grant{}, false, fosite.ErrNotFound
}

// usable refuses what was withdrawn: the grant, the person, or their phone (OA-55, OTP-23); fosite knows no persons
// (A27).
func usable(g storage.Grant) error {
	if !g.RevokedAt.IsZero() || g.Barred {
		return refuse(errInvalidGrant, "the grant is no longer valid")
	}
	return nil
}

// revokeFamily answers the second presentation of a code or refresh token by its own client: whoever holds the tokens
// that came of the first may be a thief (OA-24, OA-51).
func (s *grants) revokeFamily(ctx context.Context, ex *exchange, kind, reason string) error {
	if _, err := s.store.RevokeGrant(ctx, ex.grant.ID, reason, ex.now); err != nil {
		return fmt.Errorf("revoke grant after replay: %w", err)
	}
	ex.final = true
	ex.events = append(ex.events, ex.event(ctx, kind, audit.Failure, reason))
	return refuse(errInvalidGrant, "it was used before")
}

// GetRefreshTokenSession burns the refresh token at its first call in an exchange and returns its grant.
func (s *grants) GetRefreshTokenSession(ctx context.Context, token string, _ fosite.Session) (fosite.Requester, error) {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	if ex.grant.ID == "" {
		if err := s.burnRefreshToken(ctx, ex, token); err != nil {
			return nil, err
		}
	}
	return ex.request()
}

func (s *grants) burnRefreshToken(ctx context.Context, ex *exchange, token string) error {
	if !wellFormed(token, prefixRefresh) {
		return fosite.ErrNotFound
	}
	t, g, used, err := s.useRefreshToken(ctx, ex, token)
	if err != nil {
		return err
	}
	ex.grant, ex.scopes = g, g.Scopes
	switch {
	case !used && !t.UsedAt.IsZero():
		return s.revokeFamily(ctx, ex, audit.TokenReuse, "refresh_token_reused")
	case !used:
		return refuse(errInvalidGrant, "the refresh token was revoked")
	case !ex.now.Before(t.ExpiresAt), !ex.now.Before(g.RefreshUntil):
		return refuse(errInvalidGrant, "the refresh token has expired")
	}
	if err := usable(g); err != nil {
		return err
	}
	return ex.narrow()
}

func (s *grants) useRefreshToken(ctx context.Context, ex *exchange, token string) (storage.Token, storage.Grant, bool, error) {
	for _, hash := range s.keys.Hashes(secret.TokenHash, token) {
		t, g, used, err := s.store.UseRefreshToken(ctx, hash, ex.client.ID, ex.now)
		if err == nil || !notFound(err) {
			return t, g, used, err
		}
	}
	return storage.Token{}, storage.Grant{}, false, fosite.ErrNotFound
}

// narrow applies the scope parameter of a refresh (RFC 6749 §6): fewer than granted, never more (OA-56). fosite ignores
// it. The refusal does not cost the client its refresh token: the transaction rolls back.
func (ex *exchange) narrow() error {
	asked := words(ex.form.Get("scope"))
	for _, scope := range asked {
		if !slices.Contains(ex.grant.Scopes, scope) {
			return refuse(errInvalidScope, "scope exceeds what was granted")
		}
	}
	for _, scope := range ex.grant.Scopes {
		if !slices.Contains(ex.client.Scopes, scope) { // OA-55: still on the client's list
			return refuse(errInvalidScope, "this client may no longer have what was granted")
		}
	}
	if len(asked) > 0 {
		ex.scopes = asked
	}
	return nil
}

// CreateAccessTokenSession adds the access token to those that the handler will insert.
func (s *grants) CreateAccessTokenSession(ctx context.Context, token string, _ fosite.Requester) error {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return err
	}
	t := s.token(ex, storage.AccessToken, token, ex.scopes, ex.now.Add(s.lifetimes.AccessToken))
	t.JTI = ex.jti
	ex.tokens = append(ex.tokens, t)
	return nil
}

// CreateRefreshTokenSession adds the refresh token. Its idle life slides inside the absolute end that was fixed with the
// grant; fosite would begin a new life with each rotation (A7, OA-54). It keeps all scopes of the grant when the access
// token got fewer.
func (s *grants) CreateRefreshTokenSession(ctx context.Context, token, _ string, _ fosite.Requester) error {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return err
	}
	end := ex.now.Add(s.lifetimes.RefreshIdle)
	if end.After(ex.grant.RefreshUntil) {
		end = ex.grant.RefreshUntil
	}
	ex.tokens = append(ex.tokens, s.token(ex, storage.RefreshToken, token, ex.grant.Scopes, end))
	return nil
}

func (s *grants) token(ex *exchange, kind storage.TokenKind, token string, scopes []string, end time.Time) storage.Token {
	return storage.Token{
		Hash: s.hash(token), Kind: kind, GrantID: ex.grant.ID, ClientID: ex.client.ID, JTI: storage.NewID(),
		Scopes: scopes, Audience: ex.grant.Audience, IssuedAt: ex.now, ExpiresAt: end,
	}
}

// GetOpenIDConnectSession returns the grant of the exchange if it is an OpenID one. The code is burned by then.
func (s *grants) GetOpenIDConnectSession(ctx context.Context, _ string, _ fosite.Requester) (fosite.Requester, error) {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(ex.scopes, scopeOpenID) {
		return nil, openid.ErrNoSessionFound
	}
	return ex.request()
}
