package e2e_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

// survival is an installation whose database is in for something.
type survival struct {
	*harness.Installation
	receipts *receipts
	// process is the provider, unless it runs in the test; log is what it logged so far.
	process *harness.Process
	log     func() string
}

// survivor runs a provider in the test.
func survivor(t *testing.T, dsn string, environment ...string) *survival {
	t.Helper()
	r := newReceipts(t)
	in := harness.Install(t, harness.Options{DSN: dsn, Webhook: r.url, Environment: environment})
	return &survival{Installation: in, receipts: r, log: in.Run(nil).LogText}
}

// survivingProcess starts `parola serve`.
func survivingProcess(t *testing.T, dsn string) *survival {
	t.Helper()
	r := newReceipts(t)
	in := harness.Install(t, harness.Options{DSN: dsn, Webhook: r.url})
	p := in.Serve()
	return &survival{Installation: in, receipts: r, process: p, log: p.Output}
}

// TestREL08_StorageDown takes the database away in the middle of logins.
func TestREL08_StorageDown(t *testing.T) {
	t.Parallel()
	t.Run("SQLite without its tables", func(t *testing.T) {
		t.Parallel()
		survivor(t, "").suffers(t, tablesGone)
	})
	for name, on := range map[string]func(*wire) fault{"PostgreSQL cut off": lineCut, "PostgreSQL behind a network that swallows everything": lineSilent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, postgresDSN(t))
			survivor(t, w.dsn).suffers(t, on(w))
		})
	}
}

// TestDOS06_TheLimitStoreFails takes away what counts how often things happened: nothing that needs a limit goes on without
// one, and the rest goes on.
func TestDOS06_TheLimitStoreFails(t *testing.T) {
	t.Parallel()
	s := survivor(t, "", "PAROLA_MFA_TEMPLATE_TTL=60s") // no SMS for want of a receipt
	rp, who := s.RelyingParty(harness.WebClient), s.Person("uno")
	b, a := s.Browser(), rp.Begin()
	passwordPage := b.Get(a.URL)
	page := b.Press(passwordPage, "Continue", "username", who.Username, "password", who.Password)
	passcode := who.Phone.Passcode("whatsapp", 10*time.Second)
	s.receipts.wait(t, 1)
	time.Sleep(time.Second) // until "Send again" is possible (mfa.resend_after)
	page = b.Reload(page)
	keysMade(t, rp)

	limitsGone.down(t, s)
	d := &during{t: t}
	d.page("a right passcode", false, func() (*harness.Page, error) { return b.TryPress(page, "Continue", "passcode", passcode) })
	d.page("another message", false, func() (*harness.Page, error) { return b.TryPress(page, "Send again") })
	d.page("an authorization request", false, func() (*harness.Page, error) {
		return s.Browser().Load(http.MethodGet, rp.Begin().URL, nil, "")
	})
	d.page("the passcode page", true, func() (*harness.Page, error) { return b.Load(http.MethodGet, page.URL.String(), nil, "") })
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
		d.call(path, true, func() (harness.Answer, error) { return rp.Get(path) })
	}
	d.all.Wait()
	if s.Calls("whatsapp") != 1 || s.Calls("sms") != 0 {
		t.Errorf("a message was sent without a limit: %d by WhatsApp, %d by SMS", s.Calls("whatsapp"), s.Calls("sms"))
	}
	if !strings.Contains(s.log(), "no such table: buckets") {
		t.Error("the log does not say that the limits are gone")
	}
	limitsGone.back(t, s)

	rp.AuthCode(t, b.Press(page, "Continue", "passcode", passcode), a)
	s.receipts.replay(t, s.Issuer+"/webhooks/whatsapp", 1)
	holds(t, s.Installation)
}

// TestREL09_NoRoomAndNoWrites has a database take no more writes: no login succeeds without its record, and what only reads
// goes on.
func TestREL09_NoRoomAndNoWrites(t *testing.T) {
	t.Parallel()
	t.Run("SQLite on a full disk", func(t *testing.T) {
		t.Parallel()
		survivingProcess(t, "").suffers(t, diskFull)
	})
	t.Run("SQLite with a full log", func(t *testing.T) {
		t.Parallel()
		survivor(t, "").suffers(t, logFull)
	})
	t.Run("PostgreSQL of its own", func(t *testing.T) {
		t.Parallel()
		c := ownCluster(t)
		dsn, err := c.CreateDatabase(t.Context(), "parola")
		must(t, err)
		s := survivingProcess(t, dsn)
		for _, tt := range []struct {
			name string
			fault
		}{
			{"read-only", readOnly(c)},
			{"restarted", serverStopped(c, os.Interrupt)},
			{"crashed", serverStopped(c, syscall.SIGQUIT)},
			{"with full tables", tablesFull()},
		} {
			t.Run(tt.name, func(t *testing.T) { s.suffers(t, tt.fault) })
		}
	})
}

// suffers lets a fault come and go in the middle of logins. Everybody is told to come back, nobody is refused; and when it is
// over, everything goes on where it was (REL-08, OA-37): the same form, the same passcode, the same AuthCode and tokens, and
// not one try is lost.
func (s *survival) suffers(t *testing.T, f fault) {
	in := s.For(t)
	rp, api := in.RelyingParty(harness.WebClient), in.RelyingParty(harness.APIClient)

	// One is about to give the password, one the passcode, one is back at the client, and one has tokens.
	first, second, third := in.Person("uno"), in.Person("due"), in.Person("tre")
	b1, a1 := in.Browser(), rp.Begin()
	passwordPage := b1.Get(a1.URL)
	b2, a2 := in.Browser(), rp.Begin()
	passcodePage := b2.Password(a2.URL, second)
	for range 10 {
		if passcodePage.Status != http.StatusServiceUnavailable { // a busy machine
			break
		}
		time.Sleep(time.Second)
		passcodePage = b2.Password(a2.URL, second)
	}
	passcode := second.Phone.Passcode("whatsapp", 10*time.Second)
	b3, a3 := in.Browser(), rp.Begin()
	authCode := rp.AuthCode(t, b3.Login(a3.URL, third, "whatsapp"), a3)
	a4 := rp.Begin()
	tokens, err := rp.Redeem(rp.AuthCode(t, b3.Get(a4.URL), a4), a4)
	if err != nil || tokens.Status != http.StatusOK {
		t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
	}
	s.receipts.wait(t, 2)
	keysMade(t, rp)
	get := func(b *harness.Browser, address string) func() (*harness.Page, error) {
		return func() (*harness.Page, error) { return b.Load(http.MethodGet, address, nil, "") }
	}
	press := func(b *harness.Browser, p *harness.Page, typed ...string) func() (*harness.Page, error) {
		return func() (*harness.Page, error) { return b.TryPress(p, "Continue", typed...) }
	}
	userInfo := func() (harness.Answer, error) { return rp.UserInfo(tokens.Text("access_token")) }

	f.down(t, s)
	d := &during{t: t}
	d.page("an authorization request", false, get(in.Browser(), rp.Begin().URL))
	d.page("a silent authorization request", false, get(b3, rp.Begin("prompt", "none").URL))
	d.page("a right password", false, press(b1, passwordPage, "username", first.Username, "password", first.Password))
	d.page("a right passcode", false, press(b2, passcodePage, "passcode", passcode))
	d.page("the passcode page", f.reads, get(b2, passcodePage.URL.String()))
	d.page("a logout", f.reads, get(b3, in.Issuer+"/logout"))
	d.call("redeem", false, func() (harness.Answer, error) { return rp.Redeem(authCode, a3) })
	d.call("refresh", false, func() (harness.Answer, error) { return rp.Refresh(tokens.Text("refresh_token")) })
	d.call("revoke", false, func() (harness.Answer, error) {
		return rp.Post("/revoke", url.Values{"token": {tokens.Text("access_token")}})
	})
	d.call("userinfo", f.reads, userInfo)
	d.call("introspect", f.reads, func() (harness.Answer, error) {
		return api.Post("/introspect", url.Values{"token": {tokens.Text("access_token")}})
	})
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
		d.call(path, true, func() (harness.Answer, error) { return rp.Get(path) })
	}
	d.all.Go(func() {
		for _, status := range s.receipts.newest().post(t, in.Issuer+"/webhooks/whatsapp") {
			if status != http.StatusServiceUnavailable { // Meta sends it again
				t.Errorf("a receipt is answered with %d", status)
			}
		}
	})
	d.all.Wait()
	f.back(t, s)

	harness.Eventually(t, 15*time.Second, "the database is noticed again", func() bool {
		info, err := userInfo()
		return err == nil && info.Status == http.StatusOK
	})
	firstPasscode := b1.Press(passwordPage, "Continue", "username", first.Username, "password", first.Password)
	firstPasscode.MustSay(t, "Enter your code")
	rp.AuthCode(t, b2.Press(passcodePage, "Continue", "passcode", passcode), a2)
	if again, err := rp.Redeem(authCode, a3); err != nil || again.Status != http.StatusOK {
		t.Errorf("redeem after the fault: %d %v %s", again.Status, err, again.Body)
	}
	if again, err := rp.Refresh(tokens.Text("refresh_token")); err != nil || again.Status != http.StatusOK {
		t.Errorf("refresh after the fault: %d %v %s", again.Status, err, again.Body)
	}
	rp.AuthCode(t, b1.Press(firstPasscode, "Continue", "passcode", first.Phone.Passcode("whatsapp", 10*time.Second)), a1)
	s.receipts.wait(t, 3)
	for _, status := range s.receipts.post(t, in.Issuer+"/webhooks/whatsapp") {
		if status != http.StatusOK {
			t.Errorf("after the fault a receipt is answered with %d", status)
		}
	}
	if strings.Contains(s.log(), passcode) {
		t.Error("the log holds a passcode")
	}
	holds(t, s.Installation)
}

// newest is the last receipt that was kept.
func (r *receipts) newest() *receipts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &receipts{kept: r.kept[len(r.kept)-1:]}
}

// during is what people and clients do while the fault is there, all at the same time.
type during struct {
	t   *testing.T
	all sync.WaitGroup
}

// patience is more than a request may take.
const patience = 20 * time.Second

func (d *during) page(what string, goesOn bool, load func() (*harness.Page, error)) {
	d.all.Go(func() {
		began := time.Now()
		page, err := load()
		switch {
		case err != nil:
			d.t.Errorf("%s: %v", what, err)
		case time.Since(began) > patience:
			d.t.Errorf("%s was answered after %s", what, time.Since(began))
		case goesOn && page.Status != http.StatusOK:
			d.t.Errorf("%s: %d: %s", what, page.Status, page.Text())
		case goesOn:
		case page.Stopped:
			d.t.Errorf("%s is refused: %s", what, page.URL)
		case page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || !page.Says("We’ll be right back"):
			d.t.Errorf("%s: %d, Retry-After %q: %s", what, page.Status, page.Header.Get("Retry-After"), page.Text())
		default:
			saysNothingOfInside(d.t, what, page.Body)
		}
	})
}

func (d *during) call(what string, goesOn bool, do func() (harness.Answer, error)) {
	d.all.Go(func() {
		began := time.Now()
		answer, err := do()
		switch {
		case err != nil:
			d.t.Errorf("%s: %v", what, err)
		case time.Since(began) > patience:
			d.t.Errorf("%s was answered after %s", what, time.Since(began))
		case goesOn && answer.Status != http.StatusOK:
			d.t.Errorf("%s: %d: %s", what, answer.Status, answer.Body)
		case goesOn:
		case answer.Status != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || answer.Text("error") != "temporarily_unavailable":
			d.t.Errorf("%s: %d, Retry-After %q: %s", what, answer.Status, answer.Header.Get("Retry-After"), answer.Body)
		default:
			saysNothingOfInside(d.t, what, answer.Body)
		}
	})
}

func saysNothingOfInside(t *testing.T, what, body string) {
	t.Helper()
	for _, word := range inside {
		if strings.Contains(strings.ToLower(body), word) {
			t.Errorf("%s tells of what is inside (%q): %.500s", what, word, body)
		}
	}
}
