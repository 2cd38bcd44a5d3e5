package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
)

var (
	// errInvalid: the token is not good here. The wrapping text says why, for the log alone.
	errInvalid = errors.New("invalid access token")

	// errUnavailable: nothing is known about the token, because the provider did not answer. Clients throw away
	// good tokens on invalid_token, so the two must not be mixed up.
	errUnavailable = errors.New("provider unavailable")
)

// accessToken is what this API believes about a caller after verification.
type accessToken struct {
	Subject  string
	ClientID string
	Scopes   []string
	ACR      string
}

func (t accessToken) hasScope(scope string) bool { return slices.Contains(t.Scopes, scope) }

// tokenVerifier decides whether an access token is good. Both kinds are accepted side by side, because the provider
// chooses the kind per client.
type tokenVerifier struct {
	cfg Config

	mu       sync.Mutex
	provider *provider // nil until the first discovery that worked
}

// provider is what the API needs of the discovery document.
type provider struct {
	keys                  oidc.KeySet
	introspectionEndpoint string
}

func newTokenVerifier(cfg Config) *tokenVerifier { return &tokenVerifier{cfg: cfg} }

// verify returns errInvalid or errUnavailable, wrapped, when the token cannot be accepted.
func (v *tokenVerifier) verify(ctx context.Context, raw string) (accessToken, error) {
	p, err := v.discover(ctx)
	if err != nil {
		return accessToken{}, fmt.Errorf("%w: discovery: %w", errUnavailable, err)
	}
	if header, ok := jwtHeader(raw); ok {
		return v.verifyJWT(ctx, p, header, raw)
	}
	if v.cfg.ClientID == "" || p.introspectionEndpoint == "" {
		return accessToken{}, fmt.Errorf("%w: opaque, and no way to introspect", errInvalid)
	}
	return v.introspect(ctx, p, raw)
}

// discover finds the provider's endpoints once and keeps them; a failed try is repeated with the next token.
func (v *tokenVerifier) discover(ctx context.Context) (*provider, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.provider != nil {
		return v.provider, nil
	}
	// Others wait for this answer too: a caller who hangs up must not take it from them.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), v.cfg.HTTPClient)
	discovered, err := oidc.NewProvider(ctx, v.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var metadata struct {
		JWKSURI               string `json:"jwks_uri"`
		IntrospectionEndpoint string `json:"introspection_endpoint"`
	}
	if err := discovered.Claims(&metadata); err != nil {
		return nil, err
	}
	v.provider = &provider{
		keys:                  oidc.NewRemoteKeySet(ctx, metadata.JWKSURI),
		introspectionEndpoint: metadata.IntrospectionEndpoint,
	}
	return v.provider, nil
}

func splitScope(scope string) []string { return strings.Fields(scope) }
