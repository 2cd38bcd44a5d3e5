package oidc

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/internal/acr"
)

func TestOA90_TheIssuerIsTheConfiguredOne(t *testing.T) {
	d := newDesk(t)
	r := httptest.NewRequest(http.MethodGet, "https://evil.example/.well-known/openid-configuration", nil)
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.Header.Set("X-Forwarded-Proto", "http")
	w := d.serve(d.Discovery, r)
	if strings.Contains(w.Body.String(), "evil") {
		t.Errorf("the request decides what is published: %s", w.Body)
	}
	document := d.body(w)
	if document["issuer"] != deskIssuer {
		t.Errorf("issuer %v, want %s", document["issuer"], deskIssuer)
	}
	for name, value := range document {
		if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
			continue
		}
		if u, err := url.Parse(value.(string)); err != nil || !strings.HasPrefix(value.(string), deskIssuer+"/") {
			t.Errorf("%s is %v, not below an issuer with a path: %v", name, u, err)
		}
	}
}

func TestOA91_DiscoveryListsOnlyWhatWorks(t *testing.T) {
	d := newDesk(t)
	document := d.body(d.serve(d.Discovery, httptest.NewRequest(http.MethodGet, "/", nil)))
	for name, want := range map[string][]string{
		"response_types_supported":                                 {"code"},
		"response_modes_supported":                                 {"query", "form_post"},
		"grant_types_supported":                                    {"authorization_code", "refresh_token", "client_credentials"},
		"code_challenge_methods_supported":                         {"S256"},
		"subject_types_supported":                                  {"public"},
		"id_token_signing_alg_values_supported":                    {"ES256", "RS256", "EdDSA"},
		"token_endpoint_auth_methods_supported":                    authMethods(),
		"token_endpoint_auth_signing_alg_values_supported":         {"ES256", "RS256", "PS256", "EdDSA"},
		"introspection_endpoint_auth_methods_supported":            {"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"revocation_endpoint_auth_methods_supported":               authMethods(),
		"acr_values_supported":                                     acr.All(),
		"prompt_values_supported":                                  {"none", "login", "consent", "select_account"},
		"ui_locales_supported":                                     {"en", "it"},
		"introspection_endpoint_auth_signing_alg_values_supported": {"ES256", "RS256", "PS256", "EdDSA"},
		"revocation_endpoint_auth_signing_alg_values_supported":    {"ES256", "RS256", "PS256", "EdDSA"},
		"scopes_supported":                                         {"openid", "profile", "email", "phone", "address", "offline_access"},
		"claim_types_supported":                                    {"normal"},
	} {
		var got []string
		for _, value := range document[name].([]any) {
			got = append(got, value.(string))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]bool{
		"authorization_response_iss_parameter_supported": true, "claims_parameter_supported": true,
		"request_parameter_supported": false, "request_uri_parameter_supported": false, // OA-65
	} {
		if document[name] != want {
			t.Errorf("%s is %v, want %v", name, document[name], want)
		}
	}
	if strings.Contains(strings.Join(acr.All(), " "), "phishing") {
		t.Error("an acr is announced that no login reaches")
	}
	for _, absent := range []string{"registration_endpoint", "pushed_authorization_request_endpoint", "device_authorization_endpoint"} {
		if _, there := document[absent]; there {
			t.Errorf("%s is announced", absent)
		}
	}
}

func TestPublicDocumentsMayBeCached(t *testing.T) {
	d := newDesk(t)
	for name, handler := range map[string]http.HandlerFunc{"discovery": d.Discovery, "JWKS": d.JWKS} {
		first := d.serve(handler, httptest.NewRequest(http.MethodGet, "/", nil))
		if first.Code != http.StatusOK || !strings.Contains(first.Header().Get("Cache-Control"), "max-age=") {
			t.Errorf("%s: %d, Cache-Control %q", name, first.Code, first.Header().Get("Cache-Control"))
		}
		for _, tag := range []string{first.Header().Get("ETag"), "W/" + first.Header().Get("ETag"), `"other", ` + first.Header().Get("ETag"), "*"} {
			again := httptest.NewRequest(http.MethodGet, "/", nil)
			again.Header.Set("If-None-Match", tag)
			if w := d.serve(handler, again); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
				t.Errorf("%s: If-None-Match %s: %d with %d bytes", name, tag, w.Code, w.Body.Len())
			}
		}
		changed := httptest.NewRequest(http.MethodGet, "/", nil)
		changed.Header.Set("If-None-Match", `"other"`)
		if w := d.serve(handler, changed); w.Code != http.StatusOK || w.Body.String() != first.Body.String() {
			t.Errorf("%s: another tag: %d", name, w.Code)
		}
		if w := d.serve(handler, httptest.NewRequest(http.MethodHead, "/", nil)); w.Code != http.StatusOK || w.Body.Len() > 0 {
			t.Errorf("%s: HEAD: %d with %d bytes", name, w.Code, w.Body.Len())
		}
		if w := d.serve(handler, httptest.NewRequest(http.MethodPost, "/", nil)); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: POST: %d", name, w.Code)
		}
	}
}

func TestJWKSHoldsTheKeyThatSigns(t *testing.T) {
	d := newDesk(t)
	w := d.serve(d.JWKS, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Header().Get("Content-Type") != "application/jwk-set+json" {
		t.Errorf("Content-Type %q", w.Header().Get("Content-Type"))
	}
	var set struct {
		Keys []struct{ Alg, D string } `json:"keys"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || len(set.Keys) != 1 || set.Keys[0].Alg != "ES256" || set.Keys[0].D != "" {
		t.Errorf("keys %+v, %v", set.Keys, err)
	}
}
