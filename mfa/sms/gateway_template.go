package sms

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// place is where a placeholder stands; it decides how the value is written there, so that no text, name or number can
// break out of it.
type place int

const (
	inPath   place = iota // of a URL
	inForm                // of a form, or the query of a URL
	inString              // between the quotes of JSON
	inJSON                // outside of them: a whole JSON value
	inXML                 // character data or an attribute
	inLine                // a header: values that were looked at when the gateway was made
	inText                // plain text, which has nothing to break out of
)

// write encodes a value for the place.
func (p place) write(v value) string {
	switch p {
	case inPath:
		return url.PathEscape(v.text)
	case inForm:
		return url.QueryEscape(v.text)
	case inString:
		quoted := quote(v.text)
		return quoted[1 : len(quoted)-1]
	case inJSON:
		if v.bare {
			return v.text
		}
		return quote(v.text)
	case inXML:
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(v.text)) // a strings.Builder takes everything
		return b.String()
	default:
		return v.text
	}
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // no string fails
	}
	return string(b)
}

// value fills a placeholder. A bare one is a number or boolean, which JSON writes without quotes.
type value struct {
	text string
	bare bool
}

type values map[string]value

// placeholderForm is what a placeholder looks like. An object of JSON never does: its first character is a quote.
var placeholderForm = regexp.MustCompile(`\{[a-z_]+\}`)

// piece is literal text, or the name of a placeholder and where it stands.
type piece struct {
	literal, name string
	place         place
}

// template is a text with placeholders, taken apart.
type template []piece

// parseTemplate takes s apart; placed says where the placeholder stands that begins at an offset. An unknown name is an
// error, because a mistyped placeholder would reach a person as it is.
func parseTemplate(s string, names []string, placed func(offset int) place) (template, error) {
	var t template
	end := 0
	for _, at := range placeholderForm.FindAllStringIndex(s, -1) {
		name := s[at[0]+1 : at[1]-1]
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no placeholder {%s}; there are {%s}", name, strings.Join(names, "}, {"))
		}
		t = append(t, piece{literal: s[end:at[0]]}, piece{name: name, place: placed(at[0])})
		end = at[1]
	}
	return append(t, piece{literal: s[end:]}), nil
}

// fill writes the text with its values.
func (t template) fill(v values) string {
	var b strings.Builder
	for _, p := range t {
		if p.name == "" {
			b.WriteString(p.literal)
		} else {
			b.WriteString(p.place.write(v[p.name]))
		}
	}
	return b.String()
}

// has says whether a placeholder is used.
func (t template) has(name string) bool {
	return slices.ContainsFunc(t, func(p piece) bool { return p.name == name })
}

func everywhere(p place) func(int) place { return func(int) place { return p } }

// inURL tells the path of a URL from its query.
func inURL(s string) func(int) place {
	query := strings.IndexByte(s, '?')
	return func(offset int) place {
		if query >= 0 && offset > query {
			return inForm
		}
		return inPath
	}
}

// inJSONText tells strings of a JSON text from what is between them.
func inJSONText(s string) func(int) place {
	quoted := make([]bool, len(s))
	inside, escaped := false, false
	for i := range len(s) {
		quoted[i] = inside
		switch {
		case escaped:
			escaped = false
		case inside && s[i] == '\\':
			escaped = true
		case s[i] == '"':
			inside = !inside
		}
	}
	return func(offset int) place {
		if quoted[offset] {
			return inString
		}
		return inJSON
	}
}
