package login

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parola-id/parola/idp/password"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// refused are all who cannot get in, with the reason that only the audit log hears.
func refused(s *site) map[string]struct{ name, secret, reason string } {
	s.addPerson("bruno", "bruno's own password", "+393331234568")
	s.disable("bruno")
	s.addPerson("carla", "", "+393331234569")
	return map[string]struct{ name, secret, reason string }{
		"wrong password":                     {"anna", "wrong", "wrong"},
		"unknown person":                     {"nobody", "wrong", "unknown"},
		"disabled person":                    {"bruno", "wrong", "disabled"},
		"disabled person and right password": {"bruno", "bruno's own password", "disabled_right_password"},
		"person without a password":          {"carla", "wrong", "no_password"},
		"something that cannot be a name":    {"two words\x00", "wrong", "unknown"},
		"empty name":                         {"", "wrong", "unknown"},
		"empty password":                     {"anna", "", "wrong"},
		"endless password":                   {"anna", strings.Repeat("a", 5000), "wrong"},
	}
}

func TestPW11_EveryRefusalLooksTheSame(t *testing.T) {
	s := newSite(t)
	type answer struct{ status, path, body, header, cookies string }
	var want answer
	for name, who := range refused(s) {
		b := s.newBrowser()
		id := b.request("bank")
		b.open(id)
		before := len(s.events(audit.PasswordFail))
		s.clock.Advance(time.Millisecond) // events of one moment have no order
		p := b.typePassword(who.name, who.secret)
		body := strings.ReplaceAll(p.body, id, "ID")
		body = regexp.MustCompile(`value="[^"]*"| autofocus`).ReplaceAllString(body, "") // the form's token, and what was typed or not
		header := p.header.Clone()
		header.Del("Date")
		header.Del("Content-Length")
		got := answer{http.StatusText(p.status), p.path, body, headerText(header), strings.Join(p.header.Values("Set-Cookie"), ";")}
		if want == (answer{}) {
			want = got
		}
		if got != want {
			t.Errorf("%s is told apart: %s", name, cmp.Diff(want, got, cmp.AllowUnexported(answer{})))
		}
		events := s.events(audit.PasswordFail)
		if len(events) != before+1 || events[before].Reason != who.reason {
			t.Errorf("%s: events %+v", name, events)
		}
	}
	if want.status != http.StatusText(http.StatusForbidden) {
		t.Errorf("a refusal is %s", want.status)
	}
}

func headerText(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b)
	return b.String()
}

func TestPW12_EveryPathRunsOneHash(t *testing.T) {
	s := newSite(t)
	for name, who := range refused(s) {
		before := s.hashes.count()
		b := s.newBrowser()
		b.open(b.request("bank"))
		b.typePassword(who.name, who.secret)
		if n := s.hashes.count() - before; n != 1 {
			t.Errorf("%s: %d hashes", name, n)
		}
	}
}

func TestPW12_KnownAndUnknownNamesCostTheSameStatements(t *testing.T) {
	s := newSite(t)
	cost := func(name string) string {
		b := s.newBrowser()
		b.open(b.request("bank"))
		return strings.Join(s.cost(func() { b.typePassword(name, "wrong") }), " ")
	}
	if known, unknown := cost("anna"), cost("nobody"); known != unknown {
		t.Errorf("a known name costs\n%s\nan unknown one\n%s", known, unknown)
	}
}

func TestPW13_ParallelGuessesAreCountedBeforeTheyAreChecked(t *testing.T) {
	s := newSite(t)
	const free = 5 // of one source: limits.password_free
	browsers := make([]*browser, 3*free)
	forms := make([]url.Values, len(browsers))
	actions := make([]string, len(browsers))
	for i := range browsers {
		b := s.newBrowser()
		b.open(b.request("bank"))
		actions[i], forms[i] = b.page.fields(t, pathPassword)
		forms[i].Set(templates.FieldUsername, "anna")
		forms[i].Set(templates.FieldPassword, "wrong")
		browsers[i] = b
	}
	var group sync.WaitGroup
	for i, b := range browsers {
		group.Go(func() { b.post(actions[i], forms[i]) })
	}
	group.Wait()
	// The try after the free ones is checked as well; it is what starts the delay.
	if n := s.hashes.count(); n != free+1 {
		t.Errorf("%d of %d parallel guesses were checked, want %d", n, len(browsers), free+1)
	}
}

func TestPW14_DelayGrowsAndThrottledTriesRunNoHash(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	b.open(b.request("bank"))
	guess := func(secret string) *screen { return b.typePassword("anna", secret) }
	for range 6 {
		if p := guess("wrong"); p.status != http.StatusForbidden {
			t.Fatalf("a counted try is %d", p.status)
		}
	}
	before := s.hashes.count()
	p := guess(annasPassword)
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") != "30" {
		t.Fatalf("a throttled try is %d, Retry-After %q", p.status, p.header.Get("Retry-After"))
	}
	if s.hashes.count() != before {
		t.Error("a throttled try ran a hash")
	}
	if e := s.events(audit.PasswordThrottled); len(e) != 1 || e[0].PersonID != "anna" || e[0].Reason != "delay" {
		t.Errorf("events %+v", e)
	}
	s.clock.Advance(30 * time.Second)
	if p := guess(annasPassword); p.path != pathPasscode {
		t.Errorf("after the delay the right password leads to %s (%d)", p.path, p.status)
	}
	if e := s.events(audit.SuccessAfterFailures); len(e) != 1 || e[0].PersonID != "anna" || e[0].Data["failures"] != "6" {
		t.Errorf("a success after failures is told as %+v (OTP-27)", e)
	}
}

func TestPW14_AtTheLimitThePasswordIsShut(t *testing.T) {
	s := newSite(t, func(o *options) {
		o.limits = func(l *throttle.Limits) { l.PasswordFree, l.PasswordFailures, l.PasswordDelay = 10, 4, 0 }
	})
	b := s.newBrowser()
	b.open(b.request("bank"))
	for range 4 {
		b.typePassword("anna", "wrong")
	}
	if e := s.events(audit.PasswordDisabled); len(e) != 1 || e[0].PersonID != "anna" {
		t.Errorf("events %+v", e)
	}
	s.clock.Advance(10 * time.Minute)
	before := s.hashes.count()
	b.typePassword("anna", annasPassword)
	if s.hashes.count() != before {
		t.Error("a shut password ran a hash")
	}
	b.wantPage(http.StatusForbidden, pathPassword)
	if e := s.events(audit.PasswordThrottled); len(e) != 1 || e[0].Reason != "shut" {
		t.Errorf("events %+v", e)
	}
}

func TestPW15_AStrangerDoesNotLockAPersonOutOfTheirOwnBrowser(t *testing.T) {
	s := newSite(t)
	own := s.newBrowser()
	own.signIn("bank")

	s.source = "203.0.113.9"
	stranger := s.newBrowser()
	stranger.open(stranger.request("bank"))
	for range 8 {
		stranger.typePassword("anna", "wrong")
	}
	stranger.wantPage(http.StatusTooManyRequests, pathPassword)

	// The person comes through the same address even, and is asked for the password again.
	again := func(a *storage.AuthRequest) { a.Request.Prompt = []string{"login"} }
	own.open(own.request("bank", again))
	if p := own.submit(pathPassword, templates.FieldPassword, annasPassword); p.path != pathPasscode {
		t.Errorf("in her own browser anna gets %d at %s", p.status, p.path)
	}
	// An open session is enough, without the memory of the browser.
	forgetful := s.newBrowser()
	for _, c := range own.http.Jar.Cookies(own.url("/")) {
		if !strings.HasSuffix(c.Name, "-browser") {
			forgetful.http.Jar.SetCookies(own.url("/"), []*http.Cookie{c})
		}
	}
	forgetful.open(forgetful.request("bank", again))
	if p := forgetful.submit(pathPassword, templates.FieldPassword, annasPassword); p.path != pathPasscode {
		t.Errorf("in her open session anna gets %d at %s", p.status, p.path)
	}
}

func TestPW16_SprayingOverManyNamesIsStopped(t *testing.T) {
	s := newSite(t, func(o *options) { o.limits = func(l *throttle.Limits) { l.PasswordsPerSourceHour = 3 } })
	b := s.newBrowser()
	b.open(b.request("bank"))
	for _, name := range []string{"one", "two", "three"} {
		b.typePassword(name, "Summer2026")
	}
	b.wantPage(http.StatusForbidden, pathPassword)
	b.typePassword("four", "Summer2026")
	b.wantPage(http.StatusTooManyRequests, pathPassword)
	if e := s.events(audit.PasswordThrottled); len(e) != 1 || e[0].Reason != "source" {
		t.Errorf("events %+v", e)
	}
}

func TestPW10_AHashThatIsBehindIsReplacedAtLogin(t *testing.T) {
	s := newSite(t)
	f, err := password.New(password.Config{Keys: s.keys, Clock: s.clock}).Hash(t.Context(), "anna", annasPassword)
	must(t, err)
	f.Normalization = 0 // as an older version made it
	s.tx(func(ctx context.Context) error { return s.store.PutPassword(ctx, f) })
	b := s.newBrowser()
	b.open(b.request("bank"))
	b.typePassword("anna", annasPassword)
	b.wantPage(http.StatusOK, pathPasscode)
	_, now, err := s.store.PersonByUsername(t.Context(), "anna")
	must(t, err)
	if now.Password.Hash == f.Hash || now.Password.Normalization == 0 {
		t.Errorf("the hash is still %+v", now)
	}
	if e := s.events(audit.PasswordRehash); len(e) != 1 || e[0].PersonID != "anna" {
		t.Errorf("events %+v", e)
	}
}

func TestLOG03_WhatWasTypedAsANameIsKeptOnlyWhenItMatched(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	b.open(b.request("bank"))
	b.typePassword("my-secret-passphrase", "and another secret")
	b.typePassword("anna", "and another secret")
	log := s.written()
	for _, typed := range []string{"my-secret-passphrase", "another secret", annasPassword} {
		if strings.Contains(log, typed) {
			t.Errorf("the audit log holds %q", typed)
		}
	}
	events := s.events(audit.PasswordFail)
	if len(events) != 2 || events[0].PersonID != "" || events[0].Data["name_hash"] == "" || events[1].PersonID != "anna" {
		t.Errorf("events %+v", events)
	}
}

func TestSES02_TheRightPasswordReplacesTheSecretOfTheRequest(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	old := b.http.Jar.Cookies(b.url("/"))
	hash := s.saved(id).BrowserHash
	b.typePassword("anna", annasPassword)
	if string(s.saved(id).BrowserHash) == string(hash) {
		t.Error("the hash is the same")
	}
	// Whoever planted or read the cookie before has nothing now.
	thief := s.newBrowser()
	thief.http.Jar.SetCookies(b.url("/"), old)
	thief.get(pathPasscode + "?r=" + id)
	thief.wantPage(http.StatusForbidden, pathPasscode)
	b.get(pathPasscode + "?r=" + id)
	b.wantPage(http.StatusOK, pathPasscode)
}

func TestSES03_ThePasswordAloneIsNoSession(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	b.open(b.request("bank"))
	b.typePassword("anna", annasPassword)
	if b.current().ID != "" {
		t.Error("there is a session after the password")
	}
	second := b.request("bank", func(a *storage.AuthRequest) { a.Request.Prompt = []string{"none"} })
	b.open(second)
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(second).Progress; p.Refusal != errLoginRequired || !p.ReadyAt.IsZero() {
		t.Errorf("another request is answered with %+v", p)
	}
}

func TestOTP25_NoMessageBeforeTheRightPassword(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	_, form := b.page.fields(t, pathPassword)
	b.typePassword("anna", "wrong")
	for _, path := range []string{pathAgain, pathSMS, pathPasscode} {
		b.post(path+"?r="+id, form)
		b.wantPage(http.StatusOK, pathPassword)
	}
	if n := len(s.events(audit.PasscodeQueued)); n != 0 {
		t.Errorf("%d messages were queued", n)
	}
}

func TestAFullGateIsToldAndNotCalledAWrongPassword(t *testing.T) {
	s := newSite(t)
	s.hashes.fail = &password.BusyError{RetryAfter: 2 * time.Second}
	b := s.newBrowser()
	b.open(b.request("bank"))
	p := b.typePassword("anna", annasPassword)
	if p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") != "2" {
		t.Errorf("status %d, Retry-After %q", p.status, p.header.Get("Retry-After"))
	}
	if n := len(s.events(audit.PasswordFail)); n != 0 {
		t.Error("a full gate is recorded as a wrong password")
	}
	for range 2 * throttle.Defaults().PasswordFree {
		b.typePassword("anna", annasPassword)
		b.wantPage(http.StatusServiceUnavailable, pathPassword)
	}
	s.hashes.fail = nil
	b.typePassword("anna", annasPassword)
	b.wantPage(http.StatusOK, pathPasscode)
}

func TestASendingLimitSaysWhenToComeBack(t *testing.T) {
	s := newSite(t, func(o *options) { o.limits = func(l *throttle.Limits) { l.SendsPerNumberHour = 1 } })
	first := s.newBrowser()
	first.open(first.request("bank"))
	first.typePassword("anna", annasPassword)
	second := s.newBrowser()
	id := second.request("bank")
	second.open(id)
	p := second.typePassword("anna", annasPassword)
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") != "3600" {
		t.Errorf("status %d, Retry-After %q", p.status, p.header.Get("Retry-After"))
	}
	if e := s.events(audit.PasscodeSendRefused); len(e) != 1 {
		t.Errorf("events %+v", e)
	}
	second.open(id)
	second.wantPage(http.StatusOK, pathPassword)
	s.clock.Advance(time.Hour)
	if again := s.saved(id); !again.Progress.PasswordAt.IsZero() {
		t.Error("a password is remembered of which nothing came")
	}
}
