package oidc

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestOA08_OA13_A4_A5_TheCodeGoesBackWithIssuerAndTheExactState(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	for _, state := range []string{"s", "a b&c=d%20+/?#é\"", ""} {
		params := f.login(authorizeForm(c, "state", state))
		if !wellFormed(params.Get("code"), prefixAuthCode) || params.Get("iss") != f.provider.Issuer {
			t.Errorf("got %v", params)
		}
		if params.Get("state") != state || params.Has("state") != (state != "") || params.Has("scope") || params.Get("tenant") != "1" {
			t.Errorf("got %v", params)
		}
	}
	if got := f.events("oauth.code.issued"); len(got) != 3 || got[0].PersonID != f.person.ID || got[0].GrantID == "" || got[0].CorrelationID != correlation {
		t.Errorf("events %+v", got)
	}
}

func TestA26_FormPostIsAPageOfOurs(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	id := f.begun(f.authorize(authorizeForm(c, "response_mode", "form_post")))
	f.signIn(id, nil)
	got := f.resume(id)
	if !strings.HasPrefix(got.body, "form_post "+callback+"\ncode=pc_") || !strings.Contains(got.body, "iss=") || !strings.Contains(got.body, "state=s") {
		t.Errorf("got %s %q", got.Status, got.body)
	}
}

func TestOA26_TheAnswerBelongsToTheBrowserThatAsked(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	declined := f.begun(f.authorize(authorizeForm(c)))
	f.signIn(declined, func(a *storage.AuthRequest, _ *storage.Session) { a.Progress.Refusal = "access_denied" })
	id := f.begun(f.authorize(authorizeForm(c)))
	f.signIn(id, nil)
	own := f.browser
	f.newBrowser()
	for _, id := range []string{id, declined} {
		if got := f.resume(id); got.StatusCode != http.StatusForbidden || got.body != "page session_mismatch" {
			t.Errorf("another browser gets %s %q", got.Status, got.body)
		}
	}
	f.browser = own
	head, _ := http.NewRequest(http.MethodHead, f.server.URL+"/authorize/resume?r="+id, nil)
	if got := f.do(head); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD uses the request up: %s", got.Status)
	}
	f.answered(f.resume(declined))
	f.over(f.resume(declined))
	f.answered(f.resume(id))
}

func TestResumeGoesBySavedStateAlone(t *testing.T) {
	day := 24 * time.Hour
	thirdParty := func(c *storage.Client) { c.FirstParty = false }
	for _, tt := range []struct {
		name   string
		client func(*storage.Client)
		pairs  []string
		signIn func(*storage.AuthRequest, *storage.Session)
		late   time.Duration // between signing in and coming back
		want   string        // an error code, "code", a page, or where it goes on
	}{
		{name: "a complete login", want: "code"},
		{name: "nothing was decided yet", signIn: func(a *storage.AuthRequest, _ *storage.Session) { a.Progress.ReadyAt = time.Time{} }, want: "/login"},
		{name: "the person declined", signIn: func(a *storage.AuthRequest, _ *storage.Session) { a.Progress.Refusal = "access_denied" }, want: "access_denied"},
		{name: "OA70: the pages could not ask", signIn: func(a *storage.AuthRequest, _ *storage.Session) { a.Progress.Refusal = "interaction_required" }, want: "interaction_required"},
		{name: "a refusal that is no protocol error", signIn: func(a *storage.AuthRequest, _ *storage.Session) { a.Progress.Refusal = "pq: boom" }, want: "server_error"},
		{name: "another session than the one that signed in", signIn: func(a *storage.AuthRequest, _ *storage.Session) { a.Progress.SessionID = "other" }, want: "/login"},
		{name: "another person's session", signIn: func(a *storage.AuthRequest, _ *storage.Session) { a.Progress.PersonID = "other" }, want: "page session_mismatch"},
		{name: "the request is over", late: 16 * time.Minute, want: "page expired_request"},
		{name: "OA73: a client's acr that was not met", client: func(c *storage.Client) { c.RequiredACR = acr.PhoneNoSMS },
			signIn: func(_ *storage.AuthRequest, s *storage.Session) { s.ACR = acr.Phone }, want: "unmet_authentication_requirements"},
		{name: "OA73: a client's acr that was", client: func(c *storage.Client) { c.RequiredACR = acr.PhoneNoSMS }, want: "code"},
		{name: "OA73: an essential acr that was not met", pairs: []string{"claims", `{"id_token":{"acr":{"essential":true,"value":"urn:parola:acr:phone-no-sms"}}}`},
			signIn: func(_ *storage.AuthRequest, s *storage.Session) { s.ACR = acr.Phone }, want: "unmet_authentication_requirements"},
		{name: "OA73: a voluntary acr that was not met", pairs: []string{"acr_values", "urn:parola:acr:phone-no-sms"},
			signIn: func(_ *storage.AuthRequest, s *storage.Session) { s.ACR = acr.Phone }, want: "code"},
		{name: "OA71: prompt login with an old login", pairs: []string{"prompt", "login"},
			signIn: func(_ *storage.AuthRequest, s *storage.Session) { s.AuthTime = s.AuthTime.Add(-time.Second) }, want: "login_required"},
		{name: "OA71: prompt login with a new one", pairs: []string{"prompt", "login"}, want: "code"},
		{name: "OA71, A21: max_age 0 with an old login", pairs: []string{"max_age", "0"},
			signIn: func(_ *storage.AuthRequest, s *storage.Session) { s.AuthTime = s.AuthTime.Add(-time.Second) }, want: "login_required"},
		{name: "OA71, A21: max_age 0 with a new login", pairs: []string{"max_age", "0"}, want: "code"},
		{name: "OA71: a login older than max_age", pairs: []string{"max_age", "60"},
			signIn: func(_ *storage.AuthRequest, s *storage.Session) { s.AuthTime = s.AuthTime.Add(-61 * time.Second) }, want: "login_required"},
		{name: "OA71: a login just inside max_age", pairs: []string{"max_age", "60"},
			signIn: func(_ *storage.AuthRequest, s *storage.Session) { s.AuthTime = s.AuthTime.Add(-60 * time.Second) }, want: "code"},
		{name: "OA72: somebody else than the hint", pairs: []string{"claims", `{"id_token":{"sub":{"value":"other"}}}`}, want: "login_required"},
		{name: "OA16: a first-party client that asks for consent", pairs: []string{"prompt", "consent"}, want: "consent_required"},
		{name: "OA16: a third party without consent", client: thirdParty, want: "interstitial consent_required"},
		{name: "OA16: a third party with consent", client: thirdParty, want: "code",
			signIn: func(a *storage.AuthRequest, _ *storage.Session) {
				a.Progress.ConsentAt, a.Progress.ConsentScopes = a.CreatedAt, []string{"offline_access", "openid"}
			}},
		{name: "OA16: a consent to less", client: thirdParty, want: "interstitial consent_required",
			signIn: func(a *storage.AuthRequest, _ *storage.Session) {
				a.Progress.ConsentAt, a.Progress.ConsentScopes = a.CreatedAt, []string{"openid"}
			}},
		{name: "the session ended meanwhile", late: 14 * time.Minute, want: "/login",
			signIn: func(_ *storage.AuthRequest, s *storage.Session) { s.AuthTime = s.AuthTime.Add(10*time.Minute - day) }},
		{name: "a silent request whose session ended", late: 14 * time.Minute, pairs: []string{"prompt", "none"}, want: "login_required",
			signIn: func(_ *storage.AuthRequest, s *storage.Session) { s.AuthTime = s.AuthTime.Add(10*time.Minute - day) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlow(t)
			c := f.addClient(tt.client)
			if len(tt.pairs) > 0 && tt.pairs[0] == "prompt" && tt.pairs[1] == "none" {
				f.login(authorizeForm(c))
			}
			id := f.begun(f.authorize(authorizeForm(c, tt.pairs...)))
			f.signIn(id, tt.signIn)
			f.clock.Advance(tt.late)
			got := f.resume(id)
			outcome := got.body
			switch location := got.Header.Get("Location"); {
			case strings.HasPrefix(location, "/login"):
				outcome = "/login"
			case location != "":
				if outcome = f.answered(got).Get("error"); outcome == "" {
					outcome = "code"
				}
			case strings.HasPrefix(got.body, "interstitial "):
				_, code, _ := strings.Cut(got.body, "error=")
				code, _, _ = strings.Cut(code, "&")
				outcome = "interstitial " + code
			}
			if outcome != tt.want {
				t.Errorf("got %q, want %q", outcome, tt.want)
			}
		})
	}
}

// meanwhile is a store on which something else happens just before a transaction.
type meanwhile struct {
	storage.Store
	before func()
}

func (m *meanwhile) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	if before := m.before; before != nil {
		m.before = nil
		before()
	}
	return m.Store.InTx(ctx, fn)
}

// TestOA57_ASessionThatEndsBeforeItsGrantIsMadeGetsNone has the person sign out after Resume has found the session good.
func TestOA57_ASessionThatEndsBeforeItsGrantIsMadeGetsNone(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		m := new(meanwhile)
		f := newFlowOn(t, store, func(s storage.Store) storage.Store { m.Store = s; return m })
		c := f.addClient(nil)
		resume := func(pairs ...string) (reply, storage.AuthRequest) {
			id := f.begun(f.authorize(authorizeForm(c, pairs...)))
			s := f.signIn(id, nil)
			m.before = func() {
				f.tx(func(ctx context.Context) error { _, err := f.sessions.End(ctx, s.ID, reasonLogout); return err })
			}
			return f.resume(id), f.request(id)
		}
		got, a := resume()
		if f.begun(got) != a.ID || !a.EndedAt.IsZero() {
			t.Errorf("got %s to %q, request ended at %s", got.Status, got.Header.Get("Location"), a.EndedAt)
		}
		f.login(authorizeForm(c)) // for a session that prompt=none may use
		got, a = resume("prompt", "none")
		if answer := f.answered(got); answer.Get("error") != "login_required" || answer.Has("code") || a.EndedAt.IsZero() {
			t.Errorf("got %s to %q", got.Status, got.Header.Get("Location"))
		}
		records, err := store.PersonRecords(t.Context(), f.person.ID)
		if err != nil || len(records.Grants) != 1 || len(f.events(audit.CodeIssued)) != 1 {
			t.Errorf("%d grants and %d AuthCodes of one login (%v)", len(records.Grants), len(f.events(audit.CodeIssued)), err)
		}
	})
}

func TestOA16_AStoredConsentCountsUntilItEndsOrIsAskedForAgain(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(func(c *storage.Client) { c.FirstParty = false })
	consent := storage.Consent{PersonID: f.person.ID, ClientID: c.ID, Scopes: []string{"openid", "offline_access"},
		GrantedAt: f.clock.Now(), ExpiresAt: f.clock.Now().Add(time.Hour)}
	f.tx(func(ctx context.Context) error { return f.store.PutConsent(ctx, consent) })
	if f.login(authorizeForm(c)).Get("code") == "" {
		t.Error("a stored consent does not count")
	}
	for name, pairs := range map[string][]string{
		"it is asked for again": {"prompt", "consent"},
		"more is asked for":     {"scope", "openid profile"},
	} {
		id := f.begun(f.authorize(authorizeForm(c, pairs...)))
		f.signIn(id, nil)
		if got := f.resume(id); !strings.Contains(got.body, "error=consent_required") {
			t.Errorf("%s: got %s %q", name, got.Status, got.body)
		}
	}
	f.clock.Advance(time.Hour)
	id := f.begun(f.authorize(authorizeForm(c)))
	f.signIn(id, nil)
	if got := f.resume(id); !strings.Contains(got.body, "error=consent_required") {
		t.Errorf("after its end: got %s %q", got.Status, got.body)
	}
}

func TestResumeOfAChangedClient(t *testing.T) {
	for name, change := range map[string]func(*storage.Client){
		"disabled":                      func(c *storage.Client) { c.Disabled = true },
		"with another redirect address": func(c *storage.Client) { c.RedirectURIs = []string{"https://new.example/cb"} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlow(t)
			c := f.addClient(nil)
			id := f.begun(f.authorize(authorizeForm(c)))
			f.signIn(id, nil)
			change(&c)
			f.tx(func(ctx context.Context) error { return f.store.UpdateClient(ctx, c, f.clock.Now()) })
			if got := f.resume(id); got.StatusCode != http.StatusGone || got.Header.Get("Location") != "" {
				t.Errorf("got %s %q", got.Status, got.body)
			}
		})
	}
}

func TestResumeOfNothing(t *testing.T) {
	f := newFlow(t)
	for id, want := range map[string]int{
		"":                           http.StatusBadRequest,
		"%00":                        http.StatusBadRequest,
		strings.Repeat("a", 65):      http.StatusBadRequest,
		"00000000000000000000000000": http.StatusGone,
	} {
		if got := f.resume(id); got.StatusCode != want {
			t.Errorf("%q: got %s, want %d", id, got.Status, want)
		}
	}
}

func TestOTP23_A27_ABarredPersonGetsNoCode(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	id := f.begun(f.authorize(authorizeForm(c)))
	f.signIn(id, nil)
	f.person.DisabledAt = f.clock.Now()
	f.tx(func(ctx context.Context) error { return f.store.UpdatePerson(ctx, f.person) })
	if got := f.resume(id); f.begun(got) != id {
		t.Errorf("got %s %q", got.Status, got.Header.Get("Location"))
	}
}
