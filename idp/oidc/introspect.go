package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/parola-id/parola/storage"
)

// introspection is RFC 7662 §2.2. Who the person is by name is left out: a resource server that needs it asks userinfo.
type introspection struct {
	Active    bool          `json:"active"`
	Scope     string        `json:"scope,omitempty"`
	ClientID  string        `json:"client_id,omitempty"`
	TokenType string        `json:"token_type,omitempty"`
	ExpiresAt int64         `json:"exp,omitempty"`
	IssuedAt  int64         `json:"iat,omitempty"`
	Subject   string        `json:"sub,omitempty"`
	Audience  audienceClaim `json:"aud,omitempty"`
	Issuer    string        `json:"iss,omitempty"`
	JTI       string        `json:"jti,omitempty"`
	loginClaims
}

// audienceClaim is written as a string when there is one, which is what resource servers compare with (RFC 7519 §4.1.3).
type audienceClaim []string

// MarshalJSON implements json.Marshaler.
func (a audienceClaim) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// Introspect tells a resource server about an access token that is meant for it (RFC 7662). Everything else is
// {"active":false}, so that nobody learns of tokens that are not theirs (OA-81): tokens for other resource servers,
// refresh tokens, and whatever a client asks that is no resource server. An access token authorises nothing here (A20).
func (p *Provider) Introspect(w http.ResponseWriter, r *http.Request) {
	answer, err := p.introspect(w, r)
	if err != nil {
		p.writeError(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, answer)
}

func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) (introspection, error) {
	form, err := postForm(w, r)
	if err != nil {
		return introspection{}, err
	}
	caller, err := p.authenticateClient(r.Context(), r, form)
	if err != nil {
		return introspection{}, err
	}
	if caller.AuthMethod == methodNone { // it proved nothing
		return introspection{}, clientRefused(false)
	}
	if !form.Has("token") {
		return introspection{}, refuse(errInvalidRequest, "token is required")
	}
	if len(caller.Introspects) == 0 {
		return introspection{}, nil
	}
	t, err := p.liveAccessToken(r.Context(), form.Get("token"))
	if errors.Is(err, errDeadToken) || err == nil && !overlap(caller.Introspects, t.Audience) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	return p.describeToken(t), nil
}

// overlap compares audiences exactly (A23).
func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// describeToken says what an RFC 9068 token says in itself.
func (p *Provider) describeToken(t storage.PresentedToken) introspection {
	subject := t.Grant.PersonID
	if subject == "" {
		subject = t.ClientID
	}
	return introspection{
		Active: true, Scope: strings.Join(t.Scopes, " "), ClientID: t.ClientID, TokenType: "Bearer",
		ExpiresAt: t.ExpiresAt.Unix(), IssuedAt: t.IssuedAt.Unix(), Subject: subject, Audience: t.Audience,
		Issuer: p.Issuer, JTI: t.JTI, loginClaims: newLoginClaims(t.Grant.Login),
	}
}
