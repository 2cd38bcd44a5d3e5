package oidc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func bearerRequest(method, token string) *http.Request {
	return withAuthorization(httptest.NewRequest(method, deskIssuer+"/userinfo", nil), "Bearer "+token)
}

func (d *desk) userInfoOf(token string) *httptest.ResponseRecorder {
	d.Helper()
	return d.serve(d.UserInfo, bearerRequest(http.MethodGet, token))
}

// wantNoToken checks the refusal of RFC 6750 §3.1.
func (d *desk) wantNoToken(w *httptest.ResponseRecorder) {
	d.Helper()
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Header().Get("WWW-Authenticate"), `Bearer realm="parola", error="invalid_token"`) {
		d.Errorf("got %d with %q, want 401 invalid_token", w.Code, w.Header().Get("WWW-Authenticate"))
	}
}

func TestOA80_ClaimsFollowTheScopes(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	d.addPhone("+393331234567", d.clock.Now())
	for _, tt := range []struct {
		scopes string
		want   []string
	}{
		{"openid", nil},
		{"openid profile", []string{"name", "preferred_username", "updated_at"}},
		{"openid email", []string{"email", "email_verified"}},
		{"openid address", []string{"address"}},
		{"openid phone", []string{"phone_number", "phone_number_verified"}},
		{"openid read", nil},
	} {
		t.Run(tt.scopes, func(t *testing.T) {
			g := d.addGrant(c, func(g *storage.Grant) { g.Scopes = strings.Fields(tt.scopes) })
			token := d.addToken(g, storage.AccessToken)
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				w := d.serve(d.UserInfo, bearerRequest(method, token))
				claims := d.body(w)
				if w.Code != http.StatusOK || claims["sub"] != d.person.ID || w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %d %s", method, w.Code, w.Body)
				}
				if len(claims) != len(tt.want)+1 {
					t.Errorf("%s: claims %v, want sub and %v", method, claims, tt.want)
				}
				for _, name := range tt.want {
					if claims[name] == nil {
						t.Errorf("%s: no %s", method, name)
					}
				}
			}
		})
	}
}

func TestDAT03_APhoneIsVerifiedWhenItIs(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	token := d.addToken(d.addGrant(c, nil), storage.AccessToken)
	if claims := d.body(d.userInfoOf(token)); claims["phone_number"] != nil || claims["phone_number_verified"] != nil {
		t.Errorf("without a phone: %v", claims)
	}
	d.addPhone("+393331234567", time.Time{})
	if claims := d.body(d.userInfoOf(token)); claims["phone_number"] != "+393331234567" || claims["phone_number_verified"] != false {
		t.Errorf("an unverified phone: %v, %v", claims["phone_number"], claims["phone_number_verified"])
	}
	d.addPhone("+393331234567", d.clock.Now())
	if claims := d.body(d.userInfoOf(token)); claims["phone_number_verified"] != true {
		t.Errorf("a verified phone: %v", claims["phone_number_verified"])
	}
}

// deadTokens are strings that no endpoint takes for an access token, by why.
func (d *desk) deadTokens(c storage.Client) map[string]string {
	d.Helper()
	live := d.addGrant(c, nil)
	good := d.addToken(live, storage.AccessToken)
	expiredToken := d.addToken(live, storage.AccessToken)
	d.clock.Advance(d.Lifetimes.AccessToken)
	revokedToken, revokedGrant := d.addToken(live, storage.AccessToken), d.addGrant(c, nil)
	ofRevoked := d.addToken(revokedGrant, storage.AccessToken)
	gone, _ := d.addClient(func(c *storage.Client) { c.Disabled = true })
	ofGone := d.addToken(d.addGrant(gone, nil), storage.AccessToken)
	now := d.clock.Now()
	d.tx(func(ctx context.Context) error {
		if _, err := d.store.RevokeToken(ctx, d.Keys.Hash("token-hash", revokedToken), now); err != nil {
			return err
		}
		_, err := d.store.RevokeGrant(ctx, revokedGrant.ID, "test", now)
		return err
	})
	jwt := d.addJWT(live, typAccessToken, deskIssuer)
	return map[string]string{
		"expired":                    expiredToken,
		"revoked":                    revokedToken,
		"of a revoked grant":         ofRevoked,
		"of a disabled client":       ofGone,
		"a refresh token":            d.addToken(live, storage.RefreshToken),
		"an ID token":                d.addJWT(live, typIDToken, deskIssuer),
		"a logout token":             d.addJWT(live, "logout+jwt", deskIssuer),
		"a JWT of another issuer":    d.addJWT(live, typAccessToken, "https://other.example"),
		"a JWT with another payload": strings.Split(jwt, ".")[0] + ".e30." + strings.Split(jwt, ".")[2],
		"OA-82: another random part": "pa_" + newToken("")[:20] + good[len(good)-23:],
		"OA-82: one byte more":       good + "A",
		"OA-82: one byte less":       good[:len(good)-1],
		"the hash in the database":   d.Keys.Hash("token-hash", good),
		"an AuthCode":                newToken(prefixAuthCode),
		"a token nobody issued":      newToken(prefixAccess),
		"with a zero byte":           "pa_\x00",
		"noise":                      "x",
		"a JWT of nobody":            "a.b.c",
		"endless":                    strings.Repeat("a.", 1<<16),
		"a JWT without a row in the store": func() string {
			t, _ := d.signer.Sign(d.Context(), "ES256", typAccessToken, accessTokenClaims{Issuer: deskIssuer})
			return t
		}(),
	}
}

func TestOA42_OA82_OnlyLiveAccessTokensOpenUserInfo(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	for name, token := range d.deadTokens(c) {
		t.Run(name, func(t *testing.T) { d.TB = t; d.wantNoToken(d.userInfoOf(token)) })
	}
	d.TB = t
	if w := d.userInfoOf(d.addJWT(d.addGrant(c, nil), typAccessToken, deskIssuer)); w.Code != http.StatusOK {
		t.Errorf("an RFC 9068 access token: %d %s", w.Code, w.Body)
	}
}

func TestA27_TokensOfABarredPersonAreDead(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	token := d.addToken(d.addGrant(c, nil), storage.AccessToken)
	d.person.DisabledAt = d.clock.Now()
	d.tx(func(ctx context.Context) error { return d.store.UpdatePerson(ctx, d.person) })
	d.wantNoToken(d.userInfoOf(token))
}

func TestKEY05_AWithdrawnKeyEndsItsAccessTokens(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	token := d.addJWT(d.addGrant(c, nil), typAccessToken, deskIssuer)
	keys, err := d.signer.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.tx(func(ctx context.Context) error {
		_, err := d.store.MoveSigningKey(ctx, keys[0].KID, storage.KeyCurrent, storage.KeyRetired, d.clock.Now())
		return err
	})
	d.clock.Advance(time.Second)
	d.wantNoToken(d.userInfoOf(token))
}

func TestOA47_TheTokenComesInTheHeaderAlone(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	token := d.addToken(d.addGrant(c, nil), storage.AccessToken)
	twice := bearerRequest(http.MethodGet, token)
	twice.Header.Add("Authorization", "Bearer "+token)
	both := bearerRequest(http.MethodGet, token)
	both.URL.RawQuery = "access_token=" + token
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
	}{
		"nothing":         {httptest.NewRequest(http.MethodGet, deskIssuer+"/userinfo", nil), http.StatusUnauthorized},
		"in the URL":      {httptest.NewRequest(http.MethodGet, deskIssuer+"/userinfo?access_token="+token, nil), http.StatusUnauthorized},
		"in the body":     {formRequest("access_token", token), http.StatusUnauthorized},
		"as Basic":        {withAuthorization(formRequest(), "Basic "+token), http.StatusUnauthorized},
		"without a token": {withAuthorization(formRequest(), "Bearer "), http.StatusUnauthorized},
		"twice":           {twice, http.StatusBadRequest},
		"header and URL":  {both, http.StatusBadRequest},
	} {
		w := d.serve(d.UserInfo, tt.r)
		if w.Code != tt.status || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer ") || strings.Contains(w.Body.String(), d.person.ID) {
			t.Errorf("%s: %d with %q, want %d", name, w.Code, w.Header().Get("WWW-Authenticate"), tt.status)
		}
	}
	if w := d.serve(d.UserInfo, bearerRequest(http.MethodPut, token)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", w.Code)
	}
	if w := d.serve(d.UserInfo, withAuthorization(httptest.NewRequest(http.MethodGet, "/", nil), "bearer "+token)); w.Code != http.StatusOK {
		t.Errorf("the scheme in lower case: %d", w.Code)
	}
}

func TestOA80_TheOpenIDScopeIsNeeded(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	token := d.addToken(d.addGrant(c, func(g *storage.Grant) { g.Scopes = []string{"profile"} }), storage.AccessToken)
	w := d.userInfoOf(token)
	if w.Code != http.StatusForbidden || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="insufficient_scope"`) {
		t.Errorf("got %d with %q, want 403 insufficient_scope", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	ownToken := d.addToken(d.addGrant(c, func(g *storage.Grant) { g.PersonID = "" }), storage.AccessToken)
	d.wantNoToken(d.userInfoOf(ownToken))
}

func TestOA37_UserInfoDuringAnOutage(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	token := d.addToken(d.addGrant(c, nil), storage.AccessToken)
	for _, call := range []string{"Token", "Client", "PhoneOf"} {
		d.faults.fail(call)
		d.wantOutage(d.userInfoOf(token))
	}
}

func BenchmarkUserInfo(b *testing.B) {
	d := newDesk(b)
	c, _ := d.addClient(nil)
	d.addPhone("+393331234567", d.clock.Now())
	opaque, signed := d.addGrant(c, nil), d.addGrant(c, nil)
	for name, token := range map[string]string{
		"sqlite/opaque": d.addToken(opaque, storage.AccessToken), "sqlite/jwt": d.addJWT(signed, typAccessToken, deskIssuer),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if w := d.userInfoOf(token); w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
