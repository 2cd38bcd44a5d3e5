package oidc

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// The fields of the confirmation page.
const (
	fieldToken    = "csrf"
	fieldDecision = "decision"
	decisionLeave = "sign-out"
)

// logoutTokenLife is how long a confirmation page can be answered.
const logoutTokenLife = 30 * time.Minute

const reasonLogout = "logout"

// logoutRequest is a request to the end-session endpoint (RPL §2), understood.
type logoutRequest struct {
	// client is who asks, identified by the hint or by client_id; zero when nobody.
	client storage.Client
	// hint is the ID token's content; zero without a valid one.
	hint idTokenHint
	// returnTo is the client's registered address with state, or empty.
	returnTo string
	// params are what the confirmation page carries on; hintText is the hint as it came, which that page does not.
	params   url.Values
	hintText string
	// confirmed says that the person pressed the button on our page, declined that they pressed the other one; token is
	// the page's.
	confirmed, declined bool
	token               string
}

// Logout is the end-session endpoint of OpenID Connect RP-Initiated Logout 1.0 §2, for GET and POST. A client that
// presents an ID token of the person who is signed in here ends the session at once; in every other case the person is
// asked, since any site could have sent them (OA-92).
func (p *Provider) Logout(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		p.Pages.Error(w, r, http.StatusMethodNotAllowed, PageMethod, 0)
		return
	}
	request, err := p.readLogout(w, r)
	if err != nil {
		p.writePage(w, r, err)
		return
	}
	session, err := p.Sessions.Current(r)
	if err != nil && !notFound(err) {
		p.writePage(w, r, err)
		return
	}
	signedIn := err == nil
	switch {
	case !signedIn && r.Method == http.MethodPost && !p.sameOrigin(r):
		p.askAgainByGet(w, r, request)
	case !signedIn:
		p.signedOut(w, r, request)
	case request.hint.Subject == session.PersonID && request.client.ID == request.hint.Audience:
		p.endLogin(w, r, request, session)
	case request.declined:
		seeOther(w, p.Issuer+"/") // not to the client, which would take it for a logout
	case request.confirmed:
		p.confirmedLogout(w, r, request, session)
	default:
		p.Pages.ConfirmLogout(w, r, request.client, p.logoutToken(session.ID, p.Clock.Now()), request.params)
	}
}

// readLogout parses and checks the parameters. A hint that is not a valid ID token of ours counts for nothing, and then
// neither does the address to return to; a hint of another client than client_id is an error (RPL §2).
func (p *Provider) readLogout(w http.ResponseWriter, r *http.Request) (logoutRequest, error) {
	if err := parseBody(w, r); err != nil {
		return logoutRequest{}, err
	}
	form, err := single(r.Form)
	if err != nil {
		return logoutRequest{}, err
	}
	decision := ""
	if r.Method == http.MethodPost {
		decision = r.PostForm.Get(fieldDecision)
	}
	request := logoutRequest{
		token:     form.Get(fieldToken),
		confirmed: decision == decisionLeave,
		declined:  decision != "" && decision != decisionLeave,
		params:    make(url.Values),
	}
	for _, name := range []string{"client_id", "post_logout_redirect_uri", "state", "ui_locales"} {
		if value := form.Get(name); value != "" {
			request.params.Set(name, value)
		}
	}
	clientID := form.Get("client_id")
	if text := form.Get("id_token_hint"); text != "" {
		request.hintText = text
		if request.hint, err = p.readIDTokenHint(r.Context(), text); err != nil && !errors.Is(err, errNotIDToken) {
			return logoutRequest{}, err
		}
		if err == nil && clientID != "" && clientID != request.hint.Audience {
			return logoutRequest{}, refuse(errInvalidRequest, "")
		}
		// The page that asks carries on who asked, not the ID token: it would stand in the address.
		if clientID = request.hint.Audience; clientID != "" {
			request.params.Set("client_id", clientID)
		}
	}
	if request.client, err = p.logoutClient(r.Context(), clientID); err != nil {
		return logoutRequest{}, err
	}
	request.returnTo = returnAddress(request.client, form)
	return request, nil
}

// logoutClient finds the client that asks. One that is unknown or disabled counts as nobody.
func (p *Provider) logoutClient(ctx context.Context, id string) (storage.Client, error) {
	if !validClientID(id) {
		return storage.Client{}, nil
	}
	c, err := p.Store.Client(ctx, id)
	if notFound(err) || err == nil && c.Disabled {
		return storage.Client{}, nil
	}
	return c, err
}

// returnAddress is the post_logout_redirect_uri with state if the client registered exactly that (RPL §3), or empty.
func returnAddress(c storage.Client, form url.Values) string {
	uri := form.Get("post_logout_redirect_uri")
	if uri == "" || !slices.Contains(c.PostLogoutRedirectURIs, uri) {
		return ""
	}
	if state := form.Get("state"); state != "" {
		return withQuery(uri, url.Values{"state": {state}})
	}
	return uri
}

// askAgainByGet is for a form that another site's page posted. A browser sends no SameSite=Lax cookie with it, so that
// nothing is known yet of a session: the same request by GET brings the cookie along. An answer to our own page cannot
// come from there.
func (p *Provider) askAgainByGet(w http.ResponseWriter, r *http.Request, request logoutRequest) {
	if request.confirmed || request.declined {
		p.blockForgery(w, r)
		return
	}
	query := request.params
	if request.hintText != "" {
		query.Set("id_token_hint", request.hintText)
	}
	seeOther(w, p.endpoint(pathLogout)+"?"+query.Encode())
}

// signedOut answers where no session is left to end. Only a client that proved itself by a hint gets the browser back
// by itself; after a bare client_id, which anyone can write, a click is needed. A cookie that the browser did not send
// is not cleared: any site can make a browser come here without it, and would sign people out that way.
func (p *Provider) signedOut(w http.ResponseWriter, r *http.Request, request logoutRequest) {
	forget := p.Sessions.ClearCookie()
	if _, err := r.Cookie(forget.Name); err == nil {
		http.SetCookie(w, forget)
	}
	if request.returnTo != "" && request.hint.Subject != "" {
		seeOther(w, request.returnTo)
		return
	}
	p.Pages.SignedOut(w, r, request.client, request.returnTo)
}

// confirmedLogout believes the button only with the token of our page and from our own origin (WEB-01).
func (p *Provider) confirmedLogout(w http.ResponseWriter, r *http.Request, request logoutRequest, session storage.Session) {
	if !p.sameOrigin(r) || !p.validLogoutToken(request.token, session.ID, p.Clock.Now()) {
		p.blockForgery(w, r)
		return
	}
	p.endLogin(w, r, request, session)
}

// blockForgery refuses an answer to our page that does not come from it, or from one that was open too long.
func (p *Provider) blockForgery(w http.ResponseWriter, r *http.Request) {
	if err := p.note(r.Context(), storage.Event{Kind: audit.CSRFBlocked, Reason: reasonLogout}); err != nil {
		p.writePage(w, r, err)
		return
	}
	p.writePage(w, r, pageOnly(http.StatusForbidden, PageForbidden))
}

// endLogin ends the session with everything that lives from it, in one transaction with the events: grants of this
// session end too, but for those whose scope holds offline_access, which are made to outlive it (OA-57, OA-93).
func (p *Provider) endLogin(w http.ResponseWriter, r *http.Request, request logoutRequest, session storage.Session) {
	err := p.Store.InTx(r.Context(), func(ctx context.Context) error {
		if _, err := p.Sessions.End(ctx, session.ID, reasonLogout); err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		ids, err := p.Store.RevokeGrantsOf(ctx, session.PersonID, "", session.ID, true, reasonLogout, p.Clock.Now())
		if err != nil {
			return fmt.Errorf("revoke grants of session: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		info := reqinfo.From(ctx)
		events := make([]storage.Event, len(ids))
		for i, id := range ids {
			events[i] = storage.Event{
				Kind: audit.TokenRevoked, Reason: reasonLogout, PersonID: session.PersonID, SessionID: session.ID, GrantID: id,
				CorrelationID: info.CorrelationID, SourceAddr: info.Source, UserAgent: info.UserAgent,
			}
		}
		return p.Audit.Write(ctx, events...)
	})
	if err != nil {
		p.writePage(w, r, err)
		return
	}
	http.SetCookie(w, p.Sessions.ClearCookie())
	if request.returnTo != "" {
		seeOther(w, request.returnTo)
		return
	}
	p.Pages.SignedOut(w, r, request.client, "")
}

// logoutToken is the token of the confirmation page: good for this session and half an hour.
func (p *Provider) logoutToken(sessionID string, now time.Time) string {
	until := strconv.FormatInt(now.Add(logoutTokenLife).Unix(), 10)
	mac, err := p.Keys.MAC(secret.Forms, p.Keys.ID(), []byte("logout"), []byte(sessionID), []byte(until))
	if err != nil {
		return "" // no token opens nothing; the current generation is always known
	}
	return p.Keys.ID() + "." + until + "." + base64.RawURLEncoding.EncodeToString(mac)
}

func (p *Provider) validLogoutToken(token, sessionID string, now time.Time) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	until, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || now.Unix() >= until {
		return false
	}
	want, err := p.Keys.MAC(secret.Forms, parts[0], []byte("logout"), []byte(sessionID), []byte(parts[1]))
	return err == nil && equalMAC(parts[2], want)
}

func equalMAC(encoded string, want []byte) bool {
	got, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && hmac.Equal(got, want)
}

// sameOrigin says whether a form post came from a page of ours. Behind a proxy that rewrites Host, a browser without
// Sec-Fetch-Site is recognised by the configured issuer in Origin.
func (p *Provider) sameOrigin(r *http.Request) bool {
	if http.NewCrossOriginProtection().Check(r) == nil {
		return true
	}
	u, err := url.Parse(p.Issuer)
	return err == nil && r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == u.Scheme+"://"+u.Host
}
