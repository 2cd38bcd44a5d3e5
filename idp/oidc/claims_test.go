package oidc

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	rp "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/storage"
)

// verifier is a relying party's, from a library that is not ours.
func (f *flow) verifier(c storage.Client, algs ...string) *rp.IDTokenVerifier {
	f.t.Helper()
	raw, err := f.signer.JWKS(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		f.t.Fatal(err)
	}
	keys := new(rp.StaticKeySet)
	for _, k := range set.Keys {
		keys.PublicKeys = append(keys.PublicKeys, k.Key.(crypto.PublicKey))
	}
	return rp.NewVerifier(f.provider.Issuer, keys, &rp.Config{ClientID: c.ID, SupportedSigningAlgs: algs, Now: f.clock.Now})
}

func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func header(t *testing.T, token string) map[string]any {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	return payload(t, "."+head+".")
}

func TestOA45_IDTokenSatisfiesARelyingParty(t *testing.T) {
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			f := newFlow(t)
			c := f.addClient(func(c *storage.Client) { c.IDTokenAlg = alg })
			tokens := f.issued(c)
			id, err := f.verifier(c, alg).Verify(context.Background(), tokens.IDToken)
			if err != nil {
				t.Fatal(err)
			}
			if err := id.VerifyAccessToken(tokens.AccessToken); err != nil {
				t.Errorf("at_hash: %v", err)
			}
			_, grant := f.grantOf(tokens.AccessToken)
			want := map[string]any{
				"iss": f.provider.Issuer, "sub": f.person.ID, "aud": c.ID, "nonce": testNonce, "sid": grant.SessionID,
				"iat": float64(f.clock.Now().Unix()), "exp": float64(f.clock.Now().Add(5 * time.Minute).Unix()),
				"auth_time": float64(f.clock.Now().Unix()), "acr": acr.PhoneNoSMS, "amr": []any{"pwd", "otp", "mca", "mfa"},
				"mfa_channel": "whatsapp", "at_hash": id.AccessTokenHash,
			}
			if got := payload(t, tokens.IDToken); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
			if got := header(t, tokens.IDToken); got["typ"] != "JWT" || got["alg"] != alg || got["kid"] == "" {
				t.Errorf("header %v", got)
			}
		})
	}
}

func TestOA44_ARefreshTellsTheSameLogin(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(func(c *storage.Client) { c.JWTAccessTokens = true })
	id := f.begun(f.authorize(authorizeForm(c)))
	f.signIn(id, func(_ *storage.AuthRequest, s *storage.Session) {
		facts := acr.Passcode(true)
		s.ACR, s.AMR, s.Channel = facts.ACR, facts.AMR, facts.Channel
	})
	login := f.clock.Now()
	first := f.token(redeemForm(c, f.answered(f.resume(id)).Get("code")))
	f.clock.Advance(time.Hour)
	second := f.token(refreshForm(c, first.RefreshToken))
	for _, tokens := range []tokenReply{first, second} {
		for _, token := range []string{tokens.IDToken, tokens.AccessToken} {
			got := payload(t, token)
			if got["acr"] != acr.Phone || got["mfa_channel"] != "sms" || got["auth_time"] != float64(login.Unix()) ||
				!reflect.DeepEqual(got["amr"], []any{"pwd", "otp", "mca", "mfa", "sms"}) {
				t.Errorf("got %v", got)
			}
		}
	}
	if _, err := f.verifier(c, "ES256").Verify(context.Background(), second.IDToken); err != nil {
		t.Error(err)
	}
	// Core §12.2: a refreshed ID token has no nonce, and a new iat. fosite's JWT access tokens keep the first one.
	if got := payload(t, second.IDToken); got["nonce"] != nil || got["iat"] != float64(f.clock.Now().Unix()) {
		t.Errorf("got %v", got)
	}
	if got := payload(t, second.AccessToken); got["iat"] != float64(f.clock.Now().Unix()) || got["jti"] == payload(t, first.AccessToken)["jti"] {
		t.Errorf("got %v", got)
	}
}

func TestOA43_JWTAccessToken(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(func(c *storage.Client) {
		c.JWTAccessTokens, c.Audience = true, []string{"https://api.example", "https://b.example"}
	})
	tokens := f.issued(c)
	token, grant := f.grantOf(tokens.AccessToken)
	want := map[string]any{
		"iss": f.provider.Issuer, "sub": f.person.ID, "aud": "https://api.example", "client_id": c.ID, "jti": token.JTI,
		"iat": float64(f.clock.Now().Unix()), "exp": float64(f.clock.Now().Add(10 * time.Minute).Unix()), "sid": grant.SessionID,
		"scope": "openid offline_access", "auth_time": float64(f.clock.Now().Unix()), "acr": acr.PhoneNoSMS,
		"amr": []any{"pwd", "otp", "mca", "mfa"}, "mfa_channel": "whatsapp",
	}
	if got := payload(t, tokens.AccessToken); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if got := header(t, tokens.AccessToken); got["typ"] != "at+jwt" {
		t.Errorf("header %v", got)
	}
	// OA-42: what a relying party takes for an ID token is not one.
	if claims, typ, err := f.signer.Verify(context.Background(), tokens.AccessToken); err != nil || typ == typIDToken {
		t.Errorf("%s %s %v", claims, typ, err)
	}
}

func TestRFC9068_ATokenWithoutAPersonIsAboutTheClient(t *testing.T) {
	f := newFlow(t)
	var clear string
	c := f.addClient(func(c *storage.Client) {
		clear, c.GrantTypes, c.JWTAccessTokens = f.confidential(c), []string{"client_credentials"}, true
	})
	got := f.token(map[string][]string{"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {clear}, "scope": {"read"}})
	claims := payload(t, got.AccessToken)
	if claims["sub"] != c.ID || claims["aud"] != f.provider.Issuer || claims["acr"] != nil || claims["auth_time"] != nil {
		t.Errorf("got %v", claims)
	}
}
