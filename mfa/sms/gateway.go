package sms

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/parola-id/parola/internal/gsm7"
	"github.com/parola-id/parola/mfa"
)

// Gateway sends passcodes through a carrier that configuration describes. It implements mfa.Channel.
type Gateway struct {
	carrier
	account  GatewayConfig
	request  gatewayRequest
	checkURL template
	success  finder
	id       finder
	refusal  finder
	statuses map[int]verdict
	receipt  gatewayReceipt
}

var _ mfa.Channel = (*Gateway)(nil)

// Send implements mfa.Channel.
func (g *Gateway) Send(ctx context.Context, m mfa.Message) (mfa.Sent, error) {
	text, err := g.text(m)
	if err != nil {
		return mfa.Sent{}, err
	}
	req, err := g.request.make(g.values(m, text))
	if err != nil {
		return mfa.Sent{}, err
	}
	g.authenticate(req)
	var header http.Header
	answer, err := mfa.Call(ctx, keepingHeader(g.httpClient, &header), req)
	if err != nil {
		return mfa.Sent{}, err
	}
	return g.read(answer, header)
}

// values fill the placeholders for one message.
func (g *Gateway) values(m mfa.Message, text string) values {
	encoding := g.account.Encodings.GSM
	if !gsm7.Fits(text) {
		encoding = g.account.Encodings.Unicode
	}
	const most = 24 * time.Hour
	number := func(n int) value { return value{text: strconv.Itoa(n), bare: true} }
	return values{
		"to": {text: m.To.Reveal()}, "to_digits": {text: digits(m.To)}, "text": {text: text}, "from": {text: g.account.From},
		"id": {text: m.DeliveryID}, "callback": {text: g.receiptURL(m.DeliveryID)}, "encoding": {text: encoding},
		"validity_seconds": number(validity(m.ValidFor, time.Second, time.Second, most)),
		"validity_minutes": number(validity(m.ValidFor, time.Minute, time.Minute, most)),
		"username":         {text: g.account.Username}, "password": {text: g.account.Password}, "token": {text: g.account.Token},
	}
}

// gatewayPlaceholders are the names of values.
var gatewayPlaceholders = []string{"to", "to_digits", "text", "from", "id", "callback", "encoding", "validity_seconds",
	"validity_minutes", "username", "password", "token"}

func (g *Gateway) authenticate(req *http.Request) {
	switch g.account.Auth {
	case "basic":
		req.SetBasicAuth(g.account.Username, g.account.Password)
	case "bearer":
		req.Header.Set("Authorization", "Bearer "+g.account.Token)
	case "header":
		req.Header.Set(g.account.AuthHeader, g.account.Token)
	}
}

// read tells from an answer whether the message was taken. What shows neither a yes nor a no leaves the outcome unknown.
func (g *Gateway) read(a mfa.Answer, header http.Header) (mfa.Sent, error) {
	code, coded := g.refusal.find(a.Body, header)
	if !g.takes(a.Status) {
		return mfa.Sent{}, g.no(a, code, coded)
	}
	id, identified := g.id.find(a.Body, header)
	if !g.success.set() {
		if identified {
			return mfa.Sent{MessageID: id}, nil
		}
	} else if v, found := g.success.find(a.Body, header); found {
		if len(g.account.Success.Values) == 0 || slices.Contains(g.account.Success.Values, v) {
			return mfa.Sent{MessageID: id}, nil
		}
		if !coded {
			code, coded = v, true
		}
	}
	if coded {
		return mfa.Sent{}, g.refused(g.codeWord(code))
	}
	return mfa.Sent{}, fmt.Errorf("gateway answered %d without saying what became of the message", a.Status)
}

func (g *Gateway) takes(status int) bool {
	if len(g.account.Success.Statuses) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(g.account.Success.Statuses, status)
}

// no judges an answer whose status is none of success. A code decides where it is known; a status of 5xx alone does not
// say that nothing went out, unless the configuration says so.
func (g *Gateway) no(a mfa.Answer, code string, coded bool) error {
	word := g.codeWord(code)
	if _, known := g.codes[word]; coded && (known || a.Status >= 300 && a.Status <= 499) {
		return g.refused(word)
	}
	if v, known := g.statuses[a.Status]; known {
		return &mfa.Refused{Failure: v.failure("http_" + strconv.Itoa(a.Status)), NotSent: true}
	}
	return notInTheBook(a)
}

// keepingHeader is c with an ear for the header of an answer, which mfa.Answer has not.
func keepingHeader(c *http.Client, header *http.Header) *http.Client {
	next := c.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	listening := *c
	listening.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err == nil {
			*header = resp.Header
		}
		return resp, err
	})
	return &listening
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// unlistedCode is what a code of no table may look like. It ends in events, and a field that was named by mistake may hold
// a sentence, a number or the passcode.
var (
	unlistedCode = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)
	sixDigits    = regexp.MustCompile(`[0-9]{6}`)
)

func (g *Gateway) codeWord(code string) string {
	if _, listed := g.codes[code]; listed || unlistedCode.MatchString(code) && !sixDigits.MatchString(code) {
		return code
	}
	return "none"
}
