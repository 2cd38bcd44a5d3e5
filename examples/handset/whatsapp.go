package handset

import (
	"strconv"
	"strings"
	"time"
)

const (
	readAfter  = time.Second            // an automatic reader's glance at the phone
	heldBehind = 200 * time.Millisecond // how far an overtaken report comes behind
)

// textTTL is how long Meta tries to deliver what is no template.
const textTTL = 30 * 24 * time.Hour

// acceptWhatsApp stores a message and sets its fate in motion. It returns the sent report for the caller to post once the
// answer has left, nil when there is none.
func (h *Handset) acceptWhatsApp(send *graphSend, to, passcode string, sw Switches) (*message, *report) {
	now := h.clock.Now()
	m := &message{
		id: newWamid(to[1:], true), channel: WhatsApp, to: to, from: "+" + h.cfg.DisplayNumber,
		opaque: send.Opaque, identityHash: send.IdentityHash, steps: []step{{State: stateAccepted, At: Stamp{now}}},
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if send.Text != nil {
		m.text, m.ttl = send.Text.Body, textTTL
	} else {
		h.fill(m, send.Template, passcode)
	}
	h.remember(m)
	if code := h.whatsAppFate(m, sw); code != 0 {
		h.timers.after(h.cfg.DeliverAfter, func() { h.failWhatsApp(m, code) })
		return m, nil
	}
	sent := h.enter(m, stateSent, 0)
	if sw.WebhooksOutOfOrder {
		m.held, sent = sent, nil
	}
	late := seconds(sw.WhatsAppLateSeconds)
	h.timers.after(min(h.cfg.DeliverAfter+late, m.ttl), func() { h.arriveWhatsApp(m) })
	h.timers.after(m.ttl, func() { h.expireWhatsApp(m) })
	return m, sent
}

// fill writes Meta's text of a template into a message. The template may be gone since it was looked at.
func (h *Handset) fill(m *message, t *graphTemplate, passcode string) {
	found := h.meta.template(t.Name, t.Language.Code)
	if found == nil {
		found = &metaTemplate{Language: t.Language.Code}
	}
	body, footer, _ := found.words()
	m.wording, m.footer, m.ttl = wordingFor(found.Language), footer, found.timeToLive()
	m.text, m.passcode = strings.Replace(body, "{{1}}", passcode, 1), passcode
}

// whatsAppFate is the code with which an accepted message fails later, 0 when it does not.
func (h *Handset) whatsAppFate(m *message, sw Switches) int {
	switch {
	case sw.NoWhatsApp == "webhook":
		return 131026
	case sw.IdentityChanged, m.identityHash != "" && m.identityHash != h.identityLocked(m.to):
		return 137000
	case m.passcode == "" && h.clock.Now().Sub(h.meta.windows[m.to]) >= 24*time.Hour:
		return 131047
	}
	code, _ := strconv.Atoi(sw.WhatsAppFails)
	return code
}

func (h *Handset) failWhatsApp(m *message, code int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.post(h.enter(m, stateFailed, code))
}

// arriveWhatsApp brings a message to its phone. One that would come at its TTL or later, or to a phone that is off, waits.
func (h *Handset) arriveWhatsApp(m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.state() != stateSent {
		return
	}
	if h.effectiveLocked(m.to).PhoneOff {
		m.waiting = true
		return
	}
	if !h.clock.Now().Before(m.steps[0].At.Add(m.ttl)) {
		return
	}
	m.waiting = false
	m.arrived = h.clock.Now()
	h.post(h.enter(m, stateDelivered, 0))
	h.releaseHeld(m)
	if h.effectiveLocked(m.to).Read == "auto" {
		h.timers.after(readAfter, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.readLocked(m)
		})
	}
}

// releaseHeld posts a sent report that was kept back, now that another one has gone first.
func (h *Handset) releaseHeld(m *message) {
	held := m.held
	m.held = nil
	if held != nil {
		h.timers.after(heldBehind, func() { h.post(held) })
	}
}

// expireWhatsApp drops what did not reach the phone within the template's TTL. Meta says nothing about it.
func (h *Handset) expireWhatsApp(m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.state() != stateSent {
		return
	}
	m.waiting = false
	h.enter(m, stateDropped, 0)
	h.releaseHeld(m)
}

// wakePhones delivers to phones that are on what waited for them.
func (h *Handset) wakePhones() {
	for _, m := range h.messages {
		if m.waiting && !h.effectiveLocked(m.to).PhoneOff {
			m.waiting = false
			h.timers.after(h.cfg.DeliverAfter, func() { h.arriveWhatsApp(m) })
		}
	}
}

// readLocked reports read, unless the person keeps read receipts to themselves. It says whether it did.
func (h *Handset) readLocked(m *message) bool {
	if m.channel != WhatsApp || m.state() != stateDelivered || h.effectiveLocked(m.to).Read == "never" {
		return false
	}
	h.post(h.enter(m, stateRead, 0))
	return true
}

// enter moves a message to a state and returns the report of it: nil for what the carrier keeps to itself.
func (h *Handset) enter(m *message, state string, code int) *report {
	m.steps = append(m.steps, step{State: state, At: Stamp{h.clock.Now()}, Code: code})
	h.viewers.notify()
	switch {
	case state == stateDropped:
		return nil
	case m.tell != nil:
		return m.tell(m, len(m.steps)-1)
	case m.channel == SMS:
		return nil
	default:
		return h.statusReport(m, len(m.steps)-1)
	}
}

// post hands a report to the courier, twice when the switch says so. The courier never takes Handset.mu while it holds its own.
func (h *Handset) post(r *report) {
	if r == nil {
		return
	}
	again := *r
	h.courier.submit(r)
	if again.twice {
		h.courier.submit(&again)
	}
}

// answeredStep notes what the provider answered to the report of one state.
func (h *Handset) answeredStep(m *message, i int) func(status int) {
	return func(status int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		m.steps[i].Answered = status
		h.viewers.notify()
	}
}
