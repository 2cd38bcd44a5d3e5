package oidc

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/storage"
)

// addResourceServer stores a client that may introspect tokens for these audiences.
func (d *desk) addResourceServer(audiences ...string) (storage.Client, string) {
	d.Helper()
	return d.addClient(func(c *storage.Client) {
		c.Introspects, c.GrantTypes = audiences, []string{grantClientCredentials}
	})
}

func (d *desk) introspectAs(c storage.Client, clientSecret, token string) *httptest.ResponseRecorder {
	d.Helper()
	return d.serve(d.Introspect, asClient(formRequest("token", token), c, clientSecret))
}

func TestOA81_AResourceServerLearnsOfItsOwnTokens(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	server, serverSecret := d.addResourceServer("https://api.example")
	g := d.addGrant(c, nil)
	for name, token := range map[string]string{
		"opaque": d.addToken(g, storage.AccessToken), "RFC 9068": d.addJWT(g, typAccessToken, deskIssuer),
	} {
		t.Run(name, func(t *testing.T) {
			w := d.introspectAs(server, serverSecret, token)
			got := d.body(w)
			now := float64(d.clock.Now().Unix())
			for member, want := range map[string]any{
				"active": true, "client_id": c.ID, "sub": d.person.ID, "aud": "https://api.example", "iss": deskIssuer,
				"token_type": "Bearer", "scope": "openid profile email phone address", "iat": now,
				"exp": now + d.Lifetimes.AccessToken.Seconds(), "auth_time": now, "acr": acr.PhoneNoSMS, "mfa_channel": "whatsapp",
			} {
				if got[member] != want {
					t.Errorf("%s is %v, want %v", member, got[member], want)
				}
			}
			if got["jti"] == "" || got["username"] != nil || got["amr"] == nil || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("answer %v", got)
			}
		})
	}
}

func TestA20_OA81_EverybodyElseLearnsNothing(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	server, serverSecret := d.addResourceServer("https://api.example")
	other, otherSecret := d.addResourceServer("https://other.example", "https://api.example/", "https://api")
	g := d.addGrant(c, nil)
	token := d.addToken(g, storage.AccessToken)
	nobodys := d.addToken(d.addGrant(c, func(g *storage.Grant) { g.Audience = nil }), storage.AccessToken)
	wantInactive := func(name string, w *httptest.ResponseRecorder) {
		t.Helper()
		if w.Code != http.StatusOK || w.Body.String() != "{\"active\":false}\n" {
			t.Errorf("%s: %d %s, want only active false", name, w.Code, w.Body)
		}
	}
	wantInactive("the client itself", d.introspectAs(c, clientSecret, token))
	wantInactive("another resource server", d.introspectAs(other, otherSecret, token))
	wantInactive("a token without audience", d.introspectAs(server, serverSecret, nobodys))
	for name, dead := range d.deadTokens(c) {
		if len(dead) < maxValue {
			wantInactive(name, d.introspectAs(server, serverSecret, dead))
		}
	}
	// The word of another token, or of nobody, authorises nothing.
	live := d.addToken(g, storage.AccessToken)
	w := d.serve(d.Introspect, withAuthorization(formRequest("token", live), "Bearer "+live))
	d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
	w = d.serve(d.Introspect, formRequest("token", live))
	d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
	public, _ := d.addClient(func(c *storage.Client) {
		c.AuthMethod, c.Secrets, c.Introspects = methodNone, nil, []string{"https://api.example"}
	})
	w = d.serve(d.Introspect, formRequest("token", live, "client_id", public.ID))
	d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
	w = d.serve(d.Introspect, asClient(formRequest(), server, serverSecret))
	d.wantRefused(w, http.StatusBadRequest, errInvalidRequest)
}

func TestIntrospectionOfATokenWithoutAPersonNamesTheClient(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	server, serverSecret := d.addResourceServer("https://api.example", "https://b.example")
	g := d.addGrant(c, func(g *storage.Grant) {
		g.PersonID, g.SessionID, g.Login = "", "", storage.GrantLogin{}
		g.Audience = []string{"https://api.example", "https://b.example"}
	})
	got := d.body(d.introspectAs(server, serverSecret, d.addToken(g, storage.AccessToken)))
	if got["active"] != true || got["sub"] != c.ID || got["acr"] != nil || got["auth_time"] != nil {
		t.Errorf("answer %v", got)
	}
	if aud, _ := got["aud"].([]any); !slices.Equal(aud, []any{"https://api.example", "https://b.example"}) {
		t.Errorf("aud %v", got["aud"])
	}
}

func TestOA37_IntrospectionDuringAnOutage(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	server, serverSecret := d.addResourceServer("https://api.example")
	token := d.addToken(d.addGrant(c, nil), storage.AccessToken)
	for _, call := range []string{"Token", "Client"} {
		d.faults.fail(call)
		d.wantOutage(d.introspectAs(server, serverSecret, token))
	}
}

func BenchmarkIntrospect(b *testing.B) {
	d := newDesk(b)
	c, _ := d.addClient(nil)
	server, serverSecret := d.addResourceServer("https://api.example")
	token := d.addToken(d.addGrant(c, nil), storage.AccessToken)
	b.Run("sqlite", func(b *testing.B) {
		for b.Loop() {
			if w := d.introspectAs(server, serverSecret, token); w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
	})
}
