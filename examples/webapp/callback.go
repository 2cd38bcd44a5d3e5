package webapp

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// callback receives the browser back from the provider. The order matters: until state and iss are known to be
// right, nothing else in the URL is looked at, not even an error.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	answer := r.URL.Query()
	login, ok := a.takePendingLogin(r.Context(), answer.Get("state"))
	if !ok {
		a.problem(w, r, http.StatusBadRequest, problemPage{
			Headline: "This login was not started here",
			Text: "The answer does not belong to a login of this browser, or it was used already: the page was " +
				"reloaded, or the login was started in another browser. Nothing has happened; please start again.",
			Retry: "/login",
		})
		return
	}
	p, err := a.provider.get()
	if err != nil {
		a.unreachable(w, r, err)
		return
	}
	if err := p.checkIss(a.cfg.Issuer, answer); err != nil {
		a.notVerified(w, r, err)
		return
	}
	if code := answer.Get("error"); code != "" {
		a.refused(w, r, login, code, answer.Get("error_description"))
		return
	}
	ctx := oidc.ClientContext(r.Context(), a.cfg.HTTPClient)
	token, err := p.oauth2.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(login.Verifier))
	if err != nil {
		a.exchangeFailed(w, r, err)
		return
	}
	expect := login.Expect
	expect.Nonce = login.Nonce
	acct, err := a.verifyLogin(ctx, p, token, expect)
	if err != nil {
		a.notVerified(w, r, err)
		return
	}
	acct.Name = a.nameOf(ctx, p, acct)
	a.signIn(w, r, acct, login.Next)
}

// checkIss is the defence of RFC 9207 against mix-up: an answer must come from the provider that was asked. It only
// works if a missing iss is refused too, once the provider has promised to send it (§2.4).
func (p *provider) checkIss(issuer string, answer url.Values) error {
	iss, sent := answer.Get("iss"), answer.Has("iss")
	if sent && iss != issuer || !sent && p.metadata.IssOnResponses {
		return errors.New("the authorization response has another iss, or none")
	}
	return nil
}

func (a *app) signIn(w http.ResponseWriter, r *http.Request, acct *account, next string) {
	ctx := r.Context()
	// A new session id, or whoever planted the old one in this browser would be signed in too.
	if err := a.sessions.RenewToken(ctx); err != nil {
		a.broken(w, r, err)
		return
	}
	if before := a.account(ctx); before != nil && parseClaims(before.Claims).Subject == parseClaims(acct.Claims).Subject {
		acct.Payments = before.Payments
	}
	if err := a.putAccount(ctx, acct); err != nil {
		a.broken(w, r, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// exchangeFailed tells a refused authorization code from a provider that did not answer.
func (a *app) exchangeFailed(w http.ResponseWriter, r *http.Request, err error) {
	if unavailable(err) {
		a.unreachable(w, r, err)
		return
	}
	page := problemPage{
		Headline: "The login could not be completed",
		Text:     "The provider did not accept what its own answer contained. Starting again usually helps.",
		Retry:    "/login",
	}
	var refusal *oauth2.RetrieveError
	if errors.As(err, &refusal) {
		page.Code = refusal.ErrorCode
	}
	a.cfg.Log.Warn("the authorization code was not exchanged", "error", page.Code)
	a.problem(w, r, http.StatusBadGateway, page)
}
