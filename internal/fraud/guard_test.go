package fraud

import (
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// given is a store of these verdicts.
type given []storage.Verdict

func (g given) Verdicts(context.Context) ([]storage.Verdict, error) { return g, nil }
func (given) PutVerdict(context.Context, storage.Verdict) error     { return errors.New("not asked for") }
func (given) RemoveVerdict(context.Context, string, string) (bool, error) {
	return false, errors.New("not asked for")
}

func (given) Wake(context.Context, storage.Wakeup)      {}
func (given) Listen(func(storage.Wakeup)) (stop func()) { return func() {} }

func guardOf(t interface{ Fatal(...any) }, list ...storage.Verdict) *Guard {
	g := NewGuard(GuardConfig{Store: given(list)})
	if err := g.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuard(t *testing.T) {
	enforce := func(prefix, edge string) storage.Verdict {
		return storage.Verdict{Prefix: prefix, Edge: edge, State: storage.VerdictEnforce}
	}
	word := func(prefix, edge string, o storage.Override) storage.Verdict {
		return storage.Verdict{Prefix: prefix, Edge: edge, Override: o}
	}
	ordinary := mfa.SMSQuestion{Country: "AZ", Prefix: "+99450"}
	instant := mfa.SMSQuestion{Country: "AZ", Prefix: "+99450", Instant: true}
	allowed := enforce("+99450", EdgeSMS)
	allowed.Override = storage.OverrideAllow
	cases := []struct {
		name              string
		verdicts          []storage.Verdict
		ordinary, instant bool // refused
	}{
		{name: "nothing is known"},
		{name: "another prefix", verdicts: []storage.Verdict{enforce("+99451", EdgeSMS)}},
		{name: "observed", verdicts: []storage.Verdict{{Prefix: "+99450", Edge: EdgeSMS, State: storage.VerdictObserve}}},
		{name: "refused on all SMS", verdicts: []storage.Verdict{enforce("+99450", EdgeSMS)}, ordinary: true, instant: true},
		{name: "refused at once only", verdicts: []storage.Verdict{enforce("+99450", EdgeInstant)}, instant: true},
		{name: "allowed by the operator", verdicts: []storage.Verdict{allowed}},
		{name: "allowed on one edge, refused on the other", verdicts: []storage.Verdict{allowed, enforce("+99450", EdgeInstant)}, instant: true},
		{name: "blocked by the operator", verdicts: []storage.Verdict{word("+99450", EdgeSMS, storage.OverrideBlock)}, ordinary: true, instant: true},
		{name: "the country is blocked", verdicts: []storage.Verdict{word("country:AZ", EdgeSMS, storage.OverrideBlock)}, ordinary: true, instant: true},
		{name: "the country is blocked at once only", verdicts: []storage.Verdict{word("country:AZ", EdgeInstant, storage.OverrideBlock)}, instant: true},
		{name: "another country is blocked", verdicts: []storage.Verdict{word("country:IT", EdgeSMS, storage.OverrideBlock)}},
		{name: "the country is allowed whatever its prefixes do", verdicts: []storage.Verdict{
			word("country:AZ", EdgeSMS, storage.OverrideAllow), enforce("+99450", EdgeSMS)}},
		{name: "a word for the prefix stands over one for the country", verdicts: []storage.Verdict{
			word("country:AZ", EdgeSMS, storage.OverrideBlock), word("+99450", EdgeSMS, storage.OverrideAllow)}},
		{name: "a word for a shorter prefix holds", verdicts: []storage.Verdict{word("+994", EdgeSMS, storage.OverrideBlock)}, ordinary: true, instant: true},
		{name: "a nearer word stands over a shorter one", verdicts: []storage.Verdict{
			word("+994", EdgeSMS, storage.OverrideBlock), word("+9945", EdgeSMS, storage.OverrideAllow)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := guardOf(t, c.verdicts...)
			if got := g.Refuses(ordinary); got != c.ordinary {
				t.Errorf("refuses an SMS: %v", got)
			}
			if got := g.Refuses(instant); got != c.instant {
				t.Errorf("refuses an SMS at once: %v", got)
			}
		})
	}
}

func TestGuardRefusesNothingBeforeItHasRead(t *testing.T) {
	g := NewGuard(GuardConfig{Store: given{{Prefix: "+99450", Edge: EdgeSMS, State: storage.VerdictEnforce}}})
	if g.Refuses(mfa.SMSQuestion{Country: "AZ", Prefix: "+99450"}) {
		t.Error("refused")
	}
}

// TestOverrideAlwaysWins: whatever the numbers say and have said, the operator's word is what is done.
func TestOverrideAlwaysWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.IntRange(0, 200).Draw(t, "sent")
		verified := rapid.IntRange(0, sent).Draw(t, "verified")
		word := rapid.SampledFrom([]storage.Override{storage.OverrideAllow, storage.OverrideBlock}).Draw(t, "word")
		v := storage.Verdict{Prefix: "x", Edge: EdgeSMS, Country: "AZ", Override: word,
			State: rapid.SampledFrom([]storage.VerdictState{"", storage.VerdictObserve, storage.VerdictEnforce}).Draw(t, "state")}
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			changes := Judge(Defaults(), Evidence{Now: noon, FirstMessage: noon.AddDate(0, -1, 0),
				Recent: []storage.Conversion{sms("x", sent, verified)}, Verdicts: []storage.Verdict{v}})
			for _, c := range changes {
				v = c.Verdict
			}
			refused := guardOf(t, v).Refuses(mfa.SMSQuestion{Country: "AZ", Prefix: "x"})
			if refused != (word == storage.OverrideBlock) {
				t.Fatalf("%s, and refused is %v", word, refused)
			}
		}
	})
}
