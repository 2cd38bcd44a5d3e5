package templates

import (
	"fmt"
	"strings"

	"github.com/parola-id/parola/internal/gsm7"
)

// SMS is the text of a passcode by SMS. It names the service, says that nobody will ask for the code (OTP-39), and ends
// with the origin-bound line "@host #123456", by which phones offer the code on that host's page alone
// (WICG sms-one-time-codes). host has no scheme, port or path.
//
// A text of several segments costs as many messages and may arrive in pieces, so the longest wording that stays in one
// is taken: first the empty line goes, then the accents of a service name that alone would turn the text into UCS-2,
// then words of the sentence; the last line never. With service names of up to 12 characters and hosts of up to 24 every
// language fits one segment. What does not fit takes the fewest.
func (t *Templates) SMS(lang, service, passcode, host string) (string, error) {
	l, last := t.locales.get(lang), "@"+host+" #"+passcode
	best, fewest := "", 0
	for _, key := range []string{"sms.text", "sms.text_short", "sms.text_least"} {
		for _, name := range spellings(oneLine(service)) {
			sentence, err := l.text(key, "passcode", passcode, "service", name)
			if err != nil {
				return "", fmt.Errorf("write sms: %w", err)
			}
			for _, gap := range []string{"\n\n", "\n"} {
				text := sentence + gap + last
				n, _ := gsm7.Segments(text)
				if n == 1 {
					return text, nil
				}
				if best == "" || n < fewest {
					best, fewest = text, n
				}
			}
		}
	}
	return best, nil
}

// spellings of a service's name: as it is written and, where that makes the difference between the alphabets, plain.
func spellings(name string) []string {
	plain := gsm7.Plain(name)
	if plain == name || !gsm7.Fits(plain) {
		return []string{name}
	}
	return []string{name, plain}
}

// oneLine keeps a service's name from beginning a line of its own, which could pass for the origin-bound one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
