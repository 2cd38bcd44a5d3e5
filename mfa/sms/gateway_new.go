package sms

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/parola-id/parola/mfa"
)

// NewGateway returns a channel through the gateway that c describes, or says what is wrong with the description.
func NewGateway(c GatewayConfig) (*Gateway, error) {
	c.setDefaults()
	var w wants
	c.check(&w)
	g := &Gateway{account: c}
	codes := g.compile(&w)
	if err := w.err("gateway"); err != nil {
		return nil, err
	}
	g.carrier = newCarrier("gateway", c.Config, codes)
	return g, nil
}

func (c *GatewayConfig) setDefaults() {
	for s, otherwise := range map[*string]string{
		&c.Method: http.MethodPost, &c.Encodings.GSM: "gsm", &c.Encodings.Unicode: "unicode",
		&c.Receipt.Method: http.MethodPost, &c.Receipt.Type: "json", &c.Receipt.Auth: "token",
		&c.Receipt.Algorithm: "sha256", &c.Receipt.Encoding: "hex",
	} {
		if *s == "" {
			*s = otherwise
		}
	}
	c.BaseURL, _, _ = strings.Cut(c.URL, "?") // what carrier.check looks at
}

func (c GatewayConfig) check(w *wants) {
	c.Config.check(w)
	w.that(slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut}, c.Method), "the method is GET, POST or PUT")
	w.that(c.BodyType == "query" || c.Method != http.MethodGet, "a GET has no body: set body_type query")
	switch c.Auth {
	case "":
	case "basic":
		w.that(c.Username != "" && c.Password != "", "auth basic needs username and password")
	case "bearer":
		w.that(c.Token != "", "auth bearer needs a token")
	case "header":
		w.that(c.Token != "" && httpguts.ValidHeaderFieldName(c.AuthHeader), "auth header needs a token and auth_header")
	default:
		w.that(false, "auth is basic, bearer, header or nothing")
	}
	w.that(httpguts.ValidHeaderFieldValue(c.Token), "the token cannot stand in a header")
}

// compile takes the templates and rules apart, and returns the table of codes.
func (g *Gateway) compile(w *wants) []mfa.Code {
	var err error
	keep := func(what string, err error) {
		if err != nil {
			*w = append(*w, fmt.Errorf("%s: %w", what, err))
		}
	}
	c := g.account
	g.request, err = c.compileRequest()
	keep("request", err)
	if c.CheckURL != "" {
		g.checkURL, err = parseTemplate(c.CheckURL, []string{"username", "password", "token"}, inURL(c.CheckURL))
		keep("check_url", err)
	}
	g.success, err = c.Success.compile()
	keep("success", err)
	g.id, err = c.MessageID.compile()
	keep("message_id", err)
	g.refusal, err = c.Refusal.compile()
	keep("refusal", err)
	w.that(g.success.set() || g.id.set(), "success must look into the answer: name a value of it, or message_id")
	g.statuses = make(map[int]verdict, len(c.Refusal.Statuses))
	for status, s := range c.Refusal.Statuses {
		g.statuses[status], err = parseVerdict(s)
		keep(fmt.Sprintf("refusal.statuses: %d", status), err)
	}
	g.receipt, err = c.Receipt.compile()
	keep("receipt", err)
	if len(c.Receipt.Outcomes) > 0 {
		w.that(filled(c.CallbackSecrets), "set a callback secret: without it no receipt can be trusted")
		w.that(c.Receipt.Auth != "token" || g.request.has("callback"),
			"receipt.auth token needs {callback} in the request; a gateway with one fixed address takes secret, hmac or basic")
	} else {
		w.that(!g.request.has("callback"), "{callback} without receipt.outcomes asks for receipts that nobody reads")
	}
	codes, err := codeTable(c.Refusal.Classes)
	keep("refusal.classes", err)
	return codes
}

// verdict is a class as configuration writes it: "C", or "C/country".
type verdict struct {
	class mfa.Class
	scope mfa.Scope
}

func parseVerdict(s string) (verdict, error) {
	class, scope, scoped := strings.Cut(s, "/")
	v := verdict{class: mfa.Class(class), scope: mfa.Scope(scope)}
	switch v.class {
	case classR, classC:
		if !scoped {
			v.scope = ofCarrier
		}
	case classS, classN:
		if !scoped {
			v.scope = ofMessage
		}
	default:
		return verdict{}, fmt.Errorf("%q: a class is R, S, C or N", s)
	}
	if !slices.Contains([]mfa.Scope{ofMessage, ofCountry, ofCarrier}, v.scope) {
		return verdict{}, fmt.Errorf("%q: a class speaks of message, country or carrier", s)
	}
	return v, nil
}

func (v verdict) failure(code string) mfa.Failure {
	return mfa.Failure{Class: v.class, Code: code, Scope: v.scope}
}

func codeTable(classes map[string]string) ([]mfa.Code, error) {
	var codes []mfa.Code
	var errs []error
	for code, s := range classes {
		v, err := parseVerdict(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("code %q: %w", code, err))
		}
		codes = append(codes, mfa.Code{Code: code, Class: v.class, Scope: v.scope, Meaning: "as configured"})
	}
	return codes, errors.Join(errs...)
}

// gatewayRequest is the request with its templates taken apart.
type gatewayRequest struct {
	method, contentType string
	url, body           template
	headers             map[string]template
}

// bodyTypes are what Body may be: where its placeholders stand, what it is called, and whether a filled one is whole.
var bodyTypes = map[string]struct {
	placed      func(body string) func(int) place
	contentType string
	whole       func(string) error
}{
	"json": {inJSONText, "application/json", wholeJSON},
	"form": {func(string) func(int) place { return everywhere(inForm) }, "application/x-www-form-urlencoded", wholeForm},
	"xml":  {func(string) func(int) place { return everywhere(inXML) }, "application/xml", wholeXML},
	"text": {func(string) func(int) place { return everywhere(inText) }, "text/plain; charset=utf-8", func(string) error { return nil }},
}

func wholeJSON(s string) error {
	if !json.Valid([]byte(s)) {
		return errors.New("it is no JSON")
	}
	return nil
}

func wholeForm(s string) error {
	_, err := url.ParseQuery(s)
	return err
}

func wholeXML(s string) error {
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
