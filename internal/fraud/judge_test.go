package fraud

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parola-id/parola/storage"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// sms are messages to an Azerbaijani prefix that were sent and verified.
func sms(prefix string, sent, verified int) storage.Conversion {
	return storage.Conversion{Prefix: prefix, Country: "AZ", Channel: storage.SMS, Sent: sent, Verified: verified}
}

func instantly(c storage.Conversion) storage.Conversion { c.Instant = true; return c }

func in(country string, c storage.Conversion) storage.Conversion { c.Country = country; return c }

func verdict(prefix, edge string, state storage.VerdictState, age time.Duration) storage.Verdict {
	return storage.Verdict{Prefix: prefix, Edge: edge, Country: "AZ", State: state, Since: noon.Add(-age)}
}

// goodWeek is a week in which prefixes a to d converted well.
func goodWeek() (rows []storage.Conversion) {
	for _, p := range []string{"a", "b", "c", "d"} {
		rows = append(rows, sms(p, 100, 90))
	}
	return rows
}

func TestJudge(t *testing.T) {
	old := noon.Add(-100 * time.Hour)
	cases := []struct {
		name     string
		mode     string
		since    time.Time // of the first message
		recent   []storage.Conversion
		before   []storage.Conversion
		verdicts []storage.Verdict
		want     string // prefix edge from>to, …
	}{
		{name: "no messages, nothing to say"},
		{name: "too few messages, nothing to say", recent: []storage.Conversion{sms("x", 19, 0)}},
		{name: "enough messages that nobody answered", recent: []storage.Conversion{sms("x", 20, 0)}, want: "x sms >enforce"},
		{name: "as many answers as are required", recent: []storage.Conversion{sms("x", 20, 5)}},
		{name: "one answer fewer", recent: []storage.Conversion{sms("x", 20, 4)}, want: "x sms >enforce"},
		{name: "WhatsApp costs nobody a bribe", recent: []storage.Conversion{
			{Prefix: "x", Country: "AZ", Channel: storage.WhatsApp, Sent: 500},
		}},
		{name: "SMS at once must do better", recent: []storage.Conversion{instantly(sms("x", 20, 6))}, want: "x instant >enforce"},
		{name: "SMS at once count among all SMS too", recent: []storage.Conversion{instantly(sms("x", 20, 0))},
			want: "x instant >enforce, x sms >enforce"},
		{name: "SMS at once are accused alone when the others do well",
			recent: []storage.Conversion{instantly(sms("x", 20, 0)), sms("x", 80, 70)}, want: "x instant >enforce"},
		{name: "an installation that observes names and refuses nothing", mode: ModeObserve,
			recent: []storage.Conversion{sms("x", 20, 0)}, want: "x sms >observe"},
		{name: "so does one that learns", since: noon.Add(-72*time.Hour + 1),
			recent: []storage.Conversion{sms("x", 20, 0)}, want: "x sms >observe"},
		{name: "learning is over at its end", since: noon.Add(-72 * time.Hour),
			recent: []storage.Conversion{sms("x", 20, 0)}, want: "x sms >enforce"},
		{name: "what was observed while learning is refused after it", recent: []storage.Conversion{sms("x", 20, 0)},
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictObserve, time.Hour)}, want: "x sms observe>enforce"},
		{name: "an observed one is refused after a quarter of the messages", recent: []storage.Conversion{sms("x", 5, 0)},
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictObserve, time.Minute)}, want: "x sms observe>enforce"},
		{name: "not before", recent: []storage.Conversion{sms("x", 4, 0)},
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictObserve, time.Minute)}},
		{name: "an observed one that does well is let go", recent: []storage.Conversion{sms("x", 8, 3)},
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictObserve, time.Minute)}, want: "x sms observe>"},
		{name: "one that just gets by stays", recent: []storage.Conversion{sms("x", 20, 6)},
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictObserve, time.Minute)}},
		{name: "a quiet one is let go after the rest",
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictObserve, 6*time.Hour)}, want: "x sms observe>"},
		{name: "a refused one stays refused during the rest",
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictEnforce, 6*time.Hour-1)}},
		{name: "and as long as the window remembers", recent: []storage.Conversion{sms("x", 20, 0)},
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictEnforce, 6*time.Hour)}},
		{name: "after the rest it is tried again",
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictEnforce, 6*time.Hour)}, want: "x sms enforce>observe"},
		{name: "late answers lift a refusal", recent: []storage.Conversion{sms("x", 24, 9)},
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictEnforce, time.Minute)}, want: "x sms enforce>"},
		{name: "not if they are few", recent: []storage.Conversion{sms("x", 24, 8)},
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictEnforce, time.Minute)}},
		{name: "an operator who turns to observing lifts refusals", mode: ModeObserve, recent: []storage.Conversion{sms("x", 24, 0)},
			verdicts: []storage.Verdict{verdict("x", EdgeSMS, storage.VerdictEnforce, time.Minute)}, want: "x sms enforce>observe"},
		{name: "an override is kept when the numbers speak", recent: []storage.Conversion{sms("x", 20, 0)},
			verdicts: []storage.Verdict{{Prefix: "x", Edge: EdgeSMS, Override: storage.OverrideAllow}}, want: "x sms >enforce allow"},
		{name: "and when they fall silent", verdicts: []storage.Verdict{{Prefix: "x", Edge: EdgeSMS, State: storage.VerdictObserve,
			Override: storage.OverrideBlock, Since: noon.Add(-6 * time.Hour)}}, want: "x sms observe> block"},
		{name: "a country's override is no prefix", verdicts: []storage.Verdict{
			{Prefix: "country:AZ", Edge: EdgeSMS, Override: storage.OverrideBlock}}},

		{name: "a good week counts as twenty messages", recent: []storage.Conversion{sms("a", 52, 0)}, before: goodWeek()[:1]},
		{name: "and no more", recent: []storage.Conversion{sms("a", 53, 0)}, before: goodWeek()[:1], want: "a sms >enforce"},
		{name: "a bad week is not held against a prefix", recent: []storage.Conversion{sms("x", 20, 5)},
			before: []storage.Conversion{sms("x", 100, 10)}},
		{name: "when good prefixes do badly too, it is an outage",
			recent: []storage.Conversion{sms("a", 30, 0), sms("b", 30, 2), sms("c", 30, 0), sms("x", 40, 0)}, before: goodWeek()},
		{name: "two witnesses are too few", recent: []storage.Conversion{sms("a", 30, 0), sms("b", 30, 2), sms("x", 40, 0)},
			before: goodWeek(), want: "x sms >enforce"},
		{name: "ranges that were never good are no witnesses", recent: []storage.Conversion{
			sms("v", 40, 0), sms("w", 40, 0), sms("x", 40, 0), sms("y", 40, 0), sms("z", 40, 0)},
			want: "v sms >enforce, w sms >enforce, x sms >enforce, y sms >enforce, z sms >enforce"},
		{name: "ranges that are pumped while others do well",
			recent: []storage.Conversion{sms("a", 30, 28), sms("b", 30, 25), sms("c", 30, 27), sms("x", 40, 0)}, before: goodWeek(),
			want: "x sms >enforce"},
		{name: "where a country has few witnesses, those elsewhere speak: an outage", recent: []storage.Conversion{
			sms("a", 30, 1), sms("b", 30, 2), sms("c", 30, 0), in("IT", sms("x", 40, 0))}, before: goodWeek()},
		{name: "or none", recent: []storage.Conversion{
			sms("a", 30, 28), sms("b", 30, 25), sms("c", 30, 27), in("IT", sms("x", 40, 0))}, before: goodWeek(), want: "x sms >enforce"},
		{name: "an outage abroad excuses nobody where witnesses do well", recent: []storage.Conversion{
			sms("a", 30, 28), sms("b", 30, 25), sms("c", 30, 27), sms("x", 40, 0),
			in("IT", sms("i", 90, 0)), in("IT", sms("j", 90, 0)), in("IT", sms("k", 90, 0)), in("IT", sms("l", 90, 0))},
			before: append(goodWeek(), in("IT", sms("i", 90, 80)), in("IT", sms("j", 90, 80)),
				in("IT", sms("k", 90, 80)), in("IT", sms("l", 90, 80))),
			want: "x sms >enforce"},
		{name: "a prefix is no witness for itself",
			recent: []storage.Conversion{sms("a", 60, 0), sms("b", 30, 0), sms("c", 30, 0)}, before: goodWeek()[:3], want: "a sms >enforce"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := Defaults()
			if c.mode != "" {
				s.Mode = c.mode
			}
			if c.since.IsZero() {
				c.since = old
			}
			got := told(Judge(s, Evidence{Now: noon, FirstMessage: c.since, Recent: c.recent, Before: c.before, Verdicts: c.verdicts}))
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func told(changes []Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, strings.TrimRight(fmt.Sprintf("%s %s %s>%s %s",
			c.Verdict.Prefix, c.Verdict.Edge, c.From, c.Verdict.State, c.Verdict.Override), " "))
	}
	return strings.Join(all, ", ")
}

func TestBeforeTheFirstMessageNothingIsRefused(t *testing.T) {
	got := told(Judge(Defaults(), Evidence{Now: noon, Recent: []storage.Conversion{sms("x", 20, 0)}}))
	if got != "x sms >observe" {
		t.Errorf("got %q", got)
	}
}

// TestJudgeIgnoresTheOrderOfRows: the same evidence in any order, and cut into any parts, gives the same changes.
func TestJudgeIgnoresTheOrderOfRows(t *testing.T) {
	row := rapid.Custom(func(t *rapid.T) storage.Conversion {
		sent := rapid.IntRange(0, 60).Draw(t, "sent")
		return storage.Conversion{
			Prefix:  rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "prefix"),
			Country: rapid.SampledFrom([]string{"AZ", "IT"}).Draw(t, "country"),
			Channel: rapid.SampledFrom([]storage.Channel{storage.SMS, storage.WhatsApp}).Draw(t, "channel"),
			Instant: rapid.Bool().Draw(t, "instant"),
			Sent:    sent, Verified: rapid.IntRange(0, sent).Draw(t, "verified"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		e := Evidence{
			Now: noon, FirstMessage: noon.Add(-100 * time.Hour),
			Recent: rapid.SliceOfN(row, 0, 20).Draw(t, "recent"), Before: rapid.SliceOfN(row, 0, 20).Draw(t, "before"),
		}
		for _, p := range []string{"a", "b", "c"} {
			state := rapid.SampledFrom([]storage.VerdictState{"", storage.VerdictObserve, storage.VerdictEnforce}).Draw(t, "state "+p)
			if state != "" {
				e.Verdicts = append(e.Verdicts, verdict(p, EdgeSMS, state, time.Hour))
			}
		}
		want := Judge(Defaults(), e)
		other := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for _, rows := range [][]storage.Conversion{e.Recent, e.Before} {
			other.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
		other.Shuffle(len(e.Verdicts), func(i, j int) { e.Verdicts[i], e.Verdicts[j] = e.Verdicts[j], e.Verdicts[i] })
		if got := Judge(Defaults(), e); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, want %v", told(got), told(want))
		}
	})
}

func TestSettingsCheck(t *testing.T) {
	if err := Defaults().Check(); err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(s *Settings){
		"fraud.mode":                     func(s *Settings) { s.Mode = "off" },
		"fraud.window":                   func(s *Settings) { s.Window = 0 },
		"fraud.learning":                 func(s *Settings) { s.Learning = -1 },
		"fraud.rest":                     func(s *Settings) { s.Rest = time.Minute },
		"fraud.min_sent":                 func(s *Settings) { s.MinSent = 1 },
		"fraud.least_conversion is 0:":   func(s *Settings) { s.LeastConversion = 0 },
		"fraud.least_conversion is NaN:": func(s *Settings) { s.LeastConversion = math.NaN() },
		"fraud.least_conversion_instant": func(s *Settings) { s.LeastConversionInstant = 0.7 },
	}
	for says, spoil := range cases {
		s := Defaults()
		spoil(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v: want one that says %s", err, says)
		}
	}
}
