package app

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

// ClientView is a client as registration metadata: what ImportClients takes, so that what is shown can be imported
// elsewhere. Secrets are told by their times alone.
type ClientView struct {
	ClientID               string          `json:"client_id"`
	ClientIDIssuedAt       int64           `json:"client_id_issued_at"`
	ClientName             string          `json:"client_name,omitempty"`
	ClientURI              string          `json:"client_uri,omitempty"`
	LogoURI                string          `json:"logo_uri,omitempty"`
	ApplicationType        string          `json:"application_type"`
	RedirectURIs           []string        `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string        `json:"post_logout_redirect_uris,omitempty"`
	ResponseTypes          []string        `json:"response_types,omitempty"`
	GrantTypes             []string        `json:"grant_types"`
	Scope                  string          `json:"scope"`
	AuthMethod             string          `json:"token_endpoint_auth_method"`
	AssertionAlg           string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	JWKS                   json.RawMessage `json:"jwks,omitempty"`
	JWKSURI                string          `json:"jwks_uri,omitempty"`
	IDTokenAlg             string          `json:"id_token_signed_response_alg"`
	DefaultACRValues       []string        `json:"default_acr_values,omitempty"`
	DefaultMaxAge          *int64          `json:"default_max_age,omitempty"`
	RequireAuthTime        bool            `json:"require_auth_time,omitempty"`

	PKCE          string       `json:"parola_pkce"`
	FirstParty    bool         `json:"parola_first_party"`
	AlwaysRefresh bool         `json:"parola_always_refresh,omitempty"`
	AccessToken   string       `json:"parola_access_token"`
	Fallback      string       `json:"parola_fallback,omitempty"`
	RequiredACR   string       `json:"parola_required_acr,omitempty"`
	Audience      []string     `json:"parola_audience,omitempty"`
	Introspects   []string     `json:"parola_introspects,omitempty"`
	ResponseModes []string     `json:"parola_response_modes,omitempty"`
	FormOrigins   []string     `json:"parola_form_origins,omitempty"`
	CORSOrigins   []string     `json:"parola_cors_origins,omitempty"`
	Colour        string       `json:"parola_colour,omitempty"`
	Disabled      bool         `json:"parola_disabled,omitempty"`
	Secrets       []SecretView `json:"parola_secrets,omitempty"`
}

// SecretView tells of a client secret when it was made and when it ends.
type SecretView struct {
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// ViewClient shows a client.
func ViewClient(c storage.Client) ClientView {
	v := ClientView{
		ClientID: c.ID, ClientIDIssuedAt: c.CreatedAt.Unix(), ClientName: c.Name, ClientURI: c.URI, LogoURI: c.LogoURI,
		ApplicationType: "web", RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		GrantTypes: c.GrantTypes, Scope: strings.Join(c.Scopes, " "), AuthMethod: c.AuthMethod,
		AssertionAlg: c.AssertionAlg, JWKS: c.JWKS, JWKSURI: c.JWKSURI, IDTokenAlg: c.IDTokenAlg,
		DefaultACRValues: c.DefaultACRValues, DefaultMaxAge: c.DefaultMaxAge, RequireAuthTime: c.RequireAuthTime,
		PKCE: "required", FirstParty: c.FirstParty, AlwaysRefresh: c.AlwaysRefresh, AccessToken: "opaque",
		Fallback: c.Fallback, RequiredACR: c.RequiredACR, Audience: c.Audience, Introspects: c.Introspects,
		ResponseModes: c.ResponseModes, FormOrigins: c.FormOrigins, CORSOrigins: c.CORSOrigins, Colour: c.Colour,
		Disabled: c.Disabled,
	}
	if c.Native {
		v.ApplicationType = "native"
	}
	if slices.Contains(c.GrantTypes, "authorization_code") {
		v.ResponseTypes = []string{"code"}
	}
	if c.PKCEOptional {
		v.PKCE = "optional"
	}
	if c.JWTAccessTokens {
		v.AccessToken = "jwt"
	}
	for _, s := range c.Secrets {
		v.Secrets = append(v.Secrets, SecretView{CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt})
	}
	return v
}
