package mfa

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// ErrPhoneRefused says that a text is no phone number, or one that passcodes are not sent to; the wrapping error says
// why, without the number.
var ErrPhoneRefused = errors.New("phone number refused")

// maxPhoneInput bounds what is parsed: E.164 has 15 digits, people add separators.
const maxPhoneInput = 40

// Phone is a phone number in its one canonical form, E.164. It prints masked, whatever the verb or encoder, and must be
// asked to reveal itself.
type Phone struct {
	e164   string
	region string
}

// ParsePhone reads a number as people write it; region (ISO 3166-1 alpha-2) is where a number without "+" belongs, and
// may be empty when all have one. Two ways to write a number give the same Phone (OTP-30). Short, premium, shared-cost,
// toll-free and other numbers that are nobody's phone are refused (OTP-26).
func ParsePhone(s, region string) (Phone, error) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxPhoneInput {
		return Phone{}, fmt.Errorf("%w: it has no digits or too many", ErrPhoneRefused)
	}
	if strings.Trim(s, "+0123456789 -./()") != "" || strings.LastIndexByte(s, '+') > 0 {
		// The parser would take letters for the keys of an old telephone and "ext." for an extension.
		return Phone{}, fmt.Errorf("%w: it holds something other than digits and separators", ErrPhoneRefused)
	}
	number, err := phonenumbers.Parse(s, strings.ToUpper(region))
	if err != nil {
		return Phone{}, fmt.Errorf("%w: it is not a number, or lacks its country code", ErrPhoneRefused)
	}
	if !phonenumbers.IsValidNumber(number) {
		return Phone{}, fmt.Errorf("%w: no such number is given out in its country", ErrPhoneRefused)
	}
	if _, service := kindOf(number); service {
		return Phone{}, fmt.Errorf("%w: it is a service number", ErrPhoneRefused)
	}
	return Phone{e164: phonenumbers.Format(number, phonenumbers.E164), region: phonenumbers.GetRegionCodeForNumber(number)}, nil
}

// kind is what the numbering plan says of the number now; it may have changed since the number was bound.
func (p Phone) kind() (voip, service bool) {
	number, err := phonenumbers.Parse(p.e164, "")
	if err != nil {
		return false, false
	}
	return kindOf(number)
}

// kindOf tells voice over IP, and premium, shared-cost, toll-free and other numbers that are nobody's phone. One that the
// plan does not know any more is nothing special.
func kindOf(number *phonenumbers.PhoneNumber) (voip, service bool) {
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.VOIP:
		return true, false
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.FIXED_LINE, phonenumbers.UNKNOWN:
		return false, false
	default:
		return false, true
	}
}

// Reveal returns the E.164 number, for the carrier alone.
func (p Phone) Reveal() string { return p.e164 }

// Country is the ISO 3166-1 alpha-2 region.
func (p Phone) Country() string { return p.region }

// Prefix is the number without its last six digits: up to a million numbers that somebody may hold by the block.
func (p Phone) Prefix() string { return p.e164[:max(0, len(p.e164)-6)] }

// LastTwo is all of the number that is ever shown (OTP-40).
func (p Phone) LastTwo() string { return p.e164[max(0, len(p.e164)-2):] }

// String is the country and the last two digits.
func (p Phone) String() string { return maskedNumber(p.region, p.LastTwo()) }

// Format implements fmt.Formatter: every verb prints the mask, %#v and %x too.
func (p Phone) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(p.String())) }

// MarshalText prints the mask, to encoding/json and log/slog too.
func (p Phone) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func maskedNumber(region, lastTwo string) string { return region + " …" + lastTwo }

// SealPhone makes the factor that keeps a phone: the number sealed for this factor alone, its keyed hash for look-ups,
// and what may be shown. verifiedAt is zero for a number that nobody has proved yet.
func SealPhone(keys *secret.Keys, personID string, p Phone, verifiedAt, now time.Time) storage.PhoneFactor {
	id := storage.NewID()
	return storage.PhoneFactor{
		ID: id, PersonID: personID,
		Sealed:  keys.Seal(secret.PhoneSeal, id, []byte(p.e164)),
		Hash:    keys.Hash(secret.PhoneLookup, p.e164),
		Country: p.region, LastTwo: p.LastTwo(),
		VerifiedAt: verifiedAt, CreatedAt: now,
	}
}

// OpenPhone returns the number of a factor. It fails when the factor was sealed with a root secret that is gone, or was
// moved from another record.
func OpenPhone(keys *secret.Keys, f storage.PhoneFactor) (Phone, error) {
	e164, err := keys.Open(secret.PhoneSeal, f.ID, f.Sealed)
	if err != nil {
		return Phone{}, fmt.Errorf("open phone: %w", err)
	}
	return Phone{e164: string(e164), region: f.Country}, nil
}
