package templates

import (
	"strings"
	"testing"
)

func TestNoticeNamesTheServiceInEveryLanguage(t *testing.T) {
	tmpl := newTemplates(t)
	seen := map[string]string{}
	for _, lang := range tmpl.Languages() {
		text, err := tmpl.Notice(lang, "not_requested", "Banca\nEsempio")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, "Banca Esempio") || strings.Contains(text, "\n") {
			t.Errorf("%s: %q", lang, text)
		}
		if other := seen[text]; other != "" {
			t.Errorf("%s says what %s says", lang, other)
		}
		seen[text] = lang
	}
}

func TestANoticeWithoutWordsIsAnError(t *testing.T) {
	if text, err := newTemplates(t).Notice("en", "greeting", "Parola"); err == nil {
		t.Errorf("says %q", text)
	}
}
