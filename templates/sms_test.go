package templates

import (
	"regexp"
	"strings"
	"testing"

	"github.com/parola-id/parola/internal/gsm7"
)

// Service names and hosts as they are, and at the lengths that SMS promises.
var (
	smsNames = map[string]string{
		"an ASCII name": "Bottega", "a name with accents of the alphabet": "Caffè Milano", "a name with accents of none": "Łódź Banking",
		"a name in Turkish": "Şişli Banka", "a name in Cyrillic": "Ресторан 123", "a name in Arabic": "مصرف السلام",
		"a name with curly quotes": "Rosa’s “Bar”", "a name of 20": "Cassa di Risparmio F",
		"a name of 76": "Consorzio Nazionale delle Banche di Credito Cooperativo dell’Alto Adriatico",
	}
	smsHosts = map[string]string{"a short host": "id.example", "a host of 24": "login.my-own.example.com", "a host of 63": strings.Repeat("login.", 9) + "a.example"}
)

func TestSMSFitsOneSegmentInEveryLanguage(t *testing.T) {
	tmpl := newTemplates(t)
	for _, lang := range tmpl.Languages() {
		for nameKind, name := range smsNames {
			for hostKind, host := range smsHosts {
				text, err := tmpl.SMS(lang, name, "123456", host)
				if err != nil {
					t.Fatal(err)
				}
				n, gsm := gsm7.Segments(text)
				t.Logf("%s, %s, %s: %d (GSM %v) %q", lang, nameKind, hostKind, n, gsm, text)
				if len([]rune(name)) <= 12 && len(host) <= 24 && n != 1 {
					t.Errorf("%s, %s, %s: %d segments: %q", lang, nameKind, hostKind, n, text)
				}
				if n > 3 {
					t.Errorf("%s, %s, %s: %d segments", lang, nameKind, hostKind, n)
				}
				if !strings.HasSuffix(text, "\n@"+host+" #123456") || !strings.HasPrefix(text, "123456 ") {
					t.Errorf("%s, %s, %s: %q", lang, nameKind, hostKind, text)
				}
			}
		}
	}
}

// Twenty characters and thirty are what languages of the Latin script have room for with their whole sentence.
func TestSMSOfLatinLanguagesIsOfTheGSMAlphabetAndWhole(t *testing.T) {
	tmpl := newTemplates(t)
	host := "login.a-rather-long-name.examp" // 30 characters
	for _, lang := range tmpl.Languages() {
		if lang == "hi" || lang == "ar" {
			continue
		}
		text, err := tmpl.SMS(lang, "Cassa di Risparmio F", "123456", host)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := tmpl.locales.get(lang).text("sms.text", "passcode", "123456", "service", "Cassa di Risparmio F")
		if err != nil {
			t.Fatal(err)
		}
		if n, gsm := gsm7.Segments(text); n != 1 || !gsm || text != whole+"\n\n@"+host+" #123456" {
			t.Errorf("%s: %d segments, GSM %v: %s", lang, n, gsm, text)
		}
	}
}

func TestSMSGivesUpTheEmptyLineThenAccentsThenWords(t *testing.T) {
	tmpl := newTemplates(t)
	for _, c := range []struct {
		name, service, host, want string
	}{
		{"all of it", "Bottega", "id.example",
			"123456 is your Bottega sign-in code. Nobody will ask you for it: never share it.\n\n@id.example #123456"},
		{"without the empty line", "Bottega", strings.Repeat("h", 70),
			"123456 is your Bottega sign-in code. Nobody will ask you for it: never share it.\n@" + strings.Repeat("h", 70) + " #123456"},
		{"a shorter sentence", "Bottega", strings.Repeat("h", 71),
			"123456 is your Bottega code. Nobody will ask you for it.\n\n@" + strings.Repeat("h", 71) + " #123456"},
		{"the shortest", "Bottega", strings.Repeat("h", 110),
			"123456 Bottega. Never share\n\n@" + strings.Repeat("h", 110) + " #123456"},
		{"a name without its accents", "Łódź", "id.example",
			"123456 is your Lodz sign-in code. Nobody will ask you for it: never share it.\n\n@id.example #123456"},
		{"a name in its own script, for which the words must go", "Ресторан", "id.example",
			"123456 Ресторан. Never share\n\n@id.example #123456"},
	} {
		text, err := tmpl.SMS("en", c.service, "123456", c.host)
		if err != nil {
			t.Fatal(err)
		}
		if text != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, text, c.want)
		}
	}
}

// Curly quotes, dashes and the like look better on a page, and take the whole text out of the alphabet.
func TestSMSHasNoTypographicCharacters(t *testing.T) {
	typographic := regexp.MustCompile(`[\x{2000}-\x{206f}\x{00a0}\x{00ab}\x{00bb}\t]`)
	for _, l := range mustLocales(t).list {
		for _, key := range []string{"sms.text", "sms.text_short", "sms.text_least"} {
			if s := l.Messages[key]["other"]; typographic.MatchString(s) {
				t.Errorf("%s %s: %q", l.tag, key, s)
			}
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
		if !strings.HasSuffix(text, "\n@id.example #012345") {
			t.Errorf("%s: ends otherwise: %q", lang, text)
		}
		if !strings.Contains(text, "Bottega") || strings.Count(text, "012345") != 2 {
			t.Errorf("%s: want the service and the code in words: %q", lang, text)
		}
	}
}

func TestAServiceNameCannotPassForTheOriginBoundLine(t *testing.T) {
	for _, name := range []string{"Bottega\r\n\n@evil.example #111111\n", "@evil.example #111111", "B\u2028@evil.example #111111"} {
		text, err := newTemplates(t).SMS("en", name, "012345", "id.example")
		if err != nil {
			t.Fatal(err)
		}
		if lines := regexp.MustCompile(`(?m)^@`).FindAllString(strings.ReplaceAll(text, "\u2028", "\n"), -1); len(lines) != 1 {
			t.Errorf("%d lines begin with @: %q", len(lines), text)
		}
	}
}
