package mfa

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/secret"
)

func TestOTP30_NumbersHaveOneForm(t *testing.T) {
	tests := []struct {
		name, input, region, want string
	}{
		{"E.164", "+393331234567", "", "+393331234567"},
		{"separators", " +39 333 123-45.67 ", "", "+393331234567"},
		{"international prefix", "0039 333 1234567", "IT", "+393331234567"},
		{"national, with the region", "333 1234567", "it", "+393331234567"},
		{"national trunk zero dropped where it is a prefix", "0171 1234567", "DE", "+491711234567"},
		{"parentheses", "(202) 555-0143", "US", "+12025550143"},
		{"national without a region", "3331234567", "", ""},
		{"letters on old keys", "+1 202 555 FLOW", "US", ""},
		{"an extension", "+12025550143 ext 12", "", ""},
		{"another extension", "+12025550143;ext=12", "", ""},
		{"two numbers", "+12025550143+12025550144", "", ""},
		{"full-width digits", "＋３９３３３１２３４５６７", "", ""},
		{"a number nobody has", "+39999", "", ""},
		{"too many digits", "+3933312345678901234", "", ""},
		{"nothing", "  ", "IT", ""},
		{"very long", "+" + strings.Repeat("1", 1000), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParsePhone(tt.input, tt.region)
			if tt.want == "" {
				if !errors.Is(err, ErrPhoneRefused) {
					t.Errorf("got %s, %v; want a refusal", p.Reveal(), err)
				}
				return
			}
			if err != nil || p.Reveal() != tt.want {
				t.Errorf("got %s, %v; want %s", p.Reveal(), err, tt.want)
			}
		})
	}
}

func TestOTP26_NumbersThatAreNobodysPhoneAreRefused(t *testing.T) {
	for name, number := range map[string]string{
		"premium":     "+39899123456",
		"toll-free":   "+39800123456",
		"shared cost": "+448451234567",
		"short":       "+39112",
		"pager":       "+447640123456",
		"universal":   "+448001111",
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := ParsePhone(number, ""); !errors.Is(err, ErrPhoneRefused) {
				t.Errorf("got %v, %v", p, err)
			} else if strings.Contains(err.Error(), number[3:]) {
				t.Errorf("the error tells the number: %v", err)
			}
		})
	}
}

func TestOTP26_OnlyCountriesOnTheListAreAdmitted(t *testing.T) {
	settings := Defaults()
	settings.Countries = []string{"IT", "DE"}
	for number, want := range map[string]bool{"+393331234567": true, "+491711234567": true, "+12025550143": false} {
		p, err := ParsePhone(number, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := settings.Admits(p) == nil; got != want {
			t.Errorf("%v admitted: %v", p, got)
		}
	}
}

func TestOTP37_VoIPNumbersNeedAnAdministratorsYes(t *testing.T) {
	p, err := ParsePhone("+445612345678", "")
	if err != nil {
		t.Fatal(err)
	}
	settings := served(AllCountries)
	if err := settings.Admits(p); !errors.Is(err, ErrPhoneRefused) {
		t.Errorf("admitted: %v", err)
	}
	settings.AllowVoIP = true
	if err := settings.Admits(p); err != nil {
		t.Error(err)
	}
}

func TestAPhonePrintsMasked(t *testing.T) {
	p, err := ParsePhone(testNumber, "")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("sent", "phone", p, "message", Message{To: p})
	}
	encoded, err := json.Marshal(map[string]any{"a": p, "b": &p, "c": []Phone{p}})
	if err != nil {
		t.Fatal(err)
	}
	text := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text += fmt.Sprintf(verb, p) + fmt.Sprintf(verb, &p) + fmt.Sprintf(verb, Message{To: p})
	}
	if strings.Contains(text, "333123") || strings.Contains(text, fmt.Sprintf("%x", "333123")) {
		t.Errorf("it shows: %s", text)
	}
	if got, want := p.String(), "IT …67"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Phone{}).String(); got != " …" {
		t.Errorf("the zero phone prints %q", got)
	}
}

func TestASealedPhoneOpensOnlyWhereItBelongs(t *testing.T) {
	p, _ := ParsePhone(testNumber, "")
	f := SealPhone(testKeys, "person", p, time.Time{}, testStart)
	if strings.Contains(string(f.Sealed), "333") || f.LastTwo != "67" || f.Country != "IT" || !f.VerifiedAt.IsZero() {
		t.Errorf("factor %+v", f)
	}
	if f.Hash != testKeys.Hash(secret.PhoneLookup, testNumber) {
		t.Error("the hash is not that of the number")
	}
	opened, err := OpenPhone(testKeys, f)
	if err != nil || opened.Reveal() != testNumber {
		t.Errorf("got %s, %v", opened.Reveal(), err)
	}
	f.ID = "another"
	if _, err := OpenPhone(testKeys, f); err == nil {
		t.Error("a seal moved to another factor opens")
	}
}

func FuzzParsePhone(f *testing.F) {
	f.Add("+393331234567", "")
	f.Add("(202) 555-0143", "US")
	f.Add("+1 900 555 0100", "")
	f.Add("\x00+", "ZZ")
	f.Fuzz(func(t *testing.T, s, region string) {
		p, err := ParsePhone(s, region)
		if err != nil {
			if !errors.Is(err, ErrPhoneRefused) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		again, err := ParsePhone(p.Reveal(), "")
		if err != nil || again != p {
			t.Fatalf("%q is not its own canonical form: %v", p.Reveal(), err)
		}
	})
}
