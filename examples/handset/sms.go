package handset

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// acceptSMS stores a message that an SMS carrier has taken and sets its fate in motion. It returns the sent report for the
// caller to post once the answer has left.
func (h *Handset) acceptSMS(m *message, sw Switches) (sent *report) {
	m.channel, m.passcode, m.steps = SMS, passcodeIn(m.text), []step{{State: stateAccepted, At: Stamp{h.clock.Now()}}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remember(m)
	sent = h.enter(m, stateSent, 0)
	if sw.WebhooksOutOfOrder {
		m.held, sent = sent, nil
	}
	late := seconds(sw.SMSLateSeconds)
	h.timers.after(h.cfg.DeliverAfter+late, func() { h.arriveSMS(m, sw.SMSFails) })
	return sent
}

// answerSMS lets the answer to a send leave before the first report, or with the switch lost_answer not at all.
func (h *Handset) answerSMS(w http.ResponseWriter, position string, sent *report, answer func()) {
	if position == answerLost {
		h.post(sent)
		panic(http.ErrAbortHandler) // cuts the connection without an answer
	}
	answer()
	_ = http.NewResponseController(w).Flush()
	h.post(sent)
}

// receipt is a report about the i-th state of an SMS, posted again as the carrier does.
func (h *Handset) receipt(m *message, i int, contentType string, body []byte) *report {
	return &report{
		url: func() string { return m.callback }, contentType: contentType, body: body,
		twice: h.effectiveLocked(m.to).WebhooksTwice, again: onceAgain, answered: h.answeredStep(m, i),
	}
}

// onceAgain repeats a report once, when it was not answered at all or with a server error.
func onceAgain(attempt, status int) (time.Duration, bool) {
	return time.Second, attempt < 2 && (status == 0 || status >= 500)
}

// arriveSMS brings a message to its phone or, with a code, reports that it did not get there: failed for an unknown error,
// undelivered for what the operator says.
func (h *Handset) arriveSMS(m *message, fails string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	code, _ := strconv.Atoi(fails)
	switch code {
	case 0:
		m.arrived = h.clock.Now()
		h.post(h.enter(m, stateDelivered, 0))
	case 30008:
		h.post(h.enter(m, stateFailed, code))
	default:
		h.post(h.enter(m, stateUndelivered, code))
	}
	h.releaseHeld(m)
}

// The alphabet of 3GPP TS 23.038; characters of the extension cost two septets.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿" +
		"abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "^{}\\[~]|€\f"
)

// segments counts the parts of an SMS: 160 septets or 70 UCS-2 units in one, 153 or 67 in each of several. One character
// outside the GSM alphabet turns the whole message into UCS-2.
func segments(text string) int {
	septets, units, gsm := 0, 0, true
	for _, r := range text {
		units++
		if r > 0xffff {
			units++
		}
		switch {
		case strings.ContainsRune(gsmBasic, r):
			septets++
		case strings.ContainsRune(gsmExtension, r):
			septets += 2
		default:
			gsm = false
		}
	}
	size, one, each := septets, 160, 153
	if !gsm {
		size, one, each = units, 70, 67
	}
	if size <= one {
		return 1
	}
	return (size + each - 1) / each
}

// gsmOnly is what a carrier makes of a text that it was not told to send as Unicode.
func gsmOnly(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(gsmBasic+gsmExtension, r) {
			return r
		}
		return '?'
	}, text)
}
