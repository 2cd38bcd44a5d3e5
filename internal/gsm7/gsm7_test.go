package gsm7

import (
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

func TestSegments(t *testing.T) {
	for _, c := range []struct {
		name, text string
		n          int
		gsm        bool
	}{
		{"nothing is one message", "", 1, true},
		{"160 letters", strings.Repeat("a", 160), 1, true},
		{"161 letters", strings.Repeat("a", 161), 2, true},
		{"two full parts", strings.Repeat("a", 306), 2, true},
		{"one letter more", strings.Repeat("a", 307), 3, true},
		{"80 euro signs are 160 septets", strings.Repeat("€", 80), 1, true},
		{"and 81 are two parts", strings.Repeat("€", 81), 2, true},
		{"an escape pair is not split at septet 153", strings.Repeat("a", 152) + "€" + strings.Repeat("a", 152), 3, true},
		{"without the pair it would be two", strings.Repeat("a", 153+153), 2, true},
		{"70 Greek small letters", strings.Repeat("α", 70), 1, false},
		{"71 of them", strings.Repeat("α", 71), 2, false},
		{"134 are two full parts", strings.Repeat("α", 134), 2, false},
		{"one foreign letter takes all along", strings.Repeat("a", 70) + "ş", 2, false},
		{"35 emoji are 70 units", strings.Repeat("😀", 35), 1, false},
		{"and 36 are two parts", strings.Repeat("😀", 36), 2, false},
		{"a surrogate pair is not split at unit 67", strings.Repeat("α", 66) + "😀" + strings.Repeat("α", 66), 3, false},
		{"without the pair it would be two", strings.Repeat("α", 67+67), 2, false},
		{"the line of an origin", "@login.example.com #123456", 1, true},
		{"all that Italian needs", "èéùìòàÉ", 1, true},
		{"ç, on which centres differ", "ç", 1, false},
		{"Ç", "Ç", 1, true},
		{"bytes that are no UTF-8", "\xff", 1, false},
	} {
		if n, gsm := Segments(c.text); n != c.n || gsm != c.gsm {
			t.Errorf("%s: %d segments, GSM %v; want %d, %v", c.name, n, gsm, c.n, c.gsm)
		}
	}
}

// The table of 3GPP TS 23.038 §6.2.1 by its positions, so that a letter lost from the constants is noticed.
func TestTheAlphabetIsThatOfTheStandard(t *testing.T) {
	if n := len([]rune(basic)); n != 127 { // 128 positions, of which one is the escape
		t.Errorf("%d characters in the basic table", n)
	}
	if n := len([]rune(extension)); n != 10 {
		t.Errorf("%d characters in the extension table", n)
	}
	for position, r := range map[int]rune{0x00: '@', 0x09: 'Ç', 0x0a: '\n', 0x0f: 'å', 0x1a: 'Ξ', 0x1b: 'Æ', 0x20 - 1: ' ', 0x30 - 1: '0', 0x7f - 1: 'à'} {
		if got := []rune(basic)[position]; got != r {
			t.Errorf("position %#x: %q, want %q", position, got, r)
		}
	}
	for _, foreign := range "çáíóúâêôãõğşıİąćęł`“”‘’–—…\u00a0\t" {
		if Fits(string(foreign)) {
			t.Errorf("%q is taken for one of the alphabet", foreign)
		}
	}
}

func TestPlain(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"what fits stays as it is", "Caffè Müller", "Caffè Müller"},
		{"Polish", "Łódź Bank", "Lodz Bank"},
		{"Turkish", "Şişli İğne Işık", "Sisli Igne Isik"},
		{"Portuguese", "Ação São João", "Acao Sao Joao"},
		{"marks that come apart from their letter", "Lo\u0301dz", "Lodz"},
		{"typographic quotes and dashes", "“Rosa’s” – Bar…", `"Rosa's" - Bar...`},
		{"letters that fit among those that do not", "Müller & Szőke", "Müller & Szoke"},
		{"Vietnamese", "Ngân Hàng Việt", "Ngan Hàng Viet"},
		{"another script stays", "Ресторан", "Ресторан"},
		{"and so do characters", "料亭", "料亭"},
	} {
		if got := Plain(c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSegmentsKeepTheLawsOfCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune(basic+extension+"αş😀ç"))).Draw(t, "text")
		checkLaws(t, text)
	})
}

type failer interface {
	Errorf(format string, args ...any)
}

func checkLaws(t failer, text string) {
	n, gsm := Segments(text)
	size, alone, each := len(utf16.Encode([]rune(text))), 70, 67
	if gsm {
		size, alone, each = 0, 160, 153
		for _, r := range text {
			size++
			if strings.ContainsRune(extension, r) {
				size++
			}
		}
	}
	// Each part but the last holds at least all places less one.
	least, most := (size+each-1)/each, 1+size/(each-1)
	switch {
	case gsm != Fits(text):
		t.Errorf("%q: GSM %v, fits %v", text, gsm, Fits(text))
	case size <= alone && n != 1:
		t.Errorf("%q: %d places in %d parts", text, size, n)
	case size > alone && (n < least || n > most):
		t.Errorf("%q: %d places in %d parts, want %d to %d", text, size, n, least, most)
	}
	if more, _ := Segments(text + "a"); more < n {
		t.Errorf("%q: a letter more takes fewer parts: %d, %d", text, n, more)
	}
	if plain := Plain(text); Plain(plain) != plain || Fits(text) && plain != text {
		t.Errorf("%q: plain %q", text, plain)
	}
}

func FuzzSegments(f *testing.F) {
	for _, s := range []string{"", "123456\n\n@id.example #123456", strings.Repeat("€", 81), strings.Repeat("😀", 36), "Łódź"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { checkLaws(t, text) })
}
