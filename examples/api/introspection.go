package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxIntrospection bounds what is read of an answer, in bytes.
const maxIntrospection = 64 << 10

// introspection is the answer of RFC 7662 §2.2, with the acr of RFC 9470 §6.2.
type introspection struct {
	Active    bool     `json:"active"`
	Issuer    string   `json:"iss"`
	Audience  audience `json:"aud"`
	Subject   string   `json:"sub"`
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope"`
	ACR       string   `json:"acr"`
	Expiry    int64    `json:"exp"`
	TokenType string   `json:"token_type"`
	TokenUse  string   `json:"token_use"`
}

// audience is a string or a list of strings on the wire (RFC 7519 §4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// introspect asks the provider about an opaque token. Nothing is cached, so a revoked token is refused at once.
func (v *tokenVerifier) introspect(ctx context.Context, p *provider, raw string) (accessToken, error) {
	answer, err := v.askProvider(ctx, p.introspectionEndpoint, raw)
	if err != nil {
		return accessToken{}, fmt.Errorf("%w: introspection: %w", errUnavailable, err)
	}
	if reason := v.objection(answer); reason != "" {
		return accessToken{}, fmt.Errorf("%w: %s", errInvalid, reason)
	}
	return accessToken{
		Subject:  answer.Subject,
		ClientID: answer.ClientID,
		Scopes:   splitScope(answer.Scope),
		ACR:      answer.ACR,
	}, nil
}

func (v *tokenVerifier) askProvider(ctx context.Context, endpoint, raw string) (introspection, error) {
	form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return introspection{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	// Both halves are form-encoded first, or a secret with a colon or a plus would arrive changed (RFC 6749 §2.3.1).
	req.SetBasicAuth(url.QueryEscape(v.cfg.ClientID), url.QueryEscape(v.cfg.ClientSecret))
	resp, err := v.cfg.HTTPClient.Do(req)
	if err != nil {
		return introspection{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// A 401 here is about this API's own credentials; the caller's token may be fine.
		return introspection{}, fmt.Errorf("provider answered %s", resp.Status)
	}
	var answer introspection
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxIntrospection)).Decode(&answer); err != nil {
		return introspection{}, fmt.Errorf("read the answer: %w", err)
	}
	return answer, nil
}

// objection says why an answer does not let the token in here, or nothing if it does.
func (v *tokenVerifier) objection(answer introspection) string {
	switch {
	case !answer.Active:
		return "not active"
	case answer.Issuer != "" && answer.Issuer != v.cfg.Issuer:
		return "another issuer"
	case !slices.Contains(answer.Audience, v.cfg.Audience):
		return "another audience"
	case answer.Expiry != 0 && !v.cfg.Now().Before(time.Unix(answer.Expiry, 0)):
		return "expired"
	case answer.TokenUse != "" && answer.TokenUse != "access_token",
		answer.TokenType != "" && !strings.EqualFold(answer.TokenType, "Bearer"):
		// A refresh token is active too, and would outlive every access token.
		return "not an access token"
	case answer.Subject == "":
		return "no subject"
	}
	return ""
}
