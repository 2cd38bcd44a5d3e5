// Package username knows the one canonical form of a user name (INP-03), so that what is typed at login, added by an
// operator and imported from elsewhere meets in one place.
package username

import (
	"errors"
	"strings"

	"golang.org/x/text/secure/precis"
)

// MaxBytes bounds a name before any work is done on it.
const MaxBytes = 256

// ErrInvalid says that a text cannot be a user name: it is empty or too long, has control, bidirectional or otherwise
// disallowed characters, or breaks the rules for mixed directions.
var ErrInvalid = errors.New("not a user name: letters, digits and punctuation of one direction, no spaces or control characters")

// Canonical returns the form that is stored and compared: PRECIS UsernameCaseMapped (RFC 8265 §3.3), which maps width
// and case, composes, and refuses what looks like nothing at all. Surrounding spaces, which phones add, are dropped.
func Canonical(typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	if typed == "" || len(typed) > MaxBytes {
		return "", ErrInvalid
	}
	name, err := precis.UsernameCaseMapped.String(typed)
	if err != nil {
		return "", ErrInvalid
	}
	return name, nil
}
