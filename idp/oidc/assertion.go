package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/outbound"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

// assertionType is the client_assertion_type of RFC 7523 §2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// assertionAhead is how far ahead an assertion's exp may be (OA-32): so long its jti is remembered.
	assertionAhead = 5 * time.Minute
	// assertionSkew is how far a client's clock may be ahead of ours where its claims speak of the past.
	assertionSkew = 30 * time.Second
	maxJTI        = 512
)

// assertionAlgs are the algorithms of client assertions: no `none`, no HMAC (OA-32, OA-40).
var assertionAlgs = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA}

func assertionAlgNames() []string {
	names := make([]string, len(assertionAlgs))
	for i, alg := range assertionAlgs {
		names[i] = string(alg)
	}
	return names
}

// assertion is a client assertion that was parsed; its signature is not verified yet.
type assertion struct {
	jws *jose.JSONWebSignature

	Issuer, Subject, Audience, JTI string
	Expires                        time.Time
	// IssuedAt and NotBefore are zero when absent.
	IssuedAt, NotBefore time.Time
}

// parseAssertion reads a client assertion (RFC 7523 §3). The aud must be one string: of a list, another receiver could
// pass the assertion on to us (7523bis).
func parseAssertion(kind, token string) (assertion, error) {
	if kind != assertionType || token == "" {
		return assertion{}, refuse(errInvalidRequest, "client_assertion_type must be "+assertionType)
	}
	jws, err := jose.ParseSignedCompact(token, assertionAlgs)
	if err != nil {
		return assertion{}, clientRefused(false)
	}
	members, err := strictObject(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return assertion{}, clientRefused(false)
	}
	a := assertion{jws: jws}
	for name, to := range map[string]*string{"iss": &a.Issuer, "sub": &a.Subject, "aud": &a.Audience, "jti": &a.JTI} {
		if json.Unmarshal(members[name], to) != nil || *to == "" {
			return assertion{}, clientRefused(false)
		}
	}
	for name, to := range map[string]*time.Time{"exp": &a.Expires, "iat": &a.IssuedAt, "nbf": &a.NotBefore} {
		if raw, sent := members[name]; sent || name == "exp" {
			if *to, err = numericDate(raw); err != nil {
				return assertion{}, clientRefused(false)
			}
		}
	}
	return a, nil
}

// numericDate reads a NumericDate of RFC 7519 §2, which may have a fraction.
func numericDate(raw json.RawMessage) (time.Time, error) {
	var seconds float64
	if raw == nil || string(raw) == "null" || json.Unmarshal(raw, &seconds) != nil {
		return time.Time{}, errors.New("not a number")
	}
	if seconds <= 0 || seconds > math.MaxInt32*16 {
		return time.Time{}, errors.New("not a date")
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
}

// acceptable says whether the claims allow the assertion to be used now, by the rules of RFC 7523 §3 and OA-32.
// audiences are the names by which we may be meant. It is pure.
func (a assertion) acceptable(clientID string, audiences []string, now time.Time) bool {
	switch {
	case a.Issuer != clientID || a.Subject != clientID:
	case !slices.Contains(audiences, a.Audience):
	case len(a.JTI) > maxJTI:
	case !now.Before(a.Expires) || a.Expires.After(now.Add(assertionAhead)):
	case a.IssuedAt.After(now.Add(assertionSkew)) || a.NotBefore.After(now.Add(assertionSkew)):
	default:
		return true
	}
	return false
}

// checkAssertion returns why the assertion does not authenticate c, or an empty reason; an error is an outage.
func (p *Provider) checkAssertion(ctx context.Context, c storage.Client, a assertion) (reason string, err error) {
	now := p.Clock.Now()
	if !a.acceptable(c.ID, []string{p.Issuer, p.endpoint(pathToken)}, now) {
		return reasonBadAssertion, nil
	}
	alg := a.jws.Signatures[0].Protected.Algorithm
	if c.AssertionAlg != "" && c.AssertionAlg != alg {
		return reasonBadAssertion, nil
	}
	keys, err := p.clientKeys(ctx, c, a.jws.Signatures[0].Protected.KeyID)
	if errors.Is(err, outbound.ErrBlocked) {
		return reasonBadKeyAddress, nil
	}
	if err != nil {
		return "", fmt.Errorf("read keys of client %s: %w", c.ID, err)
	}
	if !signedByOne(a.jws, keys) {
		return reasonBadAssertion, nil
	}
	fresh, err := p.useAssertion(ctx, c.ID, a.JTI, a.Expires, now)
	if err != nil {
		return "", fmt.Errorf("use client assertion: %w", err)
	}
	if !fresh {
		return reasonBadAssertion, nil
	}
	return "", nil
}

func (p *Provider) clientKeys(ctx context.Context, c storage.Client, kid string) ([]jose.JSONWebKey, error) {
	set := c.JWKS
	if len(set) == 0 && c.JWKSURI != "" && p.ClientKeys != nil {
		var err error
		if set, err = p.ClientKeys.KeySet(ctx, c.ID, c.JWKSURI, kid); err != nil {
			return nil, err
		}
	}
	if len(set) == 0 {
		return nil, nil
	}
	return outbound.ParseKeySet(set)
}

// signedByOne says whether one of the registered keys made the signature. A kid in the header must name the key, and a
// key that states its algorithm is used with no other. Keys that the header itself brings are never looked at (OA-41).
func signedByOne(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) bool {
	header := jws.Signatures[0].Protected
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if _, err := jws.Verify(key.Key); err == nil {
			return true
		}
	}
	return false
}

// useAssertion remembers the jti of a client until the assertion has expired; the one insert decides (A17, REL-01). A
// second use is recorded, never sampled: the signature was right, so somebody has a copy of the client's request.
func (p *Provider) useAssertion(ctx context.Context, clientID, jti string, until, now time.Time) (fresh bool, err error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d|%s|%s", len(clientID), clientID, jti))
	key := "assertion:" + base64.RawURLEncoding.EncodeToString(sum[:])
	err = p.Store.InTx(ctx, func(ctx context.Context) error {
		if fresh, err = p.Store.UseOnce(ctx, key, until, now); err != nil || fresh {
			return err
		}
		info := reqinfo.From(ctx)
		return p.Audit.Write(ctx, storage.Event{
			Kind: audit.AssertionReplay, Outcome: audit.Failure, Reason: "jti_used", ClientID: clientID,
			CorrelationID: info.CorrelationID, SourceAddr: info.Source, UserAgent: info.UserAgent,
		})
	})
	return fresh, err
}
