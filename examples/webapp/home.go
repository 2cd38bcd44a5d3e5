package webapp

import (
	"encoding/json"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// welcomePage is the front page for somebody who is not signed in.
type welcomePage struct {
	frame
	SignedOut bool // just now, at the provider too
}

// accountPage shows what the provider said about the person and the login.
type accountPage struct {
	frame
	Claims    claims
	Level     level
	Methods   []method
	Channel   string
	IDToken   string // the verified payload
	Refreshed *refreshRecord
	CanRepeat bool // there is a refresh token
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	acct := a.account(r.Context())
	if acct == nil {
		a.render(w, http.StatusOK, "welcome", welcomePage{frame: a.frame(r, "Welcome", "/")})
		return
	}
	c := parseClaims(acct.Claims)
	a.render(w, http.StatusOK, "account", accountPage{
		frame:     a.frame(r, "Your account", "/"),
		Claims:    c,
		Level:     levelOf(c.ACR),
		Methods:   methodsOf(c.AMR),
		Channel:   channelText(c.MFAChannel),
		IDToken:   indented(acct.Claims),
		Refreshed: acct.Refreshed,
		CanRepeat: acct.RefreshToken != "",
	})
}

// userinfoPage shows the userinfo endpoint's answer.
type userinfoPage struct {
	frame
	UserInfo string
}

func (a *app) userinfo(w http.ResponseWriter, r *http.Request) {
	acct := a.account(r.Context())
	if acct == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if err := a.fresh(r.Context(), acct); err != nil {
		a.refreshFailed(w, r, err)
		return
	}
	p, err := a.provider.get()
	if err != nil {
		a.unreachable(w, r, err)
		return
	}
	ctx := oidc.ClientContext(r.Context(), a.cfg.HTTPClient)
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: acct.AccessToken, TokenType: "Bearer"}))
	if err != nil {
		a.userinfoFailed(w, r, err)
		return
	}
	// The two answers must be about one person, or a swapped access token would put another's data on this page
	// (Core §5.3.2).
	if info.Subject != parseClaims(acct.Claims).Subject {
		a.notVerified(w, r, errOtherPerson)
		return
	}
	var raw json.RawMessage
	if err := info.Claims(&raw); err != nil {
		a.notVerified(w, r, err)
		return
	}
	a.render(w, http.StatusOK, "userinfo", userinfoPage{a.frame(r, "Userinfo", "/"), indented(raw)})
}

func (a *app) userinfoFailed(w http.ResponseWriter, r *http.Request, err error) {
	if unavailable(err) {
		a.unreachable(w, r, err)
		return
	}
	a.cfg.Log.Warn("userinfo refused", "err", err)
	a.problem(w, r, http.StatusBadGateway, problemPage{
		Headline: "The provider did not answer with your data",
		Text:     "It may have ended this login. Signing in again gives this application new tokens.",
		Retry:    "/login",
	})
}
