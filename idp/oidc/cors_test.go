package oidc

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/parola-id/parola/storage"
)

func crossOriginRequest(method, origin string) *http.Request {
	r := httptest.NewRequest(method, deskIssuer+"/endpoint", nil)
	r.Header.Set("Origin", origin)
	if method == http.MethodOptions {
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
		r.Header.Set("Access-Control-Request-Headers", "authorization")
	}
	return r
}

func TestOA12_OnlyRegisteredOriginsMayCall(t *testing.T) {
	d := newDesk(t)
	d.addClient(func(c *storage.Client) { c.CORSOrigins = []string{"https://spa.example"} })
	d.addClient(func(c *storage.Client) { c.CORSOrigins, c.Disabled = []string{"https://old.example"}, true })
	for name, endpoint := range map[string]http.HandlerFunc{"userinfo": d.UserInfo, "revocation": d.Revoke, "token": d.Token} {
		for origin, allowed := range map[string]bool{
			"https://spa.example": true, "https://spa.example:8443": false, "https://SPA.example": false, "http://spa.example": false,
			"https://old.example": false, "https://evil.example": false, "null": false, "*": false,
		} {
			for _, method := range []string{http.MethodOptions, http.MethodPost} {
				w := d.serve(endpoint, crossOriginRequest(method, origin))
				want := ""
				if allowed {
					want = origin
				}
				if got := w.Header().Get("Access-Control-Allow-Origin"); got != want {
					t.Errorf("%s %s from %s: allowed %q, want %q", method, name, origin, got, want)
				}
				if w.Header().Get("Access-Control-Allow-Credentials") != "" || w.Header().Get("Vary") != "Origin" {
					t.Errorf("%s %s from %s: headers %v", method, name, origin, w.Header())
				}
				if method == http.MethodOptions && w.Code != http.StatusNoContent {
					t.Errorf("preflight of %s: %d", name, w.Code)
				}
			}
		}
	}
}

func TestOA12_OriginsRegisteredLaterAreSeen(t *testing.T) {
	d := newDesk(t)
	allowed := func() bool {
		w := d.serve(d.UserInfo, crossOriginRequest(http.MethodOptions, "https://spa.example"))
		return w.Header().Get("Access-Control-Allow-Origin") != ""
	}
	if allowed() {
		t.Fatal("an origin that nobody registered is allowed")
	}
	d.addClient(func(c *storage.Client) { c.CORSOrigins = []string{"https://spa.example"} })
	if !allowed() {
		t.Error("the origin is not allowed")
	}
	d.faults.fail("ListClients")
	d.clock.Advance(originsMaxAge)
	if !allowed() {
		t.Error("an outage of storage shuts out what was allowed")
	}
}

func TestOA12_PublicDocumentsAreForEveryOriginAndPagesForNone(t *testing.T) {
	d := newDesk(t)
	d.addClient(func(c *storage.Client) { c.CORSOrigins = []string{"https://spa.example"} })
	for name, tt := range map[string]struct {
		endpoint http.HandlerFunc
		want     string
	}{
		"discovery": {d.Discovery, "*"}, "JWKS": {d.JWKS, "*"},
		"authorization": {d.Authorize, ""}, "logout": {d.Logout, ""}, "introspection": {d.Introspect, ""},
	} {
		w := d.serve(tt.endpoint, crossOriginRequest(http.MethodGet, "https://spa.example"))
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != tt.want || w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: allowed %q, want %q", name, got, tt.want)
		}
	}
}
