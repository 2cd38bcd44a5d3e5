package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// joseHeader is the part of a JWT's header that decides whether it is an access token at all.
type joseHeader struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
}

// jwtHeader tells a JWT from an opaque token. It proves nothing about either.
func jwtHeader(raw string) (joseHeader, bool) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return joseHeader{}, false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return joseHeader{}, false
	}
	var header joseHeader
	if err := json.Unmarshal(decoded, &header); err != nil || header.Algorithm == "" {
		return joseHeader{}, false
	}
	return header, true
}

// verifyJWT follows RFC 9068 §4. A JWT that the provider has revoked stays good until it expires; an API that cannot
// live with that asks for opaque tokens.
func (v *tokenVerifier) verifyJWT(ctx context.Context, p *provider, header joseHeader, raw string) (accessToken, error) {
	// An ID token is signed by the same key for the same person. Only typ keeps one from being sent here.
	if typ := strings.ToLower(header.Type); typ != "at+jwt" && typ != "application/at+jwt" {
		return accessToken{}, fmt.Errorf("%w: typ is not at+jwt", errInvalid)
	}
	keys := &watchedKeys{KeySet: p.keys}
	verifier := oidc.NewVerifier(v.cfg.Issuer, keys, &oidc.Config{
		ClientID: v.cfg.Audience, // go-oidc's name for the aud that must be present
		SupportedSigningAlgs: []string{
			oidc.RS256, oidc.ES256, oidc.PS256, oidc.EdDSA,
		},
		Now: v.cfg.Now,
	})
	token, err := verifier.Verify(ctx, raw)
	if keys.unavailable {
		return accessToken{}, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	if err != nil {
		return accessToken{}, fmt.Errorf("%w: %w", errInvalid, err)
	}
	var claims struct {
		ClientID string `json:"client_id"`
		JWTID    string `json:"jti"`
		Scope    string `json:"scope"`
		ACR      string `json:"acr"`
	}
	if err := token.Claims(&claims); err != nil {
		return accessToken{}, fmt.Errorf("%w: %w", errInvalid, err)
	}
	if token.Subject == "" || claims.ClientID == "" || claims.JWTID == "" {
		return accessToken{}, fmt.Errorf("%w: sub, client_id or jti is missing", errInvalid)
	}
	return accessToken{
		Subject:  token.Subject,
		ClientID: claims.ClientID,
		Scopes:   splitScope(claims.Scope),
		ACR:      claims.ACR,
	}, nil
}

// watchedKeys remembers whether a verification failed because the keys could not be fetched. go-oidc's verifier
// flattens that error into text, and a forged signature must not look like an outage, nor the reverse.
type watchedKeys struct {
	oidc.KeySet
	unavailable bool
}

func (k *watchedKeys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	// The remote key set wraps what came from the network and nothing else.
	k.unavailable = errors.Unwrap(err) != nil
	return payload, err
}
