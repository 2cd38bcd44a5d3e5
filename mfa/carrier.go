package mfa

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

// Carrier is a company behind a channel. The name stands in deliveries, events, circuits and rate cards: "meta",
// "twilio".
type Carrier struct {
	Name    string
	Channel storage.Channel
	Sender  Channel
}

// Prices says what one message of a carrier to a country costs. The answer for what no rate card names is a cautious
// one, never zero.
type Prices interface {
	Price(carrier, country string, at time.Time) storage.Money
}

// SMSQuestion is what the defence against SMS pumping is asked before a message is paid for.
type SMSQuestion struct {
	Country, Prefix string
	// Instant says that it would go out at once because the number has no WhatsApp.
	Instant bool
}

// Guard is the defence against SMS pumping. It answers from memory.
type Guard interface {
	// Refuses says whether the SMS must not be sent.
	Refuses(q SMSQuestion) bool
}

// Warning is a message to a person without a passcode.
type Warning struct {
	NoticeID string
	To       Phone
	Locale   string
	Kind     storage.NoticeKind
}

// Warner sends warnings, on a channel that can.
type Warner interface {
	// Warn hands w to the carrier; errors are those of Channel.Send.
	Warn(ctx context.Context, w Warning) error
}

// Bulletin is what a carrier says of our account, number or template, read from a callback whose signature was right.
type Bulletin struct {
	Channel storage.Channel
	Carrier string
	// Kind is a short machine word: template_approved, template_paused (Meta may take it back by itself), template_disabled
	// (somebody must act), template_review, template_quality, template_category,
	// number_quality, number_name, account_restricted, account_disabled, account_reinstated, account_review,
	// account_alert, pin_changed, capability, account_error.
	Kind string
	// Severity is audit.Info, audit.Warning or audit.High.
	Severity string
	// Subject is what it is about where there are several: a template and its language.
	Subject string
	// At is the carrier's time, which tells a repetition from news; zero when it gave none.
	At time.Time
	// Detail holds documented fields only, short and without personal data.
	Detail map[string]string
	// Hold names a circuit that is held from now on, Release one that may close: CarrierCircuit, TemplateCircuit.
	Hold, Release string
}

const (
	carrierPrefix = "carrier/"
	countryPrefix = "country/"
)

// CarrierCircuit names the circuit of a carrier.
func CarrierCircuit(carrier string) string { return carrierPrefix + carrier }

// CountryCircuit keeps from one channel in one country.
func CountryCircuit(ch storage.Channel, country string) string {
	return countryPrefix + string(ch) + "/" + country
}

// TemplateCircuit keeps from a template's language, in the carrier's spelling.
func TemplateCircuit(language string) string { return "template/" + language }

// Finding is one thing that `parola doctor` looked at.
type Finding struct {
	// Name is what was looked at, in a few words.
	Name string `json:"name"`
	// Status is ok, warning or failed.
	Status FindingStatus `json:"status"`
	// Detail is what was found; Advice what to do about it, empty when all is well. Neither holds a secret or a number.
	Detail string `json:"detail,omitempty"`
	Advice string `json:"advice,omitempty"`
}

// FindingStatus says how it stands.
type FindingStatus string

// The statuses.
const (
	FindingOK      FindingStatus = "ok"
	FindingWarning FindingStatus = "warning"
	FindingFailed  FindingStatus = "failed"
)
