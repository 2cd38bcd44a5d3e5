package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/fraud"
	"github.com/parola-id/parola/storage"
)

// dear is an installation where an SMS costs 0.80 and a message on WhatsApp 0.05, by a card that an operator has loaded.
func dear(t *testing.T, dsn string, environment ...string) *trouble {
	t.Helper()
	in := harness.Install(t, harness.Options{DSN: dsn, Environment: environment})
	in.Command(func(ctx context.Context, b *app.Base) error {
		_, err := b.ReplaceRates(ctx, []byte("carrier,country,price,currency,valid_from\n"+
			"twilio,*,0.80,EUR,2026-01-01\nmeta,*,0.05,EUR,2026-01-01\n"))
		return err
	})
	return &trouble{Provider: in.Run(nil), store: open(t, in)}
}

// of is a day of somebody new with this number.
func (tr *trouble) of(t *testing.T, number, switches string) *day {
	t.Helper()
	in := tr.For(t)
	return tr.dayOf(t, in.PersonAt("pia", number), in.Browser(), switches)
}

const noWhatsApp = `"no_whatsapp":"refused"`

// refusedSMS holds a day to a page that says that no SMS can be sent, no SMS, and the reason in the audit log.
func (d *day) refusedSMS(reason string) {
	d.t.Helper()
	d.says("We can’t send an SMS to the number ending in", deadline)
	d.page.MustSay(d.t, "No SMS for now")
	if d.page.Offers("Send it by SMS instead") {
		d.t.Error("the page offers the SMS that was refused")
	}
	told := d.told(audit.PasscodeSendRefused)
	if len(told) == 0 || told[0].Reason != reason || told[0].Channel != "sms" {
		d.t.Errorf("the refusal is told as %+v, want the reason %q", told, reason)
	}
	if n := len(d.who.Phone.Sent("sms")); n != 0 {
		d.t.Errorf("%d SMS went out", n)
	}
}

// TestOTP24_BudgetsInMoney spends a budget of one euro on people who never enter their passcode, until the next SMS is
// refused. Whoever enters theirs costs the budget nothing.
func TestOTP24_BudgetsInMoney(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		tr := dear(t, dsn, "PAROLA_LIMITS_SPEND_PER_PREFIX_DAY=1")
		first := tr.of(t, "+393331000001", noWhatsApp)
		first.says("Your code has arrived by SMS", deadline)
		tr.of(t, "+393331000002", noWhatsApp).refusedSMS("budget")

		d := tr.of(t, "+393331000003", "") // WhatsApp costs less
		d.says("Your code has arrived on WhatsApp", deadline)
		d.page = d.browser.Press(d.page, "Send it by SMS instead")
		d.page.MustSay(t, "We can’t send another message yet.")
		d.finish("whatsapp")
		d = tr.of(t, "+393401000001", noWhatsApp) // another prefix
		d.says("Your code has arrived by SMS", deadline)
		d.finish("sms")

		first.finish("sms") // and gives back what it took
		d = tr.of(t, "+393331000004", noWhatsApp)
		d.says("Your code has arrived by SMS", deadline)
		d.finish("sms")
	})
}

// TestEveryBudget spends each of the others.
func TestEveryBudget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ setting, numberElsewhere string }{
		"of a country":           {"SPEND_PER_COUNTRY_DAY", "+4915112345601"},
		"of a source":            {"SPEND_PER_SOURCE_DAY", ""}, // everybody here has one address
		"of the installation":    {"SPEND_PER_DAY", ""},
		"in numbers, per prefix": {"SENDS_PER_PREFIX_HOUR", "+393401000001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit, reason := "1", "budget"
			if c.setting == "SENDS_PER_PREFIX_HOUR" {
				limit, reason = "3", "throttled" // two messages of the first, one of the second
			}
			tr := dear(t, "", fmt.Sprintf("PAROLA_LIMITS_%s=%s", c.setting, limit))
			tr.of(t, "+393331000001", noWhatsApp).says("Your code has arrived by SMS", deadline)
			tr.of(t, "+393331000002", noWhatsApp).refusedSMS(reason)
			if c.numberElsewhere != "" {
				tr.of(t, c.numberElsewhere, noWhatsApp).says("Your code has arrived by SMS", deadline)
			}
		})
	}
}

// judge is one more node that looks for pumping: it has the lease before the provider starts, and judges when the test
// says so instead of every half minute.
func judge(t *testing.T, in *harness.Installation) *fraud.Worker {
	t.Helper()
	store := open(t, in)
	w := fraud.New(fraud.Config{Store: store, Clock: in.Clock(), Settings: in.Config.Fraud, Holder: "the test", Every: 10 * time.Minute,
		Audit: audit.NewWriter(audit.Config{Events: store, Clock: in.Clock(), Node: "the test", Release: "e2e"})})
	if err := w.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestPumping attacks one prefix with numbers that have no WhatsApp and whose passcodes nobody enters. The defence shuts
// the prefix for SMS, and for nothing else; an operator can overrule it.
func TestPumping(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		in := harness.Install(t, harness.Options{DSN: dsn, Environment: []string{
			"PAROLA_FRAUD_MODE=enforce", "PAROLA_FRAUD_LEARNING=0s", "PAROLA_FRAUD_MIN_SENT=5"}})
		w := judge(t, in)
		tr := &trouble{Provider: in.Run(nil), store: open(t, in)}
		const pumped, honest, size = "+393331", "+393401", 6
		honestly := func(t *testing.T, number, switches, channel string) {
			t.Helper()
			d := tr.of(t, number, switches)
			d.finish(channel)
		}
		overrule := func(subject, edge, word string) {
			t.Helper()
			tr.Command(func(ctx context.Context, b *app.Base) error {
				_, err := b.Overrule(ctx, subject, edge, word)
				return err
			})
		}
		for i := range size {
			tr.of(t, fmt.Sprintf("%s%06d", pumped, i), noWhatsApp).says("Your code has arrived by SMS", deadline)
			honestly(t, fmt.Sprintf("%s%06d", honest, i), noWhatsApp, "sms")
		}
		harness.Eventually(t, deadline, "the ledger has counted", func() bool {
			counted := map[string]int{}
			conversions, err := tr.store.Conversions(context.Background(), time.Time{})
			for _, c := range conversions {
				if c.Channel == storage.SMS {
					counted[c.Prefix] += c.Sent
				}
			}
			return err == nil && counted[pumped] == size && counted[honest] == size
		})
		for range 2 { // what it has seen must settle before it counts
			if err := w.Work(t.Context()); err != nil {
				t.Fatal(err)
			}
			in.Forward(3 * time.Minute)
		}
		accused := map[string]bool{}
		for _, e := range events(t, tr.store, audit.FraudVerdict) {
			if e.Severity != audit.High || e.Data["prefix"] != pumped || e.Data["state"] != "enforce" || e.Data["verified"] != "0" {
				t.Errorf("a verdict is told as %+v", e)
			}
			accused[e.Data["edge"]] = true
		}
		if !accused[fraud.EdgeSMS] || !accused[fraud.EdgeInstant] {
			t.Fatalf("accused: %v", accused)
		}
		time.Sleep(3500 * time.Millisecond) // nodes look every three seconds

		tr.of(t, pumped+"000101", noWhatsApp).refusedSMS("fraud")
		honestly(t, pumped+"000102", "", "whatsapp")
		d := tr.of(t, pumped+"000103", "")
		d.says("Your code has arrived on WhatsApp", deadline)
		d.page = d.browser.Press(d.page, "Send it by SMS instead")
		d.page.MustSay(t, "We can’t send an SMS to this number right now.")
		d.finish("whatsapp")
		honestly(t, honest+"000101", noWhatsApp, "sms")

		overrule(pumped, "", "allow")
		time.Sleep(3500 * time.Millisecond)
		honestly(t, pumped+"000104", noWhatsApp, "sms")
		if told := events(t, tr.store, audit.FraudOverride); len(told) != 2 {
			t.Errorf("the operator's word is told %d times, want once per edge", len(told))
		}
		overrule("country:IT", "", "block")
		overrule(honest, "", "allow")
		time.Sleep(3500 * time.Millisecond)
		tr.of(t, "+393281000001", noWhatsApp).refusedSMS("fraud")
		honestly(t, honest+"000102", noWhatsApp, "sms")
	})
}
