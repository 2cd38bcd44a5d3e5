package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

// Config is what every SMS carrier needs beside its account.
type Config struct {
	// BaseURL is the carrier's API; where a carrier has one address for everybody, that is the default.
	BaseURL string
	// CallbackURL is the public URL of Handler, as the carrier reaches it. Some carriers sign it, so it comes from
	// configuration and never from a request (WH-02).
	CallbackURL string
	// Text writes the message in the person's language.
	Text func(locale, passcode string) (string, error)
	// HTTPClient carries the calls; redirects are never followed. Nil is a default one.
	HTTPClient *http.Client
	Log        *slog.Logger
	// Rejected hears of callbacks that were not taken: a short word, never their content. It may be nil.
	Rejected func(ctx context.Context, reason string)
}

// carrier is what the adapters share.
type carrier struct {
	name       string
	cfg        Config
	httpClient *http.Client
	codes      map[string]mfa.Code
	// large is what large callbacks wait their turn in.
	large chan struct{}
}

// newCarrier fills the gaps of c. What is wrong with c says c.check.
func newCarrier(name string, c Config, codes []mfa.Code) carrier {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Rejected == nil {
		c.Rejected = func(context.Context, string) {}
	}
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	byCode := make(map[string]mfa.Code, len(codes))
	for _, code := range codes {
		byCode[code.Code] = code
	}
	return carrier{
		name: name, cfg: c, httpClient: mfa.CarrierClient(c.HTTPClient), codes: byCode, large: make(chan struct{}, largeAtOnce),
	}
}

// wants collects what a configuration lacks, so that its author reads everything at once.
type wants []error

func (w *wants) that(ok bool, sentence string) {
	if !ok {
		*w = append(*w, errors.New(sentence))
	}
}

func (w wants) err(name string) error {
	if len(w) == 0 {
		return nil
	}
	return fmt.Errorf("sms: %s: %w", name, errors.Join(w...))
}

// check adds to w what c lacks.
func (c Config) check(w *wants) {
	base, err := url.Parse(c.BaseURL)
	w.that(err == nil && absolute(base) && base.RawQuery == "", "the base URL must be absolute and without a query")
	callback, err := url.Parse(c.CallbackURL)
	w.that(err == nil && absolute(callback) && callback.RawQuery == "" && callback.Fragment == "" && callback.User == nil,
		"the callback URL must be the public URL of this server, absolute and without a query")
	w.that(c.Text != nil, "a text is required")
}

func absolute(u *url.URL) bool { return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") }

// filled says that there is at least one value and none is empty.
func filled(values []string) bool {
	for _, v := range values {
		if v == "" {
			return false
		}
	}
	return len(values) > 0
}

// text writes the message.
func (c carrier) text(m mfa.Message) (string, error) {
	text, err := c.cfg.Text(m.Locale, m.Passcode.Reveal())
	if err != nil {
		c.cfg.Log.Error("write sms text", "carrier", c.name, "err", err)
		return "", &mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: "text"}, NotSent: true}
	}
	return text, nil
}

// digits is the number in the form of carriers that want it without "+".
func digits(p mfa.Phone) string { return strings.TrimPrefix(p.Reveal(), "+") }

// validity is what is left of the passcode's life in whole units, within what the carrier takes. It is rounded down: a
// carrier must not hold a passcode in its queue beyond its end.
func validity(left, unit, least, most time.Duration) int {
	return int(min(max(left, least), most) / unit)
}

// failure says what a code means, or that nobody has told us: then otherwise is the class.
func (c carrier) failure(code string, otherwise mfa.Class) mfa.Failure {
	if known, ok := c.codes[code]; ok {
		return mfa.Failure{Class: known.Class, Code: code, Scope: known.Scope}
	}
	return mfa.Failure{Class: otherwise, Code: code, Scope: mfa.ScopeMessage}
}

// refused is a carrier's no: the message has not gone out. A code that no table knows is of class C, because an operator
// must look.
func (c carrier) refused(code string) *mfa.Refused {
	return &mfa.Refused{Failure: c.failure(code, mfa.ClassConfig), NotSent: true}
}

// notInTheBook judges an answer without a code of the carrier by its HTTP status alone. Only a 3xx or 4xx is a no; whatever
// else it is, a message that may have gone out must not be taken for one that did not.
func notInTheBook(a mfa.Answer) error {
	f := mfa.Failure{Class: mfa.ClassConfig, Code: "http_" + strconv.Itoa(a.Status), Scope: mfa.ScopeMessage}
	switch {
	case a.Status == http.StatusTooManyRequests:
		f.Class, f.Scope = mfa.ClassRetry, mfa.ScopeCarrier
	case a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden:
		f.Scope = mfa.ScopeCarrier
	case a.Status >= 300 && a.Status <= 499:
	default:
		return fmt.Errorf("carrier answered %d without saying what became of the message", a.Status)
	}
	return &mfa.Refused{Failure: f, NotSent: true}
}
