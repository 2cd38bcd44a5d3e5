package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"

	"github.com/parola-id/parola/storage"
)

// The prefixes of what we hand out: they let a secret scanner know a leaked token, and let us drop nonsense before it
// costs a query.
const (
	prefixAuthCode = "pc_"
	prefixAccess   = "pa_"
	prefixRefresh  = "pr_"
)

const tokenBytes = 32 // 256 bits (ASVS V11.5.1)

func newToken(prefix string) string {
	var b [tokenBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// wellFormed says whether s could be a token of that prefix.
func wellFormed(s, prefix string) bool {
	body, ok := strings.CutPrefix(s, prefix)
	return ok && len(body) == base64.RawURLEncoding.EncodedLen(tokenBytes) &&
		strings.Trim(body, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// tokenStrategy makes AuthCodes and tokens. fosite's own ones consist of a random part and a signature, and are found
// and revoked by the signature alone (A24); ours have no parts. What fosite calls the signature is here the whole
// token, and the store keeps a keyed hash of all of it, so a token with any other byte is another token (OA-82).
//
// The Validate methods have nothing left to do: a token that was found by its hash is genuine, and the store has looked
// at ends and revocation in the transaction that found it (A8).
type tokenStrategy struct {
	issuer    string
	signer    Signer
	lifetimes Lifetimes
}

var (
	_ oauth2.CoreStrategy               = (*tokenStrategy)(nil)
	_ openid.OpenIDConnectTokenStrategy = (*tokenStrategy)(nil)
)

func (s *tokenStrategy) AuthorizeCodeSignature(_ context.Context, token string) string { return token }
func (s *tokenStrategy) AccessTokenSignature(_ context.Context, token string) string   { return token }
func (s *tokenStrategy) RefreshTokenSignature(_ context.Context, token string) string  { return token }

var errNoAuthCode = errors.New("fosite asked for an authorization code where none was derived")

// GenerateAuthorizeCode hands over the AuthCode that our handler derived.
func (s *tokenStrategy) GenerateAuthorizeCode(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return "", "", err
	}
	if ex.authCode == "" {
		return "", "", errNoAuthCode
	}
	return ex.authCode, ex.authCode, nil
}

func (s *tokenStrategy) GenerateRefreshToken(context.Context, fosite.Requester) (token, signature string, err error) {
	token = newToken(prefixRefresh)
	return token, token, nil
}

// GenerateAccessToken makes an opaque token, or an RFC 9068 one for clients that asked for those.
func (s *tokenStrategy) GenerateAccessToken(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return "", "", err
	}
	ex.jti = storage.NewID()
	token = newToken(prefixAccess)
	if ex.client.JWTAccessTokens {
		token, err = s.signer.Sign(ctx, ex.client.IDTokenAlg, typAccessToken, s.accessClaims(ex))
		if err != nil {
			return "", "", err
		}
	}
	ex.accessToken = token
	return token, token, nil
}

// GenerateIDToken implements openid.OpenIDConnectTokenStrategy. fosite's own one compares against the machine's clock,
// adds a claim rat and takes the hash for at_hash from a header that need not be the key's.
func (s *tokenStrategy) GenerateIDToken(ctx context.Context, lifespan time.Duration, r fosite.Requester) (string, error) {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return "", err
	}
	return s.signer.Sign(ctx, ex.client.IDTokenAlg, typIDToken, s.idClaims(ex, r.GetRequestForm().Get("nonce"), lifespan))
}

func (s *tokenStrategy) ValidateAuthorizeCode(context.Context, fosite.Requester, string) error {
	return nil
}
func (s *tokenStrategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return nil
}
func (s *tokenStrategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error {
	return nil
}
