package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// scopeClaims are the claims that each scope asks for (Core §5.4), as far as they are kept with the person.
var scopeClaims = map[string][]string{
	"profile": {
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
		"website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
	},
	"email":   {"email", "email_verified"},
	"address": {"address"},
}

// claimsSupported lists every claim that a token or userinfo may hold, for discovery.
func claimsSupported() []string {
	claims := []string{
		"sub", "iss", "aud", "exp", "iat", "nonce", "auth_time", "acr", "amr", "mfa_channel", "sid", "at_hash",
		"phone_number", "phone_number_verified",
	}
	for _, scope := range []string{"profile", "email", "address"} {
		claims = append(claims, scopeClaims[scope]...)
	}
	return claims
}

// UserInfo answers GET and POST with claims about the person of an access token (Core §5.3). The token is read from the
// Authorization header alone: one in a URL would reach logs and histories (OA-47).
func (p *Provider) UserInfo(w http.ResponseWriter, r *http.Request) {
	if p.crossOrigin(w, r, "GET, POST") {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	claims, err := p.userInfo(r)
	if errors.Is(err, errNoToken) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("WWW-Authenticate", bearerChallenge(new(refusal)))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if err != nil {
		p.writeError(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, claims)
}

func (p *Provider) userInfo(r *http.Request) (map[string]any, error) {
	text, err := bearerToken(r)
	if err != nil {
		return nil, err
	}
	t, err := p.liveAccessToken(r.Context(), text)
	if errors.Is(err, errDeadToken) || err == nil && t.Person.ID == "" {
		return nil, bearerRefused(http.StatusUnauthorized, errInvalidToken, "the access token is not valid")
	}
	if err != nil {
		return nil, err
	}
	if !slices.Contains(t.Scopes, scopeOpenID) {
		return nil, bearerRefused(http.StatusForbidden, errInsufficientScope, "the access token lacks the scope openid")
	}
	claims, err := p.personClaims(r.Context(), t.Person, t.Scopes)
	if notFound(err) {
		return nil, bearerRefused(http.StatusUnauthorized, errInvalidToken, "the access token is not valid")
	}
	return claims, err
}

// errNoToken says that a request brought no access token: it is told which scheme to use and no error code (RFC 6750
// §3.1).
var errNoToken = errors.New("no access token")

// bearerToken reads the token of RFC 6750 §2.1.
func bearerToken(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	switch {
	case len(headers) == 0:
		return "", errNoToken
	case len(headers) > 1 || r.URL.Query().Has("access_token"):
		return "", bearerRefused(http.StatusBadRequest, errInvalidRequest, "send one access token, in the Authorization header")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errNoToken
	}
	return token, nil
}

func bearerRefused(status int, code, description string) *refusal {
	e := refuse(code, description)
	e.status, e.bearer = status, true
	return e
}

// personClaims collects what scopes ask for. A person who is disabled is storage.ErrNotFound.
func (p *Provider) personClaims(ctx context.Context, person storage.Person, scopes []string) (map[string]any, error) {
	if !person.DisabledAt.IsZero() {
		return nil, storage.ErrNotFound
	}
	claims, err := p.keptClaims(person, scopes)
	if err != nil {
		return nil, err
	}
	if slices.Contains(scopes, "phone") {
		if err := p.addPhone(ctx, person.ID, claims); err != nil {
			return nil, err
		}
	}
	return claims, nil
}

// keptClaims picks from what is kept with the person. The subject is always the person's ID, whatever an import brought
// along under that name.
func (p *Provider) keptClaims(person storage.Person, scopes []string) (map[string]any, error) {
	kept := make(map[string]json.RawMessage)
	if len(person.Claims) > 0 {
		text, err := p.Keys.Open(secret.ClaimSeal, person.ID, person.Claims)
		if err != nil {
			return nil, fmt.Errorf("open claims of person %s: %w", person.ID, err)
		}
		if err := json.Unmarshal(text, &kept); err != nil {
			return nil, fmt.Errorf("read claims of person %s: %w", person.ID, err)
		}
	}
	claims := map[string]any{"sub": person.ID}
	for _, scope := range scopes {
		for _, name := range scopeClaims[scope] {
			if value, ok := kept[name]; ok {
				claims[name] = value
			}
		}
	}
	if slices.Contains(scopes, "profile") {
		if _, ok := claims["preferred_username"]; !ok {
			claims["preferred_username"] = person.Username
		}
		if _, ok := claims["updated_at"]; !ok && !person.UpdatedAt.IsZero() {
			claims["updated_at"] = person.UpdatedAt.Unix()
		}
	}
	return claims, nil
}

// addPhone adds the number that the person bound. It is verified once a passcode that went there came back (DAT-03).
func (p *Provider) addPhone(ctx context.Context, personID string, claims map[string]any) error {
	phone, err := p.Store.PhoneOf(ctx, personID)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read phone: %w", err)
	}
	number, err := p.Keys.Open(secret.PhoneSeal, phone.ID, phone.Sealed)
	if err != nil {
		return fmt.Errorf("open phone number: %w", err)
	}
	claims["phone_number"], claims["phone_number_verified"] = string(number), !phone.VerifiedAt.IsZero()
	return nil
}
