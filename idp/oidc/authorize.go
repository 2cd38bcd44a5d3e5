package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/storage"
)

// Authorize is the authorization endpoint (RFC 6749 §3.1, Core §3.1.2), by GET or by a form post, also from another
// site (OA-10). A good request is saved and the browser sent on to the login pages; a bad one is answered by a page
// until client and redirect URI have matched, and by redirect from then on (OA-03).
func (p *Provider) Authorize(w http.ResponseWriter, r *http.Request) {
	values, err := authorizeValues(w, r)
	if err != nil {
		p.refusePage(w, r, err)
		return
	}
	client, err := p.identify(r.Context(), values)
	if err != nil {
		p.refusePage(w, r, err)
		return
	}
	params, err := p.checkRequest(r, client, values)
	if err == nil {
		err = p.begin(w, r, client, params)
	}
	if err == nil {
		return
	}
	e, told := asRefusal(err)
	if told && e.status != http.StatusTooManyRequests {
		err = p.noteRefusal(r.Context(), client.ID, e)
	}
	if err != nil {
		p.stopPage(w, r, client.ID, err)
		return
	}
	p.sendRefusal(w, r, destinationOf(client, params), e)
}

// stopPage answers what goes no further, and tells of a limit that was hit.
func (p *Provider) stopPage(w http.ResponseWriter, r *http.Request, clientID string, err error) {
	if e, told := asRefusal(err); told && e.status == http.StatusTooManyRequests {
		hit := storage.Event{Kind: audit.RateLimitHit, Reason: "authorization_requests", ClientID: clientID}
		if noted := p.note(r.Context(), hit); noted != nil {
			err = noted
		}
	}
	p.writePage(w, r, err)
}

// refusePage answers a request that must not be redirected.
func (p *Provider) refusePage(w http.ResponseWriter, r *http.Request, err error) {
	if e, told := asRefusal(err); told {
		if noted := p.noteRefusal(r.Context(), "", e); noted != nil {
			err = noted
		}
	}
	p.stopPage(w, r, "", err)
}

// authorizeValues are the parameters as sent, by query and body together.
func authorizeValues(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		e := refuse(errInvalidRequest, "use GET or POST")
		e.status, e.page = http.StatusMethodNotAllowed, PageMethod
		return nil, e
	}
	if err := parseBody(w, r); err != nil {
		return nil, err
	}
	return r.Form, nil
}

// identify finds the client and makes sure that the redirect URI is one of its own. Both must be sent once.
func (p *Provider) identify(ctx context.Context, values url.Values) (storage.Client, error) {
	ids, uris := values["client_id"], values["redirect_uri"]
	unknown := refuse(errInvalidRequest, "unknown client")
	unknown.page = PageUnknownClient
	if len(ids) != 1 || !validClientID(ids[0]) {
		return storage.Client{}, unknown
	}
	client, err := p.Store.Client(ctx, ids[0])
	switch {
	case notFound(err) || err == nil && client.Disabled:
		return storage.Client{}, unknown
	case err != nil:
		return storage.Client{}, err
	}
	if len(uris) != 1 || !matchRedirectURI(client, uris[0]) {
		e := refuse(errInvalidRequest, "redirect_uri is not registered")
		e.page = PageBadRedirectURI
		return storage.Client{}, e
	}
	return client, nil
}

// checkRequest judges the request of an identified client. The parameters come back with an error too, as far as they
// are needed to answer it.
func (p *Provider) checkRequest(r *http.Request, client storage.Client, values url.Values) (storage.AuthRequestParams, error) {
	ctx := r.Context()
	form, err := single(values)
	if err != nil {
		return answerable(client, values), err
	}
	params, err := parseRequest(client, form)
	if err != nil {
		return params, err
	}
	if hint := form.Get("id_token_hint"); hint != "" {
		if err := p.applyHint(ctx, hint, &params); err != nil {
			return params, err
		}
	}
	ex := &exchange{client: client, now: p.Clock.Now()}
	if _, err := p.fosite.NewAuthorizeRequest(withExchange(ctx, ex), fositeRequest(ctx, savedForm(params))); err != nil {
		return params, err
	}
	if slices.Contains(params.Prompt, "none") {
		// A frame of another site gets no cookies of ours, neither now nor on the way back: say at once what will come
		// of it. With a session the pages decide.
		if _, err := p.Sessions.Current(r); notFound(err) {
			return params, refuse(errLoginRequired, "")
		} else if err != nil {
			return params, err
		}
	}
	return params, nil
}

// answerable is what can be told of a request whose parameters are not each sent once: where to, and the state if that
// is beyond doubt.
func answerable(c storage.Client, values url.Values) storage.AuthRequestParams {
	once := func(name string) string {
		if list := values[name]; len(list) == 1 && len(list[0]) <= maxValue {
			return list[0]
		}
		return ""
	}
	mode, _ := responseMode(c, once("response_mode"))
	return storage.AuthRequestParams{
		RedirectURI: once("redirect_uri"), State: once("state"), ResponseMode: mode, Prompt: words(once("prompt")),
	}
}

// applyHint notes whom the request is about (OA-72). Two different answers to that cannot both be met.
func (p *Provider) applyHint(ctx context.Context, token string, params *storage.AuthRequestParams) error {
	hint, err := p.readIDTokenHint(ctx, token)
	if errors.Is(err, errNotIDToken) {
		return refuse(errInvalidRequest, "id_token_hint is not an ID token of this issuer")
	}
	if err != nil {
		return err
	}
	if params.HintSubject != "" && params.HintSubject != hint.Subject {
		return refuse(errLoginRequired, "")
	}
	params.HintSubject = hint.Subject
	return nil
}

// savedForm is the saved form as fosite wants it. fosite cannot do without a state and would refuse a short one (A5):
// it gets a stand-in, and the real one never passes through it.
func savedForm(params storage.AuthRequestParams) url.Values {
	form, err := url.ParseQuery(params.Form)
	if err != nil {
		form = url.Values{} // never: we encoded it; an empty form is refused by fosite
	}
	form.Set("state", "stand-in")
	return form
}

// begin saves the request and sends the browser to the login pages.
func (p *Provider) begin(w http.ResponseWriter, r *http.Request, client storage.Client, params storage.AuthRequestParams) error {
	info, now := reqinfo.From(r.Context()), p.Clock.Now()
	params.Trace = tracing.Parent(r.Context())
	a := storage.AuthRequest{
		ID: storage.NewTimeID(now), ClientID: client.ID, CorrelationID: info.CorrelationID,
		CreatedAt: now, ExpiresAt: now.Add(p.Lifetimes.AuthRequest), Request: params,
	}
	if a.CorrelationID == "" {
		a.CorrelationID = a.ID // the chain of a login needs a name, whoever mounted us
	}
	cookie, hash := p.Sessions.NewRequestCookie(a.ID, a.ExpiresAt)
	a.BrowserHash = hash
	err := p.Store.InTx(r.Context(), func(ctx context.Context) error {
		if err := p.takeRequest(ctx, now); err != nil {
			return err
		}
		if err := p.Store.InsertAuthRequest(ctx, a); err != nil {
			return err
		}
		return p.Audit.Write(ctx, storage.Event{
			Kind: audit.AuthorizeStarted, ClientID: client.ID, AuthRequestID: a.ID, CorrelationID: a.CorrelationID,
			SourceAddr: info.Source, UserAgent: info.UserAgent,
		})
	})
	if err != nil {
		return err
	}
	for _, old := range p.Sessions.TrimRequestCookies(r) {
		http.SetCookie(w, old)
	}
	http.SetCookie(w, cookie)
	w.Header().Set("Cache-Control", "no-store")
	seeOther(w, p.LoginPath+"?r="+a.ID)
	return nil
}
