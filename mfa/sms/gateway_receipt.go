package sms

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" // some gateways sign with it
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/parola-id/parola/mfa"
)

// secretParameter carries a callback secret in the one address of a gateway that signs nothing.
const secretParameter = "secret"

// maxGatewayReceipts bounds a callback with a list.
const maxGatewayReceipts = 256 << 10

// outcomes are the words of configuration for what became of a message; the empty one changes nothing.
var outcomes = map[string]mfa.Status{
	"sent": mfa.StatusSent, "delivered": mfa.StatusDelivered, "read": mfa.StatusRead, "failed": mfa.StatusFailed, "ignored": "",
}

// gatewayReceipt is a GatewayReceipt that was looked at.
type gatewayReceipt struct {
	GatewayReceipt
	items, id, messageID, status, err []string // paths
	classes                           map[string]verdict
	newHash                           func() hash.Hash
	decode                            func(string) ([]byte, error)
}

func (c GatewayReceipt) compile() (gatewayReceipt, error) {
	r := gatewayReceipt{
		GatewayReceipt: c, items: pathOf(c.Items), id: pathOf(c.ID), messageID: pathOf(c.MessageID),
		status: pathOf(c.Status), err: pathOf(c.Error), classes: make(map[string]verdict, len(c.Classes)),
	}
	if len(c.Outcomes) == 0 {
		return r, nil
	}
	var errs []error
	want := func(ok bool, sentence string) {
		if !ok {
			errs = append(errs, errors.New(sentence))
		}
	}
	want(c.Method == http.MethodPost || c.Method == http.MethodGet, "the method is POST or GET")
	want(c.Type == "json" || c.Type == "form", "the type is json or form")
	want(c.Items == "" || c.isJSON(), "items are for JSON")
	want(c.Status != "", "name the field with the status")
	want(c.Auth == "token" || c.ID != "" || c.MessageID != "", "name the field id or message_id: one of them says which message it is")
	for status, outcome := range c.Outcomes {
		_, known := outcomes[outcome]
		want(known, fmt.Sprintf("outcomes: %q: %q is none of sent, delivered, read, failed, ignored", status, outcome))
	}
	for code, s := range c.Classes {
		v, err := parseVerdict(s)
		want(err == nil, fmt.Sprintf("classes: code %q: %v", code, err))
		r.classes[code] = v
	}
	r.newHash = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}[c.Algorithm]
	r.decode = map[string]func(string) ([]byte, error){"hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString}[c.Encoding]
	switch c.Auth {
	case "token", "secret":
	case "basic":
		want(c.Username != "", "auth basic needs a username")
	case "hmac":
		want(c.Method == http.MethodPost, "an hmac is over a body, which GET has not")
		want(httpguts.ValidHeaderFieldName(c.Header), "auth hmac needs the header of the signature")
		want(r.newHash != nil, "the algorithm is sha1, sha256 or sha512")
		want(r.decode != nil, "the encoding is hex or base64")
	default:
		want(false, "auth is token, secret, hmac or basic")
	}
	return r, errors.Join(errs...)
}

func (c GatewayReceipt) isJSON() bool { return c.Method == http.MethodPost && c.Type == "json" }

func pathOf(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ".")
}

// receiptURL is where receipts for one message go. Its token proves to us that we asked for them.
func (g *Gateway) receiptURL(deliveryID string) string {
	if len(g.account.CallbackSecrets) == 0 {
		return g.cfg.CallbackURL
	}
	query := url.Values{deliveryParameter: {deliveryID}, tokenParameter: {g.token(g.account.CallbackSecrets[0], deliveryID)}}
	return g.cfg.CallbackURL + "?" + query.Encode()
}

// Handler is the URL of the gateway's receipts (WH-02).
func (g *Gateway) Handler(receive func(context.Context, []mfa.Report) error) http.Handler {
	return with200(g.handler(receive, g.receipts, maxGatewayReceipts, g.receipt.Method))
}

func (g *Gateway) receipts(r *http.Request, body []byte) ([]mfa.Report, *rejection) {
	if len(g.receipt.Outcomes) == 0 {
		return nil, &rejection{http.StatusNotFound, "no_receipts_expected"}
	}
	if rejected := g.genuine(r, body); rejected != nil {
		return nil, rejected
	}
	items, err := g.receipt.parse(r, body)
	if err != nil {
		return nil, &rejection{http.StatusBadRequest, "malformed"}
	}
	if len(items) > mfa.MaxReports {
		return nil, &rejection{http.StatusRequestEntityTooLarge, "too_many"}
	}
	var reports []mfa.Report
	for _, item := range items {
		if report, worth := g.report(item); worth {
			if g.receipt.Auth == "token" { // the token is for this one message, whatever the body says
				report.DeliveryID = r.URL.Query().Get(deliveryParameter)
			}
			reports = append(reports, report)
		}
	}
	return reports, nil
}

// genuine says whether the callback was made by somebody who knows a secret.
func (g *Gateway) genuine(r *http.Request, body []byte) *rejection {
	query, secrets := r.URL.Query(), g.account.CallbackSecrets
	switch g.receipt.Auth {
	case "token":
		if g.tokenFits(secrets, query.Get(deliveryParameter), query.Get(tokenParameter)) {
			return nil
		}
		return &rejection{http.StatusForbidden, "token_wrong"}
	case "secret":
		if oneOf(secrets, query.Get(secretParameter)) {
			return nil
		}
		return &rejection{http.StatusForbidden, "secret_wrong"}
	case "basic":
		username, password, _ := r.BasicAuth()
		if oneOf(secrets, password) && username == g.receipt.Username {
			return nil
		}
		return &rejection{http.StatusUnauthorized, "credentials_wrong"}
	default:
		if g.receipt.signed(secrets, r.Header.Get(g.receipt.Header), body) {
			return nil
		}
		return &rejection{http.StatusForbidden, "signature_wrong"}
	}
}

// oneOf compares with all secrets, so that the time does not tell which one fits.
func oneOf(secrets []string, given string) bool {
	fits := 0
	for _, secret := range secrets {
		fits |= subtle.ConstantTimeCompare([]byte(secret), []byte(given))
	}
	return fits == 1
}

func (c gatewayReceipt) signed(secrets []string, signature string, body []byte) bool {
	encoded, prefixed := strings.CutPrefix(signature, c.Prefix)
	given, err := c.decode(encoded)
	if err != nil || !prefixed {
		return false
	}
	fits := 0
	for _, secret := range secrets {
		mac := hmac.New(c.newHash, []byte(secret))
		mac.Write(body)
		fits |= subtle.ConstantTimeCompare(mac.Sum(nil), given)
	}
	return fits == 1
}

// parse returns the receipts of a callback, each as JSON would have it.
func (c gatewayReceipt) parse(r *http.Request, body []byte) ([]any, error) {
	switch {
	case c.Method == http.MethodGet:
		return []any{object(r.URL.Query())}, nil
	case c.Type == "form":
		form, err := readForm(r, body)
		return []any{object(form)}, err
	}
	v, ok := decodeJSON(body)
	if !ok {
		return nil, errors.New("not JSON")
	}
	if c.items == nil {
		return []any{v}, nil
	}
	items, ok := at(v, c.items).([]any)
	if !ok {
		return nil, errors.New("no list of receipts")
	}
	return items, nil
}

// object is a form as an object: a field that comes twice is none.
func object(form url.Values) map[string]any {
	o := make(map[string]any, len(form))
	for name, values := range form {
		if len(values) == 1 {
			o[name] = values[0]
		}
	}
	return o
}

// report turns one receipt into a report; one that changes nothing is not worth one.
func (g *Gateway) report(item any) (mfa.Report, bool) {
	field := func(path []string) string {
		if path == nil {
			return ""
		}
		s, _ := scalar(at(item, path))
		return s
	}
	c := g.receipt
	report := mfa.Report{DeliveryID: field(c.id), MessageID: field(c.messageID), Status: outcomes[c.Outcomes[field(c.status)]]}
	if report.Status == mfa.StatusFailed {
		report.Failure = mfa.Failure{Class: classS, Code: "none", Scope: ofMessage}
		if code := field(c.err); code != "" {
			report.Failure.Code = g.codeWord(code)
			if v, known := c.classes[code]; known {
				report.Failure = v.failure(code)
			}
		}
	}
	return report, report.Status != ""
}
