package templates

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed locales/*.json
var localeFiles embed.FS

// locale is one language: the content of one file.
type locale struct {
	tag language.Tag // from the file's name

	// Dir is the direction of writing, "ltr" or "rtl".
	Dir string `json:"dir"`
	// WhatsApp is Meta's code for the language of the message template, such as "en_US".
	WhatsApp string `json:"whatsapp"`
	// Messages are the sentences by key.
	Messages map[string]message `json:"messages"`
}

// message is one sentence: a plain one under "other", or one form per plural category of CLDR.
type message map[string]string

func (m *message) UnmarshalJSON(b []byte) error {
	var plain string
	if json.Unmarshal(b, &plain) == nil {
		*m = message{"other": plain}
		return nil
	}
	return json.Unmarshal(b, (*map[string]string)(m))
}

// locales are all languages; the first is English, which every missing choice falls back to.
type locales struct {
	list    []*locale
	matcher language.Matcher
}

const fallbackLanguage = "en"

func loadLocales() (*locales, error) {
	files, err := fs.Glob(localeFiles, "locales/*.json")
	if err != nil {
		return nil, err
	}
	ls := &locales{}
	for _, file := range files {
		l, err := loadLocale(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if l.tag.String() == fallbackLanguage {
			ls.list = append([]*locale{l}, ls.list...)
		} else {
			ls.list = append(ls.list, l)
		}
	}
	tags := make([]language.Tag, len(ls.list))
	for i, l := range ls.list {
		tags[i] = l.tag
	}
	ls.matcher = language.NewMatcher(tags)
	return ls, nil
}

func loadLocale(file string) (*locale, error) {
	content, err := localeFiles.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var l locale
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, err
	}
	if l.tag, err = language.Parse(strings.TrimSuffix(path.Base(file), ".json")); err != nil {
		return nil, err
	}
	if l.Dir != "ltr" && l.Dir != "rtl" {
		return nil, fmt.Errorf("dir %q: want ltr or rtl", l.Dir)
	}
	if l.WhatsApp == "" {
		return nil, fmt.Errorf("whatsapp: the language code of Meta's template is needed")
	}
	return &l, nil
}

func (ls *locales) get(tag string) *locale {
	for _, l := range ls.list {
		if l.tag.String() == tag {
			return l
		}
	}
	return ls.list[0]
}

// Languages are the tags of all languages, English first.
func (t *Templates) Languages() []string {
	tags := make([]string, len(t.locales.list))
	for i, l := range t.locales.list {
		tags[i] = l.tag.String()
	}
	return tags
}

// Longer lists than these only cost time: a person reads few languages.
const (
	maxUILocales      = 20
	maxAcceptLanguage = 1000
)

// Match chooses the language for a person: ui_locales of the request first (OpenID Connect Core, 3.1.2.1), then the
// browser's Accept-Language, then English. Malformed entries are skipped. The result is one of Languages.
func (t *Templates) Match(uiLocales []string, acceptLanguage string) string {
	var wanted []language.Tag
	for _, s := range uiLocales[:min(len(uiLocales), maxUILocales)] {
		if tag, err := language.Parse(s); err == nil {
			wanted = append(wanted, tag)
		}
	}
	if len(acceptLanguage) <= maxAcceptLanguage {
		if tags, _, err := language.ParseAcceptLanguage(acceptLanguage); err == nil {
			wanted = append(wanted, tags...)
		}
	}
	// The index and not the tag: the matched tag carries what the person asked for besides (pt-BR-u-rg-ptzzzz).
	_, index, _ := t.locales.matcher.Match(wanted...)
	return t.locales.list[index].tag.String()
}

// WhatsAppLanguage is Meta's code of the message template for a language of Match.
func (t *Templates) WhatsAppLanguage(lang string) string { return t.locales.get(lang).WhatsApp }

// text is the sentence under key with its placeholders filled, as plain text. Arguments are names and values in turn;
// "n" also chooses the plural form. A key or a placeholder without a value is an error: the page is then not shown,
// rather than shown with holes.
func (l *locale) text(key string, args ...any) (string, error) {
	return l.fill(key, args, func(s string) string { return s }, func(v any) string { return fmt.Sprint(v) })
}

// rich is text for element content: values are escaped and isolated from the direction of the sentence around them, so
// that a client's name cannot turn it about; values that are already HTML stay.
func (l *locale) rich(key string, args ...any) (template.HTML, error) {
	s, err := l.fill(key, args, template.HTMLEscapeString, func(v any) string {
		switch v := v.(type) {
		case template.HTML:
			return string(v)
		case string:
			return "<bdi>" + template.HTMLEscapeString(v) + "</bdi>"
		default:
			return template.HTMLEscapeString(fmt.Sprint(v))
		}
	})
	return template.HTML(s), err
}

// fill writes the sentence's own words with literal and its values with show.
func (l *locale) fill(key string, args []any, literal func(string) string, show func(any) string) (string, error) {
	m, ok := l.Messages[key]
	if !ok {
		return "", fmt.Errorf("message %q: not in locale %s", key, l.tag)
	}
	if len(args)%2 != 0 {
		return "", fmt.Errorf("message %q: arguments must be names and values", key)
	}
	values := make(map[string]any, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		name, ok := args[i].(string)
		if !ok {
			return "", fmt.Errorf("message %q: argument name %v is not a string", key, args[i])
		}
		values[name] = args[i+1]
	}
	return expand(key, l.form(m, values["n"]), values, literal, show)
}

// form picks the plural form for n, "other" when there is no number or only one form.
func (l *locale) form(m message, n any) string {
	count, ok := n.(int)
	if !ok {
		return m["other"]
	}
	if s, ok := m[pluralForm(l.tag, count)]; ok {
		return s
	}
	return m["other"]
}

// pluralForm is the CLDR category of a whole number.
func pluralForm(tag language.Tag, n int) string {
	names := map[plural.Form]string{plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few",
		plural.Many: "many", plural.Other: "other"}
	return names[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)]
}

func expand(key, s string, values map[string]any, literal func(string) string, show func(any) string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{")
		b.WriteString(literal(before))
		if !found {
			return b.String(), nil
		}
		name, after, _ := strings.Cut(rest, "}")
		v, ok := values[name]
		if !ok {
			return "", fmt.Errorf("message %q: no value for {%s}", key, name)
		}
		b.WriteString(show(v))
		s = after
	}
}

// in says how long from now, rounded up to a unit a person would use: "in 30 seconds", "in 5 minutes".
func (l *locale) in(d time.Duration) (template.HTML, error) {
	s := ceilSeconds(d)
	key, n := "in.seconds", s
	switch {
	case s > 2*3600:
		key, n = "in.hours", (s+3599)/3600
	case s > 90:
		key, n = "in.minutes", (s+59)/60
	}
	return l.rich(key, "n", int(max(n, 1)))
}
