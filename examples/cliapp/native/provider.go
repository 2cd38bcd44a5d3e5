package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// attempt holds the three secrets of one login. State ties the answer to this program, Verifier the AuthCode, Nonce
// the ID token.
type attempt struct{ State, Nonce, Verifier string }

// provider is the OpenID Connect provider as its discovery document describes it.
type provider struct {
	*oidc.Provider
	issuer         string
	issOnResponses bool
	oauth2         oauth2.Config
	verifier       *oidc.IDTokenVerifier
}

func discover(ctx context.Context, cfg Config) (*provider, error) {
	discovered, err := oidc.NewProvider(ctx, cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var metadata struct {
		IssOnResponses bool `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	}
	if err := discovered.Claims(&metadata); err != nil {
		return nil, err
	}
	endpoint := discovered.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams // a public client has a name and no secret
	return &provider{
		Provider:       discovered,
		issuer:         cfg.Issuer,
		issOnResponses: metadata.IssOnResponses,
		oauth2:         oauth2.Config{ClientID: cfg.ClientID, Endpoint: endpoint, Scopes: cfg.Scopes},
		verifier:       discovered.VerifierContext(ctx, &oidc.Config{ClientID: cfg.ClientID, Now: cfg.Now}),
	}, nil
}

func (p *provider) authorizationURL(cfg Config, attempt attempt) string {
	params := []oauth2.AuthCodeOption{oidc.Nonce(attempt.Nonce), oauth2.S256ChallengeOption(attempt.Verifier)}
	if len(cfg.ACRValues) > 0 {
		params = append(params, oauth2.SetAuthURLParam("acr_values", strings.Join(cfg.ACRValues, " ")))
	}
	return p.oauth2.AuthCodeURL(attempt.State, params...)
}

// errNotOurs: the request is not an answer to this login. Any program on the machine can call a loopback port, so it
// must not end the wait either.
var errNotOurs = errors.New("not an answer to this login")

// refusal is an error response of the provider (RFC 6749 §4.1.2.1).
type refusal struct{ Code, Description string }

func (e *refusal) Error() string {
	if e.Description == "" {
		return "the provider refused: " + printable(e.Code)
	}
	return "the provider refused: " + printable(e.Code) + ": " + printable(e.Description)
}

// check returns the function that reads the authorization response: the AuthCode, errNotOurs, or a *refusal. State and
// iss come first; an error from just anybody must not be believed either (RFC 9207 §2.4).
func (p *provider) check(attempt attempt) func(answer url.Values) (string, error) {
	return func(answer url.Values) (string, error) {
		if answer.Get("state") != attempt.State {
			return "", errNotOurs
		}
		if iss := answer.Get("iss"); iss != p.issuer && (p.issOnResponses || answer.Has("iss")) {
			return "", errNotOurs
		}
		if code := answer.Get("error"); code != "" {
			return "", &refusal{Code: code, Description: answer.Get("error_description")}
		}
		authCode := answer.Get("code")
		if authCode == "" {
			return "", errNotOurs
		}
		return authCode, nil
	}
}

// finish exchanges the AuthCode, verifies the ID token (OpenID Connect Core §3.1.3.7) and asks for userinfo.
func (p *provider) finish(ctx context.Context, cfg Config, attempt attempt, authCode string) (Result, error) {
	token, err := p.oauth2.Exchange(ctx, authCode, oauth2.VerifierOption(attempt.Verifier))
	if err != nil {
		return Result{}, fmt.Errorf("exchange the authorization code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Result{}, errors.New("the token response has no ID token")
	}
	idToken, err := p.verifier.Verify(ctx, raw)
	if err != nil {
		return Result{}, fmt.Errorf("verify the ID token: %w", err)
	}
	if idToken.Nonce != attempt.Nonce {
		return Result{}, errors.New("verify the ID token: another nonce")
	}
	if idToken.AccessTokenHash != "" { // optional here (Core §3.1.3.6), wrong never
		if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
			return Result{}, fmt.Errorf("verify the ID token: %w", err)
		}
	}
	var result Result
	if err := idToken.Claims(&result.IDToken); err != nil {
		return Result{}, fmt.Errorf("read the ID token: %w", err)
	}
	// acr_values is a wish: that it was sent says nothing about what came back.
	if got := read(result.IDToken).ACR; len(cfg.ACRValues) > 0 && !slices.Contains(cfg.ACRValues, got) {
		return Result{}, fmt.Errorf("the login has acr %q, which was not asked for", got)
	}
	result.UserInfo, err = p.userInfo(ctx, token, idToken.Subject)
	return result, err
}

func (p *provider) userInfo(ctx context.Context, token *oauth2.Token, subject string) (json.RawMessage, error) {
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("userinfo: %w", err)
	}
	if info.Subject != subject {
		return nil, errors.New("userinfo: another person than in the ID token") // Core §5.3.2
	}
	var raw json.RawMessage
	if err := info.Claims(&raw); err != nil {
		return nil, fmt.Errorf("userinfo: %w", err)
	}
	return raw, nil
}
