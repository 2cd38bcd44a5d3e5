package whatsapp

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// languages are those in which the template is approved, in Meta's spelling; the first is the default.
type languages struct {
	codes []string
	tags  []language.Tag
}

func parseLanguages(codes []string) (languages, error) {
	l := languages{codes: slices.Clone(codes)}
	for _, code := range codes {
		tag, err := language.Parse(strings.ReplaceAll(code, "_", "-"))
		if err != nil {
			return languages{}, fmt.Errorf("template language %q is not one of Meta's codes, such as en_US", code)
		}
		l.tags = append(l.tags, tag)
	}
	return l, nil
}

// only leaves those that may be sent at the moment.
func (l languages) only(usable func(code string) bool) languages {
	var left languages
	for i, code := range l.codes {
		if usable(code) {
			left.codes, left.tags = append(left.codes, code), append(left.tags, l.tags[i])
		}
	}
	return left
}

// forLocale is the nearest to what the person reads: by CLDR's distances, else one with the same base language in
// another script or country, else the default. There must be one language at least.
func (l languages) forLocale(locale string) string {
	tag, err := language.Parse(locale)
	if err != nil {
		return l.codes[0]
	}
	if _, i, confidence := language.NewMatcher(l.tags).Match(tag); confidence != language.No {
		return l.codes[i]
	}
	base, _ := tag.Base()
	for i := range l.tags {
		if b, _ := l.tags[i].Base(); b == base {
			return l.codes[i]
		}
	}
	return l.codes[0]
}

// spelling finds a language that a webhook names: Meta writes en-US there and en_US elsewhere.
func (l languages) spelling(code string) (string, bool) {
	for _, ours := range l.codes {
		if strings.EqualFold(ours, strings.ReplaceAll(code, "-", "_")) {
			return ours, true
		}
	}
	return "", false
}
