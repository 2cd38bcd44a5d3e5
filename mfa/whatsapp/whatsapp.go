package whatsapp

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

// Config says which business number sends, and how Meta proves that a webhook is its own.
type Config struct {
	// BaseURL is the Graph API; default https://graph.facebook.com.
	BaseURL string
	// Version is the Graph API's, such as v25.0. Meta retires versions after about two years: it has no default.
	Version string
	// PhoneNumberID is the id of the business number (not the number itself).
	PhoneNumberID string
	// AccessToken is a system user's, with whatsapp_business_messaging.
	AccessToken string
	// AppSecrets sign webhooks: one, or two while a rotation lasts.
	AppSecrets []string
	// VerifyToken is what was entered beside the callback URL.
	VerifyToken string
	// Template is the name of an approved authentication template with a copy-code button.
	Template string
	// Languages are the template's approved languages in Meta's spelling (en_US, pt_BR); the first is the default.
	Languages []string
	// Usable says whether the template may be sent in one of Languages at the moment. Nil is always.
	Usable func(language string) bool
	// WarnText is the text of a message without a passcode, in a language of the person; kind is the warning's. Without
	// it Warn refuses.
	WarnText func(locale, kind string) (string, error)
	// AccountID is the WhatsApp Business Account, and DisplayNumber the business number itself. Where they are set, what
	// Meta says of other accounts and numbers of the same app is left out.
	AccountID, DisplayNumber string
	// HTTPClient carries the calls; redirects are never followed. Nil is a default one.
	HTTPClient *http.Client
	Log        *slog.Logger
	// Rejected hears of webhooks that were not taken: a short word, never their content. It may be nil.
	Rejected func(ctx context.Context, reason string)
}

// Channel sends passcodes and warnings on WhatsApp. It implements mfa.Channel and mfa.Warner.
type Channel struct {
	cfg        Config
	endpoint   string
	httpClient *http.Client
	languages  languages
	// large is what large webhooks wait their turn in.
	large chan struct{}
}

var (
	_ mfa.Channel = (*Channel)(nil)
	_ mfa.Warner  = (*Channel)(nil)
)

// Carrier is Meta's name in deliveries, events and circuits.
const Carrier = "meta"

// DefaultBaseURL is the Graph API.
const DefaultBaseURL = "https://graph.facebook.com"

var (
	versionForm  = regexp.MustCompile(`^v[0-9]+\.[0-9]+$`)
	idForm       = regexp.MustCompile(`^[0-9]{5,24}$`)
	templateForm = regexp.MustCompile(`^[a-z0-9_]{1,512}$`)
)

// New returns a Channel, or says what is missing in the configuration.
func New(c Config) (*Channel, error) {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Rejected == nil {
		c.Rejected = func(context.Context, string) {}
	}
	if c.Usable == nil {
		c.Usable = func(string) bool { return true }
	}
	if c.WarnText == nil {
		c.WarnText = func(string, string) (string, error) { return "", errors.New("no text is configured") }
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("whatsapp: %w", err)
	}
	languages, err := parseLanguages(c.Languages)
	if err != nil {
		return nil, fmt.Errorf("whatsapp: %w", err)
	}
	return &Channel{
		cfg:        c,
		endpoint:   strings.TrimSuffix(c.BaseURL, "/") + "/" + c.Version + "/" + c.PhoneNumberID + "/messages",
		httpClient: mfa.CarrierClient(c.HTTPClient),
		languages:  languages,
		large:      make(chan struct{}, largeAtOnce),
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
	want(err == nil && base.Host != "" && (base.Scheme == "https" || base.Scheme == "http"), "the base URL must be absolute")
	want(versionForm.MatchString(c.Version), "set the Graph API version, such as v25.0")
	want(idForm.MatchString(c.PhoneNumberID), "set the phone number id: digits, from WhatsApp Manager, not the number itself")
	want(c.AccessToken != "", "set the access token of a system user")
	want(len(c.AppSecrets) > 0 && !slices.Contains(c.AppSecrets, ""), "set the app secret: without it no webhook can be trusted")
	want(c.VerifyToken != "", "set the verify token of the webhook")
	want(templateForm.MatchString(c.Template), "set the name of the approved authentication template")
	want(len(c.Languages) > 0, "set at least one language of the template")
	want(c.AccountID == "" || idForm.MatchString(c.AccountID), "the account id is the WhatsApp Business Account's: digits")
	want(c.DisplayNumber == "" || len(digits(c.DisplayNumber)) >= 7, "the display number is an international number")
	return errors.Join(errs...)
}
