package oidc

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

// destination is where the answer to an authorization request goes. There is one only after client and redirect URI
// have matched (OA-03).
type destination struct {
	client      storage.Client
	redirectURI string
	state       string
	formPost    bool
	// silent is prompt=none: no page of ours may be shown (OA-70).
	silent  bool
	locales []string
	// repeated says that this answer went out before.
	repeated bool
}

func destinationOf(c storage.Client, params storage.AuthRequestParams) destination {
	return destination{
		client: c, redirectURI: params.RedirectURI, state: params.State,
		formPost: params.ResponseMode == modeFormPost, silent: slices.Contains(params.Prompt, "none"),
		locales: params.UILocales,
	}
}

// answer completes the parameters of a response: iss always (OA-08, A4), state exactly as it came or not at all (OA-13).
func (p *Provider) answer(d destination, params url.Values) Answer {
	params.Set("iss", p.Issuer)
	if d.state != "" {
		params.Set("state", d.state)
	}
	return Answer{Client: d.client, RedirectURI: d.redirectURI, Params: params, FormPost: d.formPost, Repeated: d.repeated, Locales: d.locales}
}

// sendCode is the successful authorization response. The browser can ask for it again until the AuthCode ends.
func (p *Provider) sendCode(w http.ResponseWriter, r *http.Request, d destination, g storage.Grant, code string) {
	a := p.answer(d, url.Values{"code": {code}})
	http.SetCookie(w, p.Sessions.KeepRequestCookie(r, g.AuthRequestID, g.AuthCodeExpiresAt))
	w.Header().Set("Cache-Control", "no-store")
	if a.FormPost {
		p.Pages.FormPost(w, r, a)
		return
	}
	seeOther(w, withQuery(a.RedirectURI, a.Params))
}

// sendRefusal is the error response: the redirect door. Nobody is sent to a client that no administrator has marked
// first-party without a click, so that Parola is no open redirector for its clients (OA-14, RFC 9700 §4.11.2); a silent
// request, which cannot show the page with the click, is the exception.
func (p *Provider) sendRefusal(w http.ResponseWriter, r *http.Request, d destination, e *refusal) {
	params := url.Values{"error": {e.code}}
	if text := describe(r.Context(), e); text != "" {
		params.Set("error_description", text)
	}
	a := p.answer(d, params)
	w.Header().Set("Cache-Control", "no-store")
	location := withQuery(a.RedirectURI, a.Params)
	switch {
	case !d.client.FirstParty && !d.silent:
		p.Pages.ReturnToClient(w, r, a, location)
	case a.FormPost:
		p.Pages.FormPost(w, r, a)
	default:
		seeOther(w, location)
	}
}

// seeOther redirects with 303, so that no form post is ever repeated at the next address (OA-11). The location goes out
// byte for byte, which http.Redirect does not promise for a client's private scheme.
func seeOther(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// writePage answers a person: the page door, for what must not be redirected (OA-03), outages included (A18).
func (p *Provider) writePage(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Cache-Control", "no-store")
	e, told := asRefusal(err)
	if !told {
		p.logOutage(r.Context(), r.URL.Path, err)
		e = &refusal{status: http.StatusServiceUnavailable, page: PageUnavailable, retryAfter: retryAfterOutage}
	}
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", retrySeconds(e.retryAfter))
	}
	p.Pages.Error(w, r, e.status, e.page, e.retryAfter)
}

// takeRequest draws on the limits of authorization requests of one source (DOS-07), in the transaction of ctx.
func (p *Provider) takeRequest(ctx context.Context, now time.Time) error {
	refused, err := p.Store.Take(ctx, now, p.Throttle.Requests(reqinfo.From(ctx).Source)...)
	if err != nil || refused == nil {
		return err
	}
	e := refuse(errTemporarilyUnavailable, "too many requests")
	e.status, e.page, e.retryAfter = http.StatusTooManyRequests, PageTooManyRequests, time.Minute
	if wait := refused.RetryAt.Sub(now); !refused.RetryAt.IsZero() && wait > 0 {
		e.retryAfter = wait
	}
	return e
}

// note writes an event about a refused request, within the limit on such events of one kind and source.
func (p *Provider) note(ctx context.Context, e storage.Event) error {
	info := reqinfo.From(ctx)
	e.Outcome, e.CorrelationID, e.SourceAddr, e.UserAgent = audit.Failure, info.CorrelationID, info.Source, info.UserAgent
	return p.Store.InTx(ctx, func(ctx context.Context) error {
		refused, err := p.Store.Take(ctx, p.Clock.Now(), p.Throttle.Notes(e.Kind, info.Source))
		if err != nil || refused != nil {
			return err
		}
		return p.Audit.Write(ctx, e)
	})
}

// noteRefusal writes the event of a refused authorization request. It draws on the same limit as a good one, since
// nobody has to be known to cause it.
func (p *Provider) noteRefusal(ctx context.Context, clientID string, e *refusal) error {
	info := reqinfo.From(ctx)
	return p.Store.InTx(ctx, func(ctx context.Context) error {
		if err := p.takeRequest(ctx, p.Clock.Now()); err != nil {
			return err
		}
		return p.Audit.Write(ctx, storage.Event{
			Kind: audit.AuthorizeError, Outcome: audit.Failure, Reason: e.code, ClientID: clientID,
			CorrelationID: info.CorrelationID, SourceAddr: info.Source, UserAgent: info.UserAgent,
		})
	})
}
