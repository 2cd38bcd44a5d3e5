package webapp

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
)

// logout ends the session here and then asks the provider to end its own (RP-Initiated Logout §2). Ours goes first:
// whatever happens to the redirect, this browser is signed out of this application.
func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	acct := a.account(ctx)
	if err := a.sessions.Clear(ctx); err != nil {
		a.broken(w, r, err)
		return
	}
	if err := a.sessions.RenewToken(ctx); err != nil {
		a.broken(w, r, err)
		return
	}
	p, err := a.provider.get()
	if acct == nil || err != nil || p.metadata.EndSessionEndpoint == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	state := rand.Text()
	a.sessions.Put(ctx, keyLogoutState, state)
	http.Redirect(w, r, p.logoutURL(a.cfg, acct.IDToken, state), http.StatusSeeOther)
}

// logoutURL sends the ID token as a hint, so that the provider knows who and which client it is without asking.
func (p *provider) logoutURL(cfg Config, idToken, state string) string {
	q := url.Values{"id_token_hint": {idToken}, "client_id": {cfg.ClientID}}
	if cfg.PostLogoutRedirectURL != "" {
		q.Set("post_logout_redirect_uri", cfg.PostLogoutRedirectURL)
		q.Set("state", state)
	}
	separator := "?"
	if strings.Contains(p.metadata.EndSessionEndpoint, "?") {
		separator = "&"
	}
	return p.metadata.EndSessionEndpoint + separator + q.Encode()
}

// signedOut is where the provider sends the browser back. Only the state of a logout that began here lets the page
// say that the provider's session has ended as well.
func (a *app) signedOut(w http.ResponseWriter, r *http.Request) {
	expected := a.sessions.PopString(r.Context(), keyLogoutState)
	a.render(w, http.StatusOK, "welcome", welcomePage{
		frame:     a.frame(r, "Signed out", ""),
		SignedOut: expected != "" && r.URL.Query().Get("state") == expected,
	})
}
