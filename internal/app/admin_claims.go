package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// Claims are OpenID standard claims (Core §5.1) by their own names: strings, booleans, and for address an object of
// strings. The phone is not one of them: it is a factor.
type Claims map[string]any

// maxClaim bounds one text in characters.
const maxClaim = 1000

// claimKinds says for each claim that Parola keeps how its value is judged; the judge returns what the value must be, or
// an empty string.
var claimKinds = map[string]func(value any) string{
	"name": shortText, "given_name": shortText, "family_name": shortText, "middle_name": shortText,
	"nickname": shortText, "preferred_username": shortText, "gender": shortText,
	"profile": webAddress, "picture": webAddress, "website": webAddress,
	"email": mailAddress, "email_verified": truth,
	"birthdate": birthdate, "zoneinfo": zone, "locale": locale,
	"address": address,
}

// addressMembers are those of Core §5.1.1.
var addressMembers = []string{"formatted", "street_address", "locality", "region", "postal_code", "country"}

// check says what is wrong with a set of claims.
func (c Claims) check() error {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		judge, known := claimKinds[name]
		if !known {
			return refuse("%s is not a claim that Parola keeps: it keeps %s", name, strings.Join(slices.Sorted(maps.Keys(claimKinds)), ", "))
		}
		if must := judge(c[name]); must != "" {
			return refuse("%s must be %s", name, must)
		}
	}
	if _, given := c["email"]; !given && c["email_verified"] == true {
		return refuse("email_verified is given without email")
	}
	return nil
}

// seal returns the claims as they are stored; none is nil.
func (c Claims) seal(keys *secret.Keys, personID string) ([]byte, error) {
	if len(c) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	return keys.Seal(secret.ClaimSeal, personID, text), nil
}

// openClaims reads what seal stored.
func openClaims(keys *secret.Keys, p storage.Person) (Claims, error) {
	c := Claims{}
	if len(p.Claims) == 0 {
		return c, nil
	}
	text, err := keys.Open(secret.ClaimSeal, p.ID, p.Claims)
	if err != nil {
		return nil, fmt.Errorf("read stored claims: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("read stored claims: %w", err)
	}
	return c, nil
}

func shortText(value any) string {
	s, ok := value.(string)
	if !ok || !displayable(s, "") {
		return fmt.Sprintf("a text of 1 to %d characters without control or direction characters", maxClaim)
	}
	return ""
}

// displayable says whether people may be shown s: a direction override could make a name look like another (WEB-09).
func displayable(s, besides string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxClaim && !strings.ContainsFunc(s, func(r rune) bool {
		return (unicode.IsControl(r) && !strings.ContainsRune(besides, r)) || unicode.Is(unicode.Bidi_Control, r)
	})
}

func truth(value any) string {
	if _, ok := value.(bool); !ok {
		return "true or false"
	}
	return ""
}

func mailAddress(value any) string {
	s, ok := value.(string)
	if parsed, err := mail.ParseAddress(s); !ok || err != nil || parsed.Address != s || len(s) > 254 || !displayable(s, "") {
		return "an e-mail address"
	}
	return ""
}

func webAddress(value any) string {
	s, ok := value.(string)
	u, err := url.Parse(s)
	if !ok || err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || !displayable(s, "") {
		return "an http or https address"
	}
	return ""
}

// Core §5.1: a date, a year alone, or a date whose year 0000 says that it is withheld.
var birthdatePattern = regexp.MustCompile(`^\d{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))?$`)

func birthdate(value any) string {
	if s, ok := value.(string); !ok || !birthdatePattern.MatchString(s) {
		return "a date like 1815-12-10, 0000-12-10 or 1815"
	}
	return ""
}

// The zone is told to clients, not computed with, so its form is enough: whether it exists depends on the machine.
var zonePattern = regexp.MustCompile(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`)

func zone(value any) string {
	if s, ok := value.(string); !ok || len(s) > 64 || !zonePattern.MatchString(s) {
		return "a time zone like Europe/Rome"
	}
	return ""
}

func locale(value any) string {
	s, ok := value.(string)
	if _, err := language.Parse(s); !ok || err != nil {
		return "a language tag like it or pt-BR"
	}
	return ""
}

func address(value any) string {
	const must = "an object of texts: formatted, street_address, locality, region, postal_code, country"
	members, ok := value.(map[string]any)
	if !ok || len(members) == 0 {
		return must
	}
	for name, value := range members {
		// Core §5.1.1: formatted and street_address may have several lines.
		s, ok := value.(string)
		if !ok || !slices.Contains(addressMembers, name) || !displayable(s, "\r\n") {
			return must
		}
	}
	return ""
}
