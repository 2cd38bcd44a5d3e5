package webapp

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// loginOptions are the wishes that a login may carry to the provider (OpenID Connect Core §3.1.2.1).
type loginOptions struct {
	Prompt       string
	MaxAge       *time.Duration // whole seconds; nil sends none
	UILocales    string
	ACRValues    string // voluntary: the provider may sign the person in at less
	EssentialACR string // the provider must refuse rather than give less (Core §5.5.1.1)
	Next         string // our page to return to
}

// login sends the browser to the provider: GET /login?prompt=…&max_age=…&ui_locales=…&acr_values=…&essential_acr=…&next=…
func (a *app) login(w http.ResponseWriter, r *http.Request) {
	options, err := parseLoginOptions(r.URL.Query())
	if err != nil {
		a.problem(w, r, http.StatusBadRequest, problemPage{
			Headline: "That login link does not work",
			Text:     "One of its options is not one that this application sends.",
		})
		return
	}
	p, err := a.provider.get()
	if err != nil {
		a.unreachable(w, r, err)
		return
	}
	login := pendingLogin{
		State:    rand.Text(),
		Nonce:    rand.Text(),
		Verifier: oauth2.GenerateVerifier(),
		Next:     options.Next,
		Expect:   a.expectationOf(r, options),
	}
	if err := a.addPendingLogin(r.Context(), login); err != nil {
		a.broken(w, r, err)
		return
	}
	params := options.authParams()
	if acct := a.account(r.Context()); acct != nil && options.Prompt == "none" {
		// Without a page the provider cannot ask who is meant; the hint says it (Core §3.1.2.1, id_token_hint).
		params = append(params, oauth2.SetAuthURLParam("id_token_hint", acct.IDToken))
	}
	params = append(params, oidc.Nonce(login.Nonce), oauth2.S256ChallengeOption(login.Verifier))
	http.Redirect(w, r, p.oauth2.AuthCodeURL(login.State, params...), http.StatusSeeOther)
}

// parseLoginOptions takes from a URL, which anybody can write, only what this application would send itself. In
// particular next is one of our own pages, or this would be an open redirector.
func parseLoginOptions(q url.Values) (loginOptions, error) {
	options := loginOptions{
		Prompt:       q.Get("prompt"),
		UILocales:    q.Get("ui_locales"),
		ACRValues:    q.Get("acr_values"),
		EssentialACR: q.Get("essential_acr"),
		Next:         q.Get("next"),
	}
	if options.Next == "" {
		options.Next = "/"
	}
	if !slices.Contains([]string{"/", "/payments", "/balance"}, options.Next) {
		return loginOptions{}, fmt.Errorf("next is not a page of ours")
	}
	if !slices.Contains([]string{"", "none", "login", "select_account", "consent"}, options.Prompt) {
		return loginOptions{}, fmt.Errorf("unknown prompt")
	}
	words := regexp.MustCompile(`^[A-Za-z0-9:._~/ -]{0,200}$`)
	for _, value := range []string{options.UILocales, options.ACRValues, options.EssentialACR} {
		if !words.MatchString(value) {
			return loginOptions{}, fmt.Errorf("unexpected characters")
		}
	}
	if maxAge := q.Get("max_age"); maxAge != "" {
		seconds, err := strconv.ParseUint(maxAge, 10, 31)
		if err != nil {
			return loginOptions{}, fmt.Errorf("max_age: %w", err)
		}
		age := time.Duration(seconds) * time.Second
		options.MaxAge = &age
	}
	return options, nil
}

// authParams are the options as parameters of the authorization request.
func (o loginOptions) authParams() []oauth2.AuthCodeOption {
	var params []oauth2.AuthCodeOption
	set := func(name, value string) {
		if value != "" {
			params = append(params, oauth2.SetAuthURLParam(name, value))
		}
	}
	set("prompt", o.Prompt)
	set("ui_locales", o.UILocales)
	set("acr_values", o.ACRValues)
	if o.MaxAge != nil {
		set("max_age", strconv.FormatInt(int64(*o.MaxAge/time.Second), 10))
	}
	if o.EssentialACR != "" {
		set("acr_values", o.EssentialACR)
		set("claims", essentialACRClaims(o.EssentialACR))
	}
	return params
}

// essentialACRClaims is the claims parameter that makes an acr a condition and not a wish (Core §5.5.1.1).
func essentialACRClaims(acr string) string {
	type claim struct {
		Essential bool     `json:"essential"`
		Values    []string `json:"values"`
	}
	encoded, err := json.Marshal(map[string]map[string]claim{
		"id_token": {"acr": {Essential: true, Values: []string{acr}}},
	})
	if err != nil {
		panic(err) // strings and a bool always encode
	}
	return string(encoded)
}

// expectationOf notes what the answer has to prove, now, while nobody else can influence it.
func (a *app) expectationOf(r *http.Request, options loginOptions) expectation {
	expect := expectation{ACR: options.EssentialACR}
	now := a.cfg.Now()
	switch {
	case options.Prompt == "login":
		expect.AuthenticatedSince = now
	case options.MaxAge != nil:
		expect.AuthenticatedSince = now.Add(-*options.MaxAge)
	}
	// A step-up strengthens the login that is there; a different person on the way back would inherit the page
	// that the first one was about to confirm.
	acct := a.account(r.Context())
	if acct != nil && (options.EssentialACR != "" || options.ACRValues != "") {
		expect.Subject = parseClaims(acct.Claims).Subject
	}
	return expect
}
