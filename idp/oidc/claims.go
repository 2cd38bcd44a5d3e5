package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"

	"github.com/parola-id/parola/idp/signing"
	"github.com/parola-id/parola/storage"
)

// The typ of each kind of signed token; no endpoint takes one for another (OA-42).
const (
	typIDToken     = "JWT"
	typAccessToken = "at+jwt" // RFC 9068 §2.1
)

// loginClaims describe the login. They come from the grant, where they were frozen, and so are the same in every token
// and after every refresh (OA-44).
type loginClaims struct {
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	Channel  string   `json:"mfa_channel,omitempty"`
}

func newLoginClaims(l storage.GrantLogin) loginClaims {
	c := loginClaims{ACR: l.ACR, AMR: l.AMR, Channel: l.Channel}
	if !l.AuthTime.IsZero() {
		c.AuthTime = l.AuthTime.Unix()
	}
	return c
}

// idTokenClaims are Core §2.
type idTokenClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	ExpiresAt int64  `json:"exp"`
	IssuedAt  int64  `json:"iat"`
	Nonce     string `json:"nonce,omitempty"`
	SessionID string `json:"sid,omitempty"`
	ATHash    string `json:"at_hash,omitempty"`
	loginClaims
}

func (s *tokenStrategy) idClaims(ex *exchange, nonce string, life time.Duration) idTokenClaims {
	return idTokenClaims{
		Issuer: s.issuer, Subject: ex.grant.PersonID, Audience: ex.client.ID,
		ExpiresAt: ex.now.Add(life).Unix(), IssuedAt: ex.now.Unix(),
		Nonce: nonce, SessionID: ex.grant.SessionID, ATHash: atHash(ex.client.IDTokenAlg, ex.accessToken),
		loginClaims: newLoginClaims(ex.grant.Login),
	}
}

// atHash is Core §3.1.3.6: the left half of the hash that the signature algorithm uses. Ed25519 uses SHA-512.
func atHash(alg, token string) string {
	if alg == signing.EdDSA {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// accessTokenClaims are RFC 9068 §2.2.
type accessTokenClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	ClientID  string `json:"client_id"`
	ExpiresAt int64  `json:"exp"`
	IssuedAt  int64  `json:"iat"`
	JTI       string `json:"jti"`
	Scope     string `json:"scope,omitempty"`
	SessionID string `json:"sid,omitempty"`
	loginClaims
}

// accessClaims builds the claims anew for each token: fosite keeps and reuses one object, so that a refreshed token
// would have the first one's iat. The audience is one resource server (OA-43); a client without one of its own gets
// tokens for the userinfo endpoint, which is the issuer's. A token without a person is about the client (RFC 9068 §2.2).
func (s *tokenStrategy) accessClaims(ex *exchange) accessTokenClaims {
	c := accessTokenClaims{
		Issuer: s.issuer, Subject: ex.grant.PersonID, Audience: s.issuer, ClientID: ex.client.ID,
		ExpiresAt: ex.now.Add(s.lifetimes.AccessToken).Unix(), IssuedAt: ex.now.Unix(), JTI: ex.jti,
		Scope: strings.Join(ex.scopes, " "), SessionID: ex.grant.SessionID,
		loginClaims: newLoginClaims(ex.grant.Login),
	}
	if len(ex.grant.Audience) > 0 {
		c.Audience = ex.grant.Audience[0]
	}
	if c.Subject == "" {
		c.Subject = ex.client.ID
	}
	return c
}

// Claims is what fosite calls a session. fosite only passes it along: subjects, ends and claims come from the grant of
// the exchange. GetExpiresAt is always zero, so that fosite tells the configured life as expires_in instead of
// comparing with the machine's clock.
type Claims struct {
	id      *jwt.IDTokenClaims
	headers *jwt.Headers
}

var _ openid.Session = (*Claims)(nil)

func newClaims(g storage.Grant) *Claims {
	return &Claims{id: &jwt.IDTokenClaims{Subject: g.PersonID}, headers: &jwt.Headers{Extra: map[string]any{}}}
}

// IDTokenClaims implements openid.Session.
func (c *Claims) IDTokenClaims() *jwt.IDTokenClaims { return c.id }

// IDTokenHeaders implements openid.Session.
func (c *Claims) IDTokenHeaders() *jwt.Headers { return c.headers }

// SetExpiresAt implements fosite.Session.
func (c *Claims) SetExpiresAt(fosite.TokenType, time.Time) {}

// GetExpiresAt implements fosite.Session.
func (c *Claims) GetExpiresAt(fosite.TokenType) time.Time { return time.Time{} }

// GetUsername implements fosite.Session.
func (c *Claims) GetUsername() string { return "" }

// GetSubject implements fosite.Session.
func (c *Claims) GetSubject() string { return c.id.Subject }

// Clone implements fosite.Session.
func (c *Claims) Clone() fosite.Session {
	return &Claims{id: &jwt.IDTokenClaims{Subject: c.id.Subject}, headers: &jwt.Headers{Extra: map[string]any{}}}
}

// idTokenHint is what an ID token says that somebody hands back to us.
type idTokenHint struct {
	Subject   string
	Audience  string
	SessionID string
}

var errNotIDToken = errors.New("not an ID token of ours")

// readIDTokenHint checks signature, issuer and kind of an id_token_hint (OA-72); fosite looks at signature and subject
// alone (A22). An expired one is fine. It returns errNotIDToken for anything that is not an ID token of this issuer, a
// JWT access token included.
func (p *Provider) readIDTokenHint(ctx context.Context, token string) (idTokenHint, error) {
	raw, typ, err := p.Signer.Verify(ctx, token)
	if errors.Is(err, signing.ErrInvalid) {
		return idTokenHint{}, errNotIDToken
	}
	if err != nil {
		return idTokenHint{}, err
	}
	var c idTokenClaims
	if json.Unmarshal(raw, &c) != nil || typ != typIDToken || c.Issuer != p.Issuer || c.Subject == "" || c.Audience == "" {
		return idTokenHint{}, errNotIDToken
	}
	return idTokenHint{Subject: c.Subject, Audience: c.Audience, SessionID: c.SessionID}, nil
}
