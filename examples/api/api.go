// Package api is an example of a resource server: a small HTTP API that accepts access tokens from an OpenID
// Connect provider. It shows the four answers that such a server owes its callers: 401 invalid_token, 403
// insufficient_scope, 401 insufficient_user_authentication with the acr that is missing (RFC 9470), and 503 when it
// cannot ask the provider, because an outage is not a refusal.
//
// Self-contained tokens (RFC 9068) are verified here, in jwt.go; opaque ones are looked up at the provider, in
// introspection.go. What the API sells, a pretend account with money in it, is in ledger.go and payments.go.
// It imports nothing of the provider and may be copied as it is.
package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says whom the API trusts and who it is itself.
type Config struct {
	// Issuer is the provider's issuer URL, exactly as its discovery document states it. Required.
	Issuer string

	// Resource is this API's own URL, under which clients know it (RFC 9728 §1.2). Required.
	Resource string

	// Audience must be among the aud of every access token, so that a token for another API is useless here
	// (RFC 9068 §4). Empty means Resource.
	Audience string

	// ClientID and ClientSecret are this API's own credentials at the introspection endpoint
	// (client_secret_basic). Both empty: only RFC 9068 tokens are accepted.
	ClientID     string
	ClientSecret string

	// Scope is what every access token must have been granted. Empty means "openid": a token of a person, not
	// one that a client got for itself.
	Scope string

	// HTTPClient speaks to the provider. Nil means one with a time-out of five seconds.
	HTTPClient *http.Client

	// Log receives refusals and outages, never a token. Nil means no log.
	Log *slog.Logger

	// Now is the clock against which tokens expire. Nil means time.Now.
	Now func() time.Time
}

// paymentACR is what a payment needs: a passcode that no text message has carried.
const paymentACR = acrPhoneNoSMS

type server struct {
	cfg         Config
	metadataURL string
	tokens      *tokenVerifier
	ledger      *ledger
}

// New returns the API:
//
//	GET  /balance                                  any acr
//	POST /payments                                 urn:parola:acr:phone-no-sms or stronger
//	GET  /.well-known/oauth-protected-resource     who may give out tokens (RFC 9728)
//
// The provider is looked up when the first token arrives, so it may start later than the API.
func New(cfg Config) (http.Handler, error) {
	resource, err := url.Parse(cfg.Resource)
	if err != nil || resource.Host == "" {
		return nil, errors.New("api: Resource must be this API's own absolute URL")
	}
	if cfg.Issuer == "" {
		return nil, errors.New("api: Issuer must be the provider's issuer URL")
	}
	if (cfg.ClientID == "") != (cfg.ClientSecret == "") {
		return nil, errors.New("api: ClientID and ClientSecret go together: set both or neither")
	}
	cfg = cfg.withDefaults()

	s := &server{
		cfg:         cfg,
		metadataURL: resource.Scheme + "://" + resource.Host + metadataPath(resource),
		tokens:      newTokenVerifier(cfg),
		ledger:      newLedger(),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /balance", s.authorized(anyACR, s.showBalance))
	mux.HandleFunc("POST /payments", s.authorized(paymentACR, s.pay))
	mux.HandleFunc("GET "+metadataPath(resource), s.metadata)
	return mux, nil
}

func (c Config) withDefaults() Config {
	if c.Audience == "" {
		c.Audience = c.Resource
	}
	if c.Scope == "" {
		c.Scope = "openid"
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: 5 * time.Second}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// metadataPath puts the well-known part between host and path (RFC 9728 §3.1).
func metadataPath(resource *url.URL) string {
	return "/.well-known/oauth-protected-resource" + strings.TrimSuffix(resource.EscapedPath(), "/")
}

// metadata tells a client that knows only this API where to get a token for it (RFC 9728 §2).
func (s *server) metadata(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"resource":                 s.cfg.Resource,
		"resource_name":            "Conto API (example)",
		"authorization_servers":    []string{s.cfg.Issuer},
		"scopes_supported":         []string{s.cfg.Scope},
		"bearer_methods_supported": []string{"header"},
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller has gone; there is nobody left to tell
}
