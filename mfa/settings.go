package mfa

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

// Whether an SMS may follow WhatsApp.
const (
	FallbackAllow = "allow" // by itself
	FallbackAsk   = "ask"   // when the person taps the button
	FallbackDeny  = "deny"  // not at all, not even by the button
)

// What happens when a passcode was delivered on WhatsApp and is not entered.
const (
	NotEnteredSend = "send" // an SMS follows by itself
	NotEnteredAsk  = "ask"  // the button is offered
	NotEnteredOff  = "off"  // it has arrived: no SMS, the button is not offered either
)

// Settings are what an operator may set (configuration `mfa.*`).
type Settings struct {
	// PasscodeLife is how long a passcode is valid, counted from the start of its challenge: at most 10 m.
	PasscodeLife time.Duration `yaml:"passcode_life"`
	// Tries is how many wrong passcodes end a challenge: at most 10.
	Tries int `yaml:"tries"`
	// MaxMessages bounds the messages of one challenge over all channels.
	MaxMessages int `yaml:"max_messages"`
	// TemplateTTL must equal message_send_ttl_seconds of the WhatsApp template: after it WhatsApp drops the message, so
	// that a late copy cannot follow the SMS, which is sent 5 s later.
	TemplateTTL time.Duration `yaml:"template_ttl"`
	// Fallback is what clients without a policy of their own get: allow, ask or deny.
	Fallback string `yaml:"fallback"`
	// NotEntered is what happens when a passcode was delivered on WhatsApp and not entered within NotEnteredAfter:
	// send, ask or off.
	NotEntered      string        `yaml:"not_entered"`
	NotEnteredAfter time.Duration `yaml:"not_entered_after"`
	// OfferSMSAfter is when "Send it by SMS instead" is offered.
	OfferSMSAfter time.Duration `yaml:"offer_sms_after"`
	// ResendAfter is when "Send again" is possible; each use doubles it.
	ResendAfter time.Duration `yaml:"resend_after"`
	// RememberNoWhatsApp is how long a number that WhatsApp does not know gets SMS at once.
	RememberNoWhatsApp time.Duration `yaml:"remember_no_whatsapp"`
	// Countries are the ISO 3166-1 alpha-2 regions that passcodes may be sent to (OTP-26), or AllCountries alone. The
	// operator must choose: empty is refused.
	Countries []string `yaml:"countries"`
	// AllowVoIP admits numbers of the type voice-over-IP (OTP-37).
	AllowVoIP bool `yaml:"allow_voip"`
	// CallTimeout bounds one call to a carrier: at most 5 s (REL-07).
	CallTimeout time.Duration `yaml:"call_timeout"`
	// Workers bounds the calls in progress per carrier and node.
	Workers int `yaml:"workers"`
	// CircuitFailures in a row open a carrier's circuit; after CircuitRest one message probes it.
	CircuitFailures int           `yaml:"circuit_failures"`
	CircuitRest     time.Duration `yaml:"circuit_rest"`
	// CountryFailures and CountryRest are the same for one channel in one country.
	CountryFailures int           `yaml:"country_failures"`
	CountryRest     time.Duration `yaml:"country_rest"`
	// BindIdentity sends on WhatsApp to the account that proved receipt of the first passcode, and to no other.
	BindIdentity bool `yaml:"bind_identity"`
	// Currency (ISO 4217) is what budgets, rate cards and reports count in.
	Currency string `yaml:"currency"`
}

// AllCountries in Settings.Countries admits every country.
const AllCountries = "all"

// Defaults are the settings of a new installation, which still lack Countries.
func Defaults() Settings {
	return Settings{
		PasscodeLife: 5 * time.Minute, Tries: 5, MaxMessages: 4,
		TemplateTTL: 30 * time.Second, Fallback: FallbackAllow,
		NotEntered: NotEnteredSend, NotEnteredAfter: time.Minute,
		OfferSMSAfter: 20 * time.Second, ResendAfter: 30 * time.Second,
		RememberNoWhatsApp: 24 * time.Hour,
		CallTimeout:        5 * time.Second, Workers: 16, CircuitFailures: 5, CircuitRest: 30 * time.Second,
		CountryFailures: 20, CountryRest: 15 * time.Minute, Currency: "EUR",
	}
}

// longestTTL is the most that Meta takes as message_send_ttl_seconds of an authentication template.
const longestTTL = 900 * time.Second

// lateCopyMargin is how long after the template's TTL the SMS follows.
const lateCopyMargin = 5 * time.Second

// Check refuses settings beyond the hard limits, with a sentence that says what to do.
func (s Settings) Check() error {
	var errs []error
	within := func(name string, got, low, high time.Duration) {
		if got < low || got > high {
			errs = append(errs, fmt.Errorf("mfa.%s is %v: set it between %v and %v", name, got, low, high))
		}
	}
	count := func(name string, got, low, high int) {
		if got < low || got > high {
			errs = append(errs, fmt.Errorf("mfa.%s is %d: set it between %d and %d", name, got, low, high))
		}
	}
	word := func(name, got string, words ...string) {
		if !slices.Contains(words, got) {
			errs = append(errs, fmt.Errorf("mfa.%s is %q: set it to one of %q", name, got, words))
		}
	}
	within("passcode_life", s.PasscodeLife, 30*time.Second, 10*time.Minute)
	count("tries", s.Tries, 1, 10)
	count("max_messages", s.MaxMessages, 1, 10)
	within("template_ttl", s.TemplateTTL, time.Second, min(s.PasscodeLife, longestTTL)) // no copy may arrive after its passcode's end (OTP-38)
	word("fallback", s.Fallback, FallbackAllow, FallbackAsk, FallbackDeny)
	word("not_entered", s.NotEntered, NotEnteredSend, NotEnteredAsk, NotEnteredOff)
	within("not_entered_after", s.NotEnteredAfter, time.Second, 10*time.Minute)
	within("offer_sms_after", s.OfferSMSAfter, 0, 10*time.Minute)
	within("resend_after", s.ResendAfter, time.Second, 10*time.Minute)
	within("remember_no_whatsapp", s.RememberNoWhatsApp, 0, 30*24*time.Hour)
	within("call_timeout", s.CallTimeout, 100*time.Millisecond, 5*time.Second)
	count("workers", s.Workers, 1, 256)
	count("circuit_failures", s.CircuitFailures, 1, 1000)
	within("circuit_rest", s.CircuitRest, 100*time.Millisecond, 10*time.Minute)
	count("country_failures", s.CountryFailures, 1, 10_000)
	within("country_rest", s.CountryRest, 100*time.Millisecond, 24*time.Hour)
	if len(s.Currency) != 3 || strings.Trim(s.Currency, upperCase) != "" {
		errs = append(errs, fmt.Errorf("mfa.currency is %q: write three capital letters, like EUR", s.Currency))
	}
	return errors.Join(append(errs, s.checkCountries())...)
}

const upperCase = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

func isCountry(s string) bool { return len(s) == 2 && strings.Trim(s, upperCase) == "" }

func (s Settings) checkCountries() error {
	if len(s.Countries) == 0 {
		return fmt.Errorf("mfa.countries is empty: list the countries you serve, or write [%s]", AllCountries)
	}
	if len(s.Countries) == 1 && s.Countries[0] == AllCountries {
		return nil
	}
	for _, c := range s.Countries {
		if !isCountry(c) {
			return fmt.Errorf("mfa.countries holds %q: write two capital letters, like IT, or [%s] alone", c, AllCountries)
		}
	}
	return nil
}

// Admits says whether passcodes may be sent to a phone: its country is on the list and its kind is allowed.
func (s Settings) Admits(p Phone) error {
	switch voip, service := p.kind(); {
	case voip && !s.AllowVoIP:
		return fmt.Errorf("%w: voice-over-IP numbers are not admitted (mfa.allow_voip)", ErrPhoneRefused)
	case service:
		return fmt.Errorf("%w: it is a service number", ErrPhoneRefused)
	}
	if !slices.Contains(s.Countries, p.region) && !slices.Contains(s.Countries, AllCountries) {
		return fmt.Errorf("%w: its country %s is not on the list mfa.countries", ErrPhoneRefused, p.region)
	}
	return nil
}

// Policy is what the client and the person allow for one challenge. Empty fields take the Settings' word.
type Policy struct {
	// Fallback is allow, ask or deny, or empty.
	Fallback string
	// NotEntered is send, ask or off, or empty.
	NotEntered string
	// SMSForbidden overrides everything, the button included: an acr without SMS was required, or the person or an
	// administrator forbids it (OTP-35).
	SMSForbidden bool
}

// freeze turns what is allowed now into what the challenge carries to its end.
func (s Settings) freeze(p Policy) storage.ChallengePolicy {
	frozen := storage.ChallengePolicy{
		Fallback: s.Fallback, NotEntered: s.NotEntered, SMSForbidden: p.SMSForbidden,
		NotDeliveredAfter: s.TemplateTTL + lateCopyMargin, NotEnteredAfter: s.NotEnteredAfter,
		OfferSMSAfter: s.OfferSMSAfter, MaxMessages: s.MaxMessages,
	}
	if p.Fallback != "" {
		frozen.Fallback = p.Fallback
	}
	if p.NotEntered != "" {
		frozen.NotEntered = p.NotEntered
	}
	return frozen
}
