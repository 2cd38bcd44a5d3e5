package handset

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// Config says who the carriers are and whose phones are on the screen. AccessToken, AppSecret, AccountSID and AuthToken are
// required; everything else has a default that makes a working phone.
type Config struct {
	// PhoneNumberID is the id of the business number, in the path of every send. Default "106000000000001".
	PhoneNumberID string
	// WABA is the WhatsApp Business Account id, entry[].id of every webhook. Default "102000000000001".
	WABA string
	// DisplayNumber is the business number itself, digits only. Default "12025550100".
	DisplayNumber string
	// CountryCode is what Meta puts before a recipient that was given without a leading "+". Default "1".
	CountryCode string
	// BusinessName is the name at the top of the WhatsApp thread. Default "Parola".
	BusinessName string
	// AccessToken is the only bearer token that may send.
	AccessToken string
	// AppSecret keys X-Hub-Signature-256 of the webhooks.
	AppSecret string
	// WebhookURL is where Meta's webhooks go. It may be empty and be set later with SetWebhookURL.
	WebhookURL string
	// Templates are the approved authentication templates. Default: DefaultTemplate.
	Templates []Template
	// IdentityCheck adds recipient_identity_key_hash to the sent status, as when the check is enabled on the number.
	IdentityCheck bool
	// PairRateOff lifts the limit of messages to one recipient (1 per 6 s with bursts of 45).
	PairRateOff bool

	// AccountSID is the Twilio account, "AC" and 32 hexadecimal digits, and the user name of its sends.
	AccountSID string
	// AuthToken is the password of the sends and the key of X-Twilio-Signature.
	AuthToken string
	// SMSFrom is the only number (or alphanumeric sender) that may send. Default "+12025550123".
	SMSFrom string
	// MessagingServiceSID may be used instead of a sender when it is set.
	MessagingServiceSID string

	// Vonage, Infobip and AWS are accounts with these carriers, if any. All send from SMSFrom.
	Vonage  VonageAccount
	Infobip InfobipAccount
	AWS     AWSAccount

	// KannelUsername and KannelPassword are those of the sendsms-user of Kannel. Without a password nobody is.
	KannelUsername string
	KannelPassword string
	// GatewayKey is the X-Api-Key of the small gateway, GatewaySecret signs its receipts. Without a key nobody sends.
	GatewayKey    string
	GatewaySecret string

	// Phones are shown from the start. Other numbers appear when they are first written to.
	Phones []Phone

	// DeliverAfter is how long a message takes to a phone that is on. Default 300 ms.
	DeliverAfter time.Duration
	// HTTPClient carries webhooks and callbacks. Default: a client of its own with the carriers' 15 s time-out.
	HTTPClient *http.Client
	// Clock is the handset's time. Default: the system's.
	Clock Clock
	// Log hears about reports that the provider did not take. Default: nothing is logged.
	Log *slog.Logger
}

// Phone is one number on the screen.
type Phone struct {
	Number string `json:"phone"` // E.164
	Name   string `json:"name"`  // also the WhatsApp profile name
}

// Template is an approved authentication template with a copy-code button.
type Template struct {
	Name      string
	Languages []string
	// TTL is message_send_ttl_seconds: a message that did not reach the phone by then is dropped without a word. Meta takes
	// 30 s to 15 min; shorter is allowed here for tests. Default 30 s.
	TTL time.Duration
	// ExpiryMinutes is code_expiration_minutes, shown in the footer. Default 5.
	ExpiryMinutes int
}

// DefaultTemplate is the template used when a Config names none.
var DefaultTemplate = Template{Name: "parola_login_code", Languages: []string{"en", "en_US", "it"}}

// Clock is the time of a Handset. AfterFunc calls f once in its own goroutine after d; the function it returns prevents the
// call and reports whether it did.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

var (
	accountSIDForm = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	numberForm     = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	digitsForm     = regexp.MustCompile(`^[1-9][0-9]{6,14}$`)
)

// withDefaults returns the configuration with its gaps filled, or says what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	fill(&c.PhoneNumberID, "106000000000001")
	fill(&c.WABA, "102000000000001")
	fill(&c.DisplayNumber, "12025550100")
	fill(&c.CountryCode, "1")
	fill(&c.BusinessName, "Parola")
	fill(&c.SMSFrom, "+12025550123")
	if c.DeliverAfter <= 0 {
		c.DeliverAfter = 300 * time.Millisecond
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if len(c.Templates) == 0 {
		c.Templates = []Template{DefaultTemplate}
	}
	c.Templates = slices.Clone(c.Templates)
	for i := range c.Templates {
		t := &c.Templates[i]
		if t.TTL <= 0 {
			t.TTL = 30 * time.Second
		}
		if t.ExpiryMinutes <= 0 {
			t.ExpiryMinutes = 5
		}
	}
	return c, c.check()
}

func (c Config) check() error {
	switch {
	case c.AccessToken == "" || c.AppSecret == "":
		return errors.New("handset: AccessToken and AppSecret are required")
	case c.AuthToken == "" || !accountSIDForm.MatchString(c.AccountSID):
		return errors.New(`handset: AuthToken is required, and AccountSID must be "AC" and 32 hexadecimal digits`)
	case !digitsForm.MatchString(c.DisplayNumber):
		return errors.New("handset: DisplayNumber must be the digits of an international number")
	}
	for _, t := range c.Templates {
		if t.Name == "" || len(t.Languages) == 0 {
			return errors.New("handset: a template needs a name and a language")
		}
	}
	for _, p := range c.Phones {
		if !numberForm.MatchString(p.Number) {
			return fmt.Errorf("handset: the phone of %q must be an E.164 number", p.Name)
		}
	}
	if c.WebhookURL == "" {
		return nil
	}
	return checkURL(c.WebhookURL)
}

// checkURL wants what a carrier can call: an absolute http or https URL.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("handset: the webhook URL must be an absolute http or https URL")
	}
	return nil
}

func fill(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// profileName is the name a person gave their phone; strangers get one made of the last digits.
func (c Config) profileName(number string) string {
	for _, p := range c.Phones {
		if p.Number == number && p.Name != "" {
			return p.Name
		}
	}
	return "Phone " + number[len(number)-4:]
}
