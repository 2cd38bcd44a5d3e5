package webapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"
)

// clockSkew is how far the provider's clock may be from ours.
const clockSkew = 30 * time.Second

// expectation is what a login was started for. Having asked proves nothing; the answer is checked against it.
type expectation struct {
	Nonce              string    `json:"-"`
	Subject            string    `json:"subject,omitempty"`            // the same person, for a step-up
	ACR                string    `json:"acr,omitempty"`                // this or stronger
	AuthenticatedSince time.Time `json:"authenticated_since,omitzero"` // auth_time not before
}

// The ways in which a genuine ID token can fail to be the one that was asked for.
var (
	errOtherPerson = errors.New("the ID token is about another person")
	errACRTooLow   = errors.New("acr is lower than required")
	errTooOld      = errors.New("auth_time is earlier than required")
)

// claims are the members of an ID token that this application looks at.
type claims struct {
	Subject           string   `json:"sub"`
	Name              string   `json:"name"`
	PreferredUsername string   `json:"preferred_username"`
	Email             string   `json:"email"`
	AuthorizedParty   string   `json:"azp"`
	Nonce             string   `json:"nonce"`
	ACR               string   `json:"acr"`
	AMR               []string `json:"amr"`
	MFAChannel        string   `json:"mfa_channel"`
	AuthTime          int64    `json:"auth_time"`
}

// verifyLogin accepts the token response that ends a login, by the steps of OpenID Connect Core §3.1.3.7.
func (a *app) verifyLogin(ctx context.Context, p *provider, token *oauth2.Token, expect expectation) (*account, error) {
	acct, got, err := a.verifyIDToken(ctx, p, token)
	if err != nil {
		return nil, err
	}
	// The nonce ties the ID token to this browser's request: without it, one that was stolen elsewhere would do.
	if got.Nonce != expect.Nonce {
		return nil, errors.New("the ID token has another nonce")
	}
	if expect.Subject != "" && got.Subject != expect.Subject {
		return nil, errOtherPerson
	}
	if expect.ACR != "" && !acrMeets(got.ACR, expect.ACR) {
		return nil, errACRTooLow
	}
	authenticated := time.Unix(got.AuthTime, 0)
	if !expect.AuthenticatedSince.IsZero() && authenticated.Before(expect.AuthenticatedSince.Add(-clockSkew)) {
		return nil, errTooOld
	}
	return acct, nil
}

// verifyIDToken checks what must hold for every ID token: go-oidc checks signature, iss, aud and exp; at_hash and azp
// are left to us, and the nonce to whoever knows which one to expect.
func (a *app) verifyIDToken(ctx context.Context, p *provider, token *oauth2.Token) (*account, claims, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, claims{}, errors.New("the token response has no ID token")
	}
	idToken, err := p.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, claims{}, fmt.Errorf("verify the ID token: %w", err)
	}
	// at_hash is optional when the token comes straight from the token endpoint (Core §3.1.3.6), wrong never.
	if idToken.AccessTokenHash != "" {
		if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, claims{}, fmt.Errorf("verify at_hash: %w", err)
		}
	}
	acct := &account{IDToken: raw}
	if err := idToken.Claims(&acct.Claims); err != nil {
		return nil, claims{}, fmt.Errorf("read the ID token: %w", err)
	}
	acct.setTokens(token)
	got := parseClaims(acct.Claims)
	if got.AuthorizedParty != "" && got.AuthorizedParty != a.cfg.ClientID ||
		got.AuthorizedParty == "" && len(idToken.Audience) > 1 {
		return nil, claims{}, errors.New("the ID token was issued to another client")
	}
	return acct, got, nil
}

// parseClaims reads a payload that has been verified. Members of an unexpected type are left empty, and an empty
// claim never satisfies an expectation.
func parseClaims(payload json.RawMessage) claims {
	var c claims
	_ = json.Unmarshal(payload, &c) // Unmarshal fills what it can
	return c
}
