package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/parola-id/parola/idp/signing"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// maxJWT bounds the access tokens that are looked at, in bytes.
const maxJWT = 8 << 10

// errDeadToken says that a string is no access token of ours, or one that has ended, was revoked, or whose person or
// client may no longer use it. Which of these is nobody's business.
var errDeadToken = errors.New("not a live access token")

// liveAccessToken finds an access token. Refresh tokens, ID tokens and AuthCodes are not access tokens (OA-42). An RFC
// 9068 token is read twice: its signature, so that a withdrawn key ends it (KEY-05), and its row, so that a revocation
// does. Any error but errDeadToken is an outage.
func (p *Provider) liveAccessToken(ctx context.Context, text string) (storage.PresentedToken, error) {
	switch {
	case wellFormed(text, prefixAccess):
	case looksLikeJWT(text):
		if err := p.checkJWTAccessToken(ctx, text); err != nil {
			return storage.PresentedToken{}, err
		}
	default:
		return storage.PresentedToken{}, errDeadToken
	}
	t, err := p.findToken(ctx, storage.AccessToken, text)
	if notFound(err) {
		return storage.PresentedToken{}, errDeadToken
	}
	if err != nil {
		return storage.PresentedToken{}, err
	}
	if !usableToken(t, p.Clock.Now()) {
		return storage.PresentedToken{}, errDeadToken
	}
	c, err := p.Store.Client(ctx, t.Grant.ClientID)
	if notFound(err) || err == nil && c.Disabled {
		return storage.PresentedToken{}, errDeadToken
	}
	return t, err
}

func usableToken(t storage.PresentedToken, now time.Time) bool {
	return now.Before(t.ExpiresAt) && t.RevokedAt.IsZero() && t.Grant.RevokedAt.IsZero() && !t.Grant.Barred
}

// findToken looks a token up by the hash of all of it, under each readable generation of the key (OA-82, KEY-06).
func (p *Provider) findToken(ctx context.Context, kind storage.TokenKind, text string) (storage.PresentedToken, error) {
	for _, hash := range p.Keys.Hashes(secret.TokenHash, text) {
		t, err := p.Store.Token(ctx, kind, hash)
		if err == nil || !notFound(err) {
			return t, err
		}
	}
	return storage.PresentedToken{}, storage.ErrNotFound
}

func looksLikeJWT(text string) bool { return len(text) <= maxJWT && strings.Count(text, ".") == 2 }

func (p *Provider) checkJWTAccessToken(ctx context.Context, text string) error {
	raw, typ, err := p.Signer.Verify(ctx, text)
	if errors.Is(err, signing.ErrInvalid) {
		return errDeadToken
	}
	if err != nil {
		return err
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if typ != typAccessToken || json.Unmarshal(raw, &claims) != nil || claims.Issuer != p.Issuer {
		return errDeadToken
	}
	return nil
}
