package idp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/parola-id/parola/idp/login"
	"github.com/parola-id/parola/idp/oidc"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// The paths that rooms are told about each other. All are below the issuer's own path.
const (
	LoginPath  = "/login"
	ResumePath = "/authorize/resume"

	pathLogout = "/logout"
)

// Config is what the handler is made of.
type Config struct {
	// Issuer is the configured issuer; its path is the base of every URL.
	Issuer    string
	OIDC      *oidc.Provider
	Login     *login.Login
	Templates *templates.Templates
	// Webhooks are the carriers' receipt handlers by path, such as "/webhooks/whatsapp".
	Webhooks map[string]http.Handler
	// TrustedProxies may tell the client's address and that it came by TLS.
	TrustedProxies []netip.Prefix
	Store          interface {
		storage.Transactor
		storage.Throttles
	}
	Audit    *audit.Writer
	Throttle *throttle.Throttle
	Clock    clock.Clock
	// Observe hears of every answer; may be nil.
	Observe func(context.Context, Answer)
	// Panicked hears of every panic that was answered with our page; may be nil.
	Panicked func()
	// Tracer follows requests; nil follows none. AcceptTraceparent continues the traces of trusted proxies.
	Tracer            *tracing.Tracer
	AcceptTraceparent bool
	Log               *slog.Logger
}

// Answer is how a request was answered.
type Answer struct {
	Method string
	// Route is the pattern that answered, never the path; "other" when none did.
	Route  string
	Status int
	Took   time.Duration
	// Stream says that it was an event stream, which lasts as long as a person waits.
	Stream bool
}

type handler struct {
	Config
	issuer *url.URL
	https  bool
	pages  *Pages
}

// New returns the provider's public handler.
func New(c Config) (http.Handler, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("mount provider: issuer: %w", err)
	}
	if c.OIDC == nil || c.Login == nil || c.Templates == nil || c.Log == nil {
		return nil, errors.New("mount provider: a room is missing")
	}
	h := &handler{Config: c, issuer: issuer, https: issuer.Scheme == "https", pages: NewPages(c.Templates, issuer.Path, c.Log)}
	return h.identify(h.measure(h.secureHeaders(h.survive(h.requireTLS(h.routes()))))), nil
}

// routes is every URL of the provider.
func (h *handler) routes() http.Handler {
	base := h.issuer.Path
	mux := http.NewServeMux()

	// The protocol. Other sites call these, so no origin check; /authorize takes cross-site posts (OA-10). oidc bounds and
	// refuses bodies itself, because a machine must be told by JSON.
	protocol := func(pattern string, f http.HandlerFunc) { mux.Handle(pattern, f) }
	protocol(base+"/.well-known/openid-configuration", h.read(h.OIDC.Discovery))
	protocol(base+"/.well-known/oauth-authorization-server", h.read(h.OIDC.Discovery))
	if base != "" { // RFC 8414 §3.1 puts the well-known part in front of an issuer's path
		protocol("/.well-known/oauth-authorization-server"+base, h.read(h.OIDC.Discovery))
	}
	protocol(base+"/jwks", h.OIDC.JWKS)
	protocol(base+"/authorize", h.OIDC.Authorize)
	protocol(base+ResumePath, h.read(h.OIDC.Resume))
	protocol(base+"/token", h.OIDC.Token)
	mux.Handle(base+"/userinfo", h.boundBody(http.HandlerFunc(h.OIDC.UserInfo))) // reads no body
	protocol(base+"/introspect", h.OIDC.Introspect)
	protocol(base+"/revoke", h.OIDC.Revoke)
	// Logout may be posted by a client (RPL §2); its own confirmation carries a token and is checked there.
	protocol(base+pathLogout, h.OIDC.Logout)

	// The pages.
	for pattern, f := range h.Login.Routes() {
		mux.Handle(pattern, h.boundBody(h.sameOrigin(f)))
	}
	mux.Handle(base+"/static/", h.read(h.Templates.Static().ServeHTTP))
	mux.Handle(base+"/{$}", h.read(h.home))

	// The carriers. Signatures, sizes and formats are each channel's own business.
	for path, f := range h.Webhooks {
		mux.Handle(base+path, f)
	}
	mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.refuse(w, r, http.StatusNotFound, templates.ErrorNotFound)
	}))
	return mux
}

// read lets GET and HEAD through. A pattern with a method would leave the others to the page for unknown paths; they are
// 405 (WEB-02).
func (h *handler) read(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			h.refuse(w, r, http.StatusMethodNotAllowed, templates.ErrorMethod)
			return
		}
		next(w, r)
	}
}

func (h *handler) home(w http.ResponseWriter, r *http.Request) {
	h.pages.write(w, r, http.StatusOK, templates.View{}, templates.Home{})
}

// refuse writes an error page for what no room has seen.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, status int, kind templates.ErrorKind) {
	h.pages.write(w, r, status, templates.View{}, templates.Error{Kind: kind})
}

func (h *handler) noteCrossSite(r *http.Request) { h.note(r, audit.CSRFBlocked) }
func (h *handler) noteInput(r *http.Request)     { h.note(r, audit.InputRejected) }
func (h *handler) notePanic(r *http.Request)     { h.note(r, audit.SystemPanic) }

// note writes an event about a refused request, within the limit of the source: a stranger must not fill the log.
func (h *handler) note(r *http.Request, kind string) {
	info := reqinfo.From(r.Context())
	err := h.Store.InTx(background(r), func(ctx context.Context) error {
		refusal, err := h.Store.Take(ctx, h.Clock.Now(), h.Throttle.Notes(kind, info.Source))
		if err != nil || refusal != nil {
			return err
		}
		return h.Audit.Write(ctx, storage.Event{Kind: kind, Outcome: audit.Failure, CorrelationID: info.CorrelationID,
			SourceAddr: info.Source, UserAgent: info.UserAgent, Data: map[string]string{"path": r.URL.Path}})
	})
	if err != nil {
		h.Log.ErrorContext(r.Context(), "write event", "kind", kind, "err", err)
	}
}
