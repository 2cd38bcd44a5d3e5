package mfa

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// Digits is the length of a passcode. It is not a setting: it is no column of the challenge, so changing it would break
// every open one, and more digits than six buy nothing against five tries.
const Digits = 6

// space is how many passcodes there are.
const space = 1_000_000

// maxTyped bounds what is looked at of an entered passcode: the digits of a script outside the basic plane with a
// separator after each, generously (OTP-10).
const maxTyped = 64

// Passcode is the digits sent to a phone. It never prints itself (OTP-09).
type Passcode struct{ digits string }

// NewPasscode makes a Passcode of digits that came from outside, for tests of channels.
func NewPasscode(digits string) Passcode { return Passcode{digits} }

// Reveal returns the digits, for the message to the person alone.
func (p Passcode) Reveal() string { return p.digits }

// Format implements fmt.Formatter: every verb prints a mask.
func (p Passcode) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("••••••")) }

// MarshalText prints the mask, to encoding/json and log/slog too.
func (p Passcode) MarshalText() ([]byte, error) { return []byte("••••••"), nil }

// Equal compares in constant time.
func (p Passcode) Equal(other Passcode) bool {
	return subtle.ConstantTimeCompare([]byte(p.digits), []byte(other.digits)) == 1
}

// derive computes the challenge's passcode: HMAC-SHA-256 over the nonce and everything the passcode is bound to
// (OTP-01, OTP-04). It fails with secret.ErrUnknownKey when the challenge was made with a root that is gone.
func derive(keys *secret.Keys, c storage.Challenge) (Passcode, error) {
	block, err := keys.MAC(secret.Passcode, c.KeyID, c.Nonce, []byte(c.Purpose), []byte(c.PersonID), []byte(c.PhoneID),
		[]byte(c.AuthRequestID), c.BrowserHash, c.DetailsHash)
	if err != nil {
		return Passcode{}, fmt.Errorf("derive passcode: %w", err)
	}
	return Passcode{reduce(block)}, nil
}

// reduce turns a keyed block into digits without bias: 32-bit words at or above the largest multiple of the space are
// rejected, and a block without an acceptable word is hashed on. Only 1 word in 4,000 is rejected.
func reduce(block []byte) string {
	const limit = (1 << 32) / space * space
	for {
		for i := 0; i+4 <= len(block); i += 4 {
			if word := uint64(binary.BigEndian.Uint32(block[i:])); word < limit {
				return fmt.Sprintf("%0*d", Digits, word%space)
			}
		}
		next := sha256.Sum256(block)
		block = next[:]
	}
}

// readPasscode makes a Passcode of what a person typed: spaces, hyphens and the invisible marks that come with pasting
// are dropped, digits of every script count as digits. Anything else, or more or fewer digits, is ErrMalformed.
func readPasscode(typed string) (Passcode, error) {
	if len(typed) > maxTyped || !utf8.ValidString(typed) {
		return Passcode{}, ErrMalformed
	}
	var digits []byte
	for _, r := range typed {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r) {
			continue
		}
		digit, ok := digitValue(r)
		if !ok || len(digits) == Digits {
			return Passcode{}, ErrMalformed
		}
		digits = strconv.AppendInt(digits, int64(digit), 10)
	}
	if len(digits) != Digits {
		return Passcode{}, ErrMalformed
	}
	return Passcode{string(digits)}, nil
}

// digitValue is the value of a decimal digit. Unicode encodes each script's digits in one ascending run of ten, so the
// distance to the start of its range gives the value.
func digitValue(r rune) (int, bool) {
	for _, t := range unicode.Nd.R16 {
		if uint32(t.Lo) <= uint32(r) && uint32(r) <= uint32(t.Hi) {
			return int(r-rune(t.Lo)) % 10, true
		}
	}
	for _, t := range unicode.Nd.R32 {
		if t.Lo <= uint32(r) && uint32(r) <= t.Hi {
			return int(uint32(r)-t.Lo) % 10, true
		}
	}
	return 0, false
}
