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
		d.page.MustSay(t, "We can’t send an SMS to this number right now.")
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

// The prefixes of TestPumping: of one every passcode is entered, of the other none.
const (
	pumped, honest = "+393331", "+393401"
	size           = 6 // one more than what it takes to say anything
)

// siege is an installation under attack.
type siege struct {
	*trouble
	t *testing.T
	// judge is one more node that looks for pumping: it has the lease before the provider starts, and judges when the test
	// says so instead of every half minute.
	judge *fraud.Worker
}

func besieged(t *testing.T, dsn string) *siege {
	t.Helper()
	in := harness.Install(t, harness.Options{DSN: dsn, Internal: true, Environment: []string{
		"PAROLA_FRAUD_MODE=enforce", "PAROLA_FRAUD_LEARNING=0s", fmt.Sprintf("PAROLA_FRAUD_MIN_SENT=%d", size-1)}})
	store := open(t, in)
	s := &siege{t: t, judge: fraud.New(fraud.Config{
		Store: store, Clock: in.Clock(), Settings: in.Config.Fraud, Holder: "the test", Every: 10 * time.Minute,
		Audit: audit.NewWriter(audit.Config{Events: store, Clock: in.Clock(), Node: "the test", Release: "e2e"}),
	})}
	s.work()
	s.trouble = &trouble{Provider: in.Run(nil), store: store}
	return s
}

func (s *siege) work() {
	s.t.Helper()
	if err := s.judge.Work(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// signsIn is the login of somebody new who enters their passcode.
func (s *siege) signsIn(number, switches, channel string) {
	s.t.Helper()
	s.of(s.t, number, switches).finish(channel)
}

// attack sends as many SMS to the one prefix as to the other, and has them judged.
func (s *siege) attack() {
	s.t.Helper()
	for i := range size {
		s.of(s.t, fmt.Sprintf("%s%06d", pumped, i), noWhatsApp).says("Your code has arrived by SMS", deadline)
		s.signsIn(fmt.Sprintf("%s%06d", honest, i), noWhatsApp, "sms")
	}
	harness.Eventually(s.t, deadline, "the ledger has counted", func() bool {
		sent, verified := map[string]int{}, map[string]int{}
		conversions, err := s.store.Conversions(context.Background(), time.Time{})
		for _, c := range conversions {
			if c.Channel == storage.SMS {
				sent[c.Prefix] += c.Sent
				verified[c.Prefix] += c.Verified
			}
		}
		return err == nil && sent[pumped] == size && sent[honest] == size && verified[honest] == size
	})
	s.work()
	s.Forward(3 * time.Minute) // what it has seen must settle before it counts
	s.work()
}

// knows waits until the provider has read so many verdicts of a state.
func (s *siege) knows(state string, verdicts float64) {
	s.t.Helper()
	harness.Eventually(s.t, deadline, "the node knows whom to "+state, func() bool {
		return s.Metric("parola_sms_verdicts", "state", state) == verdicts
	})
}

func (s *siege) overrule(subject, word string) {
	s.t.Helper()
	s.Command(func(ctx context.Context, b *app.Base) error {
		_, err := b.Overrule(ctx, subject, "", word)
		return err
	})
}

// TestPumping attacks one prefix with numbers that have no WhatsApp and whose passcodes nobody enters. The defence shuts
// the prefix for SMS, and for nothing else; an operator can overrule it.
func TestPumping(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		s := besieged(t, dsn)
		s.attack()
		accused := map[string]bool{}
		for _, e := range events(t, s.store, audit.FraudVerdict) {
			if e.Severity != audit.High || e.Data["prefix"] != pumped || e.Data["state"] != "enforce" || e.Data["verified"] != "0" {
				t.Errorf("a verdict is told as %+v", e)
			}
			accused[e.Data["edge"]] = true
		}
		if !accused[fraud.EdgeSMS] || !accused[fraud.EdgeInstant] {
			t.Fatalf("accused: %v", accused)
		}
		s.knows("enforce", 2)
		s.of(t, pumped+"000101", noWhatsApp).refusedSMS("fraud")
		s.signsIn(pumped+"000102", "", "whatsapp")
		d := s.of(t, pumped+"000103", "")
		d.says("Your code has arrived on WhatsApp", deadline)
		d.page = d.browser.Press(d.page, "Send it by SMS instead")
		d.page.MustSay(t, "We can’t send an SMS to this number right now.")
		d.finish("whatsapp")
		s.signsIn(honest+"000101", noWhatsApp, "sms")

		s.overrule(pumped, "allow")
		s.knows("allow", 2)
		s.signsIn(pumped+"000104", noWhatsApp, "sms")
		if told := events(t, s.store, audit.FraudOverride); len(told) != 2 {
			t.Errorf("the operator's word is told %d times, want once per edge", len(told))
		}
		s.overrule("country:IT", "block")
		s.overrule(honest, "allow")
		s.knows("allow", 4)
		s.of(t, "+393281000001", noWhatsApp).refusedSMS("fraud")
		s.signsIn(honest+"000102", noWhatsApp, "sms")
	})
}
