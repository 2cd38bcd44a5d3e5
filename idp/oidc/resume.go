package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/storage"
)

// Resume answers the client when the login pages have nothing left to ask, or have decided a refusal. It goes by saved
// state and the browser's own cookies alone; r in the URL only says which request is meant. Of several calls for one
// request exactly one decides the answer, by the update that ends the request; the others repeat it, or find it over.
func (p *Provider) Resume(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet { // a HEAD, which routers take for a GET, would end the request
		w.Header().Set("Allow", http.MethodGet)
		p.writePage(w, r, pageOnly(http.StatusMethodNotAllowed, PageMethod))
		return
	}
	a, client, err := p.returning(r)
	if err != nil {
		p.writePage(w, r, err)
		return
	}
	if !a.EndedAt.IsZero() {
		p.repeat(w, r, client, a)
		return
	}
	session, err := p.admit(r, client, a)
	if err != nil {
		p.turnAway(w, r, client, a, err)
		return
	}
	grant, code, err := p.issueCode(r.Context(), client, a, session)
	switch {
	case errors.Is(err, storage.ErrConflict): // another call was faster, on this node or another
		p.repeatOf(w, r)
	case notFound(err): // the session ended after admit had looked
		p.turnAway(w, r, client, a, sessionLost(a))
	case err != nil:
		p.writePage(w, r, err)
	default:
		p.sendCode(w, r, destinationOf(client, a.Request), grant, code)
	}
}

// turnAway answers when the login is not complete, or not good enough: by the login pages, or by a refusal, which ends the
// request.
func (p *Provider) turnAway(w http.ResponseWriter, r *http.Request, client storage.Client, a storage.AuthRequest, err error) {
	if errors.Is(err, errSignInAgain) {
		w.Header().Set("Cache-Control", "no-store")
		seeOther(w, p.LoginPath+"?r="+a.ID)
		return
	}
	refused, told := asRefusal(err)
	if !told || refused.local {
		p.writePage(w, r, err)
		return
	}
	switch err := p.endRefused(r.Context(), a, refused); {
	case errors.Is(err, storage.ErrConflict):
		p.repeatOf(w, r)
	case err != nil:
		p.writePage(w, r, err)
	default:
		http.SetCookie(w, p.Sessions.ClearRequestCookie(a.ID))
		p.sendRefusal(w, r, destinationOf(client, a.Request), refused)
	}
}

// pageOnly is a refusal that is told to the person and never to the client.
func pageOnly(status int, page PageError) *refusal {
	return &refusal{code: errAccessDenied, status: status, page: page, local: true}
}

// requestOver tells a person that an AuthRequest leads nowhere any more.
func requestOver() *refusal { return pageOnly(http.StatusGone, PageExpiredRequest) }

// returning loads the AuthRequest that the browser comes back with, and its client.
func (p *Provider) returning(r *http.Request) (storage.AuthRequest, storage.Client, error) {
	a, err := p.authRequest(r)
	if err != nil {
		return a, storage.Client{}, err
	}
	answered := !a.EndedAt.IsZero()
	if answered && a.Progress.Issued == nil || !answered && !p.Clock.Now().Before(a.ExpiresAt) {
		return a, storage.Client{}, requestOver()
	}
	if !p.Sessions.CheckRequest(r, a) {
		if answered {
			return a, storage.Client{}, requestOver()
		}
		return a, storage.Client{}, pageOnly(http.StatusForbidden, PageSessionMismatch)
	}
	tracing.Join(r.Context(), a.Request.Trace)
	reqinfo.Join(r.Context(), a.CorrelationID) // which idp's middleware has put there
	client, err := p.Store.Client(r.Context(), a.ClientID)
	switch {
	case notFound(err):
		return a, client, requestOver()
	case err != nil:
		return a, client, err
	case client.Disabled || !matchRedirectURI(client, a.Request.RedirectURI):
		return a, client, requestOver() // changed while the person was signing in: the answer has nowhere to go
	}
	return a, client, nil
}

func (p *Provider) authRequest(r *http.Request) (storage.AuthRequest, error) {
	id := r.URL.Query().Get("r")
	if id == "" || len(id) > 64 || !validClientID(id) {
		return storage.AuthRequest{}, pageOnly(http.StatusBadRequest, PageBadRequest)
	}
	a, err := p.Store.AuthRequest(r.Context(), id)
	if notFound(err) {
		return a, requestOver()
	}
	return a, err
}

// admit says whether the login that the pages report is good enough for the client, or how to refuse. idp/login has
// asked the same questions; they are asked again because everything after this line is believed by somebody else.
func (p *Provider) admit(r *http.Request, client storage.Client, a storage.AuthRequest) (storage.Session, error) {
	if a.Progress.Refusal != "" {
		return storage.Session{}, refuse(refusalCode(a.Progress.Refusal), "")
	}
	if a.Progress.ReadyAt.IsZero() { // came here by hand: the pages know what is left
		return storage.Session{}, errSignInAgain
	}
	session, err := p.Sessions.Current(r)
	switch {
	case err != nil && !notFound(err):
		return session, err
	case err != nil || session.ID != a.Progress.SessionID:
		return session, sessionLost(a)
	case session.PersonID != a.Progress.PersonID:
		return session, pageOnly(http.StatusForbidden, PageSessionMismatch)
	case a.Request.HintSubject != "" && a.Request.HintSubject != session.PersonID:
		return session, refuse(errLoginRequired, "") // OA-72
	case !freshEnough(session.AuthTime, a):
		return session, refuse(errLoginRequired, "") // OA-71
	case !acrMet(session.ACR, client, a.Request):
		return session, refuse(errUnmetAuthRequirements, "the required acr was not met") // OA-73
	}
	consented, err := p.consented(r.Context(), client, a)
	if err == nil && !consented {
		err = refuse(errConsentRequired, "")
	}
	return session, err
}

// errSignInAgain sends the browser back to the login pages, which decide anew from what there is.
var errSignInAgain = errors.New("the login is not complete")

// sessionLost is for a browser whose session ended, or became another one, between the pages and here.
func sessionLost(a storage.AuthRequest) error {
	if slices.Contains(a.Request.Prompt, "none") {
		return refuse(errLoginRequired, "")
	}
	return errSignInAgain
}

// refusalCode lets through what the pages may decide; anything else is our own mistake.
func refusalCode(code string) string {
	switch code {
	case errAccessDenied, errLoginRequired, errInteractionRequired, errConsentRequired, errAccountSelection, errUnmetAuthRequirements:
		return code
	}
	return errServerError
}

// freshEnough is prompt=login and max_age (OA-71): a fresh login is one that came after the request, and an old one may
// be max_age old when the request comes.
func freshEnough(authTime time.Time, a storage.AuthRequest) bool {
	earliest := time.Time{}
	if a.Request.MaxAge != nil {
		earliest = a.CreatedAt.Add(-time.Duration(*a.Request.MaxAge) * time.Second)
	}
	if slices.Contains(a.Request.Prompt, "login") {
		earliest = a.CreatedAt
	}
	return !authTime.Before(earliest)
}

// consented says whether the person allowed this client what it asks for (OA-16): it is first-party, or they said so in
// this request, or before and the request does not ask again.
func (p *Provider) consented(ctx context.Context, client storage.Client, a storage.AuthRequest) (bool, error) {
	asksAgain := slices.Contains(a.Request.Prompt, "consent")
	if client.FirstParty && !asksAgain {
		return true, nil
	}
	if !a.Progress.ConsentAt.IsZero() && containsAll(a.Progress.ConsentScopes, a.Request.Scopes) {
		return true, nil
	}
	if asksAgain {
		return false, nil
	}
	consent, err := p.Store.Consent(ctx, a.Progress.PersonID, client.ID)
	if notFound(err) {
		return false, nil
	}
	return err == nil && p.Clock.Now().Before(consent.ExpiresAt) && containsAll(consent.Scopes, a.Request.Scopes), err
}

func containsAll(have, want []string) bool {
	return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(have, w) })
}

// issueCode ends the request and makes the grant with its AuthCode, in one transaction. The facts of the login are
// frozen here (OA-44). It is ErrNotFound when the session has ended by then (OA-57).
func (p *Provider) issueCode(ctx context.Context, client storage.Client, a storage.AuthRequest, s storage.Session) (g storage.Grant, code string, err error) {
	err = p.Store.InTx(ctx, func(ctx context.Context) error {
		now := p.Clock.Now()
		ex := &exchange{client: client, now: now, scopes: a.Request.Scopes, grant: storage.Grant{
			ID: storage.NewTimeID(now), ClientID: client.ID, PersonID: s.PersonID, SessionID: s.ID, AuthRequestID: a.ID,
			CorrelationID: a.CorrelationID, Scopes: a.Request.Scopes, Audience: a.Request.Audience,
			Login:     storage.GrantLogin{AuthTime: s.AuthTime, ACR: s.ACR, AMR: s.AMR, Channel: s.Channel},
			CreatedAt: now, RefreshUntil: p.refreshUntil(a.Request.Scopes, s, now),
		}}
		a.Progress.Issued = newIssued(p.Keys, ex.grant.ID)
		if ex.authCode, err = deriveAuthCode(p.Keys, a.ID, *a.Progress.Issued); err != nil {
			return err
		}
		if err := p.end(ctx, a, now); err != nil {
			return err
		}
		if code, err = p.fositeCode(withExchange(ctx, ex), ex, a.Request); err != nil {
			return err
		}
		g = ex.grant
		return p.Audit.Write(ctx, ex.event(ctx, audit.CodeIssued, audit.Success, ""))
	})
	return g, code, err
}

// refreshUntil is the absolute end of the refresh chain (OA-54). Without offline_access it lives no longer than the
// session (OA-55, Core §11).
func (p *Provider) refreshUntil(scopes []string, s storage.Session, now time.Time) time.Time {
	end := now.Add(p.Lifetimes.RefreshAbsolute)
	if !slices.Contains(scopes, scopeOfflineAccess) && s.ExpiresAt.Before(end) {
		return s.ExpiresAt
	}
	return end
}

// fositeCode lets fosite parse the saved request again and issue the code; grants stores the grant.
func (p *Provider) fositeCode(ctx context.Context, ex *exchange, params storage.AuthRequestParams) (string, error) {
	request, err := p.fosite.NewAuthorizeRequest(ctx, fositeRequest(ctx, savedForm(params)))
	if err != nil {
		return "", fmt.Errorf("parse saved authorization request: %w", err)
	}
	request.SetID(ex.grant.ID)
	for _, scope := range ex.scopes {
		request.GrantScope(scope)
	}
	response, err := p.fosite.NewAuthorizeResponse(ctx, request, newClaims(ex.grant))
	if err != nil {
		return "", fmt.Errorf("issue authorization code: %w", err)
	}
	return response.GetCode(), nil
}

// endRefused ends the request with its event.
func (p *Provider) endRefused(ctx context.Context, a storage.AuthRequest, e *refusal) error {
	info := reqinfo.From(ctx)
	return p.Store.InTx(ctx, func(ctx context.Context) error {
		if err := p.end(ctx, a, p.Clock.Now()); err != nil {
			return err
		}
		return p.Audit.Write(ctx, storage.Event{
			Kind: audit.AuthorizeError, Outcome: audit.Failure, Reason: e.code, PersonID: a.Progress.PersonID,
			ClientID: a.ClientID, SessionID: a.Progress.SessionID, AuthRequestID: a.ID, CorrelationID: a.CorrelationID,
			SourceAddr: info.Source, UserAgent: info.UserAgent,
		})
	})
}

func (p *Provider) end(ctx context.Context, a storage.AuthRequest, now time.Time) error {
	a.EndedAt = now
	return p.Store.UpdateAuthRequest(ctx, a)
}
