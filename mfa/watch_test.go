package mfa

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// twoNodes are two nodes with stores of their own on one database. They ask storage so seldom by themselves that what they
// notice in time they notice because they were woken.
func twoNodes(t *testing.T, db storagetest.Database, change ...func(*Config)) (a, b *world) {
	t.Helper()
	a = newWorldOn(t, db.Open(t, storagetest.Options{}), change...)
	b = newNode(t, db.Open(t, storagetest.Options{}), a.clock, change...)
	b.person, b.phone = a.person, a.phone
	b.whatsApp.prefix, b.sms.prefix = "wamid.b", "SMb"
	for _, n := range []*world{a, b} {
		n.poll = time.Hour
		<-n.wake // it hears the other from now on
	}
	return a, b
}

func (w *world) start() {
	ctx, stop := context.WithCancel(w.ctx())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.Cleanup(func() { stop(); <-done })
}

func TestWatch_APageOnOneNodeHearsOfTheReceiptAtAnother(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		a, b := twoNodes(t, db)
		c := a.begin()
		a.work()
		changed, stop := b.Watch(c.ID)
		defer stop()
		a.report(a.last(c), storage.DeliveryDelivered)
		for late := time.After(5 * time.Second); ; { // what became of the sending may be heard before
			select {
			case <-changed:
			case <-late:
				t.Fatal("not heard")
			}
			if p, err := b.Progress(b.ctx(), c.ID); err != nil || p.Stage == StageDelivered {
				return
			}
		}
	})
}

// What a node has no lane for, another sends.
func TestDispatch_AnotherNodeTakesWhatThisOneHasNoLaneFor(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		a, b := twoNodes(t, db, func(c *Config) { c.Settings.Workers = 1 })
		release := make(chan struct{})
		defer close(release)
		a.whatsApp.answer = func(int) error { <-release; return nil }
		a.start()
		a.begin()
		waitFor(t, func() bool { return len(a.whatsApp.sent()) == 1 })
		b.start()
		var woken atomic.Bool
		b.db.Listen(func(w storage.Wakeup) {
			if w.Topic == storage.DeliveriesWaiting || w.Topic == storage.Anything {
				woken.Store(true)
			}
		})
		a.begin(func(st *Start) { st.AuthRequestID = "second" })
		waitFor(t, woken.Load)
		waitFor(t, func() bool { return len(b.whatsApp.sent()) == 1 })
	})
}

func TestCircuits_ANodeHearsOfAnotherOnesAtOnce(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		a, b := twoNodes(t, db)
		b.start()
		a.circuits.open(CarrierCircuit("twilio"), reasonFailures, a.clock.Now())
		if err := a.keepCircuits(a.ctx()); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return b.circuits.passage(CarrierCircuit("twilio"), b.clock.Now()) == shut })
	})
}
