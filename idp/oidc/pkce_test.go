package oidc

import (
	"strings"
	"testing"
)

func TestOA20_OA23_CodeChallenge(t *testing.T) {
	good := challengeOf(testVerifier)
	for _, tt := range []struct {
		name              string
		challenge, method string
		required, want    bool
	}{
		{"S256 with a digest", good, "S256", true, true},
		{"nothing where PKCE is optional", "", "", false, true},
		{"a challenge where PKCE is optional", good, "S256", false, true},
		{"nothing where PKCE is required", "", "", true, false},
		{"a method without a challenge", "", "S256", false, false},
		{"no method, which means plain", good, "", true, false},
		{"plain", good, "plain", true, false},
		{"another case of S256", good, "s256", true, false},
		{"42 characters", good[:42], "S256", true, false},
		{"44 characters", good + "A", "S256", true, false},
		{"padding", good + "=", "S256", true, false},
		{"a character of plain base64", "+" + good[1:], "S256", true, false},
		{"a last character that no digest has", good[:42] + "_", "S256", true, false},
		{"a line break", good[:42] + "\n", "S256", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := checkCodeChallenge(tt.challenge, tt.method, tt.required)
			if (err == nil) != tt.want {
				t.Errorf("got %v, want good: %v", err, tt.want)
			}
			if e, told := asRefusal(err); err != nil && (!told || e.code != "invalid_request") {
				t.Errorf("got %v, want invalid_request", err)
			}
		})
	}
}

func TestOA22_OA23_Verifier(t *testing.T) {
	longest := strings.Repeat("a", 128)
	for _, tt := range []struct {
		name                string
		challenge, verifier string
		want                bool
	}{
		{"the verifier of the challenge", challengeOf(testVerifier), testVerifier, true},
		{"128 characters", challengeOf(longest), longest, true},
		{"every unreserved mark", challengeOf("-._~" + longest[:40]), "-._~" + longest[:40], true},
		{"neither challenge nor verifier", "", "", true},
		{"another verifier", challengeOf(testVerifier), longest, false},
		{"no verifier for a challenge", challengeOf(testVerifier), "", false},
		{"a verifier without a challenge", "", testVerifier, false},
		{"42 characters", challengeOf(longest[:42]), longest[:42], false},
		{"129 characters", challengeOf(longest + "a"), longest + "a", false},
		{"a character that is not unreserved", challengeOf(longest[:60] + "+" + longest[:20]), longest[:60] + "+" + longest[:20], false},
		{"the challenge itself", challengeOf(testVerifier), challengeOf(testVerifier), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := verifierFits(tt.challenge, tt.verifier); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
