// Package webapp is an example of a relying party: Conto, a small server-side web application that leaves signing in
// to an OpenID Connect provider and then looks closely at what it was told. It signs people in (login.go,
// callback.go, idtoken.go), refreshes their tokens (refresh.go), signs them out at the provider as well (logout.go),
// asks for a stronger login before a payment (payments.go), and does the same when another server tells it to
// (balance.go, RFC 9470).
//
// The protocol work is done by coreos/go-oidc and golang.org/x/oauth2, the browser session by alexedwards/scs. It
// imports nothing of the provider and may be copied as it is; what to change first is the session store in
// session.go, which is in memory.
package webapp

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/coreos/go-oidc/v3/oidc"
)

// Config is what the application must know about the provider, and about itself as one of its clients.
type Config struct {
	// Issuer is the provider's issuer URL, exactly as its discovery document states it. Required.
	Issuer string

	// ClientID and ClientSecret are this application's credentials (client_secret_basic). Required.
	ClientID     string
	ClientSecret string

	// RedirectURL is where the provider sends the browser back, exactly as registered. Its path is served by the
	// handler; https here also makes the session cookie Secure. Required.
	RedirectURL string

	// PostLogoutRedirectURL is where the provider sends the browser after logout, exactly as registered. Its path
	// is served by the handler. Empty: the provider's own page is the last one.
	PostLogoutRedirectURL string

	// Scopes are asked for at login. Nil means openid profile email phone offline_access.
	Scopes []string

	// HandsetURL is shown as "Open the phone", for the demo. Empty hides the link.
	HandsetURL string

	// APIURL is the base URL of the example resource server. Empty hides the page that calls it.
	APIURL string

	// HTTPClient speaks to the provider and the API. Nil means one with a time-out of ten seconds.
	HTTPClient *http.Client

	// Log receives what a visitor is not told, never a token. Nil means no log.
	Log *slog.Logger

	// Now is the clock of the token checks. Nil means time.Now.
	Now func() time.Time
}

type app struct {
	cfg       Config
	provider  *discovery
	sessions  *scs.SessionManager
	templates *template.Template
	csp       string
	paths     paths
}

// paths are the two URLs of ours that the provider knows.
type paths struct{ callback, signedOut string }

// New returns the application. It does not speak to the provider yet: that happens with the first login, and again
// with the next one if it failed, so that the two may start in any order. Discovery and key fetches run under ctx.
func New(ctx context.Context, cfg Config) (http.Handler, error) {
	cfg = cfg.withDefaults()
	issuer, redirect, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("webapp: %w", err)
	}
	templates, err := parsePages()
	if err != nil {
		return nil, fmt.Errorf("webapp: parse pages: %w", err)
	}
	a := &app{
		cfg:       cfg,
		provider:  newDiscovery(oidc.ClientContext(ctx, cfg.HTTPClient), cfg),
		sessions:  newSessions(redirect),
		templates: templates,
		csp:       contentSecurityPolicy(issuer),
		paths:     paths{callback: redirect.Path},
	}
	if cfg.PostLogoutRedirectURL != "" {
		signedOut, err := absoluteURL("PostLogoutRedirectURL", cfg.PostLogoutRedirectURL)
		if err != nil {
			return nil, fmt.Errorf("webapp: %w", err)
		}
		a.paths.signedOut = signedOut.Path
	}
	if err := a.paths.check(); err != nil {
		return nil, fmt.Errorf("webapp: %w", err)
	}
	return a.routes(), nil
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("GET /login", a.login)
	mux.HandleFunc("GET "+a.paths.callback, a.callback)
	mux.HandleFunc("GET /userinfo", a.userinfo)
	mux.HandleFunc("POST /refresh", a.refresh)
	mux.HandleFunc("POST /logout", a.logout)
	mux.HandleFunc("GET /payments", a.payments)
	mux.HandleFunc("POST /payments", a.pay)
	if a.cfg.APIURL != "" {
		mux.HandleFunc("GET /balance", a.balance)
		mux.HandleFunc("POST /balance/payments", a.payThroughAPI)
	}
	if a.paths.signedOut != "" && a.paths.signedOut != "/" {
		mux.HandleFunc("GET "+a.paths.signedOut, a.signedOut)
	}
	mux.HandleFunc("GET /style.css", a.stylesheet)

	// A form of another site must not press our buttons; SameSite=Lax alone does not stop a neighbour on another
	// port of the same host.
	crossOrigin := http.NewCrossOriginProtection()
	return a.securityHeaders(crossOrigin.Handler(a.oneAtATime(a.sessions.LoadAndSave(mux))))
}

func (c Config) withDefaults() Config {
	if c.Scopes == nil {
		c.Scopes = []string{oidc.ScopeOpenID, "profile", "email", "phone", oidc.ScopeOfflineAccess}
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) check() (issuer, redirect *url.URL, err error) {
	if c.ClientID == "" || c.ClientSecret == "" {
		return nil, nil, errors.New("ClientID and ClientSecret are required")
	}
	if issuer, err = absoluteURL("Issuer", c.Issuer); err != nil {
		return nil, nil, err
	}
	if redirect, err = absoluteURL("RedirectURL", c.RedirectURL); err != nil {
		return nil, nil, err
	}
	return issuer, redirect, nil
}

func (p paths) check() error {
	taken := map[string]bool{"": true, "/": true, "/login": true, "/userinfo": true, "/payments": true, "/balance": true, "/style.css": true}
	if taken[p.callback] || p.callback == p.signedOut {
		return errors.New("RedirectURL needs a path of its own, such as /callback")
	}
	if p.signedOut != "" && p.signedOut != "/" && taken[p.signedOut] {
		return errors.New("PostLogoutRedirectURL needs a path of its own, such as /signed-out")
	}
	return nil
}

func absoluteURL(name, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%s must be an absolute http or https URL", name)
	}
	return u, nil
}

// contentSecurityPolicy lets pages load our stylesheet and nothing else. The issuer is a form target because logout
// is a form whose answer redirects there.
func contentSecurityPolicy(issuer *url.URL) string {
	return "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; " +
		"form-action 'self' " + issuer.Scheme + "://" + issuer.Host
}

func (a *app) securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", a.csp)
		header.Set("Referrer-Policy", "same-origin") // the callback's URL carries an authorization code
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
