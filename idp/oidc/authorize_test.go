package oidc

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
)

func TestOA10_RequestByGetOrPostIsSavedAndSentToTheLoginPages(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	for name, send := range map[string]func() reply{
		"GET":  func() reply { return f.authorize(authorizeForm(c)) },
		"POST": func() reply { return f.post("/authorize", authorizeForm(c)) },
		"POST from another site": func() reply {
			r, _ := http.NewRequest(http.MethodPost, f.server.URL+"/authorize", strings.NewReader(authorizeForm(c).Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", "https://rp.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			return f.do(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := send()
			a := f.request(f.begun(got))
			if a.ClientID != c.ID || a.Request.State != "s" || a.CorrelationID != correlation {
				t.Errorf("saved %+v", a)
			}
			if a.ExpiresAt.Sub(a.CreatedAt) != f.provider.Lifetimes.AuthRequest || len(a.BrowserHash) == 0 {
				t.Errorf("saved %+v", a)
			}
			if got.Header.Get("Set-Cookie") == "" {
				t.Error("the browser gets no cookie for the request")
			}
		})
	}
	if got := f.events("oauth.authorize.started"); len(got) != 3 || got[0].CorrelationID != correlation || got[0].ClientID != c.ID {
		t.Errorf("events %+v", got)
	}
}

func TestOA03_NothingIsRedirectedBeforeClientAndRedirectURIMatch(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	disabled := f.addClient(func(c *storage.Client) { c.Disabled = true })
	for _, tt := range []struct {
		name  string
		query string
		page  PageError
	}{
		{"no client", authorizeForm(c, "client_id", "").Encode(), PageUnknownClient},
		{"an unknown client", authorizeForm(c, "client_id", "other").Encode(), PageUnknownClient},
		{"a client id that no database takes", authorizeForm(c, "client_id", "a\x00b").Encode(), PageUnknownClient},
		{"a disabled client", authorizeForm(disabled).Encode(), PageUnknownClient},
		{"the client twice", authorizeForm(c).Encode() + "&client_id=" + c.ID, PageUnknownClient},
		{"no redirect URI", authorizeForm(c, "redirect_uri", "").Encode(), PageBadRedirectURI},
		{"a redirect URI that is not registered", authorizeForm(c, "redirect_uri", callback+"&x=1").Encode(), PageBadRedirectURI},
		{"the redirect URI twice", authorizeForm(c).Encode() + "&redirect_uri=" + url.QueryEscape(callback), PageBadRedirectURI},
		{"an unparsable query", "client_id=%zz", PageBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := f.get("/authorize?" + tt.query)
			if got.StatusCode != http.StatusBadRequest || got.body != "page "+string(tt.page) || got.Header.Get("Location") != "" {
				t.Errorf("got %s %q %q", got.Status, got.body, got.Header.Get("Location"))
			}
		})
	}
	if got := f.events("oauth.authorize.error"); len(got) != 9 || got[0].Reason != "invalid_request" || got[0].Outcome != "failure" {
		t.Errorf("got %d events: %+v", len(got), got)
	}
}

func TestOA08_OA13_A4_A5_ErrorsCarryIssuerAndTheExactState(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	for _, tt := range []struct{ name, state string }{
		{"one character", "s"},
		{"what a URL must escape", "a b&c=d%20+/?#é\""},
		{"a long one", strings.Repeat("x", 2000)},
		{"none", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := f.authorize(authorizeForm(c, "state", tt.state, "response_type", "token"))
			params := f.answered(got)
			if params.Get("error") != "unsupported_response_type" || params.Get("iss") != f.provider.Issuer {
				t.Errorf("got %v", params)
			}
			if params.Get("state") != tt.state || params.Has("state") != (tt.state != "") {
				t.Errorf("state came back as %q", params["state"])
			}
			if !strings.HasPrefix(got.Header.Get("Location"), callback+"&") || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %q", got.Header.Get("Location"))
			}
		})
	}
}

func TestOA09_A6_RepeatedParametersAreRefused(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	params := f.answered(f.get("/authorize?" + authorizeForm(c).Encode() + "&scope=openid"))
	if params.Get("error") != "invalid_request" || params.Get("state") != "s" {
		t.Errorf("a repeated scope: %v", params)
	}
	params = f.answered(f.get("/authorize?" + authorizeForm(c).Encode() + "&state=t"))
	if params.Get("error") != "invalid_request" || params.Has("state") {
		t.Errorf("a repeated state: %v", params)
	}
	params = f.answered(f.post("/authorize?scope=openid", authorizeForm(c)))
	if params.Get("error") != "invalid_request" {
		t.Errorf("the same parameter in query and body: %v", params)
	}
	f.begun(f.get("/authorize?" + authorizeForm(c).Encode() + "&prompt=&max_age="))
}

func TestOA14_StrangersGetAPageBeforeTheRedirect(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(func(c *storage.Client) { c.FirstParty = false })
	got := f.authorize(authorizeForm(c, "scope", "openid unknown"))
	if got.StatusCode != http.StatusOK || !strings.HasPrefix(got.body, "interstitial "+callback+"&error=invalid_scope") {
		t.Errorf("got %s %q", got.Status, got.body)
	}
	// Core §3.1.2.6: a silent request runs in a frame; nobody could press the button.
	if params := f.answered(f.authorize(authorizeForm(c, "prompt", "none"))); params.Get("error") != "login_required" {
		t.Errorf("got %v", params)
	}
}

func TestOA07_ErrorsGoByTheResponseModeOfTheRequest(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	got := f.authorize(authorizeForm(c, "response_mode", "form_post", "scope", "unknown"))
	if !strings.HasPrefix(got.body, "form_post "+callback+"\n") || !strings.Contains(got.body, "error=invalid_scope") || !strings.Contains(got.body, "iss=") {
		t.Errorf("got %s %q", got.Status, got.body)
	}
}

func TestOA70_SilentRequestWithoutASessionIsAnsweredAtOnce(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	params := f.answered(f.authorize(authorizeForm(c, "prompt", "none")))
	if params.Get("error") != "login_required" || params.Get("state") != "s" {
		t.Errorf("got %v", params)
	}
	f.login(authorizeForm(c)) // now there is a session
	f.begun(f.authorize(authorizeForm(c, "prompt", "none")))
}

func TestOA73_UnreachableACRIsRefusedBeforeAnybodySignsIn(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(func(c *storage.Client) { c.RequiredACR = acr.PhishingResistant })
	if params := f.answered(f.authorize(authorizeForm(c))); params.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("got %v", params)
	}
}

func TestOA72_A22_IDTokenHint(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(func(c *storage.Client) { c.JWTAccessTokens = true })
	tokens := f.issued(c)
	sign := func(typ string, claims any) string {
		token, err := f.signer.Sign(context.Background(), "ES256", typ, claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	now := f.clock.Now().Unix()
	f.clock.Advance(f.provider.Lifetimes.IDToken * 2)
	t.Run("an expired ID token of ours says whom the request is about", func(t *testing.T) {
		a := f.request(f.begun(f.authorize(authorizeForm(c, "id_token_hint", tokens.IDToken))))
		if a.Request.HintSubject != f.person.ID {
			t.Errorf("saved %+v", a.Request)
		}
		if strings.Contains(a.Request.Form, "hint") {
			t.Error("the token itself is kept")
		}
	})
	for name, hint := range map[string]string{
		"a JWT access token":            tokens.AccessToken,
		"an ID token of another issuer": sign("JWT", idTokenClaims{Issuer: "https://other.example", Subject: f.person.ID, Audience: c.ID, IssuedAt: now}),
		"an ID token under another typ": sign("logout+jwt", idTokenClaims{Issuer: f.provider.Issuer, Subject: f.person.ID, Audience: c.ID}),
		"an ID token without a subject": sign("JWT", idTokenClaims{Issuer: f.provider.Issuer, Audience: c.ID}),
		"a broken signature":            tokens.IDToken[:len(tokens.IDToken)-8] + "AAAAAAAA",
		"no token at all":               "hint",
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			if params := f.answered(f.authorize(authorizeForm(c, "id_token_hint", hint))); params.Get("error") != "invalid_request" {
				t.Errorf("got %v", params)
			}
		})
	}
	t.Run("two different subjects cannot both sign in", func(t *testing.T) {
		form := authorizeForm(c, "id_token_hint", tokens.IDToken, "claims", `{"id_token":{"sub":{"value":"other"}}}`)
		if params := f.answered(f.authorize(form)); params.Get("error") != "login_required" {
			t.Errorf("got %v", params)
		}
	})
}

func TestINP01_RequestsAreBounded(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	if got := f.post("/authorize", authorizeForm(c, "x", strings.Repeat("y", maxBody))); got.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %s %q", got.Status, got.body)
	}
	if params := f.answered(f.post("/authorize", authorizeForm(c, "nonce", strings.Repeat("y", maxValue+1)))); params.Get("error") != "invalid_request" {
		t.Errorf("a long parameter: %v", params)
	}
	r, _ := http.NewRequest(http.MethodPut, f.server.URL+"/authorize", nil)
	if got := f.do(r); got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET, POST" {
		t.Errorf("PUT: %s", got.Status)
	}
}

func TestDOS07_RequestsOfOneSourceAreLimited(t *testing.T) {
	f := newFlow(t)
	limits := throttle.Defaults()
	limits.RequestsPerSourceMinute = 3
	f.provider.Throttle = throttle.New(limits, f.keys)
	c := f.addClient(nil)
	for range 2 {
		f.begun(f.authorize(authorizeForm(c)))
	}
	f.answered(f.authorize(authorizeForm(c, "scope", "unknown"))) // a refused one counts as well
	for _, query := range []string{authorizeForm(c).Encode(), authorizeForm(c, "scope", "unknown").Encode(), "client_id=other"} {
		got := f.get("/authorize?" + query)
		if got.StatusCode != http.StatusTooManyRequests || got.body != "page too_many_requests" || got.Header.Get("Retry-After") == "" {
			t.Errorf("got %s %q", got.Status, got.body)
		}
	}
	if n := len(f.events("oauth.authorize.")); n != 3 {
		t.Errorf("%d events beyond the limit", n)
	}
	for range 50 {
		f.authorize(authorizeForm(c))
	}
	if hits := f.events(audit.RateLimitHit); len(hits) < 1 || len(hits) > 12 || hits[0].Reason != "authorization_requests" {
		t.Errorf("%d events of the limit, want some and not a flood: %+v", len(hits), hits)
	}
	other := reqinfo.With(context.Background(), reqinfo.Info{Source: "192.0.2.8"})
	f.tx(func(ctx context.Context) error {
		return f.provider.takeRequest(reqinfo.With(ctx, reqinfo.From(other)), f.clock.Now())
	})
}

func TestA12_A13_A14_A15_A16_A31_NothingIsTakenThatIsNotOffered(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	fetched := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the reference was fetched") }))
	defer fetched.Close()
	for _, tt := range []struct{ name, value, want string }{
		{"request_uri", "urn:ietf:params:oauth:request_uri:x", "request_uri_not_supported"},
		{"request_uri", fetched.URL, "request_uri_not_supported"},
		{"request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported"},
		{"registration", "{}", "registration_not_supported"},
	} {
		for _, scope := range []string{"openid", "read"} { // fosite looks at both only with openid
			if params := f.answered(f.authorize(authorizeForm(c, tt.name, tt.value, "scope", scope))); params.Get("error") != tt.want {
				t.Errorf("%s=%s: %v", tt.name, tt.value, params)
			}
		}
	}
	got := f.token(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {c.ID}, "device_code": {"x"}})
	got.refused(t, http.StatusBadRequest, "unsupported_grant_type")
}

func TestOA15_A23_ScopesAndResourcesAreComparedExactly(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(func(c *storage.Client) {
		c.Scopes, c.Audience = []string{"openid", "photo", "files.*"}, []string{"https://api.example/v1"}
	})
	for _, scope := range []string{"photo.read", "files.read", "Photo", "*"} {
		params := f.answered(f.authorize(authorizeForm(c, "scope", "openid "+scope)))
		if params.Get("error") != "invalid_scope" || strings.Contains(params.Get("error_description"), scope) {
			t.Errorf("%s: %v", scope, params)
		}
	}
	for _, resource := range []string{"https://api.example/v1/x", "https://api.example/v1?x", "https://api.example/v1/", "https://api.example"} {
		if params := f.answered(f.authorize(authorizeForm(c, "scope", "openid", "resource", resource))); params.Get("error") != "invalid_target" {
			t.Errorf("%s: %v", resource, params)
		}
	}
	f.begun(f.authorize(authorizeForm(c, "scope", "files.* photo", "resource", "https://api.example/v1", "audience", "https://api.example/v1/x")))
}

func TestOA71_A21_MaxAgeIsReadOrRefused(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	for text, want := range map[string]int64{"0": 0, "1": 1, "9223372036854775807": maxMaxAge} {
		a := f.request(f.begun(f.authorize(authorizeForm(c, "max_age", text))))
		if a.Request.MaxAge == nil || *a.Request.MaxAge != want {
			t.Errorf("%s: saved %v", text, a.Request.MaxAge)
		}
	}
	for _, text := range []string{"-1", "+1", "1.5", "1e3", "one", "9223372036854775808"} {
		if params := f.answered(f.authorize(authorizeForm(c, "max_age", text))); params.Get("error") != "invalid_request" {
			t.Errorf("%s: %v", text, params)
		}
	}
}

func TestA28_DescriptionsAreOurOwnSentences(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	params := f.answered(f.authorize(authorizeForm(c, "scope", "openid <script>")))
	if got := params.Get("error_description"); got != "scope is not one of this client's ("+correlation+")" {
		t.Errorf("got %q", got)
	}
}

func TestOA71_AnEndlessDefaultMaxAgeIsNotAnImmediateOne(t *testing.T) {
	endless := int64(math.MaxInt64)
	age, err := maxAge(storage.Client{DefaultMaxAge: &endless}, "")
	if err != nil || age == nil {
		t.Fatalf("max_age %v, %v", age, err)
	}
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	if !freshEnough(now.Add(-time.Hour), storage.AuthRequest{CreatedAt: now, Request: storage.AuthRequestParams{MaxAge: age}}) {
		t.Error("a login of an hour ago is too old for it")
	}
}
