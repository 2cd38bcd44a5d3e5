package oidc

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/parola-id/parola/idp/signing"
	"github.com/parola-id/parola/internal/acr"
)

// The paths of the endpoints below the issuer; idp/routes.go mounts them there.
const (
	pathAuthorize  = "/authorize"
	pathToken      = "/token"
	pathUserInfo   = "/userinfo"
	pathIntrospect = "/introspect"
	pathRevoke     = "/revoke"
	pathLogout     = "/logout"
	pathJWKS       = "/jwks"
)

// endpoint is the absolute address of one of our endpoints. It is made of the configured issuer and nothing that a
// request brings (OA-90).
func (p *Provider) endpoint(path string) string { return p.Issuer + path }

// metadata is OpenID Connect Discovery 1.0 §3 and RFC 8414 §2: one document answers for both. It lists what works and
// nothing else (OA-91).
type metadata struct {
	Issuer                    string   `json:"issuer"`
	AuthorizationEndpoint     string   `json:"authorization_endpoint"`
	TokenEndpoint             string   `json:"token_endpoint"`
	UserInfoEndpoint          string   `json:"userinfo_endpoint"`
	JWKSURI                   string   `json:"jwks_uri"`
	IntrospectionEndpoint     string   `json:"introspection_endpoint"`
	RevocationEndpoint        string   `json:"revocation_endpoint"`
	EndSessionEndpoint        string   `json:"end_session_endpoint"`
	ScopesSupported           []string `json:"scopes_supported"`
	ResponseTypesSupported    []string `json:"response_types_supported"`
	ResponseModesSupported    []string `json:"response_modes_supported"`
	GrantTypesSupported       []string `json:"grant_types_supported"`
	SubjectTypesSupported     []string `json:"subject_types_supported"`
	IDTokenAlgsSupported      []string `json:"id_token_signing_alg_values_supported"`
	TokenAuthMethods          []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs             []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs     []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs        []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	CodeChallengeMethods      []string `json:"code_challenge_methods_supported"`
	ACRValuesSupported        []string `json:"acr_values_supported"`
	PromptValuesSupported     []string `json:"prompt_values_supported"`
	ClaimTypesSupported       []string `json:"claim_types_supported"`
	ClaimsSupported           []string `json:"claims_supported"`
	UILocalesSupported        []string `json:"ui_locales_supported,omitempty"`
	ClaimsParameterSupported  bool     `json:"claims_parameter_supported"`
	IssParameterSupported     bool     `json:"authorization_response_iss_parameter_supported"`
	RequestParameterSupported bool     `json:"request_parameter_supported"`
	// RequestURIParameterSupported must be said: its default is true.
	RequestURIParameterSupported bool `json:"request_uri_parameter_supported"`
}

func (p *Provider) metadata() metadata {
	confidential := []string{methodBasic, methodPost, methodPrivateKeyJWT}
	return metadata{
		Issuer:                   p.Issuer,
		AuthorizationEndpoint:    p.endpoint(pathAuthorize),
		TokenEndpoint:            p.endpoint(pathToken),
		UserInfoEndpoint:         p.endpoint(pathUserInfo),
		JWKSURI:                  p.endpoint(pathJWKS),
		IntrospectionEndpoint:    p.endpoint(pathIntrospect),
		RevocationEndpoint:       p.endpoint(pathRevoke),
		EndSessionEndpoint:       p.endpoint(pathLogout),
		ScopesSupported:          []string{"openid", "profile", "email", "phone", "address", "offline_access"},
		ResponseTypesSupported:   []string{"code"},
		ResponseModesSupported:   []string{"query", "form_post"},
		GrantTypesSupported:      []string{"authorization_code", "refresh_token", "client_credentials"},
		SubjectTypesSupported:    []string{"public"},
		IDTokenAlgsSupported:     signing.Algorithms(),
		TokenAuthMethods:         authMethods(),
		TokenAuthAlgs:            assertionAlgNames(),
		IntrospectionAuthMethods: confidential,
		IntrospectionAuthAlgs:    assertionAlgNames(),
		RevocationAuthMethods:    authMethods(),
		RevocationAuthAlgs:       assertionAlgNames(),
		CodeChallengeMethods:     []string{"S256"},
		ACRValuesSupported:       acr.All(),
		PromptValuesSupported:    []string{"none", "login", "consent", "select_account"},
		ClaimTypesSupported:      []string{"normal"},
		ClaimsSupported:          claimsSupported(),
		UILocalesSupported:       p.UILocales,
		ClaimsParameterSupported: true,
		IssParameterSupported:    true,
	}
}

// Discovery serves /.well-known/openid-configuration and /.well-known/oauth-authorization-server.
func (p *Provider) Discovery(w http.ResponseWriter, r *http.Request) {
	if !readOnly(w, r) {
		return
	}
	p.discovery.serve(w, r, "application/json", "public, max-age=3600")
}

// readOnly refuses everything but GET and HEAD.
func readOnly(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	w.WriteHeader(http.StatusMethodNotAllowed)
	return false
}

// document is something that everybody may read, from any site and from caches. No credentials are involved, so any origin
// may have it (OA-12).
type document struct {
	body []byte
	tag  string
}

func newDocument(body []byte) *document {
	sum := sha256.Sum256(body)
	return &document{body: body, tag: `"` + hex.EncodeToString(sum[:12]) + `"`}
}

func (d *document) serve(w http.ResponseWriter, r *http.Request, contentType, cacheControl string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", cacheControl)
	h.Set("ETag", d.tag)
	if matchesTag(r.Header.Get("If-None-Match"), d.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentType)
	if r.Method != http.MethodHead {
		_, _ = w.Write(d.body) // the caller has gone; nothing is left to tell them
	}
}

// matchesTag is the weak comparison of RFC 9110 §13.1.2.
func matchesTag(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
			return true
		}
	}
	return false
}
