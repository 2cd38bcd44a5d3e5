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
	// WebhooksTwice posts every report of all carriers two times.
	WebhooksTwice bool `json:"webhooks_twice"`
	// WebhooksOutOfOrder posts the sent report after the one that follows it.
	WebhooksOutOfOrder bool `json:"webhooks_out_of_order"`
	// Meta is what the Graph API answers to a send: an error code, "500" for a page that is no JSON, "timeout" to hold the
	// request open until the client gives up, or "lost_answer" to take the message and cut the connection.
	Meta string `json:"meta"`
	// SMSFails accepts the SMS and reports it undelivered (30008: failed) with this code of Twilio, or what the other carriers
	// have for it.
	SMSFails string `json:"sms_fails"`
	// SMSLateSeconds delays the arrival of SMS.
	SMSLateSeconds float64 `json:"sms_late_seconds"`
	// Twilio is what Twilio answers to a send: an error code, "500", "timeout" or "lost_answer" as for Meta.
	Twilio string `json:"twilio"`
	// Kannel is what smsbox answers to a send: a refusal by its name, "queued" while its link is down, "500", "timeout" or
	// "lost_answer".
	Kannel string `json:"kannel"`
	// Gateway is what the small gateway answers to a send, with status 200: a code, or "500", "timeout" or "lost_answer".
	Gateway string `json:"gateway"`
	// Vonage is what Vonage answers to a send: a status (with HTTP 200), "partly" for a message of which one part is refused,
	// "500", "timeout" or "lost_answer" as for Meta.
	Vonage string `json:"vonage"`
	// Infobip is what Infobip answers to a send: the name of a status of the group REJECTED (with HTTP 200), "TOO_MANY_REQUESTS",
	// "500", "timeout" or "lost_answer" as for Meta.
	Infobip string `json:"infobip"`
	// AWS is what AWS answers to a send: an exception or the reason of one, "500", "timeout" or "lost_answer" as for Meta.
	AWS string `json:"aws"`
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
	kannelValues        = []string{"", "queued", "auth", "not_routable", "denied", "temporary", "500", answerTimeout, answerLost}
	gatewayValues       = []string{"", "12", "20", "30", "40", "50", "500", answerTimeout, answerLost}
)

var (
	vonageValues  = []string{"", "1", "3", "4", "5", "6", "7", "8", "9", "15", "partly", "500", answerTimeout, answerLost}
	infobipValues = []string{
		"", "REJECTED_DESTINATION", "REJECTED_NETWORK", "REJECTED_NOT_ENOUGH_CREDITS", "REJECTED_SENDER", "TOO_MANY_REQUESTS",
		"500", answerTimeout, answerLost,
	}
	awsValues = []string{
		"", "AccessDeniedException", "ThrottlingException", "InternalServerException", "DESTINATION_PHONE_NUMBER_OPTED_OUT",
		"DESTINATION_COUNTRY_BLOCKED", "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", "500", answerTimeout, answerLost,
	}
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
		{"kannel", s.Kannel, kannelValues},
		{"gateway", s.Gateway, gatewayValues},
		{"vonage", s.Vonage, vonageValues},
		{"infobip", s.Infobip, infobipValues},
		{"aws", s.AWS, awsValues},
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
		Kannel:              either(s.Kannel, all.Kannel),
		Gateway:             either(s.Gateway, all.Gateway),
		Vonage:              either(s.Vonage, all.Vonage),
		Infobip:             either(s.Infobip, all.Infobip),
		AWS:                 either(s.AWS, all.AWS),
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
