package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// What a circuit does to a message is decided from memory, by the record and the time.
func TestCircuit_WhatItDoesToAMessage(t *testing.T) {
	resting := storage.Circuit{Until: at(30)}
	for _, tt := range []struct {
		name    string
		circuit storage.Circuit
		known   bool
		now     float64
		want    passage
	}{
		{"a closed one lets through", storage.Circuit{}, false, 0, through},
		{"an open one keeps while it rests", resting, true, 29.999, shut},
		{"and lets one probe then", resting, true, 30, probe},
		{"but one at a time", storage.Circuit{Until: at(30), ProbeUntil: at(45)}, true, 44, shut},
		{"and another when the first was never heard of again", storage.Circuit{Until: at(30), ProbeUntil: at(45)}, true, 45, probe},
		{"a held one keeps for ever", storage.Circuit{Held: true}, true, 1e6, shut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := passageOf(tt.circuit, tt.known, at(tt.now)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestREL07_CircuitsCountFailuresInARow(t *testing.T) {
	const meta, italy = "carrier/meta", "country/whatsapp/IT"
	type outcome struct {
		at float64
		ok bool
		n  int // times
	}
	bad, good := func(at float64, n int) outcome { return outcome{at, false, n} }, func(at float64) outcome { return outcome{at, true, 1} }
	for _, tt := range []struct {
		name     string
		circuit  string
		outcomes []outcome
		now      float64
		want     passage
	}{
		{"four failures open nothing", meta, []outcome{bad(0, 4)}, 1, through},
		{"five open it", meta, []outcome{bad(0, 5)}, 1, shut},
		{"a success in between starts anew", meta, []outcome{bad(0, 4), good(0), bad(0, 4)}, 1, through},
		{"it rests 30 s", meta, []outcome{bad(0, 5)}, 30, probe},
		{"stragglers neither close it nor lengthen its rest", meta, []outcome{bad(0, 5), good(1), bad(29, 9)}, 30, probe},
		{"a probe that works closes it", meta, []outcome{bad(0, 5), good(31)}, 31, through},
		{"and the count begins at nothing", meta, []outcome{bad(0, 5), good(31), bad(32, 4)}, 33, through},
		{"a probe that fails opens it again", meta, []outcome{bad(0, 5), bad(31, 1)}, 60.9, shut},
		{"for as long again", meta, []outcome{bad(0, 5), bad(31, 1)}, 61, probe},
		{"a country needs twenty", italy, []outcome{bad(0, 19)}, 1, through},
		{"and rests a quarter of an hour", italy, []outcome{bad(0, 20)}, 899.9, shut},
		{"to the second", italy, []outcome{bad(0, 20)}, 900, probe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCircuits(Defaults())
			for _, o := range tt.outcomes {
				for i := range o.n {
					c.outcome(tt.circuit, fmt.Sprint(o.at, i), o.ok, at(o.at))
				}
			}
			if got := c.passage(tt.circuit, at(tt.now)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			other := "carrier/twilio"
			if got := c.passage(other, at(tt.now)); got != through {
				t.Errorf("%s: got %v", other, got)
			}
		})
	}
}

func TestCircuits_WhatIsNotStoredYetOutlivesALook(t *testing.T) {
	c := newCircuits(Defaults())
	c.open("country/sms/IT", reasonCountry, at(0))
	stored := []storage.Circuit{{Name: "carrier/meta", Held: true}}
	c.load(stored)
	if c.passage("country/sms/IT", at(1)) != shut || c.passage("carrier/meta", at(1)) != shut {
		t.Errorf("knows %+v", c.all())
	}
	c.open("carrier/meta", reasonFailures, at(2))
	if got := c.take(); len(got) != 1 || got[0].circuit.Name != "country/sms/IT" {
		t.Errorf("a held circuit was opened: %+v", got)
	}
	c.load(stored)
	if got := c.all(); len(got) != 1 || got[0].Name != "carrier/meta" {
		t.Errorf("knows %+v", got)
	}
}

// down answers as a carrier in trouble does while it is told to.
type down struct {
	mu  sync.Mutex
	err error
}

func (d *down) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *down) answer(int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

var internalError = &Refused{Failure: Failure{Class: ClassFallback, Code: "http_500", Scope: ScopeCarrier}}

// breakMeta opens the circuit of WhatsApp's carrier by logins that fail there and end well by SMS.
func (w *world) breakMeta(d *down) {
	w.Helper()
	d.set(internalError)
	w.whatsApp.answer = d.answer
	for range w.settings.CircuitFailures {
		c := w.begin()
		w.work()
		w.wantTrail(c, "whatsapp first failed", "sms refused accepted")
		if _, err := w.enter(c, w.passcode(c)); err != nil {
			w.Fatal(err)
		}
	}
}

func TestREL07_AnOpenCircuitSendsBySMSAtOnceAndProbesLater(t *testing.T) {
	w, meta := newWorld(t), new(down)
	w.breakMeta(meta)
	calls := len(w.whatsApp.sent())
	c := w.begin()
	w.work()
	w.wantTrail(c, "sms circuit accepted")
	if got := len(w.whatsApp.sent()); got != calls {
		t.Error("WhatsApp was called with its circuit open")
	}
	if want := (Alarm{Channel: storage.WhatsApp, Kind: "circuit_open", Circuit: "carrier/meta"}); len(w.alarms) != 1 || w.alarms[0] != want {
		t.Errorf("alarms %+v", w.alarms)
	}
	if got := w.Circuits(); len(got) != 1 || got[0].Name != "carrier/meta" || got[0].Reason != "failures" {
		t.Errorf("circuits %+v", got)
	}
	w.clock.Advance(w.settings.CircuitRest)
	c = w.begin() // the probe, which fails
	w.work()
	w.wantTrail(c, "whatsapp first failed", "sms refused accepted")
	c = w.begin()
	w.work()
	w.wantTrail(c, "sms circuit accepted")
	meta.set(nil)
	w.clock.Advance(w.settings.CircuitRest)
	for range 2 {
		c = w.begin()
		w.work()
		w.wantTrail(c, "whatsapp first accepted")
	}
	if len(w.alarms) != 2 || w.alarms[1].Kind != "circuit_closed" || len(w.Circuits()) != 0 {
		t.Errorf("alarms %+v, circuits %+v", w.alarms, w.Circuits())
	}
	opened, closed := w.events(audit.CircuitOpened), w.events(audit.CircuitClosed)
	if len(opened) != 1 || opened[0].Data["circuit"] != "carrier/meta" || opened[0].Channel != "whatsapp" || opened[0].Reason != "failures" ||
		len(closed) != 1 || closed[0].Reason != "probe" {
		t.Errorf("events %+v, %+v", opened, closed)
	}
}

func TestREL07_RefusalsOfOneMessageDoNotOpenTheCircuit(t *testing.T) {
	w := newWorld(t)
	for range 3 * w.settings.CircuitFailures {
		for _, class := range []Class{ClassFallback, ClassNumber, ClassAlert, ClassRetry} {
			w.answered(job{delivery: storage.Delivery{Carrier: "meta"}}, &Refused{Failure: Failure{Class: class}})
		}
	}
	if w.circuits.passage(CarrierCircuit("meta"), testStart) != through {
		t.Error("it opened")
	}
}

// The probe is one message of one node; everybody else goes on as if the circuit were open.
func TestREL07_NodesShareCircuitsAndOneOfThemProbes(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db storage.Store) {
		a := newWorldOn(t, db)
		b := newNode(t, db, a.clock)
		b.person, b.phone = a.person, a.phone
		b.whatsApp.prefix, b.sms.prefix = "wamid.b", "SMb"
		a.breakMeta(new(down))
		if err := b.keepCircuits(b.ctx()); err != nil {
			t.Fatal(err)
		}
		c := b.begin()
		b.work()
		b.wantTrail(c, "sms circuit accepted")
		if got := b.events(audit.CircuitOpened); len(got) != 1 {
			t.Errorf("%d events", len(got))
		}

		a.clock.Advance(a.settings.CircuitRest)
		a.whatsApp.answer = nil
		nodes, before := []*world{a, b}, len(a.whatsApp.sent())
		cs := make([]storage.Challenge, 3) // as many as the sending limits allow
		for i := range cs {
			cs[i] = nodes[i%2].begin(func(st *Start) { st.AuthRequestID = string(rune('a' + i)) })
		}
		var calls sync.WaitGroup
		a.together(2, func(i int) error {
			_, err := nodes[i].claimQueued(nodes[i].ctx(), &calls)
			return err
		})
		calls.Wait()
		if got := len(a.whatsApp.sent()) - before + len(b.whatsApp.sent()); got != 1 {
			t.Errorf("%d probes", got)
		}
		for _, n := range slices.Concat(nodes, nodes) {
			n.work()
		}
		for _, n := range nodes {
			if got := n.Circuits(); len(got) != 0 {
				t.Errorf("circuits %+v", got)
			}
		}
		byWhatsApp := 0
		for _, c := range cs {
			if ds := a.deliveries(c); ds[0].State == storage.DeliveryAccepted {
				byWhatsApp++
			} else {
				a.wantTrail(c, "whatsapp first failed", "sms circuit accepted")
			}
		}
		if byWhatsApp != 1 {
			t.Errorf("%d went out on WhatsApp", byWhatsApp)
		}
		a.wantEvents(audit.CircuitClosed, 1)
	})
}

func TestREL07_RunningNodesLearnOfACircuitWithinASecond(t *testing.T) {
	database := storagetest.SQLite(t)
	a := newWorldOn(t, database.Open(t, storagetest.Options{}))
	b := newNode(t, database.Open(t, storagetest.Options{}), a.clock)
	for _, n := range []*world{a, b} {
		ctx, stop := context.WithCancel(n.ctx())
		done := make(chan error, 1)
		go func() { done <- n.Service.Run(ctx) }()
		t.Cleanup(func() { stop(); <-done })
	}
	started := time.Now()
	for i := range a.settings.CircuitFailures {
		a.answered(job{delivery: storage.Delivery{ID: fmt.Sprint(i), Carrier: "twilio"}}, errors.New("no answer"))
	}
	waitFor(t, func() bool { return b.circuits.passage(CarrierCircuit("twilio"), a.clock.Now()) == shut })
	if took := time.Since(started); took > 1500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

func TestREL07_ACountryThatACarrierDoesNotServeIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.whatsApp.answer = func(int) error {
		return &Refused{Failure: Failure{Class: ClassFallback, Code: "130497", Scope: ScopeCountry}, NotSent: true}
	}
	c := w.begin()
	w.work()
	w.wantTrail(c, "whatsapp first failed", "sms refused accepted")
	c = w.begin()
	w.work()
	w.wantTrail(c, "sms circuit accepted")
	if got := w.Circuits(); len(got) != 1 || got[0].Name != "country/whatsapp/IT" || got[0].Reason != "country_refused" {
		t.Errorf("circuits %+v", got)
	}
	w.clock.Advance(w.settings.CountryRest)
	w.whatsApp.answer = nil
	c = w.begin()
	w.work()
	w.wantTrail(c, "whatsapp first accepted")
	waiting := w.begin() // what came of the probe is known when its receipt is there
	w.work()
	w.wantTrail(waiting, "sms circuit accepted")
	w.countryOutcome(storage.WhatsApp, c, true)
	w.work()
	if got := w.Circuits(); len(got) != 0 {
		t.Errorf("circuits %+v", got)
	}
}

func TestREL07_MessagesThatNeverArriveOpenTheCircuitOfTheirCountry(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.CountryFailures = 2 })
	for i := range 2 {
		w.phone.Hash = fmt.Sprint("number ", i)
		w.tx(func(ctx context.Context) error { return w.db.PutPhone(ctx, w.phone) })
		c := w.begin()
		w.work()
		w.after(36 * time.Second)
		w.wantTrail(c, "whatsapp first accepted", "sms not_delivered accepted")
	}
	c := w.begin()
	w.work()
	w.wantTrail(c, "sms circuit accepted")
}

func TestTemplateUsable_AHeldLanguageIsNot(t *testing.T) {
	w := newWorld(t)
	w.tx(func(ctx context.Context) error {
		return w.openCircuit(ctx, storage.Circuit{Name: TemplateCircuit("pt_BR"), Held: true, Reason: "template_paused", OpenedAt: testStart})
	})
	w.work()
	if w.TemplateUsable("pt_BR") || !w.TemplateUsable("it") {
		t.Errorf("circuits %+v", w.Circuits())
	}
	if got := w.events(audit.CircuitOpened); len(got) != 1 || got[0].Channel != "whatsapp" {
		t.Errorf("events %+v", got)
	}
}

func TestREL07_ASlowCarrierKeepsOnlyItsOwnMessagesWaiting(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, func(c *Config) { c.Settings.Workers = 2 })
	w.whatsApp.answer = func(int) error { <-release; return nil }
	var calls sync.WaitGroup
	slow := []storage.Challenge{w.begin(), w.begin(func(st *Start) { st.AuthRequestID = "b" }), w.begin(func(st *Start) { st.AuthRequestID = "c" })}
	if _, err := w.claimQueued(w.ctx(), &calls); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(w.whatsApp.sent()) == 2 })
	if busy, _ := w.room(); !slices.Equal(busy, []string{"meta"}) {
		t.Errorf("busy: %v", busy)
	}
	w.tx(func(ctx context.Context) error {
		return w.db.NoteNoWhatsApp(ctx, w.phone.Hash, testStart.Add(time.Hour))
	})
	quick := w.begin(func(st *Start) { st.AuthRequestID = "quick" })
	next, err := w.pass(w.ctx(), &calls, false, time.Time{})
	if err != nil || next < time.Second {
		t.Errorf("looks again in %v, %v: what cannot be done is not due", next, err)
	}
	waitFor(t, func() bool { return w.last(quick).State == storage.DeliveryAccepted })
	waiting := 0
	for _, c := range slow {
		if w.last(c).State == storage.DeliveryQueued {
			waiting++
		}
	}
	if waiting != 1 {
		t.Errorf("%d wait", waiting)
	}
	close(release)
	calls.Wait()
	w.work()
	for _, c := range slow {
		w.wantTrail(c, "whatsapp first accepted")
	}
}

// Whoever has a phone and its password must not shut WhatsApp for a whole country by switching the phone off.
func TestCircuits_AnyNumberOfFailuresOfOneNumberCountsOnce(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	for range 3 * w.settings.CountryFailures {
		w.countryOutcome(storage.WhatsApp, c, false)
	}
	if got := w.circuits.passage(CountryCircuit(storage.WhatsApp, "IT"), w.clock.Now()); got != through {
		t.Errorf("one phone shut its country: %v", got)
	}
	for i := range w.settings.CountryFailures - 1 {
		c.PhoneHash = fmt.Sprint("another ", i)
		w.countryOutcome(storage.WhatsApp, c, false)
	}
	if got := w.circuits.passage(CountryCircuit(storage.WhatsApp, "IT"), w.clock.Now()); got != shut {
		t.Errorf("as many numbers did not: %v", got)
	}
}
