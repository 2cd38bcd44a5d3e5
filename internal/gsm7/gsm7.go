// Package gsm7 knows the alphabet of a text message (3GPP TS 23.038): whether a text fits it, in how many parts a text
// travels, and how a foreign letter is spelled in it. One character outside of the alphabet turns the whole message into
// UCS-2 and leaves 70 places of 160, so the wording of a passcode (templates) and the adapters that must name an
// encoding (mfa/sms) both ask here. It sends nothing and knows no carrier.
package gsm7

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The alphabet: one septet each, and two. Position 0x09 is Ç in the ETSI table and ç in an older mapping that some
// message centres still use, so that ç would arrive in capitals at one and Ç in lower case at another; the lower-case
// letter, which words have, is therefore taken for foreign.
const (
	basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	extension = "^{}\\[~]|€\f"
)

// What one part holds: alone, and as one of several, where a header of six octets takes its share.
const (
	septetsAlone, septetsOfSeveral = 160, 153
	unitsAlone, unitsOfSeveral     = 70, 67
)

// Fits says whether text can be sent in the GSM 7-bit alphabet.
func Fits(text string) bool {
	for _, r := range text {
		if septets(r) == 0 {
			return false
		}
	}
	return true
}

// Segments counts the parts that text travels in, at least one, and says whether they are of the GSM 7-bit alphabet; if
// not, they are UCS-2. What takes two places (a character of the extension table, a surrogate pair) is never split, so
// that a part may end one place early.
func Segments(text string) (n int, gsm bool) {
	if Fits(text) {
		return count(text, septets, septetsAlone, septetsOfSeveral), true
	}
	return count(text, units, unitsAlone, unitsOfSeveral), false
}

// Plain spells what is foreign to the alphabet with letters that are in it, where a reader loses no more than an accent:
// "Łódź" becomes "Lodz", a curly quote a straight one. What cannot be spelled so, such as another script, stays.
func Plain(text string) string {
	if Fits(text) {
		return text
	}
	var b strings.Builder
	for _, r := range norm.NFC.String(text) {
		b.WriteString(plain(r))
	}
	return b.String()
}

func plain(r rune) string {
	if septets(r) > 0 {
		return string(r)
	}
	if s, ok := spelling[r]; ok {
		return s
	}
	// A letter with marks is its own letter without them, as long as that one is in the alphabet.
	if first, _ := utf8.DecodeRuneInString(norm.NFKD.String(string(r))); septets(first) > 0 {
		return string(first)
	}
	return string(r)
}

// spelling is for what has no decomposition.
var spelling = map[rune]string{
	'ı': "i", 'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th", 'ħ': "h", 'Ħ': "H",
	'œ': "oe", 'Œ': "OE", 'ẞ': "SS", '‘': "'", '’': "'", '“': `"`, '”': `"`, '„': `"`, '«': `"`, '»': `"`,
	'‐': "-", '‑': "-", '–': "-", '—': "-", '…': "...", '·': "-", '•': "-", '`': "'", '´': "'", '\u00a0': " ", '\t': " ",
	'®': "(R)", '©': "(C)", '™': "TM",
}

// septets of a character: 1, 2, or 0 when it is not in the alphabet.
func septets(r rune) int {
	switch {
	case strings.ContainsRune(basic, r):
		return 1
	case strings.ContainsRune(extension, r):
		return 2
	default:
		return 0
	}
}

// units of UTF-16.
func units(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}

func count(text string, size func(rune) int, alone, ofSeveral int) int {
	total, parts, used := 0, 1, 0
	for _, r := range text {
		s := size(r)
		total += s
		if used+s > ofSeveral {
			parts, used = parts+1, 0
		}
		used += s
	}
	if total <= alone {
		return 1
	}
	return parts
}
