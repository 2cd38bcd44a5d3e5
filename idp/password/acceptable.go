package password

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// common lists common and breached values of eight characters and more, sorted, lower case.
//
//go:embed common.txt
var common string

// Policy is what a new password must meet.
type Policy struct {
	// MinLength is counted in code points after normalisation: 10 where a second factor is always asked for, 15 where
	// not (PW-01).
	MinLength int
	// Words are whole values refused besides the list: user name, issuer host, product and service names.
	Words []string
}

// Judge says whether passwords are acceptable (PW-05). It is made once; the list is shared.
type Judge struct{ list []string }

// NewJudge returns a Judge with the built-in list.
func NewJudge() *Judge { return &Judge{list: strings.Split(strings.TrimSpace(common), "\n")} }

// Acceptable returns nil, or an error whose text tells the person what is wrong and what to do. There are no rules of
// composition (PW-04): length, the list, and words that anyone would try first.
func (j *Judge) Acceptable(password string, p Policy) error {
	if !utf8.ValidString(password) {
		return fmt.Errorf("the password is not valid UTF-8")
	}
	password = norm.NFC.String(password)
	length := utf8.RuneCountInString(password)
	switch {
	case length < p.MinLength:
		return fmt.Errorf("the password has %d characters, at least %d are needed: several words in a row are easy to remember", length, p.MinLength)
	case length > MaxCodePoints || len(password) > MaxBytes:
		return fmt.Errorf("the password has %d characters, at most %d are possible", length, MaxCodePoints)
	}
	lower := strings.ToLower(password)
	if _, found := slices.BinarySearch(j.list, lower); found {
		return fmt.Errorf("this password is on the list of common and stolen ones that attackers try first: choose another")
	}
	for _, word := range p.Words {
		if word != "" && lower == strings.ToLower(norm.NFC.String(word)) {
			return fmt.Errorf("the password is the user name or the name of this service: choose another")
		}
	}
	return nil
}
