package idp

import (
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/idp/oidc"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// Pages are what oidc shows to people, in words of templates.
type Pages struct {
	templates *templates.Templates
	// logoutPath is where the confirmation posts to.
	logoutPath string
	log        *slog.Logger
}

// NewPages returns the Pages. basePath is the path of the issuer.
func NewPages(t *templates.Templates, basePath string, log *slog.Logger) *Pages {
	return &Pages{templates: t, logoutPath: basePath + pathLogout, log: log}
}

var _ oidc.Pages = (*Pages)(nil)

type page interface {
	Render(w io.Writer, t *templates.Templates, v templates.View) error
}

func (p *Pages) write(w http.ResponseWriter, r *http.Request, status int, v templates.View, pg page) {
	if v.Language == "" {
		v.Language = p.templates.Match(r.URL.Query()["ui_locales"], r.Header.Get("Accept-Language"))
	}
	v.CorrelationID = reqinfo.From(r.Context()).CorrelationID
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := pg.Render(w, p.templates, v); err != nil {
		p.log.ErrorContext(r.Context(), "render page", "err", err)
	}
}

var errorKinds = map[oidc.PageError]templates.ErrorKind{
	oidc.PageBadRequest:      templates.ErrorBadRequest,
	oidc.PageUnknownClient:   templates.ErrorUnknownClient,
	oidc.PageBadRedirectURI:  templates.ErrorBadRedirectURI,
	oidc.PageExpiredRequest:  templates.ErrorExpiredRequest,
	oidc.PageSessionMismatch: templates.ErrorSessionMismatch,
	oidc.PageForbidden:       templates.ErrorForbidden,
	oidc.PageMethod:          templates.ErrorMethod,
	oidc.PageTooLarge:        templates.ErrorTooLarge,
	oidc.PageTooManyRequests: templates.ErrorTooManyRequests,
	oidc.PageUnavailable:     templates.ErrorUnavailable,
	oidc.PageInternal:        templates.ErrorInternal,
}

// Error implements oidc.Pages.
func (p *Pages) Error(w http.ResponseWriter, r *http.Request, status int, kind oidc.PageError, retryAfter time.Duration) {
	k, known := errorKinds[kind]
	if !known {
		k = templates.ErrorInternal
	}
	p.write(w, r, status, templates.View{}, templates.Error{Kind: k, RetryIn: retryAfter})
}

// FormPost implements oidc.Pages.
func (p *Pages) FormPost(w http.ResponseWriter, r *http.Request, a oidc.Answer) {
	p.formPost(w, r, a, a.Repeated)
}

// formPost sends the form of an answer. The button of one byHand is pressed by a person; the script that would press it is
// not on the page, and the policy of the answer forbids scripts.
func (p *Pages) formPost(w http.ResponseWriter, r *http.Request, a oidc.Answer, byHand bool) {
	policy := templates.ContentSecurityPolicy(append([]string{a.RedirectURI}, a.Client.FormOrigins...)...)
	if byHand {
		policy = withoutScript(policy)
	}
	w.Header().Set("Content-Security-Policy", policy)
	p.write(w, r, http.StatusOK, p.view(a.Client, a.Locales, r), templates.FormPost{
		Action: template.URL(a.RedirectURI), Fields: fields(a.Params), Client: pageClient(a.Client), ByHand: byHand})
}

// ReturnToClient implements oidc.Pages. A form_post answer is a form byHand.
func (p *Pages) ReturnToClient(w http.ResponseWriter, r *http.Request, a oidc.Answer, location string) {
	if a.FormPost {
		p.formPost(w, r, a, true)
		return
	}
	host := ""
	if u, err := url.Parse(a.RedirectURI); err == nil {
		host = u.Host
	}
	p.write(w, r, http.StatusOK, p.view(a.Client, a.Locales, r), templates.Interstitial{
		Client: pageClient(a.Client), RedirectHost: host, ReturnURL: template.URL(location)})
}

// ConfirmLogout implements oidc.Pages.
func (p *Pages) ConfirmLogout(w http.ResponseWriter, r *http.Request, c storage.Client, token string, params url.Values) {
	v := p.view(c, nil, r)
	v.CSRF = token
	action := p.logoutPath
	if len(params) > 0 {
		action += "?" + params.Encode()
	}
	if c.ID != "" {
		w.Header().Set("Content-Security-Policy", templates.ContentSecurityPolicy(append(slices.Clone(c.PostLogoutRedirectURIs), c.FormOrigins...)...))
	}
	p.write(w, r, http.StatusOK, v, templates.LogoutConfirm{Action: action, Client: pageClient(c)})
}

// SignedOut implements oidc.Pages.
func (p *Pages) SignedOut(w http.ResponseWriter, r *http.Request, c storage.Client, continueURL string) {
	p.write(w, r, http.StatusOK, p.view(c, nil, r), templates.SignedOut{
		Client: pageClient(c), ContinueURL: template.URL(continueURL)})
}

func (p *Pages) view(c storage.Client, locales []string, r *http.Request) templates.View {
	return templates.View{
		Language: p.templates.Match(locales, r.Header.Get("Accept-Language")),
		Brand:    templates.Brand{Colour: c.Colour},
	}
}

// withoutScript keeps a page from pressing its own button.
func withoutScript(policy string) string {
	return strings.Replace(policy, "script-src 'self'; ", "", 1)
}

func pageClient(c storage.Client) templates.Client { return templates.Client{Name: c.Name} }

func fields(params url.Values) []templates.FormField {
	var out []templates.FormField
	for _, name := range []string{"code", "state", "iss", "error", "error_description", "error_uri"} {
		if params.Has(name) {
			out = append(out, templates.FormField{Name: name, Value: params.Get(name)})
		}
	}
	return out
}
