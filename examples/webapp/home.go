package webapp

import (
	"context"
	"encoding/json"
	"errors"
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
	info, err := a.askUserInfo(r.Context(), p, acct)
	if errors.Is(err, errOtherPerson) {
		a.notVerified(w, r, err)
		return
	}
	if err != nil {
		a.userinfoFailed(w, r, err)
		return
	}
	var raw json.RawMessage
	if err := info.Claims(&raw); err != nil {
		a.notVerified(w, r, err)
		return
	}
	a.render(w, http.StatusOK, "userinfo", userinfoPage{a.frame(r, "Userinfo", "/"), indented(raw)})
}

// askUserInfo asks the provider about the person. The answer must be about the one of the ID token, or a swapped access
// token would put another's data on our pages (Core §5.3.2): errOtherPerson.
func (a *app) askUserInfo(ctx context.Context, p *provider, acct *account) (*oidc.UserInfo, error) {
	info, err := p.UserInfo(oidc.ClientContext(ctx, a.cfg.HTTPClient),
		oauth2.StaticTokenSource(&oauth2.Token{AccessToken: acct.AccessToken, TokenType: "Bearer"}))
	if err != nil {
		return nil, err
	}
	if info.Subject != parseClaims(acct.Claims).Subject {
		return nil, errOtherPerson
	}
	return info, nil
}

// nameOf is what to call the person. The ID token needs to say no more than who it is; the name is the userinfo
// endpoint's to tell (Core §5.4). A login does not fail for want of one.
func (a *app) nameOf(ctx context.Context, p *provider, acct *account) string {
	info, err := a.askUserInfo(ctx, p, acct)
	if err != nil {
		a.cfg.Log.Warn("no name from the userinfo endpoint", "err", err)
		return ""
	}
	var c claims
	if err := info.Claims(&c); err != nil {
		return ""
	}
	return c.person()
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
