package oidc

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/parola-id/parola/storage"
)

// TestALoginFromAssertionToLogout walks through the tokens of one login as client, resource server and person use them.
func TestALoginFromAssertionToLogout(t *testing.T) {
	f := newFlow(t)
	key := newAssertionKey(t)
	const api = "https://api.example"
	client := f.addClient(func(c *storage.Client) {
		c.AuthMethod, c.JWKS, c.JWTAccessTokens, c.AlwaysRefresh = methodPrivateKeyJWT, key.set(t), true, true
		c.Audience, c.PostLogoutRedirectURIs = []string{api}, []string{goodbye}
	})
	var serverSecret string
	server := f.addClient(func(c *storage.Client) { serverSecret, c.Introspects = f.confidential(c), []string{api} })
	assertion := func() []string {
		now := f.clock.Now()
		return []string{"client_assertion_type", assertionType, "client_assertion", key.sign(t, map[string]any{
			"iss": client.ID, "sub": client.ID, "aud": f.provider.Issuer, "jti": storage.NewID(), "exp": now.Unix() + 60,
		})}
	}
	call := func(h http.HandlerFunc, r *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h(w, r)
		return w
	}
	read := func(w *httptest.ResponseRecorder) (body map[string]any) {
		t.Helper()
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		return body
	}

	code := f.login(authorizeForm(client, "scope", "openid profile")).Get("code")
	tokens := f.token(redeemForm(client, code, assertion()...))
	if tokens.status != http.StatusOK {
		t.Fatalf("token endpoint: %d %s %s", tokens.status, tokens.Error, tokens.Description)
	}
	raw, _, err := f.signer.Verify(t.Context(), tokens.IDToken)
	if err != nil {
		t.Fatal(err)
	}
	var id idTokenClaims
	if err := json.Unmarshal(raw, &id); err != nil {
		t.Fatal(err)
	}

	info := read(call(f.provider.UserInfo, bearerRequest(http.MethodGet, tokens.AccessToken)))
	if info["sub"] != id.Subject || info["preferred_username"] != f.person.Username { // OA-80
		t.Errorf("userinfo %v, ID token subject %s", info, id.Subject)
	}
	introspect := func() map[string]any {
		return read(call(f.provider.Introspect, formRequest("client_id", server.ID, "client_secret", serverSecret, "token", tokens.AccessToken)))
	}
	seen := introspect()
	if seen["active"] != true || seen["acr"] != id.ACR || seen["mfa_channel"] != id.Channel || seen["auth_time"] != float64(id.AuthTime) { // OA-44
		t.Errorf("introspection %v, ID token %+v", seen, id)
	}

	base, err := url.Parse(f.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	logout := httptest.NewRequest(http.MethodGet, "/logout?"+url.Values{
		"id_token_hint": {tokens.IDToken}, "post_logout_redirect_uri": {goodbye}, "state": {"s"},
	}.Encode(), nil)
	for _, cookie := range f.browser.Jar.Cookies(base) {
		logout.AddCookie(cookie)
	}
	if w := call(f.provider.Logout, logout); w.Header().Get("Location") != goodbye+"?state=s" {
		t.Errorf("logout: %d to %q, %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	if seen := introspect(); seen["active"] != false { // OA-57
		t.Errorf("after the logout: %v", seen)
	}
	refresh := url.Values{"grant_type": {grantRefresh}, "refresh_token": {tokens.RefreshToken}}
	proof := assertion()
	refresh.Set(proof[0], proof[1])
	refresh.Set(proof[2], proof[3])
	f.token(refresh).refused(t, http.StatusBadRequest, errInvalidGrant)
}
