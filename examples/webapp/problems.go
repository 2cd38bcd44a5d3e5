package webapp

import (
	"errors"
	"net/http"
	"net/url"
)

// problemPage is every page that says that something did not work. Code and Description are the provider's own
// words, shown as such.
type problemPage struct {
	frame
	Headline    string
	Text        string
	Code        string
	Description string
	Retry       string // link to try again; empty shows none
}

func (a *app) problem(w http.ResponseWriter, r *http.Request, status int, page problemPage) {
	page.frame = a.frame(r, page.Headline, "")
	a.render(w, status, "problem", page)
}

// refused explains an error response of the authorization endpoint.
func (a *app) refused(w http.ResponseWriter, r *http.Request, login pendingLogin, code, description string) {
	a.cfg.Log.Info("the provider refused a login", "error", code)
	status, headline, text := http.StatusForbidden, "The provider said no", "You are where you were before; nothing has changed."
	switch code {
	case "access_denied":
		headline, text = "You did not sign in", "You, or the provider, ended the login before it was complete."
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		headline = "The provider would have had to show a page"
		text = "This login asked for an answer without any page (prompt=none), and the provider needs one."
	case "unmet_authentication_requirements":
		headline = "That level of login was not reached"
		text = "The provider refused instead of signing you in at less. Usually the code did not arrive on WhatsApp, " +
			"and a text message does not count here."
		if acr := login.Expect.ACR; acr != "" {
			text = "This application made the level “" + levelOf(acr).Name + "” a condition. " + text
		}
	case "temporarily_unavailable", "server_error":
		status, headline, text = http.StatusServiceUnavailable, "The provider has a problem", "Please try again in a moment."
	}
	a.problem(w, r, status, problemPage{
		Headline: headline, Text: text, Code: code, Description: description, Retry: retryURL(login),
	})
}

// retryURL starts the same login again, without the wish for no page.
func retryURL(login pendingLogin) string {
	q := url.Values{"next": {login.Next}}
	if login.Expect.ACR != "" {
		q.Set("essential_acr", login.Expect.ACR)
	}
	return "/login?" + q.Encode()
}

// notVerified answers when something that claims to come from the provider could not be believed. What exactly was
// wrong is for the log: it may have been written by an attacker.
func (a *app) notVerified(w http.ResponseWriter, r *http.Request, err error) {
	a.cfg.Log.Warn("an answer of the provider was not accepted", "err", err)
	page := problemPage{
		Headline: "The answer could not be verified",
		Text:     "Something in the provider's answer is not as it should be, so nobody was signed in with it.",
		Retry:    "/login",
	}
	switch {
	case errors.Is(err, errACRTooLow):
		page.Headline = "The login was not strong enough"
		page.Text = "The provider signed you in, but at a lower level than this application had made a condition. It " +
			"does not rely on having asked: it reads acr in the ID token, and that was too low."
	case errors.Is(err, errOtherPerson):
		page.Headline = "That was somebody else"
		page.Text = "The provider signed in another person than the one whose page this is. Sign out first to change person."
	case errors.Is(err, errTooOld):
		page.Headline = "That login was not fresh"
		page.Text = "This application asked for a fresh login, and auth_time in the ID token is older than that."
	}
	a.problem(w, r, http.StatusBadGateway, page)
}

func (a *app) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	a.cfg.Log.Error("the provider is unavailable", "err", err)
	w.Header().Set("Retry-After", "5")
	a.problem(w, r, http.StatusServiceUnavailable, problemPage{
		Headline: "The provider does not answer",
		Text:     "Signing in is not possible at this moment. Nothing is wrong with your account; please try again shortly.",
		Retry:    "/",
	})
}

func (a *app) broken(w http.ResponseWriter, r *http.Request, err error) {
	a.cfg.Log.Error("request failed", "path", r.URL.Path, "err", err)
	a.problem(w, r, http.StatusInternalServerError, problemPage{
		Headline: "Something broke here",
		Text:     "That is this application's fault. Please try again.",
		Retry:    "/",
	})
}
