package handset

import (
	"regexp"
	"time"
)

// Channel names of the inbox.
const (
	WhatsApp = "whatsapp"
	SMS      = "sms"
)

// States of a message. Dropped is the handset's own word for what Meta never tells: the template's TTL ran out.
const (
	stateAccepted    = "accepted"
	stateSent        = "sent"
	stateDelivered   = "delivered"
	stateRead        = "read"
	stateFailed      = "failed"
	stateUndelivered = "undelivered"
	stateDropped     = "dropped"
)

// InboxMessage is a message that reached the phone.
type InboxMessage struct {
	Channel  string `json:"channel"`
	Carrier  string `json:"carrier"`
	To       string `json:"to"`
	From     string `json:"from"`
	Text     string `json:"text"`
	Passcode string `json:"passcode"`
	ID       string `json:"id"`
	At       Stamp  `json:"at"`
}

// Stamp is a time that is written as RFC 3339 with milliseconds.
type Stamp struct{ time.Time }

// MarshalText writes the time in UTC.
func (s Stamp) MarshalText() ([]byte, error) {
	return []byte(s.UTC().Format("2006-01-02T15:04:05.000Z07:00")), nil
}

// MarshalJSON overrides the one that comes with time.Time.
func (s Stamp) MarshalJSON() ([]byte, error) {
	text, err := s.MarshalText()
	return append(append([]byte{'"'}, text...), '"'), err
}

// step is one state that a message entered, and what the provider answered to the report of it.
type step struct {
	State    string `json:"state"`
	At       Stamp  `json:"at"`
	Code     int    `json:"code,omitempty"`     // the carrier's error code
	Answered int    `json:"answered,omitempty"` // HTTP status of the provider's last answer to the report
}

// message is one accepted message. Everything in it is guarded by Handset.mu.
type message struct {
	id, channel, to, from string
	text, passcode        string
	steps                 []step
	arrived               time.Time // zero until it reached the phone
	waiting               bool      // for a phone that is off
	held                  *report   // the sent report, while receipts are out of order

	// WhatsApp
	wording              wording
	footer               string
	opaque, identityHash string
	ttl                  time.Duration
	denied               bool // the person tapped "I didn't request a code"

	// SMS
	carrier           string // who brings it; WhatsApp is Meta's alone
	callback, service string
	mark              string // the provider's own, which the carrier gives back
	// tell makes the carrier's report of the i-th state: nil when the carrier says nothing of it, or was not asked to.
	tell func(m *message, i int) *report
}

// company is who brings a message.
func (m *message) company() string {
	if m.channel == WhatsApp {
		return "meta"
	}
	return m.carrier
}

func (m *message) state() string { return m.last().State }

func (m *message) last() step { return m.steps[len(m.steps)-1] }

func (m *message) inbox() InboxMessage {
	return InboxMessage{Channel: m.channel, Carrier: m.company(), To: m.to, From: m.from, Text: m.text, Passcode: m.passcode, ID: m.id, At: Stamp{m.arrived}}
}

// messageView is a message as GET /sent and the page show it.
type messageView struct {
	Channel  string `json:"channel"`
	Carrier  string `json:"carrier"`
	To       string `json:"to"`
	From     string `json:"from"`
	Text     string `json:"text"`
	Passcode string `json:"passcode"`
	ID       string `json:"id"`
	Footer   string `json:"footer,omitempty"`
	Copy     string `json:"copy,omitempty"` // label of the copy button
	Deny     string `json:"deny,omitempty"` // label of the "I didn't request a code" button
	Denied   bool   `json:"denied"`
	Arrived  bool   `json:"arrived"`
	State    string `json:"state"`
	Steps    []step `json:"steps"`
	At       Stamp  `json:"at"` // when it arrived, or was accepted
}

func (m *message) view() messageView {
	v := messageView{
		Channel: m.channel, Carrier: m.company(), To: m.to, From: m.from, Text: m.text, Passcode: m.passcode, ID: m.id,
		Footer: m.footer, Copy: m.wording.copy, Deny: m.wording.deny, Denied: m.denied,
		Arrived: !m.arrived.IsZero(), State: m.state(), Steps: append([]step(nil), m.steps...), At: m.steps[0].At,
	}
	if v.Arrived {
		v.At = Stamp{m.arrived}
	}
	return v
}

// maxMessages is how many accepted messages are remembered over all phones.
const maxMessages = 1000

var (
	originBound = regexp.MustCompile(`#([0-9]{4,10})\s*$`)
	digitRun    = regexp.MustCompile(`\b[0-9]{4,10}\b`)
)

// passcodeIn finds the passcode of an SMS: in its origin-bound last line where there is one, else the first run of digits.
func passcodeIn(text string) string {
	if m := originBound.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return digitRun.FindString(text)
}
