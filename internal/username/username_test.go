package username

import (
	"errors"
	"strings"
	"testing"
)

func TestINP03_NamesHaveOneCanonicalForm(t *testing.T) {
	for typed, want := range map[string]string{
		"Ada.Lovelace":           "ada.lovelace",
		" ada@example.com ":      "ada@example.com",
		"\uff21\uff44\uff41":     "ada", // full width
		"JOSE\u0301":             "jos\u00e9",
		"ada lovelace":           "",
		"ada\u202elovelace":      "", // right-to-left override
		"ada\x00":                "",
		"ada\u200blovelace":      "", // zero width space
		"":                       "",
		strings.Repeat("a", 300): "",
	} {
		got, err := Canonical(typed)
		if got != want || (err != nil) != (want == "") || (err != nil && !errors.Is(err, ErrInvalid)) {
			t.Errorf("Canonical(%q) = %q, %v; want %q", typed, got, err, want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("Ada")
	f.Fuzz(func(t *testing.T, typed string) {
		once, err := Canonical(typed)
		if err != nil {
			return
		}
		if twice, err := Canonical(once); err != nil || twice != once {
			t.Errorf("Canonical(%q) = %q, and again %q, %v", typed, once, twice, err)
		}
	})
}
