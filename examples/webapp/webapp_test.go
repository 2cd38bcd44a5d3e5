package webapp

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// browser is a person's browser in front of the application.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
}

// newBrowser starts the application in front of op.
func newBrowser(t *testing.T, op *testOP, change func(*Config)) *browser {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	cfg := Config{
		Issuer: op.issuer(), ClientID: "webapp", ClientSecret: "secret",
		RedirectURL: server.URL + "/callback", PostLogoutRedirectURL: server.URL + "/signed-out",
		HandsetURL: "http://phone.example",
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if handler, err = New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: server.URL, client: &http.Client{Jar: jar}}
}

type seen struct {
	status int
	path   string // where the redirects ended
	body   string
	header http.Header
}

func (b *browser) get(path string) seen { return b.do(http.MethodGet, path, nil) }

func (b *browser) post(path string) seen {
	return b.do(http.MethodPost, path, http.Header{"Sec-Fetch-Site": {"same-origin"}})
}

func (b *browser) do(method, path string, header http.Header) seen {
	b.t.Helper()
	req, err := http.NewRequest(method, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return seen{resp.StatusCode, resp.Request.URL.Path, html.UnescapeString(string(body)), resp.Header}
}

func (s seen) want(t *testing.T, status int, texts ...string) {
	t.Helper()
	if s.status != status {
		t.Errorf("status %d, want %d at %s", s.status, status, s.path)
	}
	for _, text := range texts {
		if !strings.Contains(s.body, text) {
			t.Errorf("page at %s does not say %q:\n%s", s.path, text, s.body)
		}
	}
}

func (b *browser) wantSignedOut() {
	b.t.Helper()
	b.get("/").want(b.t, 200, `id="login"`)
}

func TestLogin_ShowsWhatTheIDTokenSays(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	b.get("/").want(t, 200, `id="login"`, "http://phone.example")
	page := b.get("/login")
	page.want(t, 200, "Ada Rossi", acrPhone, "text message", `data-unix=`, `"mfa_channel": "sms"`)
	if page.path != "/" {
		t.Errorf("ended at %s", page.path)
	}
	for name, want := range map[string]string{"response_type": "code", "code_challenge_method": "S256", "scope": "openid profile email phone offline_access"} {
		if got := op.request.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	b.get("/userinfo").want(t, 200, "+390000000000")
}

func TestLogin_SessionIDChanges(t *testing.T) {
	b := newBrowser(t, newTestOP(t), nil)
	b.get("/login?prompt=none&next=/payments")
	u, _ := url.Parse(b.base)
	before := b.client.Jar.Cookies(u)[0].Value
	b.get("/login")
	if after := b.client.Jar.Cookies(u)[0].Value; after == before {
		t.Error("the session id is the one from before the login")
	}
}

func TestCallback_SignsNobodyInWhenTheAnswerDoesNotVerify(t *testing.T) {
	tests := []struct {
		name   string
		change func(*testOP)
		status int
		says   string
	}{
		{"another nonce", func(op *testOP) { op.claims["nonce"] = "stolen" }, 502, "could not be verified"},
		{"no nonce", func(op *testOP) { op.claims["nonce"] = nil }, 502, "could not be verified"},
		{"an ID token of another issuer", func(op *testOP) { op.claims["iss"] = "https://evil.example" }, 502, "could not be verified"},
		{"an ID token for another client", func(op *testOP) { op.claims["aud"] = "cliapp" }, 502, "could not be verified"},
		{"an ID token that another client asked for", func(op *testOP) { op.claims["azp"] = "cliapp" }, 502, "could not be verified"},
		{"several audiences and no azp", func(op *testOP) { op.claims["aud"] = []string{"webapp", "cliapp"} }, 502, "could not be verified"},
		{"an expired ID token", func(op *testOP) { op.claims["exp"] = time.Now().Add(-time.Minute).Unix() }, 502, "could not be verified"},
		{"another access token than at_hash says", func(op *testOP) { op.claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }, 502, "could not be verified"},
		{"a forged signature", func(op *testOP) { op.signer = newKey(t) }, 502, "could not be verified"},
		{"a response of another issuer", func(op *testOP) { op.answer.Set("iss", "https://evil.example") }, 502, "could not be verified"},
		{"a response without the promised iss", func(op *testOP) { op.answer.Set("iss", "") }, 502, "could not be verified"},
		{"an error of another issuer", func(op *testOP) {
			op.answer = url.Values{"iss": {"https://evil.example"}, "error": {"access_denied"}, "error_description": {"call +1 555"}}
		}, 502, "could not be verified"},
		{"another state", func(op *testOP) { op.answer.Set("state", "guess") }, 400, "not started here"},
		{"no state", func(op *testOP) { op.answer.Set("state", "") }, 400, "not started here"},
		{"a code that the provider does not know", func(op *testOP) { op.answer.Set("code", "bad") }, 502, "invalid_grant"},
		{"a refusal", func(op *testOP) { op.answer = url.Values{"code": {""}, "error": {"access_denied"}} }, 403, "access_denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op := newTestOP(t)
			tt.change(op)
			b := newBrowser(t, op, nil)
			page := b.get("/login")
			page.want(t, tt.status, tt.says)
			if strings.Contains(page.body, "555") {
				t.Error("text of an unverified answer is on the page")
			}
			b.wantSignedOut()
		})
	}
}

func TestCallback_WorksOnce(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	b.get("/login").want(t, 200, "Ada")
	again := url.Values{"code": {"good"}, "state": {op.request.Get("state")}, "iss": {op.issuer()}}
	b.get("/callback?"+again.Encode()).want(t, 400, "not started here")
}

func TestCallback_BelongsToTheBrowserThatStarted(t *testing.T) {
	op := newTestOP(t)
	victim, attacker := newBrowser(t, op, nil), newBrowser(t, op, nil)
	attacker.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	location, _ := url.Parse(attacker.do(http.MethodGet, "/login", nil).header.Get("Location"))
	planted := url.Values{"code": {"good"}, "state": {location.Query().Get("state")}, "iss": {op.issuer()}}
	victim.get("/callback?"+planted.Encode()).want(t, 400, "not started here")
	victim.wantSignedOut()
}

func TestLogin_TwoTabsBothFinish(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var firstTab *url.URL
	for range 2 {
		location, _ := url.Parse(b.get("/login").header.Get("Location"))
		if firstTab == nil {
			firstTab = location
		}
	}
	b.client.CheckRedirect = nil
	resp, err := b.client.Get(firstTab.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" {
		t.Errorf("the first tab ended with %s at %s", resp.Status, resp.Request.URL.Path)
	}
}

func TestLogin_FreshnessIsCheckedAndNotOnlyAskedFor(t *testing.T) {
	for _, option := range []string{"max_age=0", "prompt=login", "max_age=1800"} {
		op := newTestOP(t)
		b := newBrowser(t, op, nil)
		op.claims["auth_time"] = time.Now().Add(-time.Hour).Unix()
		b.get("/login?"+option).want(t, 502, "not fresh")
		op.claims["auth_time"] = nil
		b.get("/login?"+option).want(t, 502, "not fresh")
		op.claims["auth_time"] = time.Now().Unix()
		b.get("/login?"+option).want(t, 200, "Ada Rossi")
	}
}

func TestLogin_OptionsFromTheURLAreLimited(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	for _, bad := range []string{
		"next=https://evil.example", "next=//evil.example", "next=/callback", "prompt=create", "max_age=-1",
		"max_age=soon", "acr_values=%22%3E%3Cscript%3E", "ui_locales=" + strings.Repeat("x", 201),
	} {
		b.get("/login?"+bad).want(t, 400, "does not work")
	}
	b.get("/login?ui_locales=it&prompt=select_account&max_age=60&acr_values=a+b&next=/payments")
	for name, want := range map[string]string{"ui_locales": "it", "prompt": "select_account", "max_age": "60", "acr_values": "a b"} {
		if got := op.request.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestProvider_MayStartLater(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	op.down = true
	b.get("/").want(t, 200, `id="login"`)
	page := b.get("/login")
	page.want(t, 503, "does not answer")
	if page.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	op.down = false
	b.get("/login").want(t, 200, "Ada Rossi")
}

func TestUserinfo_OfAnotherPersonIsNotShown(t *testing.T) {
	op := newTestOP(t)
	op.userinfoSub = "bob"
	b := newBrowser(t, op, nil)
	b.get("/login")
	b.get("/userinfo").want(t, 502, "somebody else")
}

func TestLogout_EndsHereAndAtTheProvider(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	b.get("/login")
	page := b.post("/logout")
	page.want(t, 200, `id="signed-out"`)
	if op.loggedOut.Get("id_token_hint") == "" || op.loggedOut.Get("state") == "" {
		t.Errorf("logout request %v", op.loggedOut)
	}
	b.wantSignedOut()
	if page := b.get("/signed-out?state=guess"); strings.Contains(page.body, `id="signed-out"`) {
		t.Error("the page vouches for a logout that did not happen")
	}
}

func TestForms_OfOtherSitesAreRefused(t *testing.T) {
	b := newBrowser(t, newTestOP(t), nil)
	b.get("/login")
	for _, path := range []string{"/logout", "/refresh", "/payments"} {
		b.do(http.MethodPost, path, http.Header{"Sec-Fetch-Site": {"same-site"}}).want(t, 403)
		b.do(http.MethodPost, path, http.Header{"Origin": {"https://evil.example"}}).want(t, 403)
	}
	b.get("/").want(t, 200, "Ada Rossi")
}

func TestNew_RefusesAnIncompleteConfig(t *testing.T) {
	good := Config{Issuer: "https://id.example", ClientID: "c", ClientSecret: "s", RedirectURL: "https://app.example/callback"}
	if _, err := New(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no issuer":                      func(c *Config) { c.Issuer = "" },
		"no client secret":               func(c *Config) { c.ClientSecret = "" },
		"a redirect URL without a host":  func(c *Config) { c.RedirectURL = "/callback" },
		"a redirect URL without a path":  func(c *Config) { c.RedirectURL = "https://app.example" },
		"a redirect URL on another page": func(c *Config) { c.RedirectURL = "https://app.example/login" },
		"a logout URL on another page":   func(c *Config) { c.PostLogoutRedirectURL = "https://app.example/payments" },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
