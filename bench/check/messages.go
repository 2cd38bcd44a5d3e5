package check

import (
	"maps"
	"slices"
	"strings"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// announced: whatever a carrier was asked for was on disk before, with the call counted.
func announced(l *look, breaks func(string, ...any)) {
	asked := map[string]int{}
	for _, c := range l.Calls[:l.Asked] {
		asked[c.Delivery]++
	}
	for id, n := range asked {
		if d, there := l.delivery[id]; !there {
			breaks("a carrier was called for a message that is in no record: %s", id)
		} else if d.Calls < n {
			breaks("message %s: its carrier was called %d times, and %d calls are counted", id, n, d.Calls)
		}
	}
}

// oneAutomaticSMS: neither in the database nor on the wire.
func oneAutomaticSMS(l *look, breaks func(string, ...any)) {
	for id, ds := range l.deliveries {
		automatic, taken := 0, 0
		for _, d := range ds {
			if d.Channel == storage.SMS && d.Automatic {
				automatic++
				taken += l.taken(d.ID)
			}
		}
		if automatic > 1 || taken > 1 {
			breaks("challenge %s: %d automatic SMS in the database, %d on the wire", id, automatic, taken)
		}
	}
}

func (l *look) taken(delivery string) int {
	n := 0
	for _, c := range l.calls[delivery] {
		if c.Taken {
			n++
		}
	}
	return n
}

func sentOnce(l *look, breaks func(string, ...any)) {
	for _, d := range l.Deliveries {
		if n := l.taken(d.ID); n > 1 {
			breaks("message %s was taken by its carrier %d times", d.ID, n)
		}
	}
}

// because are the events of which one explains a state.
var because = map[storage.DeliveryState][]string{
	storage.DeliveryAccepted:  {audit.PasscodeSent + "/"},
	storage.DeliverySent:      {"receipt/sent"},
	storage.DeliveryDelivered: {"receipt/delivered"},
	storage.DeliveryRead:      {"receipt/read"},
	storage.DeliveryFailed:    {audit.PasscodeSendFailed + "/refused", audit.PasscodeSendFailed + "/reported"},
	storage.DeliveryUnknown:   {audit.PasscodeSendFailed + "/unknown"},
	storage.DeliverySkipped: {audit.PasscodeSendRefused + "/challenge_over", audit.PasscodeSendRefused + "/overtaken_by_sms",
		audit.PasscodeSendRefused + "/factor_disabled", audit.PasscodeSendRefused + "/phone_removed"},
}

// explained: the state of each message follows from its events, and the events from what was on the wire.
func explained(l *look, breaks func(string, ...any)) {
	for _, d := range l.Deliveries {
		told := map[string]bool{}
		for _, e := range l.ofDelivery[d.ID] {
			told[e.Kind+"/"+e.Reason] = true
			if e.Kind == audit.PasscodeReceipt {
				told["receipt/"+e.Data["status"]] = true
			}
		}
		if !told[audit.PasscodeQueued+"/"] {
			breaks("message %s was never announced", d.ID)
		}
		if words := because[d.State]; words != nil && !slices.ContainsFunc(words, func(word string) bool { return told[word] }) {
			breaks("message %s is %q, and no event says why: %s", d.ID, d.State, strings.Join(slices.Sorted(maps.Keys(told)), ", "))
		}
		if l.taken(d.ID) == 0 && through(d.State) {
			breaks("message %s is %q, and its carrier never took it", d.ID, d.State)
		}
	}
}

// through says that a carrier must have taken a message in this state.
func through(s storage.DeliveryState) bool {
	return s == storage.DeliveryAccepted || s == storage.DeliverySent || s == storage.DeliveryDelivered || s == storage.DeliveryRead
}

// nothingOwed: when everything is over, nothing waits to be sent, and a challenge that nobody ended had its SMS where
// WhatsApp did not get through. The one exception is a kill that hit the SMS call itself: see [Record.Count].
func nothingOwed(l *look, breaks func(string, ...any)) {
	for _, c := range l.Challenges {
		ds := l.deliveries[c.ID]
		for _, d := range ds {
			switch d.State {
			case storage.DeliveryQueued, storage.DeliverySending:
				breaks("challenge %s: its message %s still is %q", c.ID, d.ID, d.State)
			case storage.DeliverySkipped:
				if c.EndedAt.IsZero() {
					breaks("challenge %s: its message %s was dropped while it was open", c.ID, d.ID)
				}
			}
		}
		if c.EndedAt.IsZero() {
			breaks("challenge %s: still open, although its time is up", c.ID)
		}
		bySMS := slices.ContainsFunc(ds, func(d storage.Delivery) bool { return d.Channel == storage.SMS })
		if c.End != storage.ChallengeExpired || c.IdentityBar || c.Policy.SMSForbidden || bySMS {
			continue
		}
		if count(l.ofChallenge[c.ID], audit.PasscodeSendRefused) == 0 {
			breaks("challenge %s: it expired, and no SMS ever followed its WhatsApp message", c.ID)
		}
	}
	for _, n := range l.Notices {
		if n.State == storage.DeliveryQueued || n.State == storage.DeliverySending {
			breaks("warning %s still is %q", n.ID, n.State)
		}
	}
}
