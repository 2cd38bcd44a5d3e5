package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parola-id/parola/idp/signing"
	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/outbound"
	"github.com/parola-id/parola/storage"
)

// RegistrationDefaults are the choices that metadata may leave open.
type RegistrationDefaults struct {
	// IDTokenAlg is for a client that names none: RS256 for metadata written for any provider (OpenID Connect Dynamic
	// Client Registration §2), ES256 for a client made here. Empty means RS256.
	IDTokenAlg string
	// Outbound judges jwks_uri; nil judges by the rules of production.
	Outbound *outbound.Client
}

const (
	maxURIs = 50
	maxName = 200
)

// Client checks the metadata and returns the client it describes, without secrets: ClientSecret is for the caller to
// hash. A missing client_id is generated, with a prefix that no `sub` has (OA-38). Errors name the client and the
// member.
func (r *Registration) Client(d RegistrationDefaults) (storage.Client, error) {
	c := storage.Client{
		ID: r.ClientID, Name: r.ClientName, URI: r.ClientURI, LogoURI: r.LogoURI, Colour: r.Colour,
		RedirectURIs: r.RedirectURIs, PostLogoutRedirectURIs: r.PostLogoutRedirectURIs,
		JWKS: r.JWKS, JWKSURI: r.JWKSURI, AssertionAlg: r.AssertionAlg,
		DefaultACRValues: r.DefaultACRValues, DefaultMaxAge: r.DefaultMaxAge, RequireAuthTime: r.RequireAuthTime,
		RequiredACR: r.RequiredACR, FirstParty: r.FirstParty, AlwaysRefresh: r.AlwaysRefresh, Fallback: r.Fallback,
		Audience: r.Audience, Introspects: r.Introspects, FormOrigins: r.FormOrigins, CORSOrigins: r.CORSOrigins,
	}
	if c.ID == "" {
		c.ID = "c-" + storage.NewID()
	}
	for _, set := range []func(*storage.Client, RegistrationDefaults) error{
		r.setIdentity, r.setGrants, r.setURIs, r.setAuthentication, r.setTokens, r.setScopes, r.setPolicy,
	} {
		if err := set(&c, d); err != nil {
			return storage.Client{}, r.wrong(err)
		}
	}
	return c, nil
}

var colourPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func (r *Registration) setIdentity(c *storage.Client, _ RegistrationDefaults) error {
	switch {
	case !validClientID(c.ID):
		return fmt.Errorf("client_id must have 1 to %d printable ASCII characters", maxClientID)
	case !displayable(c.Name, maxName):
		return fmt.Errorf("client_name must have at most %d characters and no control or direction characters", maxName)
	case c.Colour != "" && !colourPattern.MatchString(c.Colour):
		return errors.New("parola_colour must look like #1a2b3c")
	case r.SubjectType != "" && r.SubjectType != "public":
		return errors.New("subject_type must be public")
	}
	return oneOf("application_type", r.ApplicationType, "", "web", "native")
}

// displayable says whether people may be shown s: a direction override could make a client look like another (WEB-09).
func displayable(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most &&
		!strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) })
}

func (r *Registration) setGrants(c *storage.Client, _ RegistrationDefaults) error {
	c.GrantTypes = r.GrantTypes
	if len(c.GrantTypes) == 0 {
		c.GrantTypes = []string{"authorization_code"} // RFC 7591 §2
	}
	if err := allOf("grant_types", c.GrantTypes, "authorization_code", "refresh_token", "client_credentials"); err != nil {
		return err
	}
	if err := allOf("response_types", r.ResponseTypes, "code"); err != nil {
		return err
	}
	withCode := slices.Contains(c.GrantTypes, "authorization_code")
	switch {
	case withCode && len(c.RedirectURIs) == 0:
		return errors.New("redirect_uris must name at least one address")
	case !withCode && len(r.ResponseTypes) > 0:
		return errors.New("response_types needs the grant type authorization_code")
	case !withCode && slices.Contains(c.GrantTypes, "refresh_token"):
		return errors.New("grant_types: refresh_token needs authorization_code")
	}
	c.ResponseModes = r.ResponseModes
	if withCode && len(c.ResponseModes) == 0 {
		c.ResponseModes = []string{"query", "form_post"}
	}
	return allOf("parola_response_modes", c.ResponseModes, "query", "form_post")
}

func (r *Registration) setURIs(c *storage.Client, _ RegistrationDefaults) error {
	c.Native = r.ApplicationType == "native"
	for name, uris := range map[string][]string{
		"redirect_uris": c.RedirectURIs, "post_logout_redirect_uris": c.PostLogoutRedirectURIs,
	} {
		if len(uris) > maxURIs {
			return fmt.Errorf("%s: more than %d addresses", name, maxURIs)
		}
		for _, uri := range uris {
			if err := checkRedirectURI(uri, c.Native); err != nil {
				return fmt.Errorf("%s: %q %w", name, uri, err)
			}
		}
	}
	for name, uri := range map[string]string{"client_uri": c.URI, "logo_uri": c.LogoURI} {
		if uri == "" {
			continue
		}
		if err := checkRedirectURI(uri, false); err != nil {
			return fmt.Errorf("%s: %q %w", name, uri, err)
		}
	}
	for name, origins := range map[string][]string{"parola_form_origins": c.FormOrigins, "parola_cors_origins": c.CORSOrigins} {
		for _, origin := range origins {
			if err := checkOrigin(origin); err != nil {
				return fmt.Errorf("%s: %q %w", name, origin, err)
			}
		}
	}
	return nil
}

func (r *Registration) setAuthentication(c *storage.Client, d RegistrationDefaults) error {
	c.AuthMethod = r.AuthMethod
	if c.AuthMethod == "" {
		c.AuthMethod = methodBasic // RFC 7591 §2
	}
	if err := oneOf("token_endpoint_auth_method", c.AuthMethod, authMethods()...); err != nil {
		return err
	}
	withSecret := c.AuthMethod == methodBasic || c.AuthMethod == methodPost
	switch {
	case r.ClientSecret != "" && !withSecret:
		return fmt.Errorf("client_secret: a client that authenticates with %s has none", c.AuthMethod)
	case len(r.ClientSecret) > maxSecret:
		return fmt.Errorf("client_secret must have at most %d bytes", maxSecret)
	case c.AuthMethod == methodNone && slices.Contains(c.GrantTypes, "client_credentials"):
		return errors.New("grant_types: client_credentials needs a client that can authenticate (RFC 6749 §4.4)")
	}
	return r.setKeys(c, d)
}

func (r *Registration) setKeys(c *storage.Client, d RegistrationDefaults) error {
	if err := oneOf("token_endpoint_auth_signing_alg", c.AssertionAlg, append(assertionAlgNames(), "")...); err != nil {
		return err
	}
	switch {
	case len(c.JWKS) > 0 && c.JWKSURI != "":
		return errors.New("jwks and jwks_uri must not both be given (RFC 7591 §2)")
	case c.AuthMethod == methodPrivateKeyJWT && len(c.JWKS) == 0 && c.JWKSURI == "":
		return errors.New("private_key_jwt needs jwks or jwks_uri")
	}
	if c.JWKSURI != "" {
		fetcher := d.Outbound
		if fetcher == nil {
			fetcher = outbound.New(outbound.Config{})
		}
		if err := fetcher.CheckURL(c.JWKSURI); err != nil {
			return fmt.Errorf("jwks_uri: %w", err)
		}
	}
	if len(c.JWKS) == 0 {
		return nil
	}
	if holdsPrivateKey(c.JWKS) {
		return errors.New("jwks holds a private or symmetric key: register the public keys, and replace this one")
	}
	keys, err := outbound.ParseKeySet(c.JWKS)
	if err != nil {
		return fmt.Errorf("jwks: %w", err)
	}
	if len(keys) == 0 && c.AuthMethod == methodPrivateKeyJWT {
		return errors.New("jwks has no usable public signature key")
	}
	return nil
}

func holdsPrivateKey(set json.RawMessage) bool {
	var parsed struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(set, &parsed) != nil {
		return false
	}
	for _, key := range parsed.Keys {
		if key["d"] != nil || key["k"] != nil {
			return true
		}
	}
	return false
}

func (r *Registration) setTokens(c *storage.Client, d RegistrationDefaults) error {
	c.IDTokenAlg = r.IDTokenAlg
	if c.IDTokenAlg == "" {
		c.IDTokenAlg = d.IDTokenAlg
	}
	if c.IDTokenAlg == "" {
		c.IDTokenAlg = signing.RS256
	}
	if err := oneOf("id_token_signed_response_alg", c.IDTokenAlg, signing.Algorithms()...); err != nil {
		return err
	}
	if err := oneOf("parola_access_token", r.AccessToken, "", "opaque", "jwt"); err != nil {
		return err
	}
	c.JWTAccessTokens = r.AccessToken == "jwt"
	for name, list := range map[string][]string{"parola_audience": c.Audience, "parola_introspects": c.Introspects} {
		for _, audience := range list {
			if !validScopeToken(audience) {
				return fmt.Errorf("%s: %q must be printable ASCII without spaces", name, audience)
			}
		}
	}
	switch {
	case c.JWTAccessTokens && len(c.Audience) == 0:
		return errors.New("parola_access_token: jwt needs parola_audience (RFC 9068 §2.2)")
	case len(c.Introspects) > 0 && c.AuthMethod == methodNone:
		return errors.New("parola_introspects needs a client that can authenticate (RFC 7662 §2.1)")
	case c.DefaultMaxAge != nil && *c.DefaultMaxAge < 0:
		return errors.New("default_max_age must not be negative")
	}
	return nil
}

func (r *Registration) setScopes(c *storage.Client, _ RegistrationDefaults) error {
	if r.Scope != nil {
		c.Scopes = strings.Fields(*r.Scope)
	} else if slices.Contains(c.GrantTypes, "authorization_code") {
		c.Scopes = []string{"openid", "profile", "email", "phone", "address"}
		if slices.Contains(c.GrantTypes, "refresh_token") {
			c.Scopes = append(c.Scopes, "offline_access")
		}
	}
	for _, scope := range c.Scopes {
		if !validScopeToken(scope) {
			return fmt.Errorf("scope: %q has characters that a scope cannot have", scope)
		}
	}
	return nil
}

// validScopeToken is scope-token of RFC 6749 §3.3.
func validScopeToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c <= 0x20 || c > 0x7e || c == '"' || c == '\\' })
}

func (r *Registration) setPolicy(c *storage.Client, _ RegistrationDefaults) error {
	if err := oneOf("parola_pkce", r.PKCE, "", "required", "optional"); err != nil {
		return err
	}
	c.PKCEOptional = r.PKCE == "optional"
	if err := oneOf("parola_fallback", c.Fallback, "", "allow", "ask", "deny"); err != nil {
		return err
	}
	switch {
	case c.PKCEOptional && c.AuthMethod == methodNone:
		return errors.New("parola_pkce: only a client that can authenticate may do without PKCE (OA-21)")
	case c.AlwaysRefresh && !c.FirstParty:
		return errors.New("parola_always_refresh is for first-party clients (OA-50)")
	case c.RequiredACR != "" && !acr.Reachable(c.RequiredACR):
		return fmt.Errorf("parola_required_acr must be one of %s", strings.Join(acr.All(), ", "))
	}
	return nil
}

// oneOf refuses a value that is not on the list; an empty one stands for an absent member.
func oneOf(member, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	named := slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == "" })
	return fmt.Errorf("%s: %q is not one of %s", member, value, strings.Join(named, ", "))
}

func allOf(member string, values []string, allowed ...string) error {
	for _, value := range values {
		if err := oneOf(member, value, allowed...); err != nil {
			return err
		}
	}
	return nil
}

func authMethods() []string {
	return []string{methodBasic, methodPost, methodPrivateKeyJWT, methodNone}
}
