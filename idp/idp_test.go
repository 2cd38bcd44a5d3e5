package idp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

func random() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// provider is the whole provider on a new SQLite file, as the wiring makes it.
func provider(t *testing.T, change func(*app.Config)) http.Handler {
	t.Helper()
	_, h := installation(t, change)
	return h
}

// installation is a provider with what an operator can ask of it.
func installation(t *testing.T, change func(*app.Config)) (*app.Base, http.Handler) {
	t.Helper()
	c := app.Defaults()
	c.Issuer = "http://127.0.0.1:8080"
	c.Database.Path = filepath.Join(t.TempDir(), "parola.db")
	c.Database.Synchronous = "NORMAL"
	c.Secrets.Root = app.NewSecret(random())
	c.WhatsApp.PhoneNumberID = "106000000000001"
	c.WhatsApp.AccessToken, c.WhatsApp.AppSecret, c.WhatsApp.VerifyToken = app.NewSecret(random()), app.NewSecret(random()), app.NewSecret(random())
	c.SMS.Carriers = []string{"twilio"}
	c.MFA.Countries = []string{"IT"}
	c.SMS.Twilio.AccountSID, c.SMS.Twilio.From = "AC"+strings.Repeat("0", 32), "+12025550123"
	c.SMS.Twilio.AuthToken = app.NewSecret(hex.EncodeToString([]byte(random())[:16]))
	if change != nil {
		change(&c)
	}
	b, err := app.Open(t.Context(), c, app.Options{Release: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	a, err := app.New(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return b, a.Handler()
}

func ask(h http.Handler, method, target string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, target, body)
	r.RemoteAddr = "192.0.2.7:4711"
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const form = "application/x-www-form-urlencoded"

func TestWEB06_EveryAnswerCarriesTheHeaders(t *testing.T) {
	h := provider(t, nil)
	for _, path := range []string{"/", "/nowhere", "/login", "/authorize", "/token", "/jwks", "/.well-known/openid-configuration",
		"/webhooks/whatsapp", "/static/none.css", "/logout"} {
		w := ask(h, "GET", path, nil)
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("GET %s: %s is %q, want %q", path, header, got, want)
			}
		}
		csp := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("GET %s: policy %q lacks %s", path, csp, want)
			}
		}
		if w.Header().Get("Strict-Transport-Security") != "" {
			t.Errorf("GET %s: HSTS on an http issuer", path)
		}
	}
}

func TestWEB12_PlainHTTPIsSentToTheHTTPSAddressOrRefused(t *testing.T) {
	h := provider(t, func(c *app.Config) {
		c.Issuer = "https://login.bank.test"
		c.Server.TrustedProxies = []string{"10.0.0.0/8"}
	})
	w := ask(h, "GET", "/?a=b", nil, "Accept", "text/html")
	if w.Code != http.StatusMovedPermanently || w.Header().Get("Location") != "https://login.bank.test/?a=b" {
		t.Errorf("a page by http: %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := ask(h, "POST", "/token", strings.NewReader("a=b"), "Content-Type", form); w.Code != http.StatusForbidden || w.Header().Get("Location") != "" {
		t.Errorf("an API by http: %d to %q, want 403 without a redirect", w.Code, w.Header().Get("Location"))
	}
	if w := ask(h, "GET", "/", nil, "X-Forwarded-Proto", "https"); w.Code == http.StatusOK {
		t.Error("a stranger's X-Forwarded-Proto was believed")
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.RemoteAddr = "10.1.2.3:99"
	r.Header.Set("X-Forwarded-Proto", "https")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK || !strings.HasPrefix(rec.Header().Get("Strict-Transport-Security"), "max-age=31536000") {
		t.Errorf("through the proxy: %d, HSTS %q", rec.Code, rec.Header().Get("Strict-Transport-Security"))
	}
}

func TestINP01_LargeBodiesAndMultipartAreRefusedBeforeParsing(t *testing.T) {
	h := provider(t, nil)
	for _, path := range []string{"/token", "/authorize", "/login", "/introspect", "/revoke", "/userinfo", "/logout"} {
		if w := ask(h, "POST", path, bytes.NewReader(make([]byte, 65<<10)), "Content-Type", form); w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("65 KiB to %s: %d, want 413", path, w.Code)
		}
		if w := ask(h, "POST", path, strings.NewReader("--x--"), "Content-Type", "multipart/form-data; boundary=x"); w.Code != http.StatusUnsupportedMediaType && w.Code != http.StatusBadRequest {
			t.Errorf("multipart to %s: %d", path, w.Code)
		}
	}
}

func TestWEB01_FormsFromOtherSitesAreRefused(t *testing.T) {
	h := provider(t, nil)
	for name, headers := range map[string][]string{
		"another site, new browser": {"Sec-Fetch-Site", "cross-site"},
		"a sibling subdomain":       {"Sec-Fetch-Site", "same-site"},
		"another site, old browser": {"Origin", "https://evil.test"},
		"no origin to name":         {"Origin", "null"},
	} {
		w := ask(h, "POST", "http://127.0.0.1:8080/login?r=x", strings.NewReader("a=b"), append(headers, "Content-Type", form)...)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, w.Code)
		}
	}
	w := ask(h, "POST", "http://127.0.0.1:8080/login?r=x", strings.NewReader("a=b"), "Origin", "http://127.0.0.1:8080", "Content-Type", form)
	if w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), "another site") {
		t.Error("our own form was refused")
	}
}

func TestLOG01_RefusedFormsAreToldWithinALimitOfTheirOwn(t *testing.T) {
	b, h := installation(t, func(c *app.Config) { c.Limits.RequestsPerSourceMinute = 1 })
	for range 50 {
		ask(h, "POST", "/login?r=x", strings.NewReader("a=b"), "Content-Type", form, "Sec-Fetch-Site", "cross-site")
		ask(h, "POST", "/login?r=x", strings.NewReader("--x--"), "Content-Type", "multipart/form-data; boundary=x")
	}
	for _, kind := range []string{audit.CSRFBlocked, audit.InputRejected} {
		events, err := b.Events(t.Context(), "", storage.EventFilter{Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		if len(events) < 1 || len(events) > 12 || events[0].SourceAddr != "192.0.2.7" || events[0].Outcome != audit.Failure {
			t.Errorf("%s: %d events, the first %+v", kind, len(events), events)
		}
	}
	// Another site that makes a browser post here does not use up what people behind the same address may ask for.
	if w := ask(h, "GET", "/authorize", nil); w.Code == http.StatusTooManyRequests {
		t.Error("forged forms have used up the authorization requests of their source")
	}
}

func TestOA12_PagesCarryNoCORSHeaders(t *testing.T) {
	h := provider(t, nil)
	for _, path := range []string{"/authorize", "/login", "/login/passcode", "/login/consent", "/logout", "/"} {
		for _, method := range []string{"GET", "OPTIONS"} {
			w := ask(h, method, path, nil, "Origin", "https://app.test", "Access-Control-Request-Method", "POST")
			for name := range w.Header() {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s answers %s", method, path, name)
				}
			}
		}
	}
}

func TestWEB02_UnlistedMethodsAre405(t *testing.T) {
	h := provider(t, nil)
	for _, path := range []string{"/authorize", "/token", "/login", "/login/passcode/sms", "/userinfo", "/introspect", "/revoke",
		"/jwks", "/logout", "/.well-known/openid-configuration", "/", "/authorize/resume"} {
		for _, method := range []string{"PUT", "DELETE", "TRACE", "PATCH"} {
			if w := ask(h, method, path, nil); w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d, want 405", method, path, w.Code)
			}
		}
	}
}

func TestWEB13_UnknownPathIsOurPageWithACorrelationID(t *testing.T) {
	h := provider(t, nil)
	w := ask(h, "GET", "/no/such/page", nil)
	if w.Code != http.StatusNotFound || !strings.Contains(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", w.Code, w.Header().Get("Content-Type"))
	}
	if !strings.Contains(w.Body.String(), "Reference") {
		t.Error("the page tells no reference to quote")
	}
}

func TestOA90_IssuerIsNeverBuiltFromTheRequest(t *testing.T) {
	h := provider(t, func(c *app.Config) { c.Issuer = "http://127.0.0.1:8080/auth" })
	for _, path := range []string{"/auth/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/auth",
		"/auth/.well-known/oauth-authorization-server"} {
		w := ask(h, "GET", "http://evil.test"+path, nil, "X-Forwarded-Host", "evil.test", "Forwarded", "host=evil.test")
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "evil.test") ||
			!strings.Contains(w.Body.String(), `"issuer":"http://127.0.0.1:8080/auth"`) {
			t.Errorf("GET %s: %d %.200s", path, w.Code, w.Body)
		}
	}
	if w := ask(h, "GET", "/auth/", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"/auth/static/`) {
		t.Errorf("the pages do not live below the issuer's path: %d", w.Code)
	}
}

func TestDOS05_AuthorizationRequestsOfOneSiteAreLimited(t *testing.T) {
	h := provider(t, func(c *app.Config) {
		c.Limits.RequestsPerSourceMinute = 1
		c.Server.TrustedProxies = []string{"192.0.2.7/32"} // where ask comes from
	})
	from := func(addr string) *httptest.ResponseRecorder {
		return ask(h, "GET", "/authorize", nil, "X-Forwarded-For", addr)
	}
	let, refused := 0, 0
	for i := range 64 {
		switch w := from(fmt.Sprintf("[2001:db8:1:%x::1]:4711", i)); {
		case w.Code != http.StatusTooManyRequests:
			let++
		case w.Header().Get("Retry-After") == "":
			t.Fatal("refused without Retry-After")
		default:
			refused++
		}
	}
	if let < 16 || refused == 0 {
		t.Errorf("%d of one site were let in and %d refused, want about 16 let in", let, refused)
	}
	for _, elsewhere := range []string{"2001:db8:2::1", "198.51.100.1"} {
		if w := from(elsewhere); w.Code == http.StatusTooManyRequests {
			t.Errorf("%s, which is elsewhere, is refused too", elsewhere)
		}
	}
}
