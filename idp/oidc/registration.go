package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Registration is client metadata as other providers export it and operators write it: the members of RFC 7591 and
// OpenID Connect Dynamic Client Registration by their own names, what a provider adds on registering (client_id,
// client_secret), and Parola's extensions, whose names begin with parola_.
type Registration struct {
	ClientID               string
	ClientSecret           string // in clear: hash it, store it nowhere
	ClientSecretExpiresAt  int64  // seconds since 1970, 0 for never
	ClientName             string
	ClientURI              string
	LogoURI                string
	ApplicationType        string
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	ResponseTypes          []string
	GrantTypes             []string
	Scope                  *string
	AuthMethod             string
	AssertionAlg           string
	JWKS                   json.RawMessage
	JWKSURI                string
	IDTokenAlg             string
	SubjectType            string
	DefaultACRValues       []string
	DefaultMaxAge          *int64
	RequireAuthTime        bool

	PKCE          string // required or optional
	FirstParty    bool
	AlwaysRefresh bool
	Fallback      string // allow, ask or deny
	AccessToken   string // opaque or jwt
	Audience      []string
	Introspects   []string
	RequiredACR   string
	ResponseModes []string
	FormOrigins   []string
	CORSOrigins   []string
	Colour        string

	// Unknown are the names of members that were given and mean nothing here, for a warning: nothing is lost silently.
	Unknown []string

	position int // in its array, from 1
}

// members are the names by which a Registration is read.
func (r *Registration) members() map[string]any {
	return map[string]any{
		"client_id": &r.ClientID, "client_secret": &r.ClientSecret, "client_secret_expires_at": &r.ClientSecretExpiresAt,
		"client_name": &r.ClientName, "client_uri": &r.ClientURI, "logo_uri": &r.LogoURI,
		"application_type": &r.ApplicationType, "redirect_uris": &r.RedirectURIs,
		"post_logout_redirect_uris": &r.PostLogoutRedirectURIs, "response_types": &r.ResponseTypes,
		"grant_types": &r.GrantTypes, "scope": &r.Scope, "token_endpoint_auth_method": &r.AuthMethod,
		"token_endpoint_auth_signing_alg": &r.AssertionAlg, "jwks": &r.JWKS, "jwks_uri": &r.JWKSURI,
		"id_token_signed_response_alg": &r.IDTokenAlg, "subject_type": &r.SubjectType,
		"default_acr_values": &r.DefaultACRValues, "default_max_age": &r.DefaultMaxAge,
		"require_auth_time": &r.RequireAuthTime,

		"parola_pkce": &r.PKCE, "parola_first_party": &r.FirstParty, "parola_always_refresh": &r.AlwaysRefresh,
		"parola_fallback": &r.Fallback, "parola_access_token": &r.AccessToken, "parola_audience": &r.Audience,
		"parola_introspects": &r.Introspects, "parola_required_acr": &r.RequiredACR,
		"parola_response_modes": &r.ResponseModes, "parola_form_origins": &r.FormOrigins,
		"parola_cors_origins": &r.CORSOrigins, "parola_colour": &r.Colour,
	}
}

// demands are members that ask for more protection than Parola gives a client. To pass over one would weaken the client
// without a word, so each is refused unless its value asks for nothing.
var demands = []string{
	"id_token_encrypted_response_alg", "userinfo_signed_response_alg", "userinfo_encrypted_response_alg",
	"dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens", "require_pushed_authorization_requests",
	"require_signed_request_object",
}

// harmless are members that say nothing Parola could act on and need no warning.
var harmless = []string{"client_id_issued_at"}

// ParseRegistrations reads a JSON array of client metadata, or a single object. The error names the client and the
// member.
func ParseRegistrations(data []byte) ([]Registration, error) {
	if err := refuseRepeatedNames(data); err != nil {
		return nil, fmt.Errorf("read client metadata: %w", err)
	}
	list := []json.RawMessage{data}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, fmt.Errorf("read client metadata: %w", err)
		}
	}
	registrations := make([]Registration, len(list))
	ids := make(map[string]int)
	for i, raw := range list {
		r := &registrations[i]
		r.position = i + 1
		if err := r.read(raw); err != nil {
			return nil, r.wrong(err)
		}
		if earlier := ids[r.ClientID]; earlier > 0 && r.ClientID != "" {
			return nil, r.wrong(fmt.Errorf("client_id is already that of client %d", earlier))
		}
		ids[r.ClientID] = r.position
	}
	return registrations, nil
}

func (r *Registration) read(raw json.RawMessage) error {
	given, err := strictObject(raw)
	if err != nil {
		return err
	}
	members := r.members()
	if id, ok := given["client_id"]; ok { // first, so that every later error can name the client
		if err := json.Unmarshal(id, &r.ClientID); err != nil {
			return errors.New("client_id must be a string")
		}
	}
	for name, value := range given {
		to, known := members[name]
		switch {
		case slices.Contains(demands, name):
			if asksForSomething(value) {
				return fmt.Errorf("%s is not supported", name)
			}
		case slices.Contains(harmless, name) || string(value) == "null":
		case !known:
			r.Unknown = append(r.Unknown, name)
		default:
			if err := json.Unmarshal(value, to); err != nil {
				return fmt.Errorf("%s must be %s", name, kindOf(to))
			}
		}
	}
	slices.Sort(r.Unknown)
	return nil
}

func asksForSomething(value json.RawMessage) bool {
	switch string(value) {
	case "null", "false", `""`, `"none"`:
		return false
	}
	return true
}

// kindOf says in words what a member must be.
func kindOf(to any) string {
	switch to.(type) {
	case *string, **string:
		return "a string"
	case *[]string:
		return "an array of strings"
	case *bool:
		return "true or false"
	case *int64, **int64:
		return "a whole number"
	}
	return "a JSON object"
}

// Label names the client in messages to an operator.
func (r *Registration) Label() string {
	switch {
	case r.ClientID != "":
		return fmt.Sprintf("client %q", r.ClientID)
	case r.ClientName != "":
		return fmt.Sprintf("client %d (%q)", r.position, r.ClientName)
	}
	return fmt.Sprintf("client %d", max(r.position, 1))
}

func (r *Registration) wrong(err error) error { return fmt.Errorf("%s: %w", r.Label(), err) }

// SecretExpiresAt is when the given secret ends; the zero time for never.
func (r *Registration) SecretExpiresAt() time.Time {
	if r.ClientSecretExpiresAt <= 0 {
		return time.Time{}
	}
	return time.Unix(r.ClientSecretExpiresAt, 0).UTC()
}
