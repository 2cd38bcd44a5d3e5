package oidc

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/storage"
)

func TestOA73_ClaimsParameter(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       requestedClaims
		refused    bool
	}{
		{name: "an essential acr of several values", text: `{"id_token":{"acr":{"essential":true,"values":["a","b"]}}}`,
			want: requestedClaims{acr: []string{"a", "b"}, essential: true}},
		{name: "an essential acr of one value", text: `{"id_token":{"acr":{"essential":true,"value":"a"}}}`,
			want: requestedClaims{acr: []string{"a"}, essential: true}},
		{name: "a voluntary acr", text: `{"id_token":{"acr":{"values":["a"]}}}`, want: requestedClaims{acr: []string{"a"}}},
		{name: "an acr asked for with null", text: `{"id_token":{"acr":null}}`},
		{name: "a subject", text: `{"id_token":{"sub":{"value":"248289761001"}}}`, want: requestedClaims{subject: "248289761001"}},
		{name: "claims of userinfo mean nothing here", text: `{"userinfo":{"acr":{"essential":true,"value":"a"}},"id_token":{"email":{"value":7}}}`},
		{name: "an empty object", text: `{}`},
		{name: "a list", text: `[]`, refused: true},
		{name: "null", text: `null`, refused: true},
		{name: "text", text: `acr`, refused: true},
		{name: "an acr that is no object", text: `{"id_token":{"acr":"a"}}`, refused: true},
		{name: "values that are no list", text: `{"id_token":{"acr":{"values":"a"}}}`, refused: true},
		{name: "a name that occurs twice", text: `{"id_token":{"acr":{"essential":true,"value":"a"},"acr":{}}}`, refused: true},
		{name: "two objects", text: `{}{}`, refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseClaims(tt.text)
			if (err != nil) != tt.refused {
				t.Fatalf("got error %v, want one: %v", err, tt.refused)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(requestedClaims{})); diff != "" && !tt.refused {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseClaims(f *testing.F) {
	f.Add(`{"id_token":{"acr":{"essential":true,"values":["urn:parola:acr:phone"]},"sub":{"value":"x"}}}`)
	f.Add(`{"id_token":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseClaims(text)
		if e, told := asRefusal(err); err != nil && (!told || e.code != errInvalidRequest) {
			t.Errorf("%q: %v", text, err)
		}
		if again, _ := parseClaims(text); !cmp.Equal(got, again, cmp.AllowUnexported(requestedClaims{})) {
			t.Errorf("%q is read in two ways", text)
		}
	})
}

func TestOA73_ReachabilityIsJudgedBeforeAnybodySignsIn(t *testing.T) {
	for _, tt := range []struct {
		name      string
		required  string
		essential []string
		want      bool
	}{
		{"nothing is required", "", nil, true},
		{"a class of this release", acr.PhoneNoSMS, []string{acr.Phone}, true},
		{"one of the essential ones can be met", "", []string{"urn:other", acr.Phone}, true},
		{"passkeys do not exist yet", "", []string{acr.PhishingResistant}, false},
		{"an essential class that nobody knows", "", []string{"urn:other"}, false},
		{"the client requires what cannot be met", acr.PhishingResistant, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := checkReachable(storage.Client{RequiredACR: tt.required}, storage.AuthRequestParams{EssentialACR: tt.essential})
			if (err == nil) != tt.want {
				t.Errorf("got %v, want reachable: %v", err, tt.want)
			}
		})
	}
}
