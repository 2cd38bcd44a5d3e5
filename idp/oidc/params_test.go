package oidc

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/storage"
)

func webClient() storage.Client {
	return storage.Client{
		ID: "web", RedirectURIs: []string{callback}, GrantTypes: []string{"authorization_code"}, AuthMethod: "none",
		Scopes: []string{"openid"}, Audience: []string{"https://api.example", "https://other.example"},
	}
}

func TestAuthorizationParameters(t *testing.T) {
	confidential := func(c *storage.Client) { c.AuthMethod, c.PKCEOptional = "client_secret_basic", true }
	for _, tt := range []struct {
		name   string
		client func(*storage.Client)
		pairs  []string
		want   string // error code; empty when the request is good
	}{
		{name: "a good request"},
		{name: "OA06: response_type token", pairs: []string{"response_type", "token"}, want: "unsupported_response_type"},
		{name: "OA06: response_type code with id_token", pairs: []string{"response_type", "code id_token"}, want: "unsupported_response_type"},
		{name: "no response_type", pairs: []string{"response_type", ""}, want: "invalid_request"},
		{name: "OA07: fragment", pairs: []string{"response_mode", "fragment"}, want: "invalid_request"},
		{name: "OA07: form_post that is not registered", pairs: []string{"response_mode", "form_post"}, want: "invalid_request"},
		{name: "OA07: form_post that is", client: func(c *storage.Client) { c.ResponseModes = []string{"form_post"} }, pairs: []string{"response_mode", "form_post"}},
		{name: "OA20: no PKCE", pairs: []string{"code_challenge", "", "code_challenge_method", ""}, want: "invalid_request"},
		{name: "OA20: plain", pairs: []string{"code_challenge_method", "plain"}, want: "invalid_request"},
		{name: "OA21: an exempt client without PKCE", client: confidential, pairs: []string{"code_challenge", "", "code_challenge_method", ""}},
		{name: "OA21: an exempt client must not send it wrong", client: confidential, pairs: []string{"code_challenge_method", "plain"}, want: "invalid_request"},
		{name: "OA21: a public client is never exempt", client: func(c *storage.Client) { c.PKCEOptional = true },
			pairs: []string{"code_challenge", "", "code_challenge_method", ""}, want: "invalid_request"},
		{name: "A15: a request object", pairs: []string{"request", "e30.e30."}, want: "request_not_supported"},
		{name: "A15: a request object without openid", pairs: []string{"request", "e30.e30.", "scope", "read"}, want: "request_not_supported"},
		{name: "A16: a request by reference", pairs: []string{"request_uri", "https://rp.example/r"}, want: "request_uri_not_supported"},
		{name: "a registration", pairs: []string{"registration", "{}"}, want: "registration_not_supported"},
		{name: "the grant is not the client's", client: func(c *storage.Client) { c.GrantTypes = []string{"client_credentials"} }, want: "unauthorized_client"},
		{name: "no scope", pairs: []string{"scope", ""}, want: "invalid_scope"},
		{name: "OA70: prompt none with login", pairs: []string{"prompt", "none login"}, want: "invalid_request"},
		{name: "an unknown prompt", pairs: []string{"prompt", "create"}, want: "invalid_request"},
		{name: "several prompts", pairs: []string{"prompt", "login consent select_account"}},
		{name: "A21: max_age 0", pairs: []string{"max_age", "0"}},
		{name: "A21: a negative max_age", pairs: []string{"max_age", "-1"}, want: "invalid_request"},
		{name: "A21: max_age with a sign", pairs: []string{"max_age", "+1"}, want: "invalid_request"},
		{name: "A21: max_age that is no number", pairs: []string{"max_age", "1h"}, want: "invalid_request"},
		{name: "A21: max_age of any size", pairs: []string{"max_age", "9223372036854775807"}},
		{name: "A23: a resource by prefix", pairs: []string{"resource", "https://api.example/v1"}, want: "invalid_target"},
		{name: "OA43: a registered resource", pairs: []string{"resource", "https://other.example"}},
		{name: "OA73: an essential acr that cannot be met", pairs: []string{"claims", `{"id_token":{"acr":{"essential":true,"value":"urn:parola:acr:phishing-resistant"}}}`}, want: "unmet_authentication_requirements"},
		{name: "OA73: an unknown voluntary acr", pairs: []string{"acr_values", "urn:other"}},
		{name: "a claims parameter that is no JSON", pairs: []string{"claims", "acr"}, want: "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := webClient()
			if tt.client != nil {
				tt.client(&c)
			}
			_, err := parseRequest(c, authorizeForm(c, tt.pairs...))
			code := ""
			if e, told := asRefusal(err); told {
				code = e.code
			} else if err != nil {
				t.Fatalf("an outage from a pure function: %v", err)
			}
			if code != tt.want {
				t.Errorf("got %q, want %q", code, tt.want)
			}
		})
	}
}

func TestAuthorizationParametersAreKept(t *testing.T) {
	c := webClient()
	age, byDefault := int64(60), int64(3600)
	c.DefaultMaxAge, c.DefaultACRValues = &byDefault, []string{acr.PhoneNoSMS}
	form := authorizeForm(c, "scope", "openid  openid", "max_age", "60", "acr_values", "b a", "ui_locales", "it x-"+strings.Repeat("y", 40)+" en",
		"login_hint", "ada", "id_token_hint", "secret", "client_secret", "secret", "claims", `{"id_token":{"sub":{"value":"p1"},"acr":{"values":["c"]}}}`)
	got, err := parseRequest(c, form)
	if err != nil {
		t.Fatal(err)
	}
	want := storage.AuthRequestParams{
		RedirectURI: callback, ResponseMode: "query", State: "s", Scopes: []string{"openid"}, Audience: []string{"https://api.example"},
		MaxAge: &age, ACRValues: []string{"b", "a", "c"}, LoginHint: "ada", HintSubject: "p1", UILocales: []string{"it", "en"},
	}
	saved := got.Form
	got.Form = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(saved, "secret") {
		t.Errorf("credentials are kept: %s", saved)
	}
	bare, err := parseRequest(c, authorizeForm(c))
	if err != nil {
		t.Fatal(err)
	}
	if *bare.MaxAge != byDefault || !slices.Equal(bare.ACRValues, c.DefaultACRValues) {
		t.Errorf("the client's defaults are not applied: %+v", bare)
	}
}

func TestOA09_SingleParameters(t *testing.T) {
	many := url.Values{}
	for i := range maxFields + 1 {
		many.Set(strings.Repeat("x", i+1), "1")
	}
	for _, tt := range []struct {
		name   string
		values url.Values
		want   bool
	}{
		{"each once", url.Values{"a": {"1"}, "b": {"2"}}, true},
		{"one twice", url.Values{"a": {"1", "1"}}, false},
		{"one twice and empty", url.Values{"a": {"", ""}}, false},
		{"not UTF-8", url.Values{"a": {"\xff"}}, false},
		{"too long", url.Values{"a": {strings.Repeat("x", maxValue+1)}}, false},
		{"too many", many, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := single(tt.values); (err == nil) != tt.want {
				t.Errorf("got %v, want good: %v", err, tt.want)
			}
		})
	}
	if form, _ := single(url.Values{"a": {""}}); form.Has("a") {
		t.Error("an empty parameter is not treated as absent")
	}
}

// FuzzAuthorizationParameters reads whatever a browser may send, and holds what is let through to what every later step
// relies on.
func FuzzAuthorizationParameters(f *testing.F) {
	c := webClient()
	f.Add(authorizeForm(c).Encode())
	f.Add(authorizeForm(c, "prompt", "none", "max_age", "0", "claims", `{"id_token":{"acr":{"essential":true,"values":["urn:parola:acr:phone"]}}}`).Encode())
	f.Add(authorizeForm(c, "ui_locales", "de en", "resource", "https://api.example").Encode() + "&scope=again")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		form, err := single(values)
		if err != nil {
			return
		}
		params, err := parseRequest(c, form)
		if err != nil {
			if e, told := asRefusal(err); !told || e.code == "" {
				t.Fatalf("%q: not a refusal: %v", query, err)
			}
			return
		}
		switch {
		case params.ResponseMode != "query",
			!slices.Contains(c.Audience, params.Audience[0]),
			params.MaxAge != nil && (*params.MaxAge < 0 || *params.MaxAge > maxMaxAge),
			slices.Contains(params.Prompt, "none") && len(params.Prompt) > 1,
			len(params.LoginHint) > maxLoginHint, len(params.UILocales) > maxLocales,
			len(params.EssentialACR) > 0 && !slices.ContainsFunc(params.EssentialACR, acr.Reachable),
			!utf8.ValidString(params.State):
			t.Errorf("%q lets through %+v", query, params)
		}
		saved, err := url.ParseQuery(params.Form)
		if err != nil || saved.Get("response_type") != "code" || saved.Get("code_challenge_method") != "S256" || saved.Has("id_token_hint") {
			t.Errorf("%q is saved as %q", query, params.Form)
		}
	})
}
