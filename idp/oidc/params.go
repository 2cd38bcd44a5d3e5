package oidc

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of INP-01 and of our own columns.
const (
	maxBody   = 64 << 10
	maxFields = 64
	maxValue  = 4 << 10
)

// postForm reads the form of a machine endpoint: POST, form-encoded, parameters in the body alone (OA-30), each at most
// once, empty ones absent (OA-09).
func postForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		e := refuse(errInvalidRequest, "use POST")
		e.status = http.StatusMethodNotAllowed
		return nil, e
	}
	if err := parseBody(w, r); err != nil {
		return nil, err
	}
	// A parameter in the URL reaches logs and proxies, so none is read from there; one that is sent is a mistake to tell.
	if r.URL.RawQuery != "" {
		return nil, refuse(errInvalidRequest, "send parameters in the body, not in the URL")
	}
	return single(r.PostForm)
}

// parseBody parses a form-encoded body of bounded size into r.PostForm and r.Form.
func parseBody(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodPost {
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || media != "application/x-www-form-urlencoded" {
			return refuse(errInvalidRequest, "the body must be application/x-www-form-urlencoded")
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	}
	if err := r.ParseForm(); err != nil {
		e := refuse(errInvalidRequest, "the parameters could not be parsed")
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			e.status, e.page = http.StatusRequestEntityTooLarge, PageTooLarge
		}
		return e
	}
	return nil
}

// single copies values without empty ones and refuses repeated, overlong or ill-encoded parameters: fosite takes the
// first of several silently (A6).
func single(values url.Values) (url.Values, error) {
	if len(values) > maxFields {
		return nil, refuse(errInvalidRequest, "too many parameters")
	}
	form := make(url.Values, len(values))
	for name, list := range values {
		if len(list) > 1 {
			return nil, refuse(errInvalidRequest, "a parameter was sent more than once")
		}
		if len(list[0]) > maxValue || !utf8.ValidString(list[0]) {
			return nil, refuse(errInvalidRequest, "a parameter is too long or not UTF-8")
		}
		if list[0] != "" {
			form.Set(name, list[0])
		}
	}
	return form, nil
}

// words splits a space-separated list and drops repetitions.
func words(list string) []string {
	var unique []string
	for word := range strings.SplitSeq(list, " ") {
		if word != "" && !slices.Contains(unique, word) {
			unique = append(unique, word)
		}
	}
	return unique
}
