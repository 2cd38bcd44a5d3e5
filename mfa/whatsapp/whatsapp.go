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

	"golang.org/x/text/language"

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
	// HTTPClient carries the calls; redirects are never followed. Nil is a default one.
	HTTPClient *http.Client
	Log        *slog.Logger
	// Rejected hears of webhooks that were not taken: a short word, never their content. It may be nil.
	Rejected func(ctx context.Context, reason string)
}

// Channel sends passcodes on WhatsApp. It implements mfa.Channel.
type Channel struct {
	cfg        Config
	endpoint   string
	httpClient *http.Client
	matcher    language.Matcher
	// large is what large webhooks wait their turn in.
	large chan struct{}
}

var _ mfa.Channel = (*Channel)(nil)

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
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("whatsapp: %w", err)
	}
	tags := make([]language.Tag, len(c.Languages))
	for i, code := range c.Languages {
		tag, err := language.Parse(strings.ReplaceAll(code, "_", "-"))
		if err != nil {
			return nil, fmt.Errorf("whatsapp: template language %q is not one of Meta's codes, such as en_US", code)
		}
		tags[i] = tag
	}
	return &Channel{
		cfg:        c,
		endpoint:   strings.TrimSuffix(c.BaseURL, "/") + "/" + c.Version + "/" + c.PhoneNumberID + "/messages",
		httpClient: mfa.CarrierClient(c.HTTPClient),
		matcher:    language.NewMatcher(tags),
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
	return errors.Join(errs...)
}

// templateLanguage is the template's language nearest to the person's.
func (c *Channel) templateLanguage(locale string) string {
	tag, err := language.Parse(locale)
	if err != nil {
		return c.cfg.Languages[0]
	}
	_, i, confidence := c.matcher.Match(tag)
	if confidence == language.No {
		return c.cfg.Languages[0]
	}
	return c.cfg.Languages[i]
}
