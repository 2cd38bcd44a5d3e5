package templates

import (
	"regexp"
	"strings"
	"testing"
)

// The alphabets of 3GPP TS 23.038: one septet each, and two.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "^{}\\[~]|€\f"
)

// septets of a text, and the first character that has none.
func septets(s string) (n int, foreign string) {
	for _, r := range s {
		switch {
		case strings.ContainsRune(gsmBasic, r):
			n++
		case strings.ContainsRune(gsmExtended, r):
			n += 2
		default:
			return n, string(r)
		}
	}
	return n, ""
}

func TestSMSFitsOneMessageInEveryLanguage(t *testing.T) {
	tmpl := newTemplates(t)
	service := strings.Repeat("S", 20)
	host := "login.a-rather-long-name.examp" // 30 characters
	for _, lang := range tmpl.Languages() {
		text, err := tmpl.SMS(lang, service, "12345678", host)
		if err != nil {
			t.Fatal(err)
		}
		if n, foreign := septets(text); foreign != "" || n > 160 {
			t.Errorf("%s: %d septets, foreign character %q: %s", lang, n, foreign, text)
		}
	}
}

func TestOTP39_SMSEndsWithTheOriginBoundLine(t *testing.T) {
	tmpl := newTemplates(t)
	for _, lang := range tmpl.Languages() {
		text, err := tmpl.SMS(lang, "Bottega", "012345", "id.example")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(text, "\n\n@id.example #012345") {
			t.Errorf("%s: ends otherwise: %q", lang, text)
		}
		if !strings.Contains(text, "Bottega") || strings.Count(text, "012345") != 2 {
			t.Errorf("%s: want the service and the code in words: %q", lang, text)
		}
	}
}

func TestAServiceNameCannotPassForTheOriginBoundLine(t *testing.T) {
	text, err := newTemplates(t).SMS("en", "Bottega\r\n\n@evil.example #111111\n", "012345", "id.example")
	if err != nil {
		t.Fatal(err)
	}
	if lines := regexp.MustCompile(`(?m)^@`).FindAllString(text, -1); len(lines) != 1 {
		t.Errorf("%d lines begin with @: %q", len(lines), text)
	}
}
