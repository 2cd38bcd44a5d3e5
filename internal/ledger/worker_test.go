package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// scene is a database with challenges whose events are sealed.
type scene struct {
	*testing.T
	store  storage.Store
	clock  *clock.Manual
	audit  *audit.Writer
	sealer *audit.Sealer
	ctx    context.Context
}

func newScene(t *testing.T, store storage.Store) *scene {
	s := &scene{T: t, store: store, clock: clock.NewManual(noon), ctx: context.Background()}
	s.audit = audit.NewWriter(audit.Config{Events: store, Clock: s.clock, Node: "n", Release: "dev"})
	s.sealer = audit.NewSealer(audit.SealerConfig{Store: store, Audit: s.audit, Clock: s.clock, Holder: "sealer", Log: quiet,
		Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))})
	return s
}

func (s *scene) worker(holder string, store Store) *Worker {
	return New(Config{Store: store, Prices: prices, SMSCarrier: bySMS, Clock: s.clock, Holder: holder, Every: time.Millisecond, Log: quiet})
}

func (s *scene) tx(fn func(ctx context.Context) error) {
	s.Helper()
	if err := s.store.InTx(s.ctx, fn); err != nil {
		s.Fatal(err)
	}
}

// logins are n that were verified by WhatsApp: five events each.
func (s *scene) logins(n int) {
	s.Helper()
	s.tx(func(ctx context.Context) error {
		for range n {
			c := challenge(storage.NewID())
			c.Nonce, c.BrowserHash, c.DetailsHash, c.ExpiresAt = []byte{1}, []byte{1}, []byte{}, noon.Add(5*time.Minute)
			if err := s.store.InsertChallenge(ctx, c); err != nil {
				return err
			}
			d := message(storage.NewID(), storage.WhatsApp, "first", 0)
			d.ChallengeID, d.DueAt, d.DeliveredAt, d.State = c.ID, noon, at(2), storage.DeliveryDelivered
			if err := s.store.InsertDelivery(ctx, d); err != nil {
				return err
			}
			var events []storage.Event
			for _, e := range []storage.Event{
				event(audit.PasscodeQueued, d.ID, 0), event(audit.PasscodeSent, d.ID, 0), receipt(d.ID, "read"), receipt(d.ID, "delivered"),
				event(audit.PasscodeSuccess, "", 9),
			} {
				e.ChallengeID = c.ID
				events = append(events, e)
			}
			if err := s.audit.Write(ctx, events...); err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.sealer.Seal(s.ctx); err != nil {
		s.Fatal(err)
	}
}

// want checks that n logins were counted, each once.
func (s *scene) want(n int) {
	s.Helper()
	days, err := s.store.DeliveryDays(s.ctx, storage.DayFilter{})
	if err != nil {
		s.Fatal(err)
	}
	all := sum(days)
	cost := storage.Money(n) * 500
	if all.Sent != n || all.Delivered != n || all.Read != n || all.Verified != n || all.Failed != 0 || all.Spent != cost || all.Saved != storage.Money(n)*700 {
		s.Errorf("counted %+v, want each of %d logins once", all, n)
	}
	conversions, err := s.store.Conversions(s.ctx, time.Time{})
	if err != nil {
		s.Fatal(err)
	}
	sent, verified := 0, 0
	for _, c := range conversions {
		sent, verified = sent+c.Sent, verified+c.Verified
	}
	if sent != n || verified != n {
		s.Errorf("conversions hold %d sent and %d verified, want %d", sent, verified, n)
	}
}

func TestWorkerCountsEachEventOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		s := newScene(t, store)
		w := s.worker("one", store)
		var told int
		w.Counted = func(days []storage.DeliveryDay) {
			for _, d := range days {
				told += d.Sent
				if d.Day != "" || d.Language != "" || d.Country != "IT" || d.Channel != storage.WhatsApp || d.Carrier != "meta" {
					t.Errorf("told of %+v", d)
				}
			}
		}
		work := func() {
			t.Helper()
			if err := w.Work(s.ctx); err != nil {
				t.Fatal(err)
			}
		}
		work() // an empty log
		s.logins(3)
		work()
		work()
		s.want(3)
		s.logins(200) // more than a batch
		work()
		s.want(203)
		if told != 203 {
			t.Errorf("told of %d messages", told)
		}
	})
}

// dying is a store that fails after so many more calls inside a transaction, as a killed process would.
type dying struct {
	storage.Store
	calls *int
}

var errKilled = errors.New("killed")

func (d dying) die() error {
	if *d.calls--; *d.calls < 0 {
		return errKilled
	}
	return nil
}

func (d dying) AcquireLease(ctx context.Context, name, holder string, now, until time.Time) (bool, error) {
	if err := d.die(); err != nil {
		return false, err
	}
	return d.Store.AcquireLease(ctx, name, holder, now, until)
}

func (d dying) MoveCursor(ctx context.Context, name string, from, position int64) (bool, error) {
	if err := d.die(); err != nil {
		return false, err
	}
	return d.Store.MoveCursor(ctx, name, from, position)
}

func (d dying) AddDeliveryDays(ctx context.Context, days ...storage.DeliveryDay) error {
	if err := d.die(); err != nil {
		return err
	}
	return d.Store.AddDeliveryDays(ctx, days...)
}

func (d dying) AddConversions(ctx context.Context, conversions ...storage.Conversion) error {
	if err := d.die(); err != nil {
		return err
	}
	if err := d.Store.AddConversions(ctx, conversions...); err != nil {
		return err
	}
	return d.die() // everything was written, and nothing committed
}

func TestAKilledWorkerLosesAndDoublesNothing(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		s := newScene(t, store)
		total := 0
		for lives := range 5 {
			s.logins(2)
			total += 2
			err := s.worker("one", dying{store, &lives}).Work(s.ctx)
			if !errors.Is(err, errKilled) {
				t.Fatalf("error %v after %d calls", err, lives)
			}
			s.want(total - 2)
			if err := s.worker("one", store).Work(s.ctx); err != nil {
				t.Fatal(err)
			}
			s.want(total)
		}
	})
}

func TestTwoWorkersCountEachEventOnce(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		s := newScene(t, db.Open(t, storagetest.Options{}))
		other := db.Open(t, storagetest.Options{})
		total := 0
		for round := range 2 {
			s.logins(60)
			total += 60
			var both sync.WaitGroup
			for i, store := range []storage.Store{s.store, other} {
				// Two of one name: what keeps them apart is the cursor alone.
				w := s.worker(fmt.Sprint("node ", i*(round%2)), store)
				both.Go(func() {
					if err := w.Work(s.ctx); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			s.clock.Advance(time.Minute)
			if err := s.worker("node 0", s.store).Work(s.ctx); err != nil { // neither may have had the lease long enough
				t.Fatal(err)
			}
			s.want(total)
		}
	})
}

func TestAWorkerWithoutTheLeaseWaitsForItsEnd(t *testing.T) {
	s := newScene(t, storagetest.New(t))
	one, two := s.worker("one", s.store), s.worker("two", s.store)
	work := func(w *Worker) {
		t.Helper()
		if err := w.Work(s.ctx); err != nil {
			t.Fatal(err)
		}
	}
	s.logins(1)
	work(one)
	s.logins(1)
	work(two)
	s.want(1)
	s.clock.Advance(leaseTime)
	work(two)
	s.want(2)
}

func TestRunFollowsTheLog(t *testing.T) {
	s := newScene(t, storagetest.New(t))
	var seen atomic.Int64
	w := s.worker("one", s.store)
	w.Counted = func(days []storage.DeliveryDay) { seen.Add(int64(sum(days).Verified)) }
	ctx, stop := context.WithCancel(s.ctx)
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	s.logins(1)
	s.logins(1)
	for deadline := time.Now().Add(5 * time.Second); seen.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("counted %d", seen.Load())
		}
	}
	stop()
	<-done
	s.want(2)
}
