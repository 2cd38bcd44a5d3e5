package oidc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// over holds an answer to the page of a request that leads nowhere any more.
func (f *flow) over(got reply) {
	f.t.Helper()
	if got.StatusCode != http.StatusGone || got.body != "page expired_request" || got.Header.Get("Location") != "" {
		f.t.Errorf("got %s %q to %q, want the page of a request that is over", got.Status, got.body, got.Header.Get("Location"))
	}
}

// rekeyed gives the provider other root secrets, as a restart does. Sessions and cookies stay with what they had.
func (f *flow) rekeyed(r secret.Roots) {
	f.t.Helper()
	keys, err := secret.Derive(r)
	if err != nil {
		f.t.Fatal(err)
	}
	config := f.provider.Config
	config.Keys = keys
	next, err := New(config)
	if err != nil {
		f.t.Fatal(err)
	}
	*f.provider = *next
}

// answeredOnce is a login whose first answer is on its way.
type answeredOnce struct {
	*flow
	client  storage.Client
	id      string
	session storage.Session
	code    string
}

func (a *answeredOnce) grant() storage.Grant {
	a.t.Helper()
	g, err := a.store.Grant(context.Background(), a.request(a.id).Progress.Issued.GrantID)
	if err != nil {
		a.t.Fatal(err)
	}
	return g
}

// TestREL04_AnAnswerIsRepeatedUntilItsAuthCodeIsWorthNothing is REL-04 for the last step of a login: whoever asks again
// gets the same answer, or the page that there always was.
func TestREL04_AnAnswerIsRepeatedUntilItsAuthCodeIsWorthNothing(t *testing.T) {
	mine, other := []byte(strings.Repeat("r", secret.RootSize)), []byte(strings.Repeat("s", secret.RootSize))
	for name, tt := range map[string]struct {
		first    func(a *answeredOnce) // before the answer
		then     func(a *answeredOnce) // between the answer and its repetition
		repeated bool
	}{
		"at once":                        {repeated: true},
		"just before the AuthCode ends":  {then: func(a *answeredOnce) { a.clock.Advance(time.Minute - time.Millisecond) }, repeated: true},
		"when the AuthCode has ended":    {then: func(a *answeredOnce) { a.clock.Advance(time.Minute) }},
		"when the AuthRequest has ended": {first: func(a *answeredOnce) { a.clock.Advance(15*time.Minute - time.Second) }, then: func(a *answeredOnce) { a.clock.Advance(30 * time.Second) }, repeated: true},
		"after redemption": {then: func(a *answeredOnce) {
			if got := a.token(redeemForm(a.client, a.code)); got.status != http.StatusOK {
				a.t.Fatalf("redeem: %d %s", got.status, got.Error)
			}
		}},
		"after a wrong verifier": {then: func(a *answeredOnce) {
			a.token(redeemForm(a.client, a.code, "code_verifier", strings.Repeat("x", 43))).refused(a.t, http.StatusBadRequest, "invalid_grant")
		}},
		"in another browser": {then: func(a *answeredOnce) { a.newBrowser() }},
		"in another browser with a session of the same person": {then: func(a *answeredOnce) {
			a.newBrowser()
			a.login(authorizeForm(a.client))
		}},
		"after signing out": {then: func(a *answeredOnce) {
			a.tx(func(ctx context.Context) error { _, err := a.sessions.End(ctx, a.session.ID, "logout"); return err })
		}},
		"without the request's own cookie": {then: func(a *answeredOnce) {
			base, err := url.Parse(a.server.URL)
			if err != nil {
				a.t.Fatal(err)
			}
			a.browser.Jar.SetCookies(base, []*http.Cookie{a.sessions.ClearRequestCookie(a.id)})
		}},
		"after another login in this browser": {then: func(a *answeredOnce) { a.signIn(a.begun(a.authorize(authorizeForm(a.client, "prompt", "login"))), nil) }},
		"with a revoked grant": {then: func(a *answeredOnce) {
			a.tx(func(ctx context.Context) error {
				_, err := a.store.RevokeGrant(ctx, a.grant().ID, "test", a.clock.Now())
				return err
			})
		}},
		"of a person who was erased": {then: func(a *answeredOnce) {
			a.tx(func(ctx context.Context) error { return a.store.ErasePerson(ctx, a.person.ID) })
		}},
		"of a person who was disabled": {then: func(a *answeredOnce) {
			a.person.DisabledAt = a.clock.Now()
			a.tx(func(ctx context.Context) error { return a.store.UpdatePerson(ctx, a.person) })
		}},
		"of a disabled client": {then: func(a *answeredOnce) {
			a.client.Disabled = true
			a.tx(func(ctx context.Context) error { return a.store.UpdateClient(ctx, a.client, a.clock.Now()) })
		}},
		"of a client with another redirect address": {then: func(a *answeredOnce) {
			a.client.RedirectURIs = []string{"https://new.example/cb"}
			a.tx(func(ctx context.Context) error { return a.store.UpdateClient(ctx, a.client, a.clock.Now()) })
		}},
		"KEY06: while the root secret is replaced": {then: func(a *answeredOnce) { a.rekeyed(secret.Roots{Current: other, Previous: mine}) }, repeated: true},
		"KEY06: by a node that is behind": {first: func(a *answeredOnce) { a.rekeyed(secret.Roots{Current: other, Previous: mine}) },
			then: func(a *answeredOnce) { a.rekeyed(secret.Roots{Current: mine, Next: other}) }, repeated: true},
		"KEY06: when its root secret is gone": {then: func(a *answeredOnce) { a.rekeyed(secret.Roots{Current: other}) }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlow(t)
			a := &answeredOnce{flow: f, client: f.addClient(nil)}
			a.id = f.begun(f.authorize(authorizeForm(a.client)))
			if tt.first != nil {
				tt.first(a)
			}
			a.session = f.signIn(a.id, nil)
			answer := f.resume(a.id)
			a.code = f.answered(answer).Get("code")
			if tt.then != nil {
				tt.then(a)
			}
			told, repeated := len(f.events("oauth.")), 0
			for range 2 {
				again := f.resume(a.id)
				if !tt.repeated {
					f.over(again)
					continue
				}
				repeated++
				if to := again.Header.Get("Location"); again.StatusCode != http.StatusSeeOther || to != answer.Header.Get("Location") {
					t.Errorf("got %s to %q, want %q", again.Status, to, answer.Header.Get("Location"))
				}
			}
			if got := f.events(audit.CodeRepeated); len(got) != repeated || len(f.events("oauth.")) != told+repeated {
				t.Errorf("%d events tell of %d repetitions, %d of anything else", len(got), repeated, len(f.events("oauth."))-told-len(got))
			}
		})
	}
}

func TestREL04_ReloadsAtOnceGetOneAuthCode(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s storage.Store) {
		f := newFlowOn(t, s, nil)
		c := f.addClient(nil)
		id := f.begun(f.authorize(authorizeForm(c)))
		f.signIn(id, nil)
		var mu sync.Mutex
		answers := map[string]int{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				got := f.resume(id)
				mu.Lock()
				defer mu.Unlock()
				answers[got.Status+" "+got.Header.Get("Location")]++
			})
		}
		wg.Wait()
		if len(answers) != 1 || len(f.events(audit.CodeIssued)) != 1 {
			t.Fatalf("%d AuthCodes, answers: %v", len(f.events(audit.CodeIssued)), answers)
		}
		won := f.token(redeemForm(c, f.answered(f.resume(id)).Get("code")))
		f.over(f.resume(id))
		if _, grant := f.grantOf(won.AccessToken); won.status != http.StatusOK || !grant.RevokedAt.IsZero() {
			t.Errorf("redeemed with %d, revoked: %s", won.status, grant.RevokeReason)
		}
	})
}

func TestLOG01_RepetitionsAreToldOfEverySourceWithinALimit(t *testing.T) {
	f := newFlow(t)
	id := f.begun(f.authorize(authorizeForm(f.addClient(nil))))
	s := f.signIn(id, nil)
	first := f.resume(id).Header.Get("Location")
	again := func(source string, times int) {
		t.Helper()
		f.source = source
		for range times {
			if got := f.resume(id); got.Header.Get("Location") != first {
				t.Fatalf("got %s to %q", got.Status, got.Header.Get("Location"))
			}
		}
	}
	of := func(source string) (told []storage.Event) {
		for _, e := range f.events(audit.CodeRepeated) {
			if e.SourceAddr == source {
				told = append(told, e)
			}
		}
		return told
	}
	again("192.0.2.7", 10)
	again("198.51.100.9", 10)
	own, foreign := of("192.0.2.7"), of("198.51.100.9")
	if len(own) != 3 || len(foreign) != 3 {
		t.Fatalf("%d and %d events of 10 reloads each", len(own), len(foreign))
	}
	issued := f.events(audit.CodeIssued)[0]
	if e := foreign[0]; e.GrantID != issued.GrantID || e.AuthRequestID != id || e.SessionID != s.ID || e.PersonID != f.person.ID ||
		e.CorrelationID != issued.CorrelationID || e.Outcome != audit.Success || e.UserAgent != "test" {
		t.Errorf("event %+v", e)
	}
	for i := range 40 {
		again(fmt.Sprintf("203.0.113.%d", i), 1)
	}
	if n := len(f.events(audit.CodeRepeated)); n != 30 {
		t.Errorf("%d events of one answer from many sources", n)
	}
}

// mixedUp is a store that hands out grants changed.
type mixedUp struct {
	storage.Store
	change func(*storage.Grant)
}

func (m *mixedUp) Grant(ctx context.Context, id string) (storage.Grant, error) {
	g, err := m.Store.Grant(ctx, id)
	m.change(&g)
	return g, err
}

func TestOA26_AnAnswerIsRepeatedFromItsOwnGrantAlone(t *testing.T) {
	m := new(mixedUp)
	f := newFlowOn(t, storagetest.New(t), func(s storage.Store) storage.Store { m.Store = s; return m })
	id := f.begun(f.authorize(authorizeForm(f.addClient(nil))))
	f.signIn(id, nil)
	first := f.resume(id).Header.Get("Location")
	for name, change := range map[string]func(*storage.Grant){
		"of another AuthRequest": func(g *storage.Grant) { g.AuthRequestID = storage.NewID() },
		"of another client":      func(g *storage.Grant) { g.ClientID = "another" },
		"with another AuthCode":  func(g *storage.Grant) { g.AuthCodeHash = f.keys.Hash(secret.TokenHash, newToken(prefixAuthCode)) },
		"that has no AuthCode":   func(g *storage.Grant) { g.AuthCodeHash = "" },
	} {
		t.Run(name, func(t *testing.T) {
			m.change = change
			f.over(f.resume(id))
		})
	}
	m.change = func(*storage.Grant) {}
	if got := f.resume(id).Header.Get("Location"); got != first {
		t.Errorf("its own grant: to %q, want %q", got, first)
	}
}

func TestA26_AFormIsRepeatedToo(t *testing.T) {
	f := newFlow(t)
	id := f.begun(f.authorize(authorizeForm(f.addClient(nil), "response_mode", "form_post")))
	f.signIn(id, nil)
	first, again := f.resume(id), f.resume(id)
	if !strings.HasPrefix(first.body, "form_post ") || again.body != "repeated "+first.body || again.StatusCode != first.StatusCode {
		t.Errorf("got %s %q, want %s %q, repeated", again.Status, again.body, first.Status, first.body)
	}
}

func TestOA27_AnAuthCodeHangsOnTheRowTheGrantAndTheRootSecret(t *testing.T) {
	keys := func(root string) *secret.Keys {
		k, err := secret.New([]byte(strings.Repeat(root, secret.RootSize)))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	r, s := keys("r"), keys("s")
	one, another := *newIssued(r, "grant"), *newIssued(r, "grant")
	ofS := one
	ofS.KeyID = s.ID()
	otherGrant := one
	otherGrant.GrantID = "other"
	seen := map[string]string{}
	for name, from := range map[string]struct {
		keys    *secret.Keys
		request string
		issued  storage.IssuedAuthCode
	}{
		"one": {r, "request", one}, "another nonce": {r, "request", another}, "another request": {r, "other", one},
		"another grant": {r, "request", otherGrant}, "another root secret": {s, "request", ofS},
	} {
		code, err := deriveAuthCode(from.keys, from.request, from.issued)
		if err != nil || !wellFormed(code, prefixAuthCode) {
			t.Errorf("%s: %q %v", name, code, err)
		}
		if same, twice := seen[code]; twice {
			t.Errorf("%s and %s have the same AuthCode", name, same)
		}
		seen[code] = name
	}
	if code, err := deriveAuthCode(s, "request", one); err == nil {
		t.Errorf("derived %q without the root secret", code)
	}
	none := withExchange(context.Background(), new(exchange))
	if code, _, err := new(tokenStrategy).GenerateAuthorizeCode(none, nil); err == nil {
		t.Errorf("issued %q where none was derived", code)
	}
}
