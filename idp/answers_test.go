package idp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/internal/app"
)

// visitor is a browser in the middle of a login.
type visitor struct {
	t       *testing.T
	h       http.Handler
	cookies map[string]string
}

// ask sends a form, or a GET when there is none.
func (v *visitor) ask(target string, fields url.Values) *httptest.ResponseRecorder {
	v.t.Helper()
	var pairs []string
	for name, value := range v.cookies {
		pairs = append(pairs, name+"="+value)
	}
	headers := []string{"Cookie", strings.Join(pairs, "; ")}
	var w *httptest.ResponseRecorder
	if fields == nil {
		w = ask(v.h, "GET", target, nil, headers...)
	} else {
		w = ask(v.h, "POST", target, strings.NewReader(fields.Encode()), append(headers, "Content-Type", form, "Sec-Fetch-Site", "same-origin")...)
	}
	for _, c := range w.Result().Cookies() {
		v.cookies[c.Name] = c.Value
	}
	return w
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

func hidden(page string) url.Values {
	fields := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(page, -1) {
		fields.Set(m[1], m[2])
	}
	return fields
}

// newVisitor is a browser and the authorization request that its application sends it with.
func newVisitor(t *testing.T) (*visitor, url.Values) {
	t.Helper()
	b, h := installation(t, nil)
	if _, err := b.AddUser(t.Context(), app.NewUser{Username: "ada", Password: "tulip harbour lantern", Phone: "+393471234567", PhoneVerified: true}); err != nil {
		t.Fatal(err)
	}
	c, _, err := b.AddClient(t.Context(), app.ClientMetadata{ClientName: "Conto", RedirectURIs: []string{"https://app.test/callback"}, AuthMethod: "none"})
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, h: h, cookies: map[string]string{}}, url.Values{
		"client_id": {c.ID}, "redirect_uri": {"https://app.test/callback"}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"s"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
}

func TestOA11_WEB08_WEB10_FormsLeadOnBy303ToOurPagesAndTheRedirectURIAlone(t *testing.T) {
	const elsewhere = "https://evil.test/"
	lures := url.Values{}
	for _, name := range []string{"return_to", "return_url", "next", "redirect", "redirect_to", "continue", "url"} {
		lures.Set(name, elsewhere)
	}
	v, request := newVisitor(t)
	for name, value := range lures {
		request[name] = value
	}
	leads := func(what string, w *httptest.ResponseRecorder, to string) string {
		t.Helper()
		location := w.Header().Get("Location")
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(location, to) || strings.Contains(location, "evil") {
			t.Fatalf("%s: %d to %q, want 303 to %s", what, w.Code, location, to)
		}
		return location
	}
	shows := func(what string, w *httptest.ResponseRecorder) url.Values {
		t.Helper()
		if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), "evil") {
			t.Fatalf("%s: %d, Cache-Control %q", what, w.Code, w.Header().Get("Cache-Control"))
		}
		return hidden(w.Body.String())
	}
	login := leads("POST /authorize", v.ask("/authorize", request), "/login?r=")
	fields := shows("the password page", v.ask(login+"&"+lures.Encode(), nil))
	for name, value := range lures {
		fields[name] = value
	}
	fields.Set("username", "ada")
	fields.Set("password", "tulip harbour lantern")
	passcode := leads("the right password", v.ask(login+"&"+lures.Encode(), fields), "/login/passcode?r=")
	fields = shows("the passcode page", v.ask(passcode+"&"+lures.Encode(), nil))
	for name, value := range lures {
		fields[name] = value
	}
	resume := leads("leaving", v.ask("/login/leave?r="+fields.Get("request")+"&"+lures.Encode(), fields), "/authorize/resume?")
	w := v.ask(resume+"&"+lures.Encode(), nil)
	// The client is a third party, so our own page stands between (OA-14); its link is the registered address.
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "https://app.test/callback?") || strings.Contains(w.Body.String(), "evil") {
		t.Errorf("the end: %d %s", w.Code, w.Body)
	}
}

func TestOA35_TokensAndWhatIsSaidOfThemAreNotStored(t *testing.T) {
	b, h := installation(t, nil)
	scope := "reports"
	c, clear, err := b.AddClient(t.Context(), app.ClientMetadata{ClientName: "Reports", GrantTypes: []string{"client_credentials"}, Scope: &scope,
		Introspects: []string{"https://api.test"}})
	if err != nil {
		t.Fatal(err)
	}
	basic := []string{"Content-Type", form, "Authorization", "Basic " + basicOf(c.ID, clear)}
	for _, tt := range []struct {
		method, path, body string
		headers            []string
		status             int
	}{
		{"POST", "/token", "grant_type=client_credentials&scope=reports", basic, 200},
		{"POST", "/token", "grant_type=password", basic, 400},
		{"POST", "/token", "grant_type=client_credentials", []string{"Content-Type", form}, 401},
		{"POST", "/introspect", "token=x", basic, 200},
		{"POST", "/introspect", "token=x", []string{"Content-Type", form}, 401},
		{"POST", "/revoke", "token=x", basic, 200},
		{"GET", "/userinfo", "", nil, 401},
		{"POST", "/userinfo", "", []string{"Authorization", "Bearer x"}, 401},
	} {
		w := ask(h, tt.method, tt.path, strings.NewReader(tt.body), tt.headers...)
		if w.Code != tt.status || !slices.Contains(w.Header()["Cache-Control"], "no-store") {
			t.Errorf("%s %s %s: %d, Cache-Control %q; want %d", tt.method, tt.path, tt.body, w.Code, w.Header()["Cache-Control"], tt.status)
		}
	}
}

func basicOf(id, secret string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

func TestOA06_OA65_NothingButACodeAndNoRequestObjects(t *testing.T) {
	v, request := newVisitor(t)
	for name, tt := range map[string]struct{ parameter, value, want string }{
		"a token":                {"response_type", "token", "unsupported_response_type"},
		"an ID token":            {"response_type", "id_token", "unsupported_response_type"},
		"a code and a token":     {"response_type", "code token", "unsupported_response_type"},
		"nothing":                {"response_type", "none", "unsupported_response_type"},
		"a request object":       {"request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported"},
		"a reference to one":     {"request_uri", "https://app.test/request", "request_uri_not_supported"},
		"a request that was put": {"request_uri", "urn:ietf:params:oauth:request_uri:x", "request_uri_not_supported"},
	} {
		for _, scope := range []string{"openid", "profile"} {
			q := url.Values{"scope": {scope}}
			for key, values := range request {
				if key != "scope" {
					q[key] = values
				}
			}
			q.Set(tt.parameter, tt.value)
			// A third party's error is a page of ours first (OA-14), with the answer behind its link.
			w := v.ask("/authorize?"+q.Encode(), nil)
			if answer := w.Header().Get("Location") + w.Body.String(); !strings.Contains(answer, "error="+tt.want) || strings.Contains(answer, "code=") {
				t.Errorf("%s, scope %s: %d %.300s", name, scope, w.Code, answer)
			}
		}
	}
	discovery := ask(v.h, "GET", "/.well-known/openid-configuration", nil).Body.String()
	for _, want := range []string{`"response_types_supported":["code"]`, `"request_parameter_supported":false`, `"request_uri_parameter_supported":false`} {
		if !strings.Contains(discovery, want) {
			t.Errorf("discovery lacks %s", want)
		}
	}
}
