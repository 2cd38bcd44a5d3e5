package mfa

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/sqlite"
	"github.com/parola-id/parola/storage/storagetest"
)

// eachInEarnest runs a benchmark on SQLite as in production, and on PostgreSQL.
func eachInEarnest(b *testing.B, run func(b *testing.B, db storage.Store)) {
	eachLoaded(b, func(b *testing.B, db storage.Store, _ func()) { run(b, db) })
}

// eachLoaded is eachInEarnest for a benchmark that loads rows in bulk: analyze does what PostgreSQL does by itself within a
// minute of that.
func eachLoaded(b *testing.B, run func(b *testing.B, db storage.Store, analyze func())) {
	b.Run("sqlite", func(b *testing.B) {
		db, err := sqlite.Open(b.Context(), sqlite.Config{Path: storagetest.SQLiteFile(b), Synchronous: "FULL"})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() }) // after the dispatcher has stopped
		run(b, db, func() {})
	})
	b.Run("postgres", func(b *testing.B) {
		database := storagetest.Postgres(b)
		run(b, database.Open(b, storagetest.Options{}), func() { database.Exec(b, "ANALYZE") })
	})
}

// socket is a carrier that notes when it was called for each delivery.
type socket struct {
	mu     sync.Mutex
	called map[string]time.Time // by delivery
	heard  chan string
}

func newSocket() *socket {
	return &socket{called: map[string]time.Time{}, heard: make(chan string, 1<<16)}
}

func (s *socket) Send(_ context.Context, m Message) (Sent, error) {
	s.mu.Lock()
	s.called[m.DeliveryID] = time.Now()
	s.mu.Unlock()
	s.heard <- m.DeliveryID
	return Sent{MessageID: "m" + m.DeliveryID}, nil
}

// running is a node in earnest: the machine's clock, limits that refuse nothing, the dispatcher at work.
func running(b *testing.B, db storage.Store) (w *world, whatsApp, sms *socket) {
	whatsApp, sms = newSocket(), newSocket()
	w = newWorldOn(b, db, func(c *Config) {
		limits := throttle.Defaults()
		limits.SendsPerNumberHour, limits.SendsPerNumberDay, limits.SendsPerPrefixHour = 1e6, 1e6, 1e6
		limits.SendsPerSourceHour, limits.SendsPerClientHour, limits.SendsPerHour = 1e6, 1e6, 1e6
		limits.SpendPerPrefixDay, limits.SpendPerSourceDay = 1e10, 1e10
		limits.SpendPerCountryDay, limits.SpendPerDay = 1e10, 1e10
		c.Throttle, c.Clock, c.Hooks, c.Log = throttle.New(limits, testKeys), clock.System{}, Hooks{}, nil
		c.Audit = audit.NewWriter(audit.Config{Events: db, Clock: clock.System{}, Node: "bench", Release: "bench"})
		c.Carriers[0].Sender, c.Carriers[1].Sender = whatsApp, sms
		c.Settings.CountryFailures = 10_000
	})
	return w, whatsApp, sms
}

func (w *world) dispatch(b *testing.B) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Service.Run(ctx) }()
	b.Cleanup(func() { stop(); <-done })
}

// reportLateness reports the median and the 99th percentile.
func reportLateness(b *testing.B, took []time.Duration) {
	if len(took) == 0 {
		b.Fatal("nothing was measured")
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStartToSocket is the time from Start, that is from the right password, to the carrier's being called.
func BenchmarkStartToSocket(b *testing.B) {
	eachInEarnest(b, func(b *testing.B, db storage.Store) {
		w, whatsApp, _ := running(b, db)
		w.dispatch(b)
		var took []time.Duration
		for i := 0; b.Loop(); i++ {
			st := w.request()
			st.AuthRequestID, st.First = fmt.Sprint(i), true
			started := time.Now()
			if _, err := w.Start(w.ctx(), st); err != nil {
				b.Fatal(err)
			}
			id := <-whatsApp.heard
			took = append(took, whatsApp.called[id].Sub(started))
		}
		reportLateness(b, took)
	})
}

// BenchmarkDeadlines is how late an SMS is at its carrier when 10,000 challenges are open whose deadlines fall together
// in 20 s: 500 in each of the first seconds, which are looked at.
func BenchmarkDeadlines(b *testing.B) {
	const open, spread, watched = 10_000, 20 * time.Second, 8 * time.Second
	eachLoaded(b, func(b *testing.B, db storage.Store, analyze func()) {
		for b.Loop() {
			w, _, sms := running(b, db)
			first := time.Now().UTC().Truncate(time.Millisecond).Add(20 * time.Second)
			due := make(map[string]time.Time, open)
			for i := range open {
				if i%500 == 0 {
					w.openAccepted(i, due, first, spread/open)
				}
			}
			analyze()
			if lead := time.Until(first); lead < time.Second {
				b.Fatalf("making them took %v too long", -lead)
			}
			w.dispatch(b)
			time.Sleep(time.Until(first.Add(watched + time.Second)))
			var late []time.Duration
			sms.mu.Lock()
			called := len(sms.called)
			for id, at := range sms.called {
				d, err := db.Delivery(b.Context(), id)
				if err != nil {
					b.Fatal(err)
				}
				if deadline := due[d.ChallengeID]; deadline.Before(first.Add(watched)) {
					late = append(late, at.Sub(deadline))
				}
			}
			sms.mu.Unlock()
			if want := int(watched / (spread / open)); len(late) != want {
				b.Errorf("%d of %d were sent (%d in all)", len(late), want, called)
			}
			reportLateness(b, late)
		}
	})
}

// openAccepted stores 500 challenges whose WhatsApp message was accepted, with deadlines one after another.
func (w *world) openAccepted(from int, due map[string]time.Time, first time.Time, every time.Duration) {
	w.tx(func(ctx context.Context) error {
		for i := from; i < from+500; i++ {
			st := w.request()
			st.AuthRequestID = fmt.Sprint(i)
			now := w.Service.clock.Now()
			c := w.newChallenge(ctx, st, now)
			if err := w.address(&c, w.phone); err != nil {
				return err
			}
			c.PhoneHash, c.PhonePrefix, c.SourceAddr = c.ID, fmt.Sprint("+39333", i%50), fmt.Sprint("192.0.2.", i%200)
			c.DueAt, c.Policy.WhatsAppFirst = first.Add(time.Duration(i)*every), true
			d := w.newDelivery(c, nil, storage.WhatsApp, triggerFirst, now)
			d.State, d.SendingAt, d.AcceptedAt = storage.DeliveryAccepted, now, c.DueAt.Add(-c.Policy.NotDeliveredAfter)
			due[c.ID] = c.DueAt
			if err := w.db.InsertChallenge(ctx, c); err != nil {
				return err
			}
			if err := w.db.InsertDelivery(ctx, d); err != nil {
				return err
			}
		}
		return nil
	})
}
