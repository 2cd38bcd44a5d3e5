package oidc

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/parola-id/parola/storage"
)

// The bounds of what is kept of a request beside its form.
const (
	maxLocales   = 10
	maxLoginHint = 256
	maxMaxAge    = 100 * 365 * 24 * 60 * 60 // seconds; more says the same and does not overflow a time.Duration
)

// kept are the parameters that the saved form holds: what fosite needs to issue the AuthCode and to redeem it. The
// others are in storage.AuthRequestParams by name, or are not for keeping (id_token_hint).
var kept = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "nonce", "code_challenge", "code_challenge_method",
}

// parseRequest judges the parameters of an authorization request whose client and redirect URI have matched, and turns
// them into what the rest of the journey goes by (Core §3.1.2.1). It does no I/O.
func parseRequest(c storage.Client, form url.Values) (storage.AuthRequestParams, error) {
	params := storage.AuthRequestParams{
		RedirectURI: form.Get("redirect_uri"),
		State:       form.Get("state"),
		Scopes:      words(form.Get("scope")),
		Prompt:      words(form.Get("prompt")),
		UILocales:   locales(form),
	}
	if hint := form.Get("login_hint"); len(hint) <= maxLoginHint {
		params.LoginHint = hint
	}
	var err error
	if err = checkFlow(c, form); err != nil {
		return params, err
	}
	if params.ResponseMode, err = responseMode(c, form.Get("response_mode")); err != nil {
		return params, err
	}
	if len(params.Scopes) == 0 {
		return params, refuse(errInvalidScope, "scope is required")
	}
	if err = checkPrompt(params.Prompt); err != nil {
		return params, err
	}
	if params.MaxAge, err = maxAge(c, form.Get("max_age")); err != nil {
		return params, err
	}
	if params.Audience, err = audience(c, form.Get("resource")); err != nil {
		return params, err
	}
	if err = parseClasses(c, form, &params); err != nil {
		return params, err
	}
	params.Form = keep(form)
	return params, nil
}

func keep(form url.Values) string {
	saved := make(url.Values, len(kept))
	for _, name := range kept {
		if form.Has(name) {
			saved.Set(name, form.Get(name))
		}
	}
	return saved.Encode()
}

// checkFlow refuses everything but the code flow with PKCE. Request objects and requests by reference are refused up
// front, with or without the openid scope (OA-65): fosite would take an unsigned one (A15) and fetch any address (A16).
func checkFlow(c storage.Client, form url.Values) error {
	switch {
	case form.Has("request"):
		return refuse(errRequestNotSupported, "the request parameter is not supported")
	case form.Has("request_uri"):
		return refuse(errRequestURINotSupported, "the request_uri parameter is not supported")
	case form.Has("registration"):
		return refuse(errRegistrationUnsupported, "the registration parameter is not supported")
	case !form.Has("response_type"):
		return refuse(errInvalidRequest, "response_type is required")
	case form.Get("response_type") != "code":
		return refuse(errUnsupportedResponseType, "response_type must be code")
	case !slices.Contains(c.GrantTypes, grantAuthCode):
		return refuse(errUnauthorizedClient, "this client may not use the authorization code grant")
	}
	return checkCodeChallenge(form.Get("code_challenge"), form.Get("code_challenge_method"), pkceRequired(c))
}

// pkceRequired exempts single confidential clients alone (OA-21).
func pkceRequired(c storage.Client) bool { return !c.PKCEOptional || c.AuthMethod == methodNone }

const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

// responseMode is what the client registered, out of query and form_post (OA-07); a client that registered nothing has
// query.
func responseMode(c storage.Client, asked string) (string, error) {
	allowed := c.ResponseModes
	if len(allowed) == 0 {
		allowed = []string{modeQuery}
	}
	if asked == "" {
		asked = modeQuery
		if !slices.Contains(allowed, modeQuery) {
			asked = allowed[0]
		}
	}
	if asked != modeQuery && asked != modeFormPost || !slices.Contains(allowed, asked) {
		return modeQuery, refuse(errInvalidRequest, "response_mode is not one of this client's")
	}
	return asked, nil
}

// checkPrompt is Core §3.1.2.1: known values, and none alone (OA-70).
func checkPrompt(prompt []string) error {
	for _, value := range prompt {
		switch value {
		case "none":
			if len(prompt) > 1 {
				return refuse(errInvalidRequest, "prompt none cannot be combined with another value")
			}
		case "login", "consent", "select_account":
		default:
			return refuse(errInvalidRequest, "prompt has an unknown value")
		}
	}
	return nil
}

// maxAge is the request's max_age or else the client's default. fosite ignores malformed and zero values (A21); here 0
// asks for a fresh login (OA-71).
func maxAge(c storage.Client, text string) (*int64, error) {
	if text == "" && c.DefaultMaxAge == nil {
		return nil, nil
	}
	if text == "" {
		age := min(*c.DefaultMaxAge, maxMaxAge)
		return &age, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return nil, refuse(errInvalidRequest, "max_age must be a whole number of seconds")
	}
	age := int64(min(seconds, maxMaxAge))
	return &age, nil
}

// audience is the one resource server that the tokens will be for (RFC 8707 §2): the one that was asked for if it is on
// the client's list, compared exactly (OA-15, A23), or else the first of the list.
func audience(c storage.Client, resource string) ([]string, error) {
	switch {
	case resource != "" && !slices.Contains(c.Audience, resource):
		return nil, refuse(errInvalidTarget, "resource is not one of this client's")
	case resource != "":
		return []string{resource}, nil
	case len(c.Audience) > 0:
		return c.Audience[:1:1], nil
	}
	return nil, nil
}

// parseClasses gathers which acr is wanted: acr_values and the claims parameter, or else the client's default.
func parseClasses(c storage.Client, form url.Values, params *storage.AuthRequestParams) error {
	params.ACRValues = words(form.Get("acr_values"))
	if text := form.Get("claims"); text != "" {
		asked, err := parseClaims(text)
		if err != nil {
			return err
		}
		params.HintSubject = asked.subject
		if asked.essential {
			params.EssentialACR = asked.acr
		} else {
			params.ACRValues = append(params.ACRValues, asked.acr...)
		}
	}
	if len(params.ACRValues) == 0 && len(params.EssentialACR) == 0 {
		params.ACRValues = c.DefaultACRValues
	}
	return checkReachable(c, *params)
}

// locales are the languages asked for, best first. Nonsense is ignored, not refused (Core §3.1.2.1).
func locales(form url.Values) []string {
	list := words(form.Get("ui_locales"))
	return slices.DeleteFunc(list[:min(len(list), maxLocales)], func(tag string) bool { return len(tag) > 35 })
}
