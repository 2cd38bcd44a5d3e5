package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// sound is the record of two logins: one by WhatsApp, one whose WhatsApp message did not arrive, got its SMS and was left
// alone.
func sound() *record {
	about := func(challenge, delivery string, kinds ...string) (events []storage.Event) {
		for _, kind := range kinds {
			kind, status, isReceipt := strings.Cut(kind, " ")
			e := storage.Event{Kind: kind, AuthRequestID: "of " + challenge, ChallengeID: challenge, DeliveryID: delivery}
			if isReceipt {
				e.Data = map[string]string{"status": status}
			}
			events = append(events, e)
		}
		return events
	}
	taken := func(channel, delivery string) []rig.Call {
		return []rig.Call{{Channel: channel, Delivery: delivery, At: noon, Status: 200}}
	}
	return &record{
		challenges: map[string]storage.Challenge{
			"one": {ID: "one", EndedAt: noon, End: storage.ChallengeVerified},
			"two": {ID: "two", EndedAt: noon, End: storage.ChallengeExpired},
		},
		deliveries: map[string][]storage.Delivery{
			"one": {{ID: "w1", ChallengeID: "one", Channel: storage.WhatsApp, State: storage.DeliveryDelivered}},
			"two": {
				{ID: "w2", ChallengeID: "two", Channel: storage.WhatsApp, State: storage.DeliveryAccepted},
				{ID: "s2", ChallengeID: "two", Channel: storage.SMS, State: storage.DeliveryDelivered, Automatic: true, Trigger: "not_delivered"},
			},
		},
		events: slices.Concat(
			about("one", "", audit.AuthorizeStarted, audit.PasswordSuccess),
			about("one", "w1", audit.PasscodeQueued, audit.PasscodeSent, audit.PasscodeReceipt+" delivered"),
			about("one", "", audit.PasscodeSuccess, audit.SessionCreated, audit.CodeIssued),
			about("two", "", audit.AuthorizeStarted, audit.PasswordSuccess),
			about("two", "w2", audit.PasscodeQueued, audit.PasscodeSent),
			about("two", "s2", audit.PasscodeFallback, audit.PasscodeQueued, audit.PasscodeSent, audit.PasscodeReceipt+" delivered"),
			about("two", "", audit.PasscodeExpired),
		),
		calls:  map[string][]rig.Call{"w1": taken("whatsapp", "w1"), "w2": taken("whatsapp", "w2"), "s2": taken("sms", "s2")},
		people: []seen{{signedIn, []string{"AuthCode"}}, {outcome: gaveUp}},
	}
}

// message returns a delivery of the record to change.
func (r *record) message(id string) *storage.Delivery {
	for _, ds := range r.deliveries {
		for i := range ds {
			if ds[i].ID == id {
				return &ds[i]
			}
		}
	}
	panic("no message " + id)
}

func (r *record) change(challenge string, f func(c *storage.Challenge)) {
	c := r.challenges[challenge]
	f(&c)
	r.challenges[challenge] = c
}

// forget takes the events of a kind about a challenge out of the log.
func (r *record) forget(challenge, kind string) {
	r.events = slices.DeleteFunc(r.events, func(e storage.Event) bool { return e.ChallengeID == challenge && e.Kind == kind })
}

func (r *record) tell(e storage.Event) { r.events = append(r.events, e) }

// withoutSMS takes the SMS of the second login out of the record, as if it had never been.
func (r *record) withoutSMS() {
	r.deliveries["two"] = r.deliveries["two"][:1]
	delete(r.calls, "s2")
	r.events = slices.DeleteFunc(r.events, func(e storage.Event) bool { return e.DeliveryID == "s2" })
}

// state puts a message into a state that no event speaks of.
func state(id string, s storage.DeliveryState) func(*record) {
	return func(r *record) {
		r.message(id).State = s
		r.events = slices.DeleteFunc(r.events, func(e storage.Event) bool { return e.DeliveryID == id && e.Kind != audit.PasscodeQueued })
	}
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	second := storage.Delivery{ID: "s3", ChallengeID: "two", Channel: storage.SMS, State: storage.DeliverySkipped, Automatic: true}
	for name, tt := range map[string]struct {
		spoil func(r *record)
		want  string
	}{
		"a second automatic SMS in the database": {func(r *record) {
			r.deliveries["two"] = append(r.deliveries["two"], second)
			r.tell(storage.Event{Kind: audit.PasscodeQueued, ChallengeID: "two", DeliveryID: "s3"})
			r.tell(storage.Event{Kind: audit.PasscodeSendRefused, Reason: "challenge_over", ChallengeID: "two", DeliveryID: "s3"})
		}, "2 automatic SMS in the database, 1 on the wire"},
		"a second automatic SMS on the wire": {func(r *record) {
			r.calls["s2"] = append(r.calls["s2"], r.calls["s2"][0])
		}, "1 automatic SMS in the database, 2 on the wire"},
		"the second answer was lost, and may have been one": {func(r *record) {
			r.calls["s2"] = append(r.calls["s2"], rig.Call{Channel: "sms", Delivery: "s2"})
		}, "1 automatic SMS in the database, 2 on the wire"},
		"a message that WhatsApp took twice": {func(r *record) {
			r.calls["w1"] = append(r.calls["w1"], r.calls["w1"][0])
		}, "message w1 was taken by its carrier 2 times"},
		"a message that still waits":         {state("w2", storage.DeliveryQueued), `message w2 still is "queued"`},
		"a message that still is on the way": {state("s2", storage.DeliverySending), `message s2 still is "sending"`},
		"a message dropped for no reason": {func(r *record) {
			state("w1", storage.DeliverySkipped)(r)
			r.change("one", func(c *storage.Challenge) { c.EndedAt = time.Time{} })
		}, "message w1 was dropped while it was open"},
		"a challenge that nobody ended":            {func(r *record) { r.change("two", func(c *storage.Challenge) { c.EndedAt = time.Time{} }) }, "challenge two: still open"},
		"an SMS that was owed":                     {(*record).withoutSMS, "no SMS ever followed"},
		"a passcode accepted twice":                {func(r *record) { r.tell(storage.Event{Kind: audit.PasscodeSuccess, ChallengeID: "one"}) }, "its passcode was accepted 2 times"},
		"a passcode accepted after the end":        {func(r *record) { r.tell(storage.Event{Kind: audit.PasscodeSuccess, ChallengeID: "two"}) }, "challenge two ended as expired: its passcode was accepted 1 times"},
		"a verified challenge without its event":   {func(r *record) { r.forget("one", audit.PasscodeSuccess) }, "challenge one ended as verified: its passcode was accepted 0 times"},
		"a message that was never announced":       {func(r *record) { r.forget("one", audit.PasscodeQueued) }, "message w1 was never announced"},
		"accepted without its event":               {state("w2", storage.DeliveryAccepted), `message w2 is "accepted", and no event says why`},
		"sent without its receipt":                 {state("w2", storage.DeliverySent), `message w2 is "sent", and no event says why`},
		"delivered without its receipt":            {state("w1", storage.DeliveryDelivered), `message w1 is "delivered", and no event says why`},
		"read without its receipt":                 {state("w1", storage.DeliveryRead), `message w1 is "read", and no event says why`},
		"failed without its event":                 {state("w2", storage.DeliveryFailed), `message w2 is "failed", and no event says why`},
		"unknown without its event":                {state("w2", storage.DeliveryUnknown), `message w2 is "unknown", and no event says why`},
		"dropped without its event":                {state("w2", storage.DeliverySkipped), `message w2 is "skipped", and no event says why`},
		"delivered, and the carrier was not asked": {func(r *record) { delete(r.calls, "w1") }, `message w1 is "delivered", and its carrier never took it`},
		"delivered, and the carrier refused it":    {func(r *record) { r.calls["w1"][0].Status = 400 }, `message w1 is "delivered", and its carrier never took it`},
		"a call for a message of no record":        {func(r *record) { r.calls["x9"] = r.calls["w1"] }, "a carrier was called for a message that is in no record: x9"},
		"two AuthCodes of one AuthRequest":         {func(r *record) { r.tell(storage.Event{Kind: audit.CodeIssued, AuthRequestID: "of one"}) }, "AuthRequest of one: 2 AuthCodes were issued"},
		"an AuthCode without its request":          {func(r *record) { r.forget("one", audit.AuthorizeStarted) }, "an AuthCode was issued, and no event " + audit.AuthorizeStarted},
		"an AuthCode without a password":           {func(r *record) { r.forget("one", audit.PasswordSuccess) }, "an AuthCode was issued, and no event " + audit.PasswordSuccess},
		"an AuthCode without a message":            {func(r *record) { r.forget("one", audit.PasscodeQueued) }, "an AuthCode was issued, and no event " + audit.PasscodeQueued},
		"an AuthCode without a passcode":           {func(r *record) { r.forget("one", audit.PasscodeSuccess) }, "an AuthCode was issued, and no event " + audit.PasscodeSuccess},
		"an AuthCode without a session":            {func(r *record) { r.forget("one", audit.SessionCreated) }, "an AuthCode was issued, and no event " + audit.SessionCreated},
		"an AuthCode that the log does not know":   {func(r *record) { r.people[1].authCodes = []string{"another"} }, "people saw 2 AuthCodes, the log tells of 1"},
		"nobody got in":                            {func(r *record) { r.people[0].authCodes = nil }, "nobody got in"},
	} {
		t.Run(name, func(t *testing.T) {
			r := sound()
			tt.spoil(r)
			found := check(r).broken
			if !slices.ContainsFunc(found, func(b string) bool { return strings.Contains(b, tt.want) }) {
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
}

func TestCheckFindsNothingInASoundRecord(t *testing.T) {
	for name, change := range map[string]func(r *record){
		"as it is": func(*record) {},
		"no SMS because of a security signal": func(r *record) {
			r.withoutSMS()
			r.change("two", func(c *storage.Challenge) { c.IdentityBar = true })
		},
		"no SMS because a limit refused it": func(r *record) {
			r.withoutSMS()
			r.tell(storage.Event{Kind: audit.PasscodeSendRefused, ChallengeID: "two", Reason: "budget"})
		},
		"a refusal and its one retry": func(r *record) {
			r.calls["w1"] = append([]rig.Call{{Channel: "whatsapp", Delivery: "w1", Status: 500}}, r.calls["w1"]...)
		},
		"the same AuthCode in two tabs": func(r *record) { r.people[0].authCodes = []string{"AuthCode", "AuthCode"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := sound()
			change(r)
			if found := check(r).broken; len(found) > 0 {
				t.Errorf("found %q", found)
			}
		})
	}
}

// A kill in the middle of the SMS call is the one case in which no SMS may follow: it is no finding, and it is shown.
func TestCheckCountsTheOneException(t *testing.T) {
	r := sound()
	r.message("s2").State = storage.DeliveryUnknown
	delete(r.calls, "s2")
	r.tell(storage.Event{Kind: audit.PasscodeSendFailed, Reason: "unknown", ChallengeID: "two", DeliveryID: "s2"})
	f := check(r)
	if n := f.counts["SMS whose call a kill cut off (the one exception)"]; n != 1 || len(f.broken) > 0 {
		t.Errorf("counted %d, found %q", n, f.broken)
	}
}
