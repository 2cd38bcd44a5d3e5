package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// rest is far longer than the tests run: circuits rest until a test moves the time.
const rest = 5 * time.Minute

// network is an installation whose circuits are looked at: on PostgreSQL two nodes of it.
type network struct {
	*trouble
	nodes []string // their addresses
	all   []*harness.Installation
}

func connected(t *testing.T, dsn string, environment ...string) *network {
	t.Helper()
	n := &network{trouble: troubled(t, harness.Options{DSN: dsn, Internal: true, Environment: append([]string{
		"PAROLA_MFA_CIRCUIT_FAILURES=3", "PAROLA_MFA_COUNTRY_FAILURES=3", "PAROLA_MFA_CIRCUIT_REST=" + rest.String(),
		"PAROLA_MFA_COUNTRY_REST=" + rest.String()}, environment...)})}
	n.nodes, n.all = []string{n.Issuer}, []*harness.Installation{n.Installation}
	if dsn != "" {
		second, address := n.Node()
		second.Run(nil)
		n.nodes, n.all = append(n.nodes, address), append(n.all, second)
	}
	return n
}

// through is a day of somebody new whose browser reaches the i-th node.
func (n *network) through(t *testing.T, i int) *day {
	t.Helper()
	in := n.For(t)
	return n.dayOf(t, in.Person("nina"), in.Browser().Through(n.nodes[i%len(n.nodes)]), `"sms_late_seconds":0.5`)
}

// circuit waits until a circuit is open, held or, with an empty word, closed, for an operator and on every node.
func (n *network) circuit(t *testing.T, name, state string) {
	t.Helper()
	in := n.For(t)
	labels, known := []string{"circuit", name, "state", state}, 1.0
	if state == "" {
		labels, known = labels[:2], 0
	}
	for _, node := range n.all {
		harness.Eventually(t, deadline, "a node knows that "+name+" is "+state, func() bool {
			return node.For(t).Metric("parola_circuit_open", labels...) == known
		})
	}
	harness.Eventually(t, deadline, name+" is "+state, func() bool {
		is := ""
		in.Command(func(ctx context.Context, b *app.Base) error {
			circuits, err := b.Circuits(ctx)
			for _, c := range circuits {
				if c.Name == name {
					is = c.State
				}
			}
			return err
		})
		return is == state
	})
}

// told waits for an event about a circuit.
func (n *network) told(t *testing.T, kind, circuit string, times int) storage.Event {
	t.Helper()
	var about []storage.Event
	harness.Eventually(t, deadline, kind+" of "+circuit+" is told", func() bool {
		about = nil
		for _, e := range events(t, n.store, kind) {
			if e.Data["circuit"] == circuit {
				about = append(about, e)
			}
		}
		return len(about) >= times
	})
	if len(about) != times {
		t.Fatalf("%s of %s is told %d times, want %d", kind, circuit, len(about), times)
	}
	return about[times-1]
}

// atOnceBySMS holds a day to an SMS as its first message, and to a page that says so.
func (d *day) atOnceBySMS() {
	d.t.Helper()
	d.page.MustNotSay(d.t, "WhatsApp: ")
	if !d.page.Says("Your code has arrived") { // already: this machine is slow
		d.page.MustSay(d.t, "This time it comes by SMS instead of WhatsApp.")
	}
	d.says("Your code has arrived by SMS", deadline)
	d.fellBack("circuit")
	d.finish("sms")
	d.sent(0, 1)
}

// TestCircuitOfMeta lets Meta go down and come back. After three failures nobody waits for it any more, on any node;
// after the rest one message tries, and what becomes of it decides for all.
func TestCircuitOfMeta(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		n := connected(t, dsn)
		circuit := mfa.CarrierCircuit("meta")
		n.ForAll(`"meta":"190"`)
		for range 2*len(n.nodes) + 1 { // each node counts what it saw itself
			if len(events(t, n.store, audit.CircuitOpened)) > 0 {
				break
			}
			n.through(t, 0).says("Your code has arrived by SMS", deadline)
		}
		if opened := n.told(t, audit.CircuitOpened, circuit, 1); opened.Severity != audit.High || opened.Reason != "failures" {
			t.Errorf("the circuit is told as %+v", opened)
		}
		n.circuit(t, circuit, "open")
		asked := n.CallsTo("meta")
		n.through(t, 0).atOnceBySMS()
		n.through(t, 1).atOnceBySMS()
		if calls := n.CallsTo("meta"); calls != asked {
			t.Errorf("Meta was asked %d times while the circuit rested", calls-asked)
		}

		// The rest is over and Meta still down: one message pays for finding out.
		n.Forward(rest + time.Second)
		d := n.through(t, 1)
		d.says("Your code has arrived by SMS", deadline)
		d.fellBack("refused")
		if calls := n.CallsTo("meta"); calls != asked+1 {
			t.Errorf("Meta was asked %d times by the probe", calls-asked)
		}
		harness.Eventually(t, deadline, "the circuit rests again", func() bool {
			circuits, err := n.store.Circuits(context.Background())
			return err == nil && len(circuits) == 1 && circuits[0].Until.After(n.Clock().Now().Add(rest/2))
		})
		time.Sleep(2 * time.Second) // nodes look every second
		n.through(t, 0).atOnceBySMS()

		// And now it works.
		n.ForAll("")
		n.Forward(rest + time.Second)
		d = n.through(t, 0)
		d.says("Your code has arrived on WhatsApp", deadline)
		d.finish("whatsapp")
		if closed := n.told(t, audit.CircuitClosed, circuit, 1); closed.Reason != "probe" {
			t.Errorf("the closing is told as %+v", closed)
		}
		n.circuit(t, circuit, "")
		d = n.through(t, 1)
		d.says("Your code has arrived on WhatsApp", deadline)
		d.finish("whatsapp")
	})
}

// TestCircuitOfACountry loses WhatsApp in one country: messages are accepted and reported as failed. Others do not notice.
func TestCircuitOfACountry(t *testing.T) {
	t.Parallel()
	n := connected(t, "")
	circuit := mfa.CountryCircuit(storage.WhatsApp, "IT")
	for range 3 {
		d := n.day(t, `"whatsapp_fails":"131049"`)
		d.says("Your code has arrived by SMS", deadline)
		d.fellBack("refused")
	}
	n.told(t, audit.CircuitOpened, circuit, 1)
	n.day(t, `"sms_late_seconds":0.5`).atOnceBySMS()
	in := n.For(t)
	d := n.dayOf(t, in.PersonAt("greta", "+4915112345679"), in.Browser(), "")
	d.says("Your code has arrived on WhatsApp", deadline)
	d.finish("whatsapp")

	// What the probe of a country is worth shows when it is delivered.
	n.Forward(rest + time.Second)
	d = n.day(t, "")
	d.says("Your code has arrived on WhatsApp", deadline)
	d.finish("whatsapp")
	n.told(t, audit.CircuitClosed, circuit, 1)
}

// TestCircuitOfAnSMSCarrier sends the SMS of everybody else by the next carrier, without asking the one that is down.
func TestCircuitOfAnSMSCarrier(t *testing.T) {
	t.Parallel()
	n := connected(t, "", "PAROLA_SMS_CARRIERS=twilio,vonage", "PAROLA_WHATSAPP_ENABLED=false")
	n.ForAll(`"twilio":"20003"`)
	for range 3 {
		d := n.day(t, "")
		d.says("Your code has arrived by SMS", deadline)
		d.wentOnTo("twilio", "20003", "vonage")
	}
	n.told(t, audit.CircuitOpened, mfa.CarrierCircuit("twilio"), 1)
	d := n.day(t, "")
	d.says("Your code has arrived by SMS", deadline)
	d.finish("sms")
	d.broughtBy("vonage")
	if asked := n.CallsTo("twilio"); asked != 3 {
		t.Errorf("Twilio was asked %d times, want 3", asked)
	}
}

// TestOperatorHoldsACircuit keeps messages from Meta by a command, for as long as the operator wants.
func TestOperatorHoldsACircuit(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		n := connected(t, dsn)
		circuit := mfa.CarrierCircuit("meta")
		d := n.through(t, 0)
		d.says("Your code has arrived on WhatsApp", deadline)
		command := func(do func(*app.Base) func(context.Context, string) error) {
			n.For(t).Command(func(ctx context.Context, b *app.Base) error { return do(b)(ctx, circuit) })
		}
		command(func(b *app.Base) func(context.Context, string) error { return b.HoldCircuit })
		n.circuit(t, circuit, "held")
		for i := range n.nodes {
			n.through(t, i).atOnceBySMS()
		}
		n.Forward(24 * time.Hour)
		n.through(t, 0).atOnceBySMS()
		command(func(b *app.Base) func(context.Context, string) error { return b.CloseCircuit })
		n.circuit(t, circuit, "")
		for i := range n.nodes {
			d := n.through(t, i)
			d.says("Your code has arrived on WhatsApp", deadline)
			d.finish("whatsapp")
		}
		for i, outcome := range []string{"held", "closed"} {
			if told := n.told(t, audit.AdminCircuit, circuit, 2); events(t, n.store, audit.AdminCircuit)[i].Reason != outcome {
				t.Errorf("the commands are told as %+v", told)
			}
		}
	})
}
