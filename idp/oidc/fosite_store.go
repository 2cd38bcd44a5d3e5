package oidc

import (
	"context"
	"time"

	"github.com/ory/fosite"
)

// What is left of fosite's storage interfaces. grants has done the work of these at an earlier call, or another file
// does it without fosite.

// BeginTX joins the transaction that our handler began; without an exchange there is none to join.
func (s *grants) BeginTX(ctx context.Context) (context.Context, error) {
	_, err := exchangeOf(ctx)
	return ctx, err
}

// Commit leaves the commit to our handler.
func (s *grants) Commit(context.Context) error { return nil }

// Rollback leaves the rollback to our handler, which the error reaches.
func (s *grants) Rollback(context.Context) error { return nil }

// InvalidateAuthorizeCodeSession has nothing to do: GetAuthorizeCodeSession burned the code.
func (s *grants) InvalidateAuthorizeCodeSession(context.Context, string) error { return nil }

// RotateRefreshToken has nothing to do: GetRefreshTokenSession burned the token.
func (s *grants) RotateRefreshToken(context.Context, string, string) error { return nil }

// CreateOpenIDConnectSession has nothing to do: the grant holds the nonce.
func (s *grants) CreateOpenIDConnectSession(context.Context, string, fosite.Requester) error {
	return nil
}

// DeleteOpenIDConnectSession has nothing to do: the grant stays.
func (s *grants) DeleteOpenIDConnectSession(context.Context, string) error { return nil }

// The rest is not reached by the handlers in use: replays end in grants, and introspection, revocation and client
// assertions have handlers of our own (A17, A20, A24).

func (s *grants) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errNotUsed
}
func (s *grants) DeleteAccessTokenSession(context.Context, string) error         { return errNotUsed }
func (s *grants) DeleteRefreshTokenSession(context.Context, string) error        { return errNotUsed }
func (s *grants) RevokeRefreshToken(context.Context, string) error               { return errNotUsed }
func (s *grants) RevokeAccessToken(context.Context, string) error                { return errNotUsed }
func (s *grants) ClientAssertionJWTValid(context.Context, string) error          { return errNotUsed }
func (s *grants) SetClientAssertionJWT(context.Context, string, time.Time) error { return errNotUsed }
