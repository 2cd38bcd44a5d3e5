package sms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Selector finds one value in an answer: in a header, at a path of its JSON, or by a pattern in its text. At most one of
// them is set.
type Selector struct {
	// JSON is a path like messages.0.status.
	JSON string `yaml:"json"`
	// Pattern is a regular expression (RE2) with one group, the value.
	Pattern string `yaml:"pattern"`
	// Header is the name of a header.
	Header string `yaml:"header"`
}

// finder is a Selector that was looked at.
type finder struct {
	path    []string
	pattern *regexp.Regexp
	header  string
}

func (s Selector) compile() (finder, error) {
	set := 0
	for _, v := range []string{s.JSON, s.Pattern, s.Header} {
		if v != "" {
			set++
		}
	}
	if set > 1 {
		return finder{}, errors.New("name one of json, pattern and header")
	}
	f := finder{header: s.Header}
	if s.JSON != "" {
		f.path = strings.Split(s.JSON, ".")
	}
	if s.Pattern != "" {
		pattern, err := regexp.Compile(s.Pattern)
		if err != nil {
			return finder{}, fmt.Errorf("pattern: %w", err)
		}
		if pattern.NumSubexp() != 1 {
			return finder{}, errors.New("the pattern needs one group, which is the value")
		}
		f.pattern = pattern
	}
	return f, nil
}

// set says that there is something to find.
func (f finder) set() bool { return f.path != nil || f.pattern != nil || f.header != "" }

// find looks into an answer. A value that is not there is different from an empty one.
func (f finder) find(body []byte, header http.Header) (string, bool) {
	switch {
	case f.path != nil:
		v, ok := decodeJSON(body)
		if !ok {
			return "", false
		}
		return scalar(at(v, f.path))
	case f.pattern != nil:
		if m := f.pattern.FindSubmatch(body); m != nil {
			return string(m[1]), true
		}
	case f.header != "":
		if v := header.Values(f.header); len(v) == 1 {
			return v[0], true
		}
	}
	return "", false
}

// decodeJSON reads one JSON value and nothing after it; numbers stay as they are written.
func decodeJSON(body []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return nil, false
	}
	return v, true
}

// at follows a path: names in objects, positions in arrays. Nil is nothing.
func at(v any, path []string) any {
	for _, step := range path {
		switch here := v.(type) {
		case map[string]any:
			v = here[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(here) {
				return nil
			}
			v = here[i]
		default:
			return nil
		}
	}
	return v
}

// scalar is a string, number or boolean as text.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}
