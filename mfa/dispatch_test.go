package mfa

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestDispatch_FallsBackWhenWhatsAppDoesNotDeliver(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	w.after(34900 * time.Millisecond)
	w.wantTrail(c, "whatsapp first accepted")
	w.after(200 * time.Millisecond)
	w.wantTrail(c, "whatsapp first accepted", "sms not_delivered accepted")
	d := w.last(c)
	if !d.Automatic || w.reload(c).FallbackAt.IsZero() {
		t.Errorf("delivery %+v", d)
	}
	w.report(d, storage.DeliveryFailed, Failure{Class: ClassFallback, Code: "30003"})
	w.after(2 * time.Minute)
	w.wantTrail(c, "whatsapp first accepted", "sms not_delivered failed") // and nothing more by itself
}

func TestDispatch_FallsBackWhenThePasscodeIsNotEntered(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	w.clock.Advance(2 * time.Second)
	w.report(w.last(c), storage.DeliveryDelivered)
	w.after(59 * time.Second)
	w.wantTrail(c, "whatsapp first delivered")
	w.after(time.Second)
	w.wantTrail(c, "whatsapp first delivered", "sms not_entered accepted")
}

func TestDispatch_ClassRIsTriedOnceMore(t *testing.T) {
	busy := &Refused{Failure: Failure{Class: ClassRetry, Code: "131016", Scope: ScopeCarrier}, NotSent: true}
	for name, tt := range map[string]struct {
		failures int
		want     []string
		calls    int
	}{
		"and may work then":        {1, []string{"whatsapp first accepted"}, 2},
		"and then the SMS follows": {2, []string{"whatsapp first failed", "sms refused accepted"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.whatsApp.answer = func(n int) error {
				if n <= tt.failures {
					return busy
				}
				return nil
			}
			c := w.begin()
			w.work()
			w.wantTrail(c, "whatsapp first queued")
			w.after(900 * time.Millisecond)
			w.wantTrail(c, "whatsapp first queued")
			w.after(1100 * time.Millisecond)
			w.wantTrail(c, tt.want...)
			if got := len(w.whatsApp.sent()); got != tt.calls {
				t.Errorf("%d calls", got)
			}
		})
	}
}

func TestDispatch_ARefusalFallsBackAtOnce(t *testing.T) {
	for class, want := range map[Class][]string{
		ClassFallback: {"whatsapp first failed", "sms refused accepted"},
		ClassConfig:   {"whatsapp first failed", "sms refused accepted"},
		ClassNumber:   {"whatsapp first failed", "sms undeliverable accepted"},
		ClassAlert:    {"whatsapp first failed"},
	} {
		t.Run(string(class), func(t *testing.T) {
			w := newWorld(t)
			w.whatsApp.answer = refuse(class, "1")
			c := w.begin()
			w.work()
			w.after(time.Minute)
			w.wantTrail(c, want...)
			w.wantNoSecrets(w.passcode(c))
		})
	}
}

func TestDispatch_ALostAnswerFallsBackAtItsDeadlineAndIsNeverSentAgain(t *testing.T) {
	w := newWorld(t)
	w.whatsApp.answer = func(int) error { return errors.New("reset by peer") }
	c := w.begin()
	w.work()
	w.after(34 * time.Second)
	w.wantTrail(c, "whatsapp first unknown")
	w.after(time.Second)
	w.wantTrail(c, "whatsapp first unknown", "sms unknown accepted")
	if len(w.whatsApp.sent()) != 1 {
		t.Error("sent again on WhatsApp by itself")
	}
}

func TestDispatch_AnUnknownSMSIsOfferedAgainAtOnceAndNotSentByItself(t *testing.T) {
	w := newWorld(t)
	w.whatsApp.answer = refuse(ClassFallback, "131049")
	w.sms.answer = func(n int) error {
		if n == 1 {
			return errors.New("reset by peer")
		}
		return nil
	}
	c := w.begin()
	w.work()
	w.after(time.Minute)
	w.wantTrail(c, "whatsapp first failed", "sms refused unknown")
	p, err := w.Progress(w.ctx(), c.ID)
	if err != nil || p.Stage != StageUnknown || p.ResendIn != 0 {
		t.Errorf("progress %+v, %v", p, err)
	}
	if err := w.SendAgain(w.ctx(), c.ID, testRequest); err != nil {
		t.Fatal(err)
	}
	w.work()
	w.wantTrail(c, "whatsapp first failed", "sms refused unknown", "sms again accepted")
}

func TestOTP06_AFallbackThatALimitRefusesIsTold(t *testing.T) {
	w := newWorld(t)
	for range w.limits.SendsPerNumberHour - 1 {
		w.begin()
	}
	w.whatsApp.answer = refuse(ClassFallback, "131049")
	c := w.begin()
	w.work()
	w.wantTrail(c, "whatsapp first failed")
	throttled := 0
	for _, e := range w.events(audit.PasscodeSendRefused) {
		if e.Reason == "throttled" && e.Channel == "sms" && e.ChallengeID == c.ID {
			throttled++
		}
	}
	if throttled != 1 {
		t.Errorf("%d refusals are told", throttled)
	}
}

func TestDispatch_DropsWhatNobodyWaitsFor(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Fatal(err)
	}
	w.work()
	w.wantTrail(c, "whatsapp first skipped")
	if len(w.whatsApp.sent()) != 0 {
		t.Error("sent after the end")
	}
}

func TestDispatch_AMessageThatWaitedTooLongIsOvertakenByTheSMS(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.clock.Advance(36 * time.Second) // no node was there
	if _, err := w.lookAtDue(w.ctx()); err != nil {
		t.Fatal(err)
	}
	w.work()
	w.wantTrail(c, "whatsapp first skipped", "sms not_delivered accepted")
}

func TestREL07_ACallHasADeadline(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Settings.CallTimeout = 100 * time.Millisecond
		c.Carriers[0].Sender = hanging{}
	})
	c := w.begin()
	w.work()
	w.wantTrail(c, "whatsapp first unknown")
}

type hanging struct{}

func (hanging) Send(ctx context.Context, _ Message) (Sent, error) {
	<-ctx.Done()
	return Sent{}, ctx.Err()
}

func TestREL06_APanicInAChannelLeavesAnUnknownOutcome(t *testing.T) {
	w := newWorld(t)
	w.whatsApp.answer = func(int) error { panic("secret " + testNumber) }
	c := w.begin()
	w.work()
	w.wantTrail(c, "whatsapp first unknown")
	w.wantEvents(audit.SystemPanic, 1)
	w.wantNoSecrets(w.passcode(c))
	w.whatsApp.answer = nil
	next := w.begin()
	w.work()
	w.wantTrail(next, "whatsapp first accepted")
}

// stumbling fails the first updates of deliveries, as a database that is restarted does.
type stumbling struct {
	Store
	left atomic.Int32
}

func (f *stumbling) UpdateDelivery(ctx context.Context, d storage.Delivery, from ...storage.DeliveryState) (bool, error) {
	if f.left.Add(-1) >= 0 {
		return false, errors.New("the database is away")
	}
	return f.Store.UpdateDelivery(ctx, d, from...)
}

func TestDispatch_AResultIsWrittenDownWhenStorageStumbles(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	store := &stumbling{Store: w.store}
	store.left.Store(2)
	w.store = store
	w.work()
	w.wantTrail(c, "whatsapp first accepted")
	if len(w.whatsApp.sent()) != 1 {
		t.Error("the message was sent again")
	}
}

func TestDispatch_ACarrierThatWasTakenAwayIsAnOperatorsFault(t *testing.T) {
	database := storagetest.SQLite(t)
	first := newWorldOn(t, database.Open(t, storagetest.Options{}))
	c := first.begin()
	w := newNode(t, database.Open(t, storagetest.Options{}), first.clock, func(cfg *Config) {
		cfg.Carriers = cfg.Carriers[1:]
	})
	w.work()
	w.wantTrail(c, "whatsapp first failed", "sms refused accepted")
	if len(w.alarms) != 1 || w.alarms[0].Code != "no_carrier" {
		t.Errorf("alarms %+v", w.alarms)
	}
}

func TestDispatch_ALostRootSecretIsAnOperatorsFault(t *testing.T) {
	database := storagetest.SQLite(t)
	first := newWorldOn(t, database.Open(t, storagetest.Options{}))
	c := first.begin()
	w := newNode(t, database.Open(t, storagetest.Options{}), first.clock, func(cfg *Config) {
		cfg.Keys = mustKeys([]byte("quite another root secret, 32 b."))
	})
	w.work()
	if got := w.deliveries(c)[0]; got.State != storage.DeliveryFailed || got.FailureCode != "unknown_key" || got.FailureClass != "C" {
		t.Errorf("delivery %+v", got)
	}
}

func TestRun_SendsWithinMomentsAndStopsWhenTold(t *testing.T) {
	w := newWorld(t)
	w.poll = 10 * time.Second // only the wake-up can be this quick
	ctx, stop := context.WithCancel(w.ctx())
	done := make(chan error, 1)
	go func() { done <- w.Service.Run(ctx) }()
	c := w.begin()
	waitFor(t, func() bool { return len(w.whatsApp.sent()) == 1 })
	waitFor(t, func() bool { return w.last(c).State == storage.DeliveryAccepted })
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it goes on")
	}
}

func TestREL12_RunFinishesWhatIsOnTheWire(t *testing.T) {
	w := newWorld(t)
	onTheWire, release := make(chan struct{}), make(chan struct{})
	w.whatsApp.answer = func(int) error { close(onTheWire); <-release; return nil }
	ctx, stop := context.WithCancel(w.ctx())
	done := make(chan error, 1)
	go func() { done <- w.Service.Run(ctx) }()
	c := w.begin()
	<-onTheWire
	stop()
	select {
	case <-done:
		t.Fatal("it stopped with a message on the wire")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.wantTrail(c, "whatsapp first accepted")
}

// bounded remembers whether the last transaction had a deadline.
type bounded struct {
	Store
	within time.Duration
}

func (b *bounded) InTx(ctx context.Context, f func(context.Context) error) error {
	if deadline, has := ctx.Deadline(); has {
		b.within = time.Until(deadline)
	}
	return b.Store.InTx(ctx, f)
}

func TestREL06_ToldOfAPanicWithinADeadline(t *testing.T) {
	w := newWorld(t)
	store := &bounded{Store: w.store}
	w.store = store
	w.panicked("test", "a value")
	w.wantEvents(audit.SystemPanic, 1)
	if store.within <= 0 || store.within > panicNoteTime {
		t.Errorf("the event may take %v", store.within)
	}
}

// panicking panics in the dispatcher's own loop.
type panicking struct {
	Store
	left atomic.Int32
}

func (p *panicking) NextDue(ctx context.Context, busy ...string) (time.Time, error) {
	if p.left.Add(-1) >= 0 {
		panic("in the loop")
	}
	return p.Store.NextDue(ctx, busy...)
}

func TestREL06_ThePanickingLoopIsRestarted(t *testing.T) {
	w := newWorld(t)
	store := &panicking{Store: w.store}
	store.left.Store(2)
	w.store, w.poll = store, 5*time.Millisecond
	ctx, stop := context.WithCancel(w.ctx())
	done := make(chan error, 1)
	go func() { done <- w.Service.Run(ctx) }()
	waitFor(t, func() bool { return store.left.Load() < -2 })
	w.begin()
	waitFor(t, func() bool { return len(w.whatsApp.sent()) == 1 })
	stop()
	<-done
	w.wantEvents(audit.SystemPanic, 2)
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no store":                 func(c *Config) { c.Store = nil },
		"no prices":                func(c *Config) { c.Prices = nil },
		"no defence":               func(c *Config) { c.Guard = nil },
		"no carrier":               func(c *Config) { c.Carriers = nil },
		"a carrier twice":          func(c *Config) { c.Carriers = append(c.Carriers, c.Carriers[0]) },
		"a carrier without a name": func(c *Config) { c.Carriers[0].Name = "" },
		"a name of two words":      func(c *Config) { c.Carriers[0].Name = "Meta Inc" },
		"a sender that is missing": func(c *Config) { c.Carriers[0].Sender = nil },
		"an unknown channel":       func(c *Config) { c.Carriers[0].Channel = "pigeon" },
		"a route by WhatsApp":      func(c *Config) { c.Routes = map[string][]string{"IT": {"meta"}} },
		"a route to nobody":        func(c *Config) { c.Routes = map[string][]string{"IT": {"vonage"}} },
		"a route that comes back":  func(c *Config) { c.Routes = map[string][]string{"IT": {"twilio", "twilio"}} },
		"a route from nowhere":     func(c *Config) { c.Routes = map[string][]string{"it": {"twilio"}} },
		"a life too long":          func(c *Config) { c.Settings.PasscodeLife = 11 * time.Minute },
		"too many tries":           func(c *Config) { c.Settings.Tries = 11 },
		"a call too long":          func(c *Config) { c.Settings.CallTimeout = 6 * time.Second },
		"an unknown word":          func(c *Config) { c.Settings.Fallback = "maybe" },
		"nothing set":              func(c *Config) { c.Settings = Settings{} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			cfg := Config{
				Store: w.store, Audit: w.audit, Keys: w.keys, Clock: w.clock, Throttle: w.throttle, Prices: w.prices,
				Guard: w.defence, Carriers: []Carrier{{"meta", WhatsApp, w.whatsApp}, {"twilio", SMS, w.sms}}, Settings: served("IT"),
			}
			if _, err := New(cfg); err != nil {
				t.Fatal(err)
			}
			change(&cfg)
			if _, err := New(cfg); err == nil || !strings.HasPrefix(err.Error(), "mfa: ") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}
