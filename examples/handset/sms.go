package handset

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// acceptSMS stores a message and sets its fate in motion. It returns the sent callback for the caller to post once the answer
// has left.
func (h *Handset) acceptSMS(form url.Values, sw Switches) (*message, *report) {
	m := &message{
		id: newMessageSID(), channel: SMS, to: form.Get("To"), from: form.Get("From"), text: form.Get("Body"),
		passcode: passcodeIn(form.Get("Body")), callback: form.Get("StatusCallback"), service: form.Get("MessagingServiceSid"),
		steps: []step{{State: stateAccepted, At: Stamp{h.clock.Now()}}},
	}
	if m.from == "" {
		m.from = h.cfg.SMSFrom
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remember(m)
	sent := h.enter(m, stateSent, 0)
	if sw.WebhooksOutOfOrder {
		m.held, sent = sent, nil
	}
	late := seconds(sw.SMSLateSeconds)
	h.timers.after(h.cfg.DeliverAfter+late, func() { h.arriveSMS(m, sw.SMSFails) })
	return m, sent
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

// smsReport is the status callback for the i-th state of a message, nil when none was asked for.
func (h *Handset) smsReport(m *message, i int) *report {
	if m.callback == "" {
		return nil
	}
	s := m.steps[i]
	params := url.Values{
		"MessageSid": {m.id}, "SmsSid": {m.id}, "MessageStatus": {s.State}, "SmsStatus": {s.State},
		"AccountSid": {h.cfg.AccountSID}, "From": {m.from}, "To": {m.to}, "ApiVersion": {"2010-04-01"},
	}
	if m.service != "" {
		params.Set("MessagingServiceSid", m.service)
	}
	if s.Code != 0 {
		params.Set("ErrorCode", strconv.Itoa(s.Code))
	}
	if s.State == stateDelivered || s.State == stateUndelivered {
		params.Set("RawDlrDoneDate", s.At.UTC().Format("0601021504"))
	}
	// A fragment only tunes how Twilio connects; it is neither called nor signed.
	callback, _, _ := strings.Cut(m.callback, "#")
	return &report{
		url: func() string { return callback }, contentType: "application/x-www-form-urlencoded; charset=UTF-8",
		body: []byte(params.Encode()), twice: h.effectiveLocked(m.to).WebhooksTwice, again: twilioAgain, answered: h.answeredStep(m, i),
		sign: func(url string, header http.Header) {
			header.Set("X-Twilio-Signature", twilioSignature(h.cfg.AuthToken, url, params))
		},
	}
}

// twilioAgain repeats a callback once, when it was not answered at all or with a server error.
func twilioAgain(attempt, status int) (time.Duration, bool) {
	return time.Second, attempt < 2 && (status == 0 || status >= 500)
}

// twilioSignature is X-Twilio-Signature: HMAC-SHA1 over the URL as called and the parameters in the order of their names.
func twilioSignature(authToken, url string, params url.Values) string {
	mac := hmac.New(sha1.New, []byte(authToken))
	mac.Write([]byte(url))
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range params[name] {
			mac.Write([]byte(name + value))
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
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
