package templates

import (
	"fmt"
	"strings"
)

// SMS is the text of a passcode by SMS. It names the service, says that nobody will ask for the code (OTP-39), and ends
// with the origin-bound line "@host #123456", by which phones offer the code on that host's page alone
// (WICG sms-one-time-codes). host has no scheme, port or path.
//
// Service names of up to 20 characters and hosts of up to 30 fit one message of 160 GSM-7 septets.
func (t *Templates) SMS(lang, service, passcode, host string) (string, error) {
	text, err := t.locales.get(lang).text("sms.text", "passcode", passcode, "service", oneLine(service))
	if err != nil {
		return "", fmt.Errorf("write sms: %w", err)
	}
	return text + "\n\n@" + host + " #" + passcode, nil
}

// oneLine keeps a service's name from beginning a line of its own, which could pass for the origin-bound one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
