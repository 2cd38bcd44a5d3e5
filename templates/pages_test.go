package templates

import (
	"bytes"
	"testing"
)

func render(t testing.TB, tmpl *Templates, s sample, lang string) string {
	t.Helper()
	s.view.Language = lang
	var b bytes.Buffer
	if err := s.page.Render(&b, tmpl, s.view); err != nil {
		t.Fatalf("%s in %s: %v", s.name, lang, err)
	}
	return b.String()
}
