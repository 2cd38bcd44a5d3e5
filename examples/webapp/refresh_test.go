package webapp

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRefresh_ShowsRotationOfTheSameLogin(t *testing.T) {
	b := newBrowser(t, newTestOP(t), nil)
	b.get("/login")
	for range 2 { // the second works only with the token that the first brought
		b.post("/refresh").want(t, 200, `id="rotated">rotated`, "unchanged")
	}
	page := b.get("/")
	page.want(t, 200, fingerprint("refresh-2"), fingerprint("refresh-3"))
	if strings.Contains(page.body, "refresh-3") {
		t.Error("the page shows a refresh token")
	}
}

func TestRefresh_RefusesTokensOfAnotherLogin(t *testing.T) {
	tests := []struct {
		name  string
		claim string
		value any
	}{
		{"of another person", "sub", "bob"},
		{"of another moment", "auth_time", time.Now().Add(time.Hour).Unix()},
		{"with a stronger acr", "acr", acrPhoneNoSMS},
		{"with another amr", "amr", []string{"pwd"}},
		{"with another nonce", "nonce", "other"},
		{"of another issuer", "iss", "https://evil.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op := newTestOP(t)
			b := newBrowser(t, op, nil)
			b.get("/login")
			op.claims[tt.claim] = tt.value
			b.post("/refresh").want(t, 502)
			b.get("/").want(t, 200, "Ada Rossi", acrPhone)
		})
	}
}

func TestRefresh_EndsTheSessionWhenTheProviderHasEndedTheLogin(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	b.get("/login")
	op.refuse = "invalid_grant"
	b.post("/refresh").want(t, 401, "has ended")
	b.wantSignedOut()
}

func TestRefresh_KeepsTheSessionWhenTheProviderIsDown(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	b.get("/login")
	op.down = true
	b.post("/refresh").want(t, 503, "does not answer")
	b.get("/").want(t, 200, "Ada Rossi")
}

func TestRefresh_HappensByItselfWhenTheAccessTokenIsOld(t *testing.T) {
	now := time.Now()
	b := newBrowser(t, newTestOP(t), func(cfg *Config) { cfg.Now = func() time.Time { return now } })
	b.get("/login")
	now = now.Add(55 * time.Second) // of 60: too little left for a call
	b.get("/userinfo").want(t, 200, "+390000000000")
	b.get("/").want(t, 200, fingerprint("access-2"))
}

// Two buttons at once would present one refresh token twice, and the provider would end the login.
func TestRefresh_TwoAtOnceUseTwoTokens(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	b.get("/login")
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if page := b.post("/refresh"); page.status != http.StatusSeeOther {
				t.Errorf("status %d", page.status)
			}
		})
	}
	all.Wait()
	if op.issued != 5 {
		t.Errorf("%d token responses, want 5", op.issued)
	}
}
