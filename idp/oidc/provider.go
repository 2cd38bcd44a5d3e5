package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
)

// Store is what this package keeps.
type Store interface {
	storage.Transactor
	storage.Clients
	storage.AuthRequests
	storage.Grants
	storage.Consents
	storage.Persons
	storage.Phones
	storage.Assertions
	storage.Throttles
	storage.Wakeups
}

// Sessions is the signed-in browser and the cookie that ties an AuthRequest to the browser that began it; idp/session
// is the implementation.
type Sessions interface {
	// Current returns the live session of the request's cookie; storage.ErrNotFound when there is none, when it has
	// ended or expired, or when its person is barred.
	Current(r *http.Request) (storage.Session, error)
	// End ends a session with its event and says whether this call did. It joins the transaction of ctx.
	End(ctx context.Context, id, reason string) (bool, error)
	// ClearCookie is the cookie that makes the browser forget its session.
	ClearCookie() *http.Cookie
	// NewRequestCookie makes the cookie of a new AuthRequest, and the hash to keep with it.
	NewRequestCookie(id string, expires time.Time) (cookie *http.Cookie, hash []byte)
	// CheckRequest says whether the browser holds the cookie of this AuthRequest.
	CheckRequest(r *http.Request, a storage.AuthRequest) bool
	// KeepRequestCookie gives that cookie of r, which CheckRequest has accepted, another end.
	KeepRequestCookie(r *http.Request, id string, until time.Time) *http.Cookie
	// ClearRequestCookie removes the cookie of an AuthRequest that is over; TrimRequestCookies those of the oldest ones
	// when a browser holds too many.
	ClearRequestCookie(id string) *http.Cookie
	TrimRequestCookies(r *http.Request) []*http.Cookie
}

// Signer signs ID tokens and JWT access tokens, and reads them back; idp/signing is the implementation.
type Signer interface {
	// Sign signs claims with the current key of alg (ES256, RS256 or EdDSA) under the header typ.
	Sign(ctx context.Context, alg, typ string, claims any) (string, error)
	// Verify checks the signature against our own keys alone (OA-41). It does not look at exp. A token that is not ours is
	// signing.ErrInvalid; any other error is an outage.
	Verify(ctx context.Context, token string) (claims json.RawMessage, typ string, err error)
	// Ensure makes a current key for each algorithm that has none. It opens a transaction of its own, so it comes before
	// the one that signs.
	Ensure(ctx context.Context, algs ...string) error
	// JWKS returns the published public keys as a JSON Web Key Set.
	JWKS(ctx context.Context) ([]byte, error)
}

// PageError says which error page a person sees; the words are the templates'.
type PageError string

// The error pages.
const (
	PageBadRequest      PageError = "bad_request"
	PageUnknownClient   PageError = "unknown_client"
	PageBadRedirectURI  PageError = "bad_redirect_uri"
	PageExpiredRequest  PageError = "expired_request"
	PageSessionMismatch PageError = "session_mismatch"
	PageForbidden       PageError = "forbidden"
	PageMethod          PageError = "method"
	PageTooLarge        PageError = "too_large"
	PageTooManyRequests PageError = "too_many_requests"
	PageUnavailable     PageError = "unavailable"
	PageInternal        PageError = "internal"
)

// Answer is an authorization response on its way to a client whose redirect URI was matched.
type Answer struct {
	Client storage.Client
	// RedirectURI is the address of the client, without the response parameters.
	RedirectURI string
	// Params are the response parameters, iss among them.
	Params url.Values
	// FormPost says that the client wants them by POST.
	FormPost bool
	// Repeated says that the same answer went out before.
	Repeated bool
	// Locales are the languages the client asked for, best first.
	Locales []string
}

// Pages renders what people see. Each method writes a whole response.
type Pages interface {
	// Error is for what cannot go on and must not be redirected. retryAfter is 0 when unknown.
	Error(w http.ResponseWriter, r *http.Request, status int, kind PageError, retryAfter time.Duration)
	// FormPost carries an answer by POST, sending itself where scripts run (OAuth 2.0 Form Post Response Mode). One that is
	// Repeated waits for the person: a reload must not bring a client the AuthCode that it is about to redeem (OA-24).
	FormPost(w http.ResponseWriter, r *http.Request, a Answer)
	// ReturnToClient asks for a click before an error goes to a client that is not first-party (OA-14). An answer with
	// FormPost set needs a form without the script that sends itself; otherwise location is the link.
	ReturnToClient(w http.ResponseWriter, r *http.Request, a Answer, location string)
	// ConfirmLogout asks whether to sign out. It posts back to the same path with token, and with the parameters that
	// were given; c is the zero Client when none asked.
	ConfirmLogout(w http.ResponseWriter, r *http.Request, c storage.Client, token string, params url.Values)
	// SignedOut says that the session is over; continueURL is a validated address of the client, or empty.
	SignedOut(w http.ResponseWriter, r *http.Request, c storage.Client, continueURL string)
}

// SlowHash checks secrets that may be weak against a PHC string, behind the gate that bounds such work (DOS-02).
type SlowHash interface {
	VerifySecret(ctx context.Context, phc, secret string) (bool, error)
}

// ClientKeys fetches the key set behind a client's jwks_uri under the outbound rules (SSR-01 to SSR-03).
type ClientKeys interface {
	// KeySet returns the JWK set; kid is the key wanted, whose absence from the cache allows one refetch a minute.
	KeySet(ctx context.Context, clientID, jwksURI, kid string) (json.RawMessage, error)
}

// Lifetimes are how long things live. A zero field takes the default of the security requirements, §0.
type Lifetimes struct {
	AuthRequest     time.Duration // 15 min
	AuthCode        time.Duration // 60 s
	AccessToken     time.Duration // 10 min
	IDToken         time.Duration // 5 min
	RefreshIdle     time.Duration // 14 days
	RefreshAbsolute time.Duration // 90 days
}

func (l Lifetimes) withDefaults() Lifetimes {
	for _, f := range []struct {
		d *time.Duration
		v time.Duration
	}{
		{&l.AuthRequest, 15 * time.Minute},
		{&l.AuthCode, time.Minute},
		{&l.AccessToken, 10 * time.Minute},
		{&l.IDToken, 5 * time.Minute},
		{&l.RefreshIdle, 14 * 24 * time.Hour},
		{&l.RefreshAbsolute, 90 * 24 * time.Hour},
	} {
		if *f.d == 0 {
			*f.d = f.v
		}
	}
	return l
}

// validate keeps the hard limits of the security requirements, §0.
func (l Lifetimes) validate() error {
	for _, f := range []struct {
		name string
		d    time.Duration
		most time.Duration
	}{
		{"authorization request", l.AuthRequest, 30 * time.Minute},
		{"authorization code", l.AuthCode, 10 * time.Minute},
		{"access token", l.AccessToken, time.Hour},
		{"ID token", l.IDToken, time.Hour},
		{"refresh token idle", l.RefreshIdle, l.RefreshAbsolute},
		{"refresh token absolute", l.RefreshAbsolute, 366 * 24 * time.Hour},
	} {
		if f.d < time.Second || f.d > f.most {
			return fmt.Errorf("life of the %s is %s: must be from 1s to %s", f.name, f.d, f.most)
		}
	}
	return nil
}

// Config is what a Provider needs. All fields are required unless they say otherwise.
type Config struct {
	// Issuer is the exact issuer identifier: https, or http on loopback; no query, fragment or trailing slash.
	Issuer   string
	Store    Store
	Sessions Sessions
	Keys     *secret.Keys
	Signer   Signer
	Pages    Pages
	Audit    *audit.Writer
	Clock    clock.Clock
	Throttle *throttle.Throttle
	SlowHash SlowHash
	// ClientKeys may be nil: then clients with a jwks_uri cannot authenticate.
	ClientKeys ClientKeys
	// LoginPath is where an AuthRequest goes on: 303 to LoginPath + "?r=" + its ID.
	LoginPath string
	// Lifetimes may be zero, wholly or in part.
	Lifetimes Lifetimes
	// UILocales are the languages of the pages, for discovery.
	UILocales []string
	Log       *slog.Logger
}

// Provider is the protocol side of the OpenID Provider. Its exported handlers are mounted by idp.
type Provider struct {
	Config
	fosite    fosite.OAuth2Provider
	discovery *document
	origins   *origins
	slowWrong *slowWrong
}

// New returns a Provider, or says what is wrong with the configuration.
func New(c Config) (*Provider, error) {
	c.Lifetimes = c.Lifetimes.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure OpenID Provider: %w", err)
	}
	p := &Provider{Config: c, origins: new(origins), slowWrong: new(slowWrong)}
	discovery, err := json.Marshal(p.metadata())
	if err != nil {
		return nil, fmt.Errorf("configure OpenID Provider: %w", err)
	}
	p.discovery = newDocument(discovery)
	p.fosite = newFosite(p)
	c.Store.Listen(p.origins.heard) // until the store closes
	return p, nil
}

func (c Config) validate() error {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("issuer %q is not an absolute https URL", c.Issuer)
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(c.Issuer, "/") || strings.ContainsAny(c.Issuer, "?#") {
		return fmt.Errorf("issuer %q must have no user, query, fragment or trailing slash", c.Issuer)
	}
	switch {
	case c.Store == nil, c.Sessions == nil, c.Keys == nil, c.Signer == nil, c.Pages == nil, c.Audit == nil,
		c.Clock == nil, c.Throttle == nil, c.SlowHash == nil, c.Log == nil:
		return errors.New("a required part is missing")
	case !strings.HasPrefix(c.LoginPath, "/"):
		return fmt.Errorf("login path %q must begin with a slash", c.LoginPath)
	}
	return c.Lifetimes.validate()
}
