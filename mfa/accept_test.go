package mfa

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// A rush of acceptances is written together, and each is written: the ones whose receipt was quicker too, and all of them
// when the first try of a transaction fails.
func TestAcceptances_ThatComeTogetherAreAllWritten(t *testing.T) {
	const messages = 40
	storagetest.Each(t, func(t *testing.T, db storage.Store) {
		limits := throttle.Defaults()
		limits.SendsPerNumberHour, limits.SendsPerNumberDay = 1000, 1000
		w := newWorldOn(t, db, func(c *Config) {
			c.Settings.Workers, c.Throttle = messages, throttle.New(limits, testKeys)
		})
		store := &aloneCounting{stumbling: stumbling{Store: w.store}}
		store.left.Store(1)
		w.store = store
		release := make(chan struct{})
		w.whatsApp.answer = func(int) error { <-release; return nil }
		cs := make([]storage.Challenge, messages)
		for i := range cs {
			cs[i] = w.begin(func(st *Start) { st.AuthRequestID = fmt.Sprint(i) })
		}
		var calls sync.WaitGroup
		if _, err := w.claimQueued(w.ctx(), &calls); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return len(w.whatsApp.sent()) == messages })
		for _, c := range cs[:5] {
			w.report(w.last(c), storage.DeliveryDelivered)
		}
		// The first writes alone while all others come.
		store.hold = func() {
			waiting := func() int {
				w.acceptances.mu.Lock()
				defer w.acceptances.mu.Unlock()
				return len(w.acceptances.waiting)
			}
			for deadline := time.Now().Add(10 * time.Second); waiting() < messages-1; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Errorf("%d wait to be written", waiting())
					return
				}
			}
		}
		release <- struct{}{}
		waitFor(t, store.held.Load)
		close(release)
		calls.Wait()
		for i, c := range cs {
			want := storage.DeliveryAccepted
			if i < 5 {
				want = storage.DeliveryDelivered
			}
			if d := w.last(c); d.State != want || d.AcceptedAt.IsZero() || d.MessageHash == "" {
				t.Errorf("delivery %d: %+v", i, d)
			}
		}
		w.wantEvents(audit.PasscodeSent, messages)
		// The first, again after it failed, and the five whose receipt was quicker, each at the second look.
		if alone := store.alone.Load(); alone > 12 {
			t.Errorf("%d of %d were written alone", alone, messages)
		}
		if w.acceptances.writing || len(w.acceptances.waiting) != 0 {
			t.Error("somebody still waits")
		}
	})
}

// aloneCounting counts what is not written together with others.
type aloneCounting struct {
	stumbling
	alone atomic.Int32
	hold  func()
	held  atomic.Bool
}

func (c *aloneCounting) InTx(ctx context.Context, f func(context.Context) error) error {
	if c.hold != nil && c.held.CompareAndSwap(false, true) {
		c.hold()
	}
	return c.stumbling.InTx(ctx, f)
}

func (c *aloneCounting) UpdateDelivery(ctx context.Context, d storage.Delivery, from ...storage.DeliveryState) (bool, error) {
	c.alone.Add(1)
	return c.stumbling.UpdateDelivery(ctx, d, from...)
}

// Nobody waits for ever behind a database that is away.
func TestAcceptances_AnOutageLetsEverybodyGo(t *testing.T) {
	w := newWorld(t)
	w.store = away{w.store}
	var wait sync.WaitGroup
	for range 3 * acceptedAtOnce {
		wait.Go(func() {
			if err := w.writeAcceptance(w.ctx(), job{}, Sent{}); err == nil {
				t.Error("written")
			}
		})
	}
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("somebody still waits")
	}
}

type away struct{ Store }

func (away) InTx(context.Context, func(context.Context) error) error {
	return errors.New("the database is away")
}
