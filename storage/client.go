package storage

import (
	"context"
	"encoding/json"
	"time"
)

// Client is an OAuth client as registered, in the terms of RFC 7591 where it has one. Clients are read often and
// written rarely.
type Client struct {
	ID   string `json:"client_id"`
	Name string `json:"client_name,omitempty"`
	// Native clients (application_type native) may use loopback redirects with any port (RFC 8252 §7.3, OA-02).
	Native                 bool     `json:"native,omitempty"`
	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	// GrantTypes out of authorization_code, refresh_token, client_credentials.
	GrantTypes []string `json:"grant_types,omitempty"`
	// ResponseModes out of query, form_post.
	ResponseModes []string `json:"response_modes,omitempty"`
	Scopes        []string `json:"scopes,omitempty"`
	// Audience lists the resource servers its access tokens may be for; the first is the default.
	Audience []string `json:"audience,omitempty"`
	// AuthMethod is none, client_secret_basic, client_secret_post or private_key_jwt.
	AuthMethod string         `json:"token_endpoint_auth_method"`
	Secrets    []ClientSecret `json:"secrets,omitempty"`
	// JWKS is a JSON Web Key Set, JWKSURI where to fetch one; for private_key_jwt.
	JWKS         json.RawMessage `json:"jwks,omitempty"`
	JWKSURI      string          `json:"jwks_uri,omitempty"`
	AssertionAlg string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	// IDTokenAlg is ES256, RS256 or EdDSA.
	IDTokenAlg string `json:"id_token_signed_response_alg"`
	// JWTAccessTokens asks for RFC 9068 access tokens instead of opaque ones.
	JWTAccessTokens bool `json:"jwt_access_tokens,omitempty"`
	// PKCEOptional exempts a confidential client from PKCE (OA-21).
	PKCEOptional bool `json:"pkce_optional,omitempty"`
	// FirstParty clients ask for no consent and are trusted with redirects on error (OA-14, OA-16).
	FirstParty bool `json:"first_party,omitempty"`
	// AlwaysRefresh gives a first-party client refresh tokens without offline_access (OA-50).
	AlwaysRefresh bool `json:"always_refresh,omitempty"`
	// Introspects lists the audiences whose tokens this resource server may introspect (OA-81).
	Introspects []string `json:"introspects,omitempty"`
	// Fallback is allow, ask or deny: whether a passcode may go by SMS (empty means the installation's policy).
	Fallback string `json:"fallback,omitempty"`
	// RequiredACR is the lowest acr this client accepts; DefaultACRValues and DefaultMaxAge are OpenID registration
	// metadata. DefaultMaxAge is in seconds, nil when absent.
	RequiredACR      string   `json:"required_acr,omitempty"`
	DefaultACRValues []string `json:"default_acr_values,omitempty"`
	DefaultMaxAge    *int64   `json:"default_max_age,omitempty"`
	RequireAuthTime  bool     `json:"require_auth_time,omitempty"`
	// FormOrigins are further origins the redirect may pass through, for the form-action directive (WEB-04).
	FormOrigins []string `json:"form_origins,omitempty"`
	// CORSOrigins may call token, userinfo and revocation from a browser (OA-12).
	CORSOrigins []string `json:"cors_origins,omitempty"`
	// LogoURI and URI are registration metadata; Colour is the client's brand on our pages.
	LogoURI  string `json:"logo_uri,omitempty"`
	URI      string `json:"client_uri,omitempty"`
	Colour   string `json:"colour,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`

	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`
}

// ClientSecret is one of at most two secrets valid at a time (OA-33). Only a hash is kept.
type ClientSecret struct {
	// Hash is "hmac:…" for secrets Parola generated (256 random bits, a fast keyed hash is enough) or a PHC argon2id
	// string for imported ones, which may be weak.
	Hash string `json:"hash"`
	// KeyID names the root secret behind an "hmac:" hash; empty for one of the first releases that was not used since, and for
	// a slow hash.
	KeyID     string    `json:"key_id,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	// ExpiresAt is zero for a secret that does not end by itself.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Clients keeps clients.
type Clients interface {
	// InsertClient stores c; ErrConflict when the ID is taken.
	InsertClient(ctx context.Context, c Client) error
	// UpdateClient stores c when nobody changed it since c.UpdatedAt, with now as its new time; else ErrConflict.
	UpdateClient(ctx context.Context, c Client, now time.Time) error
	// Client returns one client; ErrNotFound.
	Client(ctx context.Context, id string) (Client, error)
	// ListClients returns clients ordered by ID, after the given one, at most limit (1 to 1000).
	ListClients(ctx context.Context, after string, limit int) ([]Client, error)
	// DeleteClient removes the client with its grants and consents; ErrNotFound.
	DeleteClient(ctx context.Context, id string) error
}
