package handset

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Switches are what goes wrong on the way to one phone, or to all of them. The zero value is a good day.
type Switches struct {
	// PhoneOff: no data connection. WhatsApp messages wait for the phone until their template's TTL and are then dropped
	// without a report; SMS still arrives.
	PhoneOff bool `json:"phone_off"`
	// NoWhatsApp: the number has no WhatsApp account. "refused" answers the send with 131026, "webhook" accepts it and reports
	// failed with 131026 later.
	NoWhatsApp string `json:"no_whatsapp"`
	// IdentityChanged: the WhatsApp account is no longer the one that was bound; failed with 137000 by webhook.
	IdentityChanged bool `json:"identity_changed"`
	// Read: "" when the person opens the thread, "auto" a second after arrival, "never" not at all.
	Read string `json:"read"`
	// WhatsAppLateSeconds delays the arrival of WhatsApp messages. What is later than the TTL does not arrive.
	WhatsAppLateSeconds float64 `json:"whatsapp_late_seconds"`
	// WhatsAppFails accepts the send and reports failed with this code.
	WhatsAppFails string `json:"whatsapp_fails"`
	// WebhooksTwice posts every report of both carriers two times.
	WebhooksTwice bool `json:"webhooks_twice"`
	// WebhooksOutOfOrder posts the sent report after the one that follows it.
	WebhooksOutOfOrder bool `json:"webhooks_out_of_order"`
	// Meta is what the Graph API answers to a send: an error code, "500" for a page that is no JSON, "timeout" to hold the
	// request open until the client gives up, or "lost_answer" to take the message and cut the connection.
	Meta string `json:"meta"`
	// SMSFails accepts the SMS and reports it undelivered (30008: failed) with this code.
	SMSFails string `json:"sms_fails"`
	// SMSLateSeconds delays the arrival of SMS.
	SMSLateSeconds float64 `json:"sms_late_seconds"`
	// Twilio is what Twilio answers to a send: an error code, "500", "timeout" or "lost_answer" as for Meta.
	Twilio string `json:"twilio"`
}

const (
	answerTimeout = "timeout"
	answerLost    = "lost_answer"
	maxLate       = 24 * 60 * 60 // seconds
)

var (
	noWhatsAppValues    = []string{"", "refused", "webhook"}
	readValues          = []string{"", "auto", "never"}
	whatsAppFailsValues = []string{"", "131000", "131049"}
	metaValues          = []string{"", "131000", "131016", "500", "190", "130429", "131056", answerTimeout, answerLost}
	smsFailsValues      = []string{"", "30003", "30005", "30007", "30008"}
	twilioValues        = []string{"", "21610", "21614", "30450", "20003", "20429", "500", answerTimeout, answerLost}
)

// check refuses a position that a switch does not have.
func (s Switches) check() error {
	for _, c := range []struct {
		name, value string
		values      []string
	}{
		{"no_whatsapp", s.NoWhatsApp, noWhatsAppValues},
		{"read", s.Read, readValues},
		{"whatsapp_fails", s.WhatsAppFails, whatsAppFailsValues},
		{"meta", s.Meta, metaValues},
		{"sms_fails", s.SMSFails, smsFailsValues},
		{"twilio", s.Twilio, twilioValues},
	} {
		if !slices.Contains(c.values, c.value) {
			return fmt.Errorf("%s must be one of %q", c.name, c.values)
		}
	}
	for _, late := range []float64{s.WhatsAppLateSeconds, s.SMSLateSeconds} {
		if !(late >= 0 && late <= maxLate) {
			return fmt.Errorf("late seconds must be between 0 and %d", maxLate)
		}
	}
	return nil
}

// over lays the switches of one number over those for all: what is thrown in either place is thrown, and where both name a
// position the number's own holds.
func (s Switches) over(all Switches) Switches {
	return Switches{
		PhoneOff:            s.PhoneOff || all.PhoneOff,
		NoWhatsApp:          either(s.NoWhatsApp, all.NoWhatsApp),
		IdentityChanged:     s.IdentityChanged || all.IdentityChanged,
		Read:                either(s.Read, all.Read),
		WhatsAppLateSeconds: either(s.WhatsAppLateSeconds, all.WhatsAppLateSeconds),
		WhatsAppFails:       either(s.WhatsAppFails, all.WhatsAppFails),
		WebhooksTwice:       s.WebhooksTwice || all.WebhooksTwice,
		WebhooksOutOfOrder:  s.WebhooksOutOfOrder || all.WebhooksOutOfOrder,
		Meta:                either(s.Meta, all.Meta),
		SMSFails:            either(s.SMSFails, all.SMSFails),
		SMSLateSeconds:      either(s.SMSLateSeconds, all.SMSLateSeconds),
		Twilio:              either(s.Twilio, all.Twilio),
	}
}

func either[T comparable](own, all T) T {
	var unset T
	if own != unset {
		return own
	}
	return all
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// cleanNumber undoes what a query string does to "+" and leaves the rest as it is.
func cleanNumber(s string) string {
	if s = strings.TrimSpace(s); s != "" && s[0] != '+' {
		return "+" + s
	}
	return s
}
