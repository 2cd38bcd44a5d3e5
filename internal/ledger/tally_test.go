package ledger

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// fixed are prices in ten-thousandths.
type fixed map[string]storage.Money

func (f fixed) Price(carrier, _ string, _ time.Time) storage.Money { return f[carrier] }

var prices = fixed{"meta": 500, "twilio": 1200, "sms": 2000}

func bySMS(string) string { return "twilio" }

func challenge(id string) storage.Challenge {
	return storage.Challenge{ID: id, PhoneCountry: "IT", PhonePrefix: "+39333", Locale: "it", CreatedAt: noon}
}

// message is one that was accepted n seconds after noon.
func message(id string, ch storage.Channel, trigger string, n int) storage.Delivery {
	d := storage.Delivery{
		ID: id, ChallengeID: "c", Channel: ch, Carrier: "meta", Trigger: trigger, State: storage.DeliveryAccepted,
		CreatedAt: at(n), SendingAt: at(n), AcceptedAt: at(n),
	}
	if ch == storage.SMS {
		d.Carrier = "twilio"
	}
	return d
}

func at(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }

func event(kind, delivery string, n int, more ...string) storage.Event {
	e := storage.Event{Kind: kind, ChallengeID: "c", DeliveryID: delivery, At: at(n), Data: map[string]string{}}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i] == "reason" {
			e.Reason = more[i+1]
		} else {
			e.Data[more[i]] = more[i+1]
		}
	}
	return e
}

func receipt(delivery, status string) storage.Event {
	return event(audit.PasscodeReceipt, delivery, 0, "status", status)
}

func sendFailed(delivery, reason string) storage.Event {
	return event(audit.PasscodeSendFailed, delivery, 0, "reason", reason)
}

func knownOf(c storage.Challenge, ds ...storage.Delivery) known {
	return known{map[string]storage.Challenge{c.ID: c}, map[string][]storage.Delivery{c.ID: ds}}
}

// written is what was counted, one line per row.
func written(c counts) string {
	var lines []string
	days, conversions := c.rows()
	for _, d := range days {
		line := fmt.Sprintf("%s %s %s: sent %d delivered %d read %d failed %d verified %d spent %s saved %s",
			d.Day, d.Channel, d.Carrier, d.Sent, d.Delivered, d.Read, d.Failed, d.Verified, d.Spent, d.Saved)
		for _, trigger := range slices.Sorted(maps.Keys(d.FellBack)) {
			line += fmt.Sprintf(" %s %d", trigger, d.FellBack[trigger])
		}
		// The end of the bucket: up to 8 % later.
		if p, counted := Quantile(d.ToDelivered, 1); counted {
			line += fmt.Sprintf(" arrived %.0f", p.Seconds())
		}
		if p, counted := Quantile(d.ToVerified, 1); counted {
			line += fmt.Sprintf(" entered %.0f", p.Seconds())
		}
		lines = append(lines, line)
	}
	for _, v := range conversions {
		lines = append(lines, fmt.Sprintf("%s %s %s instant %v: %d/%d %s",
			v.Hour.Format("15h"), v.Prefix, v.Channel, v.Instant, v.Verified, v.Sent, v.Spent))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestTally(t *testing.T) {
	first := message("w", storage.WhatsApp, "first", 0)
	arrived := first
	arrived.State, arrived.DeliveredAt = storage.DeliveryDelivered, at(3)
	paid := first
	paid.Cost = 700
	sent := event(audit.PasscodeSent, "w", 0)
	lost := first
	lost.State, lost.AcceptedAt = storage.DeliveryUnknown, time.Time{}
	barred := message("s", storage.SMS, "asked", 20)
	barred.State, barred.AcceptedAt = storage.DeliveryFailed, time.Time{}
	midnight := message("w", storage.WhatsApp, "first", 12*3600-1)
	atOnce := message("s", storage.SMS, "no_whatsapp", 0)
	second := message("s", storage.SMS, "not_delivered", 35)
	cases := []struct {
		name   string
		ds     []storage.Delivery
		before []storage.Event
		events []storage.Event
		want   []string
	}{
		{"an accepted message", []storage.Delivery{first}, nil, []storage.Event{sent}, []string{
			"12h +39333 whatsapp instant false: 0/1 0.05",
			"2026-11-25 whatsapp meta: sent 1 delivered 0 read 0 failed 0 verified 0 spent 0.05 saved 0.00"}},
		{"costs what was reckoned when it was announced", []storage.Delivery{paid}, nil, []storage.Event{sent}, []string{
			"12h +39333 whatsapp instant false: 0/1 0.07",
			"2026-11-25 whatsapp meta: sent 1 delivered 0 read 0 failed 0 verified 0 spent 0.07 saved 0.00"}},
		{"its day is the one of its acceptance", []storage.Delivery{midnight}, []storage.Event{sent},
			[]storage.Event{event(audit.PasscodeSuccess, "", 12*3600+9)}, []string{
				"23h +39333 whatsapp instant false: 1/0 0.00",
				"2026-11-25 whatsapp meta: sent 0 delivered 0 read 0 failed 0 verified 1 spent 0.00 saved 0.07 entered 10"}},
		{"a login by WhatsApp", []storage.Delivery{arrived}, nil, []storage.Event{
			event(audit.PasscodeQueued, "w", 0), sent, receipt("w", "sent"), receipt("w", "delivered"), receipt("w", "read"),
			event(audit.PasscodeSuccess, "", 9)}, []string{
			"12h +39333 whatsapp instant false: 1/1 0.05",
			"2026-11-25 whatsapp meta: sent 1 delivered 1 read 1 failed 0 verified 1 spent 0.05 saved 0.07 arrived 3 entered 10"}},
		{"read without delivered was delivered", []storage.Delivery{arrived}, []storage.Event{sent}, []storage.Event{receipt("w", "read")},
			[]string{"2026-11-25 whatsapp meta: sent 0 delivered 1 read 1 failed 0 verified 0 spent 0.00 saved 0.00 arrived 3"}},
		{"and delivered after it is no news", []storage.Delivery{arrived}, []storage.Event{sent, receipt("w", "read")},
			[]storage.Event{receipt("w", "delivered")}, nil},
		{"a receipt proves what a lost answer did not", []storage.Delivery{lost}, []storage.Event{sendFailed("w", "unknown")},
			[]storage.Event{receipt("w", "sent")}, []string{
				"12h +39333 whatsapp instant false: 0/1 0.05",
				"2026-11-25 whatsapp meta: sent 1 delivered 0 read 0 failed 0 verified 0 spent 0.05 saved 0.00"}},
		{"the answer that comes after its receipt is no news", []storage.Delivery{first}, []storage.Event{receipt("w", "sent")},
			[]storage.Event{sent}, nil},
		{"a message fails once", []storage.Delivery{lost}, nil, []storage.Event{sendFailed("w", "unknown"), sendFailed("w", "reported")},
			[]string{"2026-11-25 whatsapp meta: sent 0 delivered 0 read 0 failed 1 verified 0 spent 0.00 saved 0.00"}},
		{"a refusal that is not the last word", []storage.Delivery{first}, nil,
			[]storage.Event{sendFailed("w", "will_retry"), sendFailed("w", "next_carrier")}, nil},
		{"a failed receipt that changed nothing", []storage.Delivery{arrived}, []storage.Event{sent, receipt("w", "delivered")},
			[]storage.Event{receipt("w", "failed")}, nil},
		{"an SMS that follows by itself", []storage.Delivery{first, second}, []storage.Event{sent}, []storage.Event{
			event(audit.PasscodeFallback, "s", 35, "trigger", "not_delivered"), event(audit.PasscodeSent, "s", 35),
			event(audit.PasscodeSuccess, "", 45)}, []string{
			"12h +39333 sms instant false: 1/1 0.12",
			"2026-11-25 sms twilio: sent 1 delivered 0 read 0 failed 0 verified 1 spent 0.12 saved 0.00 entered 10",
			"2026-11-25 whatsapp meta: sent 0 delivered 0 read 0 failed 0 verified 0 spent 0.00 saved 0.00 not_delivered 1"}},
		{"an SMS at once, on WhatsApp's row though that was not tried", []storage.Delivery{atOnce}, nil, []storage.Event{
			event(audit.PasscodeFallback, "s", 0, "trigger", "no_whatsapp"), event(audit.PasscodeSent, "s", 0)}, []string{
			"12h +39333 sms instant true: 0/1 0.12",
			"2026-11-25 sms twilio: sent 1 delivered 0 read 0 failed 0 verified 0 spent 0.12 saved 0.00",
			"2026-11-25 whatsapp meta: sent 0 delivered 0 read 0 failed 0 verified 0 spent 0.00 saved 0.00 no_whatsapp 1"}},
		{"of several messages the newest before the passcode counts", []storage.Delivery{first, message("v", storage.WhatsApp, "again", 30),
			message("s", storage.SMS, "asked", 60)}, []storage.Event{sent}, []storage.Event{event(audit.PasscodeSuccess, "", 40)}, []string{
			"12h +39333 whatsapp instant false: 1/0 0.00",
			"2026-11-25 whatsapp meta: sent 0 delivered 0 read 0 failed 0 verified 1 spent 0.00 saved 0.07 entered 10"}},
		{"an SMS that was refused brought no passcode", []storage.Delivery{first, barred}, []storage.Event{sent},
			[]storage.Event{event(audit.PasscodeSuccess, "", 40)}, []string{
				"12h +39333 whatsapp instant false: 1/0 0.00",
				"2026-11-25 whatsapp meta: sent 0 delivered 0 read 0 failed 0 verified 1 spent 0.00 saved 0.07 entered 40"}},
		{"events of another challenge", []storage.Delivery{first}, nil, []storage.Event{
			{Kind: audit.PasscodeSent, ChallengeID: "swept", DeliveryID: "w"}, {Kind: audit.PasswordSuccess}}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := tally(c.events, c.before, knownOf(challenge("c"), c.ds...), prices, bySMS)
			slices.Sort(c.want)
			if want := strings.Join(c.want, "\n"); written(got) != want {
				t.Errorf("counted\n%s\nwant\n%s", written(got), want)
			}
		})
	}
}

func TestTallyPassesOverWhatWasSwept(t *testing.T) {
	got := tally([]storage.Event{event(audit.PasscodeSent, "w", 0), {Kind: audit.PasswordSuccess}}, nil, known{}, prices, bySMS)
	if got.passed != 1 || written(got) != "" {
		t.Errorf("passed over %d, counted %s", got.passed, written(got))
	}
}

func TestAChallengeFromBeforePrefixesIsInNoConversion(t *testing.T) {
	c := challenge("c")
	c.PhonePrefix = ""
	got := tally([]storage.Event{event(audit.PasscodeSent, "w", 0), event(audit.PasscodeSuccess, "", 9)}, nil,
		knownOf(c, message("w", storage.WhatsApp, "first", 0)), prices, bySMS)
	if len(got.conversions) != 0 || len(got.days) != 1 {
		t.Errorf("counted %s", written(got))
	}
}

// TestBatchesDoNotMatter: however the log is cut into batches, the sums are the same.
func TestBatchesDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, log := randomLog(t)
		whole := sumOf(tally(log, nil, k, prices, bySMS))
		parts := newSum()
		for from := 0; from < len(log); {
			to := min(len(log), from+rapid.IntRange(1, 6).Draw(t, "batch"))
			parts.add(tally(log[from:to], log[:from], k, prices, bySMS))
			from = to
		}
		if !reflect.DeepEqual(whole, parts) {
			t.Fatalf("at once %+v\nin parts %+v", whole, parts)
		}
		for _, d := range whole.days {
			if d.Read > d.Delivered || d.Delivered > d.Sent {
				t.Fatalf("more arrived than was sent: %+v", d)
			}
		}
	})
}

// randomLog is what carriers may say of some messages, in any order.
func randomLog(t *rapid.T) (known, []storage.Event) {
	k := known{make(map[string]storage.Challenge), make(map[string][]storage.Delivery)}
	var log []storage.Event
	for i := range rapid.IntRange(1, 4).Draw(t, "challenges") {
		c := challenge(fmt.Sprint("c", i))
		k.challenges[c.ID] = c
		for j := range rapid.IntRange(1, 3).Draw(t, "messages") {
			d := message(fmt.Sprint(c.ID, "-", j), rapid.SampledFrom([]storage.Channel{storage.WhatsApp, storage.SMS}).Draw(t, "channel"),
				rapid.SampledFrom([]string{"first", "again", "no_whatsapp", "not_delivered"}).Draw(t, "trigger"), 40*j)
			d.ChallengeID, d.DeliveredAt = c.ID, d.AcceptedAt.Add(2*time.Second)
			k.deliveries[c.ID] = append(k.deliveries[c.ID], d)
			for _, e := range []storage.Event{
				event(audit.PasscodeQueued, d.ID, 0), event(audit.PasscodeSent, d.ID, 0), receipt(d.ID, "sent"), receipt(d.ID, "delivered"),
				receipt(d.ID, "read"), receipt(d.ID, "failed"), sendFailed(d.ID, "unknown"), sendFailed(d.ID, "reported"),
				sendFailed(d.ID, "will_retry"), event(audit.PasscodeFallback, d.ID, 0, "trigger", d.Trigger),
			} {
				if e.ChallengeID = c.ID; rapid.Bool().Draw(t, e.Kind) {
					log = append(log, e)
				}
			}
		}
		if rapid.Bool().Draw(t, "verified") {
			e := event(audit.PasscodeSuccess, "", 100)
			e.ChallengeID = c.ID
			log = append(log, e)
		}
	}
	return k, rapid.Permutation(log).Draw(t, "log")
}

// total is what storage would hold.
type total struct {
	days        map[dayKey]storage.DeliveryDay
	conversions map[conversionKey]storage.Conversion
}

func newSum() total {
	return total{make(map[dayKey]storage.DeliveryDay), make(map[conversionKey]storage.Conversion)}
}

func sumOf(c counts) total { t := newSum(); t.add(c); return t }

func (t total) add(c counts) {
	for k, d := range c.days {
		all := sum([]storage.DeliveryDay{t.days[k], *d})
		all.Day, all.Country, all.Channel, all.Carrier, all.Language = d.Day, d.Country, d.Channel, d.Carrier, d.Language
		t.days[k] = all
	}
	for k, v := range c.conversions {
		all := *v
		all.Sent += t.conversions[k].Sent
		all.Verified += t.conversions[k].Verified
		all.Spent += t.conversions[k].Spent
		t.conversions[k] = all
	}
}
