package rp

import (
	"net/http"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

// TestGoOIDCWithRS256 starts the example application as a program of its own, with a client that gets RS256: go-oidc
// verifies, refreshes and logs out. The demo has the same application with ES256.
func TestGoOIDCWithRS256(t *testing.T) {
	t.Parallel()
	address := harness.Loopback(harness.Ports(t, 1))
	base := "http://" + address
	client := newParty("go-rs256", "client_secret_basic", "RS256").
		with("redirect_uris", []string{base + "/callback"}).with("post_logout_redirect_uris", []string{base + "/signed-out"})
	s := open(t, client)
	p := harness.Start(t, []string{"WEBAPP_CLIENT_SECRET=" + secret}, harness.Program(t, "examples/webapp/cmd/webapp"),
		"--listen", address, "--issuer", s.Facts.Issuer, "--client-id", "go-rs256")
	harness.Eventually(t, 20*time.Second, "the application answers", func() bool {
		if !p.Running() {
			t.Fatalf("the application ended:\n%s", p.Output())
		}
		resp, err := http.Get(base)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return true
	})
	b := harness.NewBrowser(t, nil)
	page := b.Login(base+"/login", s.person(t, 0, client), "whatsapp")
	page.MustSay(t, "Hello, Ada Lovelace", "urn:parola:acr:phone-no-sms")
	page = b.Press(page, "Refresh the tokens")
	page.MustSay(t, "rotated", "unchanged")
	b.Press(page, "Sign out").MustSay(t, "You are signed out, here and at the provider.")
	b.Get(base+"/login").MustSay(t, "Username")
}
