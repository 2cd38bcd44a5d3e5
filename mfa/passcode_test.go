package mfa

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode"

	"github.com/parola-id/parola/storage"
)

func TestOTP01_PasscodesAreUniform(t *testing.T) {
	const n = 60_000
	var first, last [10]int
	zeros := 0
	for i := range n {
		p, err := derive(testKeys, storage.Challenge{KeyID: testKeys.ID(), Nonce: binary.BigEndian.AppendUint64(nil, uint64(i))})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.digits) != Digits {
			t.Fatalf("%q has not %d digits", p.digits, Digits)
		}
		first[p.digits[0]-'0']++
		last[p.digits[5]-'0']++
		if p.digits[0] == '0' {
			zeros++
		}
	}
	for name, counts := range map[string][10]int{"first": first, "last": last} {
		chi := 0.0
		for _, c := range counts {
			chi += math.Pow(float64(c)-n/10, 2) / (n / 10)
		}
		if chi > 33.7 { // nine degrees of freedom, one in 10,000
			t.Errorf("%s digits %v are not uniform: chi squared %.1f", name, counts, chi)
		}
	}
	if zeros == 0 {
		t.Error("no passcode begins with 0")
	}
}

func TestOTP01_ReducingRejectsWordsThatWouldBias(t *testing.T) {
	word := func(words ...uint32) (b []byte) {
		for _, w := range words {
			b = binary.BigEndian.AppendUint32(b, w)
		}
		return b
	}
	tests := []struct {
		name  string
		block []byte
		want  string
	}{
		{"leading zeros are kept", word(7), "000007"},
		{"the largest acceptable word is taken", word(4_293_999_999), "999999"},
		{"the word above it is rejected", word(4_294_000_000, 123_456), "123456"},
		{"the largest word is rejected", word(math.MaxUint32, math.MaxUint32, 42), "000042"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := reduce(tt.block); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("a block of rejected words is hashed on", func(t *testing.T) {
		rejected := word(math.MaxUint32, math.MaxUint32)
		next := sha256.Sum256(rejected)
		if got, want := reduce(rejected), reduce(next[:]); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestOTP04_EveryBindingChangesThePasscode(t *testing.T) {
	base := storage.Challenge{
		KeyID: testKeys.ID(), Nonce: []byte("nonce nonce nonce"), Purpose: storage.PurposeLogin, PersonID: "person", PhoneID: "phone",
		AuthRequestID: "request", BrowserHash: []byte("browser"), DetailsHash: []byte("details"),
	}
	original, err := derive(testKeys, base)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*storage.Challenge){
		"nonce":       func(c *storage.Challenge) { c.Nonce = []byte("another nonce") },
		"purpose":     func(c *storage.Challenge) { c.Purpose = storage.PurposeStepUp },
		"person":      func(c *storage.Challenge) { c.PersonID = "other" },
		"phone":       func(c *storage.Challenge) { c.PhoneID = "other" },
		"AuthRequest": func(c *storage.Challenge) { c.AuthRequestID = "other" },
		"browser":     func(c *storage.Challenge) { c.BrowserHash = []byte("other") },
		"details":     func(c *storage.Challenge) { c.DetailsHash = nil },
		"a boundary":  func(c *storage.Challenge) { c.PersonID, c.PhoneID = "personp", "hone" },
	} {
		t.Run(name, func(t *testing.T) {
			c := base
			change(&c)
			p, err := derive(testKeys, c)
			if err != nil {
				t.Fatal(err)
			}
			if p.Equal(original) {
				t.Error("the passcode is the same")
			}
		})
	}
	t.Run("columns that are not part of it do not", func(t *testing.T) {
		c := base
		c.Tries, c.Locale, c.ClientID = 3, "it", "client"
		if p, _ := derive(testKeys, c); !p.Equal(original) {
			t.Error("the passcode changed")
		}
	})
}

func TestOTP09_APasscodeNeverPrintsItself(t *testing.T) {
	p := NewPasscode("493027")
	encoded, err := json.Marshal(map[string]any{"p": p})
	if err != nil {
		t.Fatal(err)
	}
	text := string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text += fmt.Sprintf(verb, p) + fmt.Sprintf(verb, &p) + fmt.Sprintf(verb, Message{Passcode: p})
	}
	if strings.Contains(text, "493027") || strings.Contains(text, fmt.Sprintf("%x", "493027")) {
		t.Errorf("it shows: %s", text)
	}
}

func TestOTP10_WhatIsTyped(t *testing.T) {
	tests := []struct {
		name, typed, want string
	}{
		{"six digits", "493027", "493027"},
		{"a space as people paste it", "493 027", "493027"},
		{"hyphens and dashes", "4-9-3–0—27", "493027"},
		{"space around it, no-break too", "\u00a0 493027\t\n", "493027"},
		{"marks of right-to-left text", "\u200f493027\u200e", "493027"},
		{"Arabic-Indic digits", "٤٩٣٠٢٧", "493027"},
		{"Persian digits", "۴۹۳۰۲۷", "493027"},
		{"Devanagari digits", "४९३०२७", "493027"},
		{"full-width digits", "４９３０２７", "493027"},
		{"digits beyond the basic plane", "\U0001d7d2\U0001d7d7\U0001d7d1\U0001d7ce\U0001d7d0\U0001d7d5", "493027"},
		{"five digits", "49302", ""},
		{"seven digits", "4930271", ""},
		{"nothing", "", ""},
		{"letters", "49302O", ""},
		{"a fraction that is a number but no digit", "49302½", ""},
		{"a roman numeral", "49302Ⅶ", ""},
		{"invalid UTF-8", "493027\xff", ""},
		{"far too much", strings.Repeat(" ", 60) + "493027", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := readPasscode(tt.typed)
			if tt.want == "" {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("got %v, want ErrMalformed", err)
				}
				return
			}
			if err != nil || p.Reveal() != tt.want {
				t.Errorf("got %s, %v; want %s", p.Reveal(), err, tt.want)
			}
		})
	}
}

// The mapping of digits relies on every range of decimal digits being runs of ten.
func TestOTP10_DigitsOfEveryScriptComeInRunsOfTen(t *testing.T) {
	for _, r := range unicode.Nd.R16 {
		if r.Stride != 1 || (r.Hi-r.Lo+1)%10 != 0 {
			t.Errorf("range %x to %x", r.Lo, r.Hi)
		}
	}
	for _, r := range unicode.Nd.R32 {
		if r.Stride != 1 || (r.Hi-r.Lo+1)%10 != 0 {
			t.Errorf("range %x to %x", r.Lo, r.Hi)
		}
	}
}

func FuzzReadPasscode(f *testing.F) {
	for _, s := range []string{"493027", "493 027", "٤٩٣٠٢٧", "\xff", "１２３４５６"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		p, err := readPasscode(typed)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		if len(p.digits) != Digits || strings.Trim(p.digits, "0123456789") != "" {
			t.Fatalf("%q became %q", typed, p.digits)
		}
		again, err := readPasscode(p.digits)
		if err != nil || again != p {
			t.Fatalf("%q is not read as itself", p.digits)
		}
	})
}
