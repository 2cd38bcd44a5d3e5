package templates

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/text/language"
)

func mustLocales(t testing.TB) *locales {
	t.Helper()
	ls, err := loadLocales()
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// placeholders of a message; every plural form must have the same ones. A form of one number alone may say it in words.
func placeholders(t *testing.T, where string, m message) []string {
	all := slices.Sorted(slices.Values(placeholder.FindAllString(m["other"], -1)))
	for form, s := range m {
		found := placeholder.FindAllString(s, -1)
		if (form == "zero" || form == "one" || form == "two") && !strings.Contains(s, "{n}") {
			found = append(found, "{n}")
		}
		if slices.Sort(found); !slices.Equal(found, all) {
			t.Errorf("%s: form %q has placeholders %v, another has %v", where, form, found, all)
		}
	}
	return all
}

func TestEveryLanguageSaysEverythingEnglishSays(t *testing.T) {
	ls := mustLocales(t)
	english := ls.list[0]
	if english.tag != language.English {
		t.Fatalf("the first locale is %s", english.tag)
	}
	for _, l := range ls.list {
		for key, m := range l.Messages {
			where := l.tag.String() + " " + key
			if _, ok := english.Messages[key]; !ok {
				t.Errorf("%s: not in English", where)
				continue
			}
			if got, want := placeholders(t, where, m), placeholders(t, "en "+key, english.Messages[key]); !slices.Equal(got, want) {
				t.Errorf("%s: placeholders %v, English has %v", where, got, want)
			}
			for form, s := range m {
				if strings.TrimSpace(s) != s || s == "" {
					t.Errorf("%s: form %q is empty or has space around it", where, form)
				}
			}
		}
		for key := range english.Messages {
			if _, ok := l.Messages[key]; !ok {
				t.Errorf("%s %s: missing", l.tag, key)
			}
		}
	}
}

func TestCountedMessagesHaveEveryPluralForm(t *testing.T) {
	ls := mustLocales(t)
	for _, l := range ls.list {
		needed := map[string]int{} // of each form, how many numbers up to a thousand use it
		for n := range 1001 {
			needed[pluralForm(l.tag, n)]++
		}
		for key, m := range l.Messages {
			counted := slices.Contains(placeholders(t, key, m), "{n}")
			if !counted {
				if len(m) != 1 || m["other"] == "" {
					t.Errorf("%s %s: has plural forms and no {n}", l.tag, key)
				}
				continue
			}
			for form := range needed {
				if m[form] == "" {
					t.Errorf("%s %s: no form for %q", l.tag, key, form)
				}
			}
			for form, s := range m {
				if needed[form] == 0 {
					t.Errorf("%s %s: form %q is never used", l.tag, key, form)
				}
				if needed[form] > 1 && !strings.Contains(s, "{n}") {
					t.Errorf("%s %s: form %q is of several numbers and does not say which", l.tag, key, form)
				}
			}
		}
	}
}

// The files of this package that name messages.
func sources(t *testing.T) string {
	var all strings.Builder
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if ext := filepath.Ext(path); ext == ".go" || ext == ".html" {
			content, err := os.ReadFile(path)
			all.Write(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestEveryMessageIsUsedAndEveryUsedMessageExists(t *testing.T) {
	source := sources(t)
	english := mustLocales(t).list[0].Messages
	for key := range english {
		if !strings.Contains(source, `"`+key+`"`) {
			t.Errorf("%s: nobody says this", key)
		}
	}
	prefixes := map[string]bool{}
	for key := range english {
		prefix, _, _ := strings.Cut(key, ".")
		prefixes[prefix] = true
	}
	for _, quoted := range regexp.MustCompile(`"([a-z_]+)\.[a-z_.]+"`).FindAllStringSubmatch(source, -1) {
		if key := strings.Trim(quoted[0], `"`); prefixes[quoted[1]] && english[key] == nil && !strings.HasSuffix(key, ".js") {
			t.Errorf("%s: used, and in no locale", key)
		}
	}
}

func TestPeopleReadCodeAndNeverPasscode(t *testing.T) {
	for _, l := range mustLocales(t).list {
		for key, m := range l.Messages {
			for _, s := range m {
				if strings.Contains(strings.ToLower(placeholder.ReplaceAllString(s, "")), "passcode") {
					t.Errorf("%s %s: says passcode", l.tag, key)
				}
			}
		}
	}
}

func TestPlurals(t *testing.T) {
	ls := mustLocales(t)
	for _, c := range []struct {
		lang string
		n    int
		want string
	}{
		{"en", 0, "This lasts for 0 days."}, {"en", 1, "This lasts for 1 day."}, {"en", 2, "This lasts for 2 days."},
		{"en", 21, "This lasts for 21 days."},
		{"it", 0, "Vale per 0 giorni."}, {"it", 1, "Vale per 1 giorno."}, {"it", 11, "Vale per 11 giorni."},
		{"fr", 0, "Valable 0 jour."}, {"fr", 2, "Valable 2 jours."}, {"pt-BR", 0, "Vale por 0 dia."}, {"id", 1, "Berlaku selama 1 hari."},
		{"hi", 1, "यह 1 दिन तक रहेगी।"}, {"hi", 2, "यह 2 दिनों तक रहेगी।"},
		{"ar", 0, "يسري هذا لمدة 0 يوم."}, {"ar", 1, "يسري هذا لمدة يوم واحد."}, {"ar", 2, "يسري هذا لمدة يومين."},
		{"ar", 3, "يسري هذا لمدة 3 أيام."}, {"ar", 11, "يسري هذا لمدة 11 يومًا."}, {"ar", 100, "يسري هذا لمدة 100 يوم."},
	} {
		got, err := ls.get(c.lang).text("consent.lasts", "n", c.n)
		if err != nil || got != c.want {
			t.Errorf("%s, %d: %q %v, want %q", c.lang, c.n, got, err, c.want)
		}
	}
}

func TestWaitsAreSaidInAUnitPeopleUse(t *testing.T) {
	l := mustLocales(t).get("en")
	for d, want := range map[time.Duration]string{
		0: "in 1 second", time.Second: "in 1 second", 1500 * time.Millisecond: "in 2 seconds", 90 * time.Second: "in 90 seconds",
		91 * time.Second: "in 2 minutes", 10 * time.Minute: "in 10 minutes", 2 * time.Hour: "in 120 minutes",
		2*time.Hour + time.Second: "in 3 hours",
	} {
		if got, err := l.in(d); err != nil || string(got) != want {
			t.Errorf("%v: %q %v, want %q", d, got, err, want)
		}
	}
}

func TestAMessageWithAHoleIsAnError(t *testing.T) {
	l := mustLocales(t).get("en")
	for name, args := range map[string][]any{
		"an unknown key":          {"no.such.key"},
		"a missing value":         {"layout.return_to"},
		"a value without a name":  {"layout.return_to", "client"},
		"a name that is a number": {"layout.return_to", 1, "x"},
	} {
		if s, err := l.text(args[0].(string), args[1:]...); err == nil {
			t.Errorf("%s gives %q", name, s)
		}
	}
}

func TestMatch(t *testing.T) {
	tmpl := newTemplates(t)
	for _, c := range []struct {
		name      string
		uiLocales []string
		accept    string
		want      string
	}{
		{"nothing is English", nil, "", "en"},
		{"the browser is heard", nil, "it-IT,it;q=0.9,en;q=0.8", "it"},
		{"quality counts", nil, "it;q=0.2,en;q=0.9", "en"},
		{"the request comes before the browser", []string{"it"}, "en", "it"},
		{"the first of the request that we speak", []string{"tlh", "it", "en"}, "en", "it"},
		{"a region is no obstacle", []string{"it-CH"}, "", "it"},
		{"British English is English", []string{"en-GB"}, "it", "en"},
		{"what we do not speak falls to the browser", []string{"tlh"}, "it", "it"},
		{"nothing we speak is English", []string{"tlh"}, "tlh", "en"},
		{"malformed entries are skipped", []string{"!!", "it"}, "", "it"},
		{"a malformed header is ignored", nil, "it;q=;;,=", "en"},
		{"an oversized header is ignored", nil, "it," + strings.Repeat("x", maxAcceptLanguage), "en"},
		{"an oversized list is cut", append(slices.Repeat([]string{"tlh"}, maxUILocales), "it"), "", "en"},
		{"any language will do", nil, "*", "en"},
		{"Portuguese of anywhere is that of Brazil", nil, "pt-PT", "pt-BR"},
		{"Spanish of anywhere is Spanish", nil, "es-419,en;q=0.5", "es"},
		{"Arabic of anywhere is Arabic", []string{"ar-EG"}, "", "ar"},
		{"French of Canada is French", nil, "fr-CA", "fr"},
		{"the code Java writes for Indonesian", nil, "in-ID", "id"},
	} {
		if got := tmpl.Match(c.uiLocales, c.accept); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	tmpl := newTemplates(f)
	for _, seed := range [][2]string{{"it en-GB", "it-IT,it;q=0.9"}, {"", "*"}, {"x-klingon", "q=1;;,"}, {"de-u-rg-chzzzz", "\x00"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, uiLocales, accept string) {
		got := tmpl.Match(strings.Fields(uiLocales), accept)
		if !slices.Contains(tmpl.Languages(), got) {
			t.Errorf("matched %q, which is no language of ours", got)
		}
	})
}

func TestTheLanguagesOfTheDesign(t *testing.T) {
	want := []string{"en", "ar", "de", "es", "fr", "hi", "id", "it", "pt-BR"}
	if got := newTemplates(t).Languages(); !slices.Equal(got, want) {
		t.Errorf("languages are %v, want %v", got, want)
	}
}

func TestArabicIsWrittenFromTheRight(t *testing.T) {
	tmpl := newTemplates(t)
	for _, lang := range tmpl.Languages() {
		want := "ltr"
		if lang == "ar" {
			want = "rtl"
		}
		root := elements(parse(t, render(t, tmpl, sample{page: Home{}}, lang)), "html")[0]
		if value(root, "dir") != want || value(root, "lang") != lang {
			t.Errorf("%s: lang %q, dir %q", lang, value(root, "lang"), value(root, "dir"))
		}
	}
}

// A passcode is typed in the digits of the message, and a phone's last two are compared with what is on the phone.
func TestDigitsAreASCIIInEveryLanguage(t *testing.T) {
	everyPage(t, func(t *testing.T, _ sample, page string) {
		for _, r := range textOf(parse(t, page)) {
			if unicode.IsDigit(r) && r > '9' {
				t.Errorf("the page shows the digit %q", r)
			}
		}
	})
}

func TestUnknownLanguagesShowEnglish(t *testing.T) {
	page := render(t, newTemplates(t), sample{page: Home{}}, "tlh")
	if !strings.Contains(page, `lang="en"`) {
		t.Error("an unknown language is not shown in English")
	}
}

func TestWhatsAppLanguage(t *testing.T) {
	tmpl := newTemplates(t)
	for lang, want := range map[string]string{"en": "en_US", "it": "it", "es": "es", "pt-BR": "pt_BR", "hi": "hi", "id": "id",
		"de": "de", "fr": "fr", "ar": "ar", "": "en_US"} {
		if got := tmpl.WhatsAppLanguage(lang); got != want {
			t.Errorf("%q: %s, want %s", lang, got, want)
		}
	}
}
