package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/parola-id/parola/mfa"
)

// DefaultBaseURL is Twilio's API.
const DefaultBaseURL = "https://api.twilio.com"

// Config says which Twilio account sends, as whom, and where it reports.
type Config struct {
	// BaseURL is the API; default https://api.twilio.com.
	BaseURL string
	// AccountSID is AC and 32 hexadecimal digits.
	AccountSID string
	// AuthTokens sign callbacks: one, or two while a rotation lasts. The first one also authenticates sends, unless an
	// API key is set.
	AuthTokens []string
	// APIKeySID and APIKeySecret authenticate sends with a key that can be revoked on its own. Both or none.
	APIKeySID    string
	APIKeySecret string
	// From is a number or sender id of the account; MessagingServiceSID chooses one. Exactly one of them.
	From                string
	MessagingServiceSID string
	// CallbackURL is the public URL of Handler, as Twilio reaches it. It is signed, so it comes from configuration and
	// never from a request (WH-02).
	CallbackURL string
	// Text writes the message in the person's language.
	Text func(locale, passcode string) (string, error)
	// HTTPClient carries the calls; redirects are never followed. Nil is a default one.
	HTTPClient *http.Client
	Log        *slog.Logger
	// Rejected hears of callbacks that were not taken: a short word, never their content. It may be nil.
	Rejected func(ctx context.Context, reason string)
}

// Twilio sends passcodes by SMS. It implements mfa.Channel.
type Twilio struct {
	cfg        Config
	endpoint   string
	httpClient *http.Client
}

var _ mfa.Channel = (*Twilio)(nil)

var (
	accountForm = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	serviceForm = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
)

// NewTwilio returns a channel through Twilio, or says what is missing in the configuration.
func NewTwilio(c Config) (*Twilio, error) {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Rejected == nil {
		c.Rejected = func(context.Context, string) {}
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("sms: %w", err)
	}
	return &Twilio{
		cfg:        c,
		endpoint:   strings.TrimSuffix(c.BaseURL, "/") + "/2010-04-01/Accounts/" + c.AccountSID + "/Messages.json",
		httpClient: mfa.CarrierClient(c.HTTPClient),
	}, nil
}

func (c Config) check() error {
	var errs []error
	want := func(ok bool, sentence string) {
		if !ok {
			errs = append(errs, errors.New(sentence))
		}
	}
	base, err := url.Parse(c.BaseURL)
	want(err == nil && absolute(base), "the base URL must be absolute")
	want(accountForm.MatchString(c.AccountSID), "set the account SID: AC and 32 hexadecimal digits")
	want(len(c.AuthTokens) > 0 && !slices.Contains(c.AuthTokens, ""), "set the auth token: without it no callback can be trusted")
	want((c.APIKeySID == "") == (c.APIKeySecret == ""), "set both parts of the API key, or none")
	want((c.From == "") != (c.MessagingServiceSID == ""), "set either the sender or the messaging service SID")
	want(c.MessagingServiceSID == "" || serviceForm.MatchString(c.MessagingServiceSID), "the messaging service SID is MG and 32 hexadecimal digits")
	callback, err := url.Parse(c.CallbackURL)
	want(err == nil && absolute(callback) && callback.RawQuery == "" && callback.Fragment == "" && callback.User == nil &&
		!strings.Contains(callback.Host, "_"), // Twilio refuses such hosts
		"the callback URL must be the public URL of this server, absolute and without a query")
	want(c.Text != nil, "a text is required")
	return errors.Join(errs...)
}

func absolute(u *url.URL) bool { return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") }
