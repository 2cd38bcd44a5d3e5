package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// record is everything that is left of a run: what the database says, what the audit log tells, what the carriers saw and
// what people saw.
type record struct {
	challenges map[string]storage.Challenge
	deliveries map[string][]storage.Delivery // by challenge
	events     []storage.Event               // in the order in which they were sealed
	calls      map[string][]rig.Call         // by delivery
	people     []seen
}

// read collects the record of a run from the database and the tap.
func read(ctx context.Context, in *rig.Installation, people []seen) (*record, error) {
	store, err := in.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	r := &record{challenges: map[string]storage.Challenge{}, deliveries: map[string][]storage.Delivery{}, calls: map[string][]rig.Call{}, people: people}
	for after := int64(0); ; {
		batch, err := store.SealedEvents(ctx, after, 10_000)
		if err != nil {
			return nil, err
		}
		if len(batch) == 0 {
			break
		}
		r.events = append(r.events, batch...)
		after = batch[len(batch)-1].Sequence
	}
	ids := map[string]bool{}
	for _, e := range r.events {
		if e.ChallengeID != "" {
			ids[e.ChallengeID] = true
		}
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(ids)), 200) {
		challenges, err := store.ChallengesByID(ctx, chunk)
		if err != nil {
			return nil, err
		}
		deliveries, err := store.DeliveriesOfAll(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for _, c := range challenges {
			r.challenges[c.ID] = c
		}
		for _, d := range deliveries {
			r.deliveries[d.ChallengeID] = append(r.deliveries[d.ChallengeID], d)
		}
	}
	for _, c := range in.Tap.Calls() {
		r.calls[c.Delivery] = append(r.calls[c.Delivery], c)
	}
	return r, nil
}

// findings are the violations of each invariant, and the figures beside them.
type findings struct {
	broken []string
	counts map[string]int
}

func (f *findings) breaks(format string, args ...any) {
	f.broken = append(f.broken, fmt.Sprintf(format, args...))
}

// check holds a record against the invariants. It knows the rules in its own words and asks no code of the provider.
func check(r *record) *findings {
	f := &findings{counts: map[string]int{}}
	log := eventsOf(r.events)
	for id, c := range r.challenges {
		f.count(c)
		f.oneAutomaticSMS(c, r)
		f.nothingOwed(c, r, log.challenge[id])
		f.acceptedOnce(c, log.challenge[id])
		for _, d := range r.deliveries[id] {
			f.explainsDelivery(d, r.calls[d.ID], log.delivery[d.ID])
		}
	}
	known := map[string]bool{}
	for _, ds := range r.deliveries {
		for _, d := range ds {
			known[d.ID] = true
		}
	}
	for id := range r.calls {
		if !known[id] {
			f.breaks("a carrier was called for a message that is in no record: %s", id)
		}
	}
	f.explainsLogins(r, log)
	return f
}

// count fills the figures.
func (f *findings) count(c storage.Challenge) {
	f.counts["challenges"]++
	f.counts["challenges ended as "+string(c.End)]++
}

// oneAutomaticSMS: no second automatic SMS, neither in the database nor on the wire (OTP-06).
func (f *findings) oneAutomaticSMS(c storage.Challenge, r *record) {
	automatic, taken := 0, 0
	for _, d := range r.deliveries[c.ID] {
		f.counts["messages by "+string(d.Channel)]++
		if d.Channel != storage.SMS || !d.Automatic {
			continue
		}
		automatic++
		f.counts["automatic SMS because of "+d.Trigger]++
		for _, call := range r.calls[d.ID] {
			if call.Taken() {
				taken++
			}
		}
	}
	if automatic > 1 || taken > 1 {
		f.breaks("challenge %s: %d automatic SMS in the database, %d on the wire", c.ID, automatic, taken)
	}
}

// nothingOwed: when everything is over, nothing waits to be sent, and a challenge that nobody ended had its SMS where
// WhatsApp did not get through. The one exception is a kill that hit the SMS call itself: it is counted and shown.
func (f *findings) nothingOwed(c storage.Challenge, r *record, events []storage.Event) {
	ds := r.deliveries[c.ID]
	for _, d := range ds {
		switch d.State {
		case storage.DeliveryQueued, storage.DeliverySending:
			f.breaks("challenge %s: its message %s still is %q", c.ID, d.ID, d.State)
		case storage.DeliverySkipped:
			if c.EndedAt.IsZero() {
				f.breaks("challenge %s: its message %s was dropped while it was open", c.ID, d.ID)
			}
		}
		if d.Channel == storage.SMS && d.State == storage.DeliveryUnknown && len(r.calls[d.ID]) == 0 {
			f.counts["SMS whose call a kill cut off (the one exception)"]++
		}
	}
	if c.EndedAt.IsZero() {
		f.breaks("challenge %s: still open, although its time is up", c.ID)
	}
	if c.End != storage.ChallengeExpired || c.IdentityBar || c.Policy.SMSForbidden || slices.ContainsFunc(ds, func(d storage.Delivery) bool { return d.Channel == storage.SMS }) {
		return
	}
	refused := slices.ContainsFunc(events, func(e storage.Event) bool { return e.Kind == audit.PasscodeSendRefused })
	if !refused {
		f.breaks("challenge %s: it expired, and no SMS ever followed its WhatsApp message", c.ID)
	}
}

// acceptedOnce: no passcode is accepted twice (OTP-03), and the database and the log agree on which were.
func (f *findings) acceptedOnce(c storage.Challenge, events []storage.Event) {
	accepted := 0
	for _, e := range events {
		if e.Kind == audit.PasscodeSuccess {
			accepted++
		}
	}
	if want := map[bool]int{true: 1}[c.End == storage.ChallengeVerified]; accepted != want {
		f.breaks("challenge %s ended as %s: its passcode was accepted %d times", c.ID, c.End, accepted)
	}
}

// explainsDelivery: the state of each message follows from its events, and the events from what was on the wire.
func (f *findings) explainsDelivery(d storage.Delivery, calls []rig.Call, events []storage.Event) {
	f.counts["messages "+string(d.State)]++
	told := map[string]bool{}
	for _, e := range events {
		told[e.Kind+"/"+e.Reason] = true
		if e.Kind == audit.PasscodeReceipt {
			told["receipt/"+e.Data["status"]] = true
		}
	}
	if !told[audit.PasscodeQueued+"/"] {
		f.breaks("message %s was never announced", d.ID)
	}
	because := map[storage.DeliveryState][]string{
		storage.DeliveryAccepted:  {audit.PasscodeSent + "/"},
		storage.DeliverySent:      {"receipt/sent"},
		storage.DeliveryDelivered: {"receipt/delivered"},
		storage.DeliveryRead:      {"receipt/read"},
		storage.DeliveryFailed:    {audit.PasscodeSendFailed + "/refused", audit.PasscodeSendFailed + "/reported"},
		storage.DeliveryUnknown:   {audit.PasscodeSendFailed + "/unknown"},
		storage.DeliverySkipped: {audit.PasscodeSendRefused + "/challenge_over", audit.PasscodeSendRefused + "/overtaken_by_sms",
			audit.PasscodeSendRefused + "/factor_disabled", audit.PasscodeSendRefused + "/phone_removed"},
	}[d.State]
	if because != nil && !slices.ContainsFunc(because, func(word string) bool { return told[word] }) {
		f.breaks("message %s is %q, and no event says why: %s", d.ID, d.State, strings.Join(slices.Sorted(maps.Keys(told)), ", "))
	}
	taken := 0
	for _, c := range calls {
		if c.Taken() {
			taken++
		}
	}
	if taken > 1 {
		f.breaks("message %s was taken by its carrier %d times", d.ID, taken)
	}
	if taken == 0 && (d.State == storage.DeliveryAccepted || d.State == storage.DeliverySent || d.State == storage.DeliveryDelivered || d.State == storage.DeliveryRead) {
		f.breaks("message %s is %q, and its carrier never took it", d.ID, d.State)
	}
}

// story are events by what they are about.
type story struct{ challenge, delivery, authRequest map[string][]storage.Event }

func eventsOf(events []storage.Event) story {
	s := story{map[string][]storage.Event{}, map[string][]storage.Event{}, map[string][]storage.Event{}}
	for _, e := range events {
		if e.ChallengeID != "" {
			s.challenge[e.ChallengeID] = append(s.challenge[e.ChallengeID], e)
		}
		if e.DeliveryID != "" {
			s.delivery[e.DeliveryID] = append(s.delivery[e.DeliveryID], e)
		}
		if e.AuthRequestID != "" {
			s.authRequest[e.AuthRequestID] = append(s.authRequest[e.AuthRequestID], e)
		}
	}
	return s
}

// explainsLogins: every AuthCode has one login behind it in which everything happened that must, and people saw no more
// AuthCodes than the log tells of.
func (f *findings) explainsLogins(r *record, log story) {
	issued := 0
	for id, events := range log.authRequest {
		kinds := map[string]int{}
		for _, e := range events {
			kinds[e.Kind]++
		}
		n := kinds[audit.CodeIssued]
		issued += n
		if n == 0 {
			continue
		}
		if n > 1 {
			f.breaks("AuthRequest %s: %d AuthCodes were issued", id, n)
		}
		for _, kind := range []string{audit.AuthorizeStarted, audit.PasswordSuccess, audit.PasscodeQueued, audit.PasscodeSuccess, audit.SessionCreated} {
			if kinds[kind] == 0 {
				f.breaks("AuthRequest %s: an AuthCode was issued, and no event %s", id, kind)
			}
		}
	}
	given := map[string]bool{}
	for _, s := range r.people {
		f.counts["people: "+string(s.outcome)]++
		for _, code := range s.authCodes {
			given[code] = true
		}
	}
	f.counts["AuthCodes that people saw"] = len(given)
	f.counts["AuthCodes in the log"] = issued
	if len(given) == 0 {
		f.breaks("nobody got in")
	}
	if len(given) > issued {
		f.breaks("people saw %d AuthCodes, the log tells of %d", len(given), issued)
	}
}

// lateness is how far the last deadline lies behind the end of a run.
func lateness(life time.Duration) time.Duration { return life + 20*time.Second }
