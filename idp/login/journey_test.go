package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/idp/session"
	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

func TestTwoTabsOfOneRequest(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	left := b.page // the tab that is left open
	b.typePassword("anna", annasPassword)
	passcodeTab := b.page

	// The form of the tab left behind was made before the secret changed: nothing happens, and a link leads on.
	b.page = left
	b.typePassword("anna", annasPassword)
	b.wantPage(http.StatusForbidden, pathPassword)
	b.wantText(`href="/login?r=` + id)
	b.open(id)
	b.wantPage(http.StatusOK, pathPasscode)
	if n := len(s.events(audit.PasscodeQueued)); n != 1 {
		t.Errorf("%d messages were queued", n)
	}

	passcode := s.arrived(annasPhone, 0).Passcode
	b.typePasscode(passcode)
	b.wantPage(http.StatusOK, resumePath)
	// The other tab types the same passcode: it is led to the same end, and nobody signs in twice.
	b.page = passcodeTab
	b.typePasscode(passcode)
	b.wantPage(http.StatusOK, resumePath)
	if n := len(s.events(audit.SessionCreated)); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestTheBackButtonLeadsToWhereTheLoginIs(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	b.typePassword("anna", annasPassword)
	for _, path := range []string{pathPassword, pathAccount, pathConsent} {
		b.get(path + "?r=" + id)
		b.wantPage(http.StatusOK, pathPasscode)
	}
	b.typePasscode(s.arrived(annasPhone, 0).Passcode)
	for _, path := range []string{pathPassword, pathPasscode} {
		b.get(path + "?r=" + id)
		b.wantPage(http.StatusOK, resumePath)
	}
}

func TestAnEndedRequestIsExplained(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.signIn("bank")
	s.tx(func(ctx context.Context) error { // idp/oidc has answered the client
		a, err := s.store.AuthRequest(ctx, id)
		if err != nil {
			return err
		}
		a.EndedAt = s.clock.Now()
		return s.store.UpdateAuthRequest(ctx, a)
	})
	for _, path := range []string{pathPassword, pathPasscode} {
		b.get(path + "?r=" + id)
		b.wantPage(http.StatusOK, path)
		b.wantText("Already finished")
	}
	b.post(pathNotYou+"?r="+id, url.Values{})
	b.wantText("Already finished")
}

func TestARequestEndsByItself(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank")
	s.clock.Advance(15 * time.Minute)
	b.open(id)
	b.wantPage(http.StatusGone, pathPassword)
	b.open("nothingofthatname")
	b.wantPage(http.StatusGone, pathPassword)
}

func TestAnotherBrowserGetsNowhere(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	action, form := b.page.fields(t, pathPassword)
	other := s.newBrowser()
	other.request("bank")
	other.open(id)
	other.wantPage(http.StatusForbidden, pathPassword)
	other.wantText("another browser")
	form.Set("username", "anna")
	form.Set("password", annasPassword)
	other.post(action, form)
	other.wantPage(http.StatusForbidden, pathPassword)
	if s.hashes.count() != 0 {
		t.Error("a password of another browser was checked")
	}
}

func TestWEB01_FormsNeedTheirToken(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id, other := b.request("bank"), b.request("bank")
	b.open(id)
	_, form := b.page.fields(t, pathPassword)
	b.open(other)
	_, foreign := b.page.fields(t, pathPassword)
	for _, path := range []string{pathPassword, pathPasscode, pathSMS, pathAgain, pathRestart, pathConsent, pathAccount, pathNotYou, pathLeave} {
		for name, token := range map[string]string{"no token": "", "an invented token": "abc", "the token of another request": foreign.Get("csrf")} {
			b.post(path+"?r="+id, url.Values{"csrf": {token}, "username": {"anna"}, "password": {annasPassword}})
			if b.page.status != http.StatusForbidden {
				t.Errorf("%s: %s is taken with %d", path, name, b.page.status)
			}
		}
	}
	if s.saved(id).Version != 0 || s.hashes.count() != 0 {
		t.Error("a form without its token changed something")
	}
	form.Set("username", "anna")
	form.Set("password", annasPassword)
	if b.post(pathPassword+"?r="+id, form); b.page.path != pathPasscode {
		t.Errorf("the form's own token leads to %s (%d)", b.page.path, b.page.status)
	}
}

func TestWEB02_OtherMethodsAreRefused(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank")
	for path, allow := range map[string]string{pathPassword: "GET, POST", pathPasscode: "GET, POST", pathSMS: "POST", pathEvents: "GET"} {
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodTrace, http.MethodOptions} {
			req, err := http.NewRequestWithContext(t.Context(), method, b.url(path+"?r="+id).String(), nil)
			must(t, err)
			p := b.do(req)
			if p.status != http.StatusMethodNotAllowed || p.header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q", method, path, p.status, p.header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{pathSMS, pathAgain, pathNotYou, pathLeave, pathRestart} {
		if p := b.get(path + "?r=" + id); p.status != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", path, p.status)
		}
	}
}

func TestWEB04_FormActionNamesTheRedirectOriginAndNoMore(t *testing.T) {
	s := newSite(t)
	s.addClient(storage.Client{ID: "far", FirstParty: true, FormOrigins: []string{"https://sso.example"}})
	for _, tt := range []struct{ name, client, redirect, want string }{
		{"a web client", "bank", "https://app.example/callback?x=1", "form-action 'self' https://app.example;"},
		{"a native client on loopback", "bank", "http://127.0.0.1:49152/cb", "form-action 'self' http://127.0.0.1:49152;"},
		{"a native client with a scheme of its own", "bank", "com.example.app:/cb", "form-action 'self' com.example.app:;"},
		{"declared further origins", "far", redirectURI, "form-action 'self' https://app.example https://sso.example;"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := s.newBrowser()
			p := b.open(b.request(tt.client, func(a *storage.AuthRequest) { a.Request.RedirectURI = tt.redirect }))
			if csp := p.header.Get("Content-Security-Policy"); !strings.Contains(csp, tt.want) {
				t.Errorf("policy %q, want %q", csp, tt.want)
			}
			if p.header.Get("Cache-Control") != "no-store" { // WEB-08
				t.Errorf("Cache-Control %q", p.header.Get("Cache-Control"))
			}
		})
	}
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id, other := b.request("bank"), b.request("bank")
	b.open(id)
	_, form := b.page.fields(t, pathPassword)
	for name, path := range map[string]string{"no reference": "/login", "an empty one": "/login?r=", "two": "/login?r=" + id + "&r=" + other,
		"an endless one": "/login?r=" + strings.Repeat("a", 5000), "a broken query": "/login?r=%zz"} {
		if p := b.get(path); p.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	twice := url.Values{"csrf": form["csrf"], "username": {"anna"}, "password": {"wrong", annasPassword}}
	if p := b.post("/login?r="+id, twice); p.status != http.StatusBadRequest {
		t.Errorf("a field sent twice: %d", p.status)
	}
	mixed := url.Values{"csrf": form["csrf"], "request": {other}, "username": {"anna"}, "password": {annasPassword}}
	if p := b.post("/login?r="+id, mixed); p.status != http.StatusBadRequest {
		t.Errorf("a form of another request: %d", p.status)
	}
	if s.hashes.count() != 0 {
		t.Error("a malformed form was checked")
	}
}

func TestOA70_PromptNoneIsAnsweredWithoutAPage(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	silent := func(a *storage.AuthRequest) { a.Request.Prompt = []string{"none"} }
	answer := func(client string, changes ...func(*storage.AuthRequest)) string {
		id := b.request(client, append(changes, silent)...)
		b.open(id)
		b.wantPage(http.StatusOK, resumePath)
		return s.saved(id).Progress.Refusal
	}
	if got := answer("bank"); got != errLoginRequired {
		t.Errorf("nobody signed in: %q", got)
	}
	b.signIn("bank")
	if got := answer("bank"); got != "" {
		t.Errorf("signed in: %q", got)
	}
	if got := answer("shop"); got != errConsentRequired {
		t.Errorf("without consent: %q", got)
	}
	if n := len(s.handset.Inbox(annasPhone)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestOA16_ConsentIsAskedRememberedAndCanBeRefused(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("shop")
	b.open(id)
	b.typePassword("anna", annasPassword)
	b.typePasscode(s.arrived(annasPhone, 0).Passcode)
	b.wantPage(http.StatusOK, pathConsent)
	for _, text := range []string{"Shop", "app.example", "anna"} {
		b.wantText(text)
	}
	if p := s.saved(id).Progress; !p.ReadyAt.IsZero() {
		t.Error("ready before consent")
	}
	b.submit(pathConsent, "decision", "allow")
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(id).Progress; p.ReadyAt.IsZero() || !slices.Equal(p.ConsentScopes, []string{"openid", "profile"}) {
		t.Errorf("saved progress %+v", p)
	}
	if e := s.events(audit.ConsentGranted); len(e) != 1 || e[0].PersonID != "anna" || e[0].ClientID != "shop" || e[0].AuthRequestID != id {
		t.Errorf("events %+v", e)
	}

	b.open(b.request("shop")) // remembered
	b.wantPage(http.StatusOK, resumePath)

	more := b.request("shop", func(a *storage.AuthRequest) { a.Request.Scopes = []string{"openid", "email"} })
	b.open(more)
	b.wantPage(http.StatusOK, pathConsent)
	b.submit(pathConsent, "decision", "maybe")
	b.wantPage(http.StatusBadRequest, pathConsent)
	b.get(pathConsent + "?r=" + more)
	b.submit(pathConsent, "decision", "deny")
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(more).Progress; p.Refusal != errAccessDenied || !p.ReadyAt.IsZero() {
		t.Errorf("saved progress %+v", p)
	}
	if e := s.events(audit.ConsentDenied); len(e) != 1 || e[0].AuthRequestID != more {
		t.Errorf("events %+v", e)
	}

	again := b.request("shop", func(a *storage.AuthRequest) { a.Request.Prompt = []string{"consent"} })
	b.open(again)
	b.wantPage(http.StatusOK, pathConsent)
}

func TestWEB01_AConsentForOnePersonDoesNotCountForAnother(t *testing.T) {
	s := newSite(t)
	s.addPerson("bruno", "bruno's own password", "+393331234568")
	b := s.newBrowser()
	b.signIn("bank")
	shop := b.request("shop")
	b.open(shop)
	b.wantPage(http.StatusOK, pathConsent)
	b.wantText("anna")
	left := b.page // the first tab

	b.open(b.request("bank", func(a *storage.AuthRequest) { a.Request.Prompt = []string{"select_account"} }))
	b.submit(pathAccount, "decision", "other")
	b.typePassword("bruno", "bruno's own password")
	b.typePasscode(s.arrived("+393331234568", 0).Passcode)
	b.wantPage(http.StatusOK, resumePath)

	b.page = left
	b.submit(pathConsent, "decision", "allow")
	b.wantPage(http.StatusOK, pathConsent)
	b.wantText("bruno")
	if e := s.events(audit.ConsentGranted); len(e) != 0 {
		t.Fatalf("anna's click was taken for bruno's: %+v", e)
	}
	b.submit(pathConsent, "decision", "allow")
	b.wantPage(http.StatusOK, resumePath)
	if e := s.events(audit.ConsentGranted); len(e) != 1 || e[0].PersonID != "bruno" {
		t.Errorf("events %+v", e)
	}
}

func TestOTP23_ConsentOfAPersonDisabledMeanwhileIsNotTaken(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("shop")
	b.open(id)
	b.typePassword("anna", annasPassword)
	b.typePasscode(s.arrived(annasPhone, 0).Passcode)
	b.wantPage(http.StatusOK, pathConsent)
	s.disable("anna")
	b.submit(pathConsent, "decision", "allow")
	b.wantPage(http.StatusOK, pathPassword)
	if p := s.saved(id).Progress; !p.ReadyAt.IsZero() || !p.ConsentAt.IsZero() {
		t.Errorf("saved progress %+v", p)
	}
}

func TestSelectAccountGoesOnAsTheSamePerson(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	b.signIn("bank")
	id := b.request("bank", func(a *storage.AuthRequest) { a.Request.Prompt = []string{"select_account"} })
	b.open(id)
	b.wantPage(http.StatusOK, pathAccount)
	b.wantText("anna")
	b.submit(pathAccount, "decision", "continue")
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(id).Progress; p.PersonID != "anna" || p.ReadyAt.IsZero() {
		t.Errorf("saved progress %+v", p)
	}
}

func TestNotYouForgetsThePersonAndEndsTheChallenge(t *testing.T) {
	s := newSite(t)
	b, id, passcode := s.atPasscode()
	hash := s.saved(id).BrowserHash
	b.submit(pathNotYou)
	b.wantPage(http.StatusOK, pathPassword)
	if strings.Contains(b.page.body, "anna") {
		t.Error("the page still knows anna")
	}
	a := s.saved(id)
	if p := a.Progress; p.PersonID != "" || p.ChallengeID != "" || !p.PasswordAt.IsZero() || string(a.BrowserHash) == string(hash) {
		t.Errorf("saved %+v", a)
	}
	b.post(pathPasscode+"?r="+id, url.Values{"csrf": {s.login.formToken(a)}, "passcode": {passcode}})
	b.wantPage(http.StatusOK, pathPassword)
	if e := s.events(audit.Partial); len(e) != 1 || e[0].PersonID != "anna" {
		t.Errorf("a password without a passcode is told as %+v (OTP-27)", e)
	}
}

func TestNotYouLeavesTheSessionAlone(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	b.signIn("bank")
	id := b.request("shop")
	b.open(id)
	b.wantPage(http.StatusOK, pathConsent)
	b.submit(pathNotYou)
	b.wantPage(http.StatusOK, pathPassword)
	if b.current().PersonID != "anna" {
		t.Error("anna was signed out")
	}
}

func TestThePageKeepsItsLanguage(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank", func(a *storage.AuthRequest) { a.Request.UILocales = []string{"it-CH", "en"} })
	b.open(id)
	b.wantText(`lang="it"`)
	b.typePassword("anna", annasPassword)
	b.wantText(`lang="it"`)
	if got := s.saved(id).Progress.Locale; got != "it" {
		t.Errorf("saved locale %q", got)
	}
	c, err := s.store.Challenge(t.Context(), s.saved(id).Progress.ChallengeID)
	if err != nil || c.Locale != "it" {
		t.Errorf("the message is in %q (%v)", c.Locale, err)
	}
}

func TestAClientThatIsGoneStopsTheLogin(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("shop")
	s.tx(func(ctx context.Context) error {
		c, err := s.store.Client(ctx, "shop")
		if err != nil {
			return err
		}
		c.Disabled = true
		return s.store.UpdateClient(ctx, c, s.clock.Now())
	})
	b.open(id)
	b.wantPage(http.StatusForbidden, pathPassword)
}

// atOnce sends one filled-in form from several tabs at the same moment and returns the tabs.
func (b *browser) atOnce(n int, path string, values ...string) []*browser {
	b.t.Helper()
	action, form := b.page.fields(b.t, path)
	for i := 0; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	tabs := make([]*browser, n)
	var group sync.WaitGroup
	for i := range tabs {
		tabs[i] = b.newBrowser()
		tabs[i].http.Jar.SetCookies(b.url("/"), b.http.Jar.Cookies(b.url("/")))
		group.Go(func() { tabs[i].post(action, form) })
	}
	group.Wait()
	return tabs
}

func TestPasswordsPostedAtOnceStartOneChallenge(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		b := s.newBrowser()
		b.open(b.request("bank"))
		won := 0
		for _, tab := range b.atOnce(4, pathPassword, "username", "anna", "password", annasPassword) {
			if tab.page.path == pathPasscode && tab.page.status == http.StatusOK {
				won++
			}
		}
		if queued := len(s.events(audit.PasscodeQueued)); won != 1 || queued != 1 {
			t.Errorf("%d tabs won and %d messages were queued, want one of each", won, queued)
		}
	})
}

func TestOTP03_PasscodesPostedAtOnceBeginOneSession(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		b, id, passcode := s.atPasscode()
		signedIn := 0
		for _, tab := range b.atOnce(8, pathPasscode, "passcode", passcode) {
			if tab.current().ID != "" {
				signedIn++
			}
		}
		if created := len(s.events(audit.SessionCreated)); signedIn != 1 || created != 1 {
			t.Errorf("%d tabs are signed in and %d sessions were created, want one of each", signedIn, created)
		}
		if p := s.saved(id).Progress; p.ReadyAt.IsZero() {
			t.Errorf("saved progress %+v", p)
		}
	})
}

func TestForgottenTabsDoNotMakeRequestsTooLarge(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	var last string
	for range session.MaxRequests + 3 {
		s.clock.Advance(time.Second)
		last = b.request("bank")
	}
	b.open(last)
	b.wantPage(http.StatusOK, pathPassword)
	if n := len(b.http.Jar.Cookies(b.url("/"))); n != session.MaxRequests {
		t.Errorf("the browser keeps %d cookies", n)
	}
}

// outage is a store whose transactions fail.
type outage struct{ storage.Store }

var errDown = errors.New("disk on fire at /var/lib")

func (outage) InTx(context.Context, func(context.Context) error) error { return errDown }

func TestREL08_AnOutageIsNotARefusal(t *testing.T) {
	s := newSite(t, func(o *options) { o.store = func(st storage.Store) Store { return outage{st} } })
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	p := b.typePassword("anna", annasPassword)
	if p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", p.status, p.header.Get("Retry-After"))
	}
	if strings.Contains(p.body, "disk") {
		t.Error("the page tells inner text")
	}
	if s.hashes.count() != 0 {
		t.Error("a password was checked that could not be counted (DOS-06)")
	}
}

func TestOA72_TheHintNamesSomebodyElse(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank", func(a *storage.AuthRequest) { a.Request.HintSubject = "bruno" })
	b.open(id)
	b.typePassword("anna", annasPassword)
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(id).Progress; p.Refusal != errLoginRequired {
		t.Errorf("saved progress %+v", p)
	}
	if n := len(s.events(audit.PasscodeQueued)); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestAWishForNoSMSMakesItAButton(t *testing.T) {
	s := newSite(t)
	_, id, _ := s.atPasscode(func(a *storage.AuthRequest) { a.Request.ACRValues = []string{acr.PhoneNoSMS} })
	c, err := s.store.Challenge(t.Context(), s.saved(id).Progress.ChallengeID)
	must(t, err)
	if c.Policy.Fallback != "ask" || c.Policy.SMSForbidden {
		t.Errorf("policy %+v", c.Policy)
	}
}

// A whole login may take 40 statements and 9 commits (TestWholeLoginCosts); the pages have their part of them.
func TestStatementsPerPage(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank")
	// Clients are read from a cache in a running provider; here every page reads its own.
	check := func(name string, pages, statements, commits int, visit func()) {
		t.Helper()
		ops := s.cost(visit)
		gotCommits := len(slices.DeleteFunc(slices.Clone(ops), func(op string) bool { return op != "commit" }))
		got := len(ops) - gotCommits - pages
		if got > statements || gotCommits > commits {
			t.Errorf("%s: %d statements and %d commits, at most %d and %d: %v", name, got, gotCommits, statements, commits, ops)
		}
	}
	check("GET password", 1, 3, 0, func() { b.open(id) })
	check("POST password and GET passcode", 2, 14+4, 2, func() { b.typePassword("anna", annasPassword) })
	passcode := s.arrived(annasPhone, 0).Passcode
	s.eventually("both receipts", func() bool { return len(s.events(audit.PasscodeReceipt)) == 2 })
	check("GET passcode", 1, 4, 0, func() { b.get(pathPasscode + "?r=" + id) })
	check("POST passcode", 1, 14, 2, func() { b.typePasscode(passcode) })
	b.wantPage(http.StatusOK, resumePath)
}
