package oidc

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

func TestDOS04_WrongSecretsFromOneSourceCannotKeepTheGateBusy(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(func(c *storage.Client) { c.Secrets = []storage.ClientSecret{{Hash: "slow:hunter2"}} })
	from := func(source, secret string) error {
		r := asClient(formRequest(), c, secret)
		ctx := reqinfo.With(d.Context(), reqinfo.Info{Source: source})
		_, err := d.authenticateClient(ctx, r, url.Values{})
		return err
	}
	for range 3 * slowWrongBurst { // a client that knows its secret is never slowed down
		if err := from("192.0.2.7", "hunter2"); err != nil {
			t.Fatalf("the right secret: %v", err)
		}
	}
	d.slow.calls = 0
	for range slowWrongBurst {
		if e, told := asRefusal(from("198.51.100.1", "guess")); !told || e.code != errInvalidClient {
			t.Fatalf("a wrong secret: %v", e)
		}
	}
	e, told := asRefusal(from("198.51.100.1", "hunter2"))
	if !told || e.status != http.StatusTooManyRequests || e.retryAfter != slowWrongInterval || d.slow.calls != slowWrongBurst {
		t.Errorf("beyond the limit: %+v after %d hashes", e, d.slow.calls)
	}
	if hits := d.events(audit.RateLimitHit); len(hits) != 1 || hits[0].ClientID != c.ID || hits[0].Reason != "client_secrets" {
		t.Errorf("events %+v", hits)
	}
	if err := from("192.0.2.7", "hunter2"); err != nil {
		t.Errorf("the client itself, elsewhere: %v", err)
	}
	d.clock.Advance(slowWrongInterval)
	if err := from("198.51.100.1", "hunter2"); err != nil {
		t.Errorf("an interval later: %v", err)
	}
}

func TestDOS05_WrongSecretsFromOneSiteCannotKeepTheGateBusy(t *testing.T) {
	d := newDesk(t)
	var s slowWrong
	wrong := func(household int) time.Duration {
		return s.take("client", fmt.Sprintf("2001:db8:1:%x::/64", household), d.clock.Now())
	}
	let := 0
	for wrong(let) == 0 {
		if let++; let > slowWrongKept {
			t.Fatal("a site has no limit")
		}
	}
	if let <= slowWrongBurst || let > 32*slowWrongBurst {
		t.Errorf("%d wrong secrets of one site are hashed, want several times %d", let, slowWrongBurst)
	}
	if wait := s.take("client", "2001:db8:2::/64", d.clock.Now()); wait > 0 {
		t.Errorf("a neighbour has to wait %s", wait)
	}
	if kept := len(s.fullAt); wrong(let) == 0 || len(s.fullAt) != kept {
		t.Error("what is refused is counted")
	}
	s.giveBack("client", "2001:db8:1::/64")
	if wait := wrong(1); wait > 0 {
		t.Errorf("what was given back was not given back to the site: wait %s", wait)
	}
}

func TestDOS08_SourcesOfWrongSecretsTakeBoundedMemory(t *testing.T) {
	d := newDesk(t)
	var s slowWrong
	for i := range 3 * slowWrongKept {
		s.take("client", string(rune(0x4e00+i)), d.clock.Now())
	}
	if len(s.fullAt) > slowWrongKept {
		t.Errorf("%d sources are kept", len(s.fullAt))
	}
}

func TestREL11_AClockThatWentBackKeepsNoClientOut(t *testing.T) {
	d := newDesk(t)
	var s slowWrong
	s.take("client", "192.0.2.7", d.clock.Now())
	if wait := s.take("client", "192.0.2.7", d.clock.Now().Add(-time.Hour)); wait > 0 {
		t.Errorf("a right secret has to wait %s", wait)
	}
}
