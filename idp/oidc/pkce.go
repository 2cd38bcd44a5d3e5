package oidc

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// checkCodeChallenge judges the PKCE parameters of an authorization request (RFC 7636 §4.3, OA-20, OA-23): S256 alone,
// and the 43 characters that a SHA-256 digest has in base64url.
func checkCodeChallenge(challenge, method string, required bool) error {
	switch {
	case challenge == "" && method == "" && !required:
		return nil
	case challenge == "":
		return refuse(errInvalidRequest, "code_challenge is required")
	case method != "S256":
		return refuse(errInvalidRequest, "code_challenge_method must be S256")
	}
	digest, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	if err != nil || len(digest) != sha256.Size {
		return refuse(errInvalidRequest, "code_challenge must be 43 characters of base64url")
	}
	return nil
}

// verifierFits says whether a token request may use a code that was issued with challenge. Without a challenge there
// must be no verifier: one that comes nevertheless means that the challenge was stripped on the way (OA-22).
//
// fosite's own PKCE handler is not used: it deletes the binding before it compares, so that a wrong verifier followed by
// none succeeds where PKCE is not enforced (A2).
func verifierFits(challenge, verifier string) bool {
	if challenge == "" || verifier == "" {
		return challenge == verifier
	}
	if len(verifier) < 43 || len(verifier) > 128 || strings.Trim(verifier, unreserved) != "" {
		return false
	}
	digest := sha256.Sum256([]byte(verifier))
	computed := base64.RawURLEncoding.EncodeToString(digest[:])
	return subtle.ConstantTimeCompare([]byte(computed), []byte(challenge)) == 1
}
