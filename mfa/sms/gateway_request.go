package sms

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/parola-id/parola/mfa"
)

// compileRequest takes the templates of a request apart, and tries them once with values that would break out of their
// place if they could.
func (c GatewayConfig) compileRequest() (gatewayRequest, error) {
	address, body := c.URL, c.Body
	r := gatewayRequest{method: c.Method, headers: make(map[string]template, len(c.Headers))}
	switch kind, ok := bodyTypes[c.BodyType]; {
	case c.BodyType == "query":
		address, body = joinQuery(address, body), ""
	case !ok:
		return r, errors.New("body_type is json, form, query, xml or text")
	default:
		var err error
		if r.body, err = parseTemplate(body, gatewayPlaceholders, kind.placed(body)); err != nil {
			return r, fmt.Errorf("body: %w", err)
		}
		if err := kind.whole(r.body.fill(hostileValues)); err != nil {
			return r, fmt.Errorf("body of type %s: %w", c.BodyType, err)
		}
		r.contentType = kind.contentType
	}
	if err := r.compileURL(address); err != nil {
		return r, err
	}
	for name, text := range c.Headers {
		if err := r.compileHeader(name, text); err != nil {
			return r, fmt.Errorf("header %q: %w", name, err)
		}
	}
	if !(r.has("to") || r.has("to_digits")) || !r.has("text") {
		return r, errors.New("it needs {text}, and {to} or {to_digits}")
	}
	return r, nil
}

func joinQuery(address, query string) string {
	if strings.Contains(address, "?") {
		return address + "&" + query
	}
	return address + "?" + query
}

func (r *gatewayRequest) compileURL(address string) error {
	var err error
	if r.url, err = parseTemplate(address, gatewayPlaceholders, inURL(address)); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	plain, err := url.Parse(r.url.fill(values{}))
	if err != nil {
		return errors.New("url: it is no URL")
	}
	hostile, err := url.Parse(r.url.fill(hostileValues))
	if err != nil || hostile.Scheme != plain.Scheme || hostile.Host != plain.Host || plain.Fragment != "" {
		return errors.New("url: placeholders may stand behind the host only, and it has no fragment")
	}
	return nil
}

// compileHeader refuses what has no place in a header: the text has line ends and letters of every script.
func (r *gatewayRequest) compileHeader(name, text string) error {
	t, err := parseTemplate(text, gatewayPlaceholders, everywhere(inLine))
	switch {
	case err != nil:
		return err
	case t.has("text"):
		return errors.New("{text} cannot stand in a header")
	case !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(text):
		return errors.New("it is no header")
	}
	r.headers[name] = t
	return nil
}

// hostileValues would end strings, parameters, elements and addresses.
var hostileValues = func() values {
	v := make(values, len(gatewayPlaceholders))
	for _, name := range gatewayPlaceholders {
		v[name] = value{text: "\"'\\&=?#/:@%<>{}]]>\n\u2028é"}
	}
	for _, name := range []string{"validity_seconds", "validity_minutes"} {
		v[name] = value{text: "300", bare: true}
	}
	return v
}()

// has says whether a placeholder is used anywhere.
func (r gatewayRequest) has(name string) bool {
	for _, t := range r.headers {
		if t.has(name) {
			return true
		}
	}
	return r.url.has(name) || r.body.has(name)
}

// make writes the request for one message.
func (r gatewayRequest) make(v values) (*http.Request, error) {
	var body io.Reader
	if r.contentType != "" {
		body = strings.NewReader(r.body.fill(v))
	}
	req, err := http.NewRequest(r.method, r.url.fill(v), body)
	if err != nil {
		return nil, notMade()
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	for name, t := range r.headers {
		line := t.fill(v)
		if !httpguts.ValidHeaderFieldValue(line) {
			return nil, notMade()
		}
		req.Header.Set(name, line)
	}
	return req, nil
}

// notMade is the answer to a request that could not be written: nobody was called. The reason may quote the message.
func notMade() error {
	return &mfa.Refused{Failure: mfa.Failure{Class: classC, Code: "request", Scope: ofMessage}, NotSent: true}
}
