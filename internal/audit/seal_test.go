package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// bench is a database with a sealer, a writer and a clock that stands still until it is moved.
type bench struct {
	db     storagetest.Database
	store  storage.Store
	clock  *clock.Manual
	writer *Writer
	sealer *Sealer
}

func newBench(t *testing.T, db storagetest.Database) *bench {
	b := &bench{db: db, store: db.Open(t, storagetest.Options{}), clock: clock.NewManual(noon)}
	b.writer = NewWriter(Config{Events: b.store, Clock: b.clock, Node: "n", Release: "dev"})
	b.sealer = b.another("sealer", b.store)
	return b
}

func (b *bench) another(holder string, store storage.Store) *Sealer {
	return NewSealer(SealerConfig{
		Store: store, Audit: b.writer, Clock: b.clock, Key: testKey, Holder: holder, Every: 5 * time.Millisecond,
		CheckpointEvents: 10, CheckpointAfter: time.Minute, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// write writes n events, each in a transaction and a second of its own.
func (b *bench) write(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		b.clock.Advance(time.Second)
		err := b.store.InTx(context.Background(), func(ctx context.Context) error {
			return b.writer.Write(ctx, storage.Event{
				Kind: PasscodeSent, PersonID: fmt.Sprintf("person-%d", i), Data: map[string]string{"i": fmt.Sprint(i)},
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) seal(t *testing.T) {
	t.Helper()
	if err := b.sealer.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) sealed(t *testing.T) []storage.Event {
	t.Helper()
	events, err := b.store.SealedEvents(context.Background(), 0, 10000)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func (b *bench) checkpoints(t *testing.T) (at []int64) {
	t.Helper()
	list, err := b.store.Checkpoints(context.Background(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		at = append(at, c.Sequence)
	}
	return at
}

func (b *bench) verify(t *testing.T, known ...storage.Checkpoint) Report {
	t.Helper()
	report, err := Verify(context.Background(), VerifyConfig{
		Events: b.store, Keys: []ed25519.PublicKey{testKey.Public().(ed25519.PublicKey)}, Known: known, Now: b.clock.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestLOG07_EventsAreLinkedAndSignedFor(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		b := newBench(t, db)
		b.write(t, 3)
		if r := b.verify(t); !r.OK() || r.Unsealed != 3 || r.Overdue != 0 {
			t.Errorf("before: %+v", r)
		}
		b.seal(t)
		if r := b.verify(t); !r.OK() || r.Events != 3 || r.Unsealed != 0 || r.Checkpoints != 1 || r.Last.Sequence != 3 {
			t.Errorf("after: %+v", r)
		}
		// The first events are signed for at once, the next after ten, or a minute, or at the end.
		b.write(t, 4)
		b.seal(t)
		b.write(t, 7)
		b.seal(t)
		b.write(t, 1)
		b.seal(t)
		b.clock.Advance(time.Minute)
		b.seal(t)
		b.write(t, 1)
		b.seal(t)
		if got := b.checkpoints(t); !slices.Equal(got, []int64{3, 14, 15}) {
			t.Errorf("checkpoints at %v before the end", got)
		}
		if err := b.sealer.finish(context.Background()); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(time.Hour)
		b.seal(t)
		if got := b.checkpoints(t); !slices.Equal(got, []int64{3, 14, 15, 16}) {
			t.Errorf("checkpoints at %v", got)
		}
		if r := b.verify(t); !r.OK() || r.Events != 16 || r.Checkpoints != 4 {
			t.Errorf("in the end: %+v", r)
		}
	})
}

func TestIdleSealerCommitsNothing(t *testing.T) {
	db := storagetest.SQLite(t)
	b := newBench(t, db)
	b.write(t, 1)
	b.seal(t)
	commits := 0
	b.sealer.Store = db.Open(t, storagetest.Options{Observe: func(op string) {
		if op == "commit" {
			commits++
		}
	}})
	for range 10 {
		b.seal(t)
	}
	if commits != 0 {
		t.Errorf("%d commits with nothing to do", commits)
	}
}

func TestOneSealerWorksAtATime(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		b := newBench(t, db)
		other := b.another("other", db.Open(t, storagetest.Options{}))
		b.write(t, 1)
		b.seal(t)
		b.write(t, 1)
		if err := other.Seal(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := len(b.sealed(t)); n != 1 {
			t.Errorf("%d sealed while another holds the lease", n)
		}
		// The first one was killed: its lease ends.
		b.clock.Advance(leaseTime)
		if err := other.Seal(context.Background()); err != nil {
			t.Fatal(err)
		}
		b.write(t, 1)
		b.seal(t)
		if n := len(b.sealed(t)); n != 2 {
			t.Errorf("%d sealed after the lease ended", n)
		}
		// The second one stops and gives it back.
		if err := other.finish(context.Background()); err != nil {
			t.Fatal(err)
		}
		b.write(t, 1)
		b.seal(t)
		if r := b.verify(t); !r.OK() || r.Events != 4 || r.Unsealed != 0 {
			t.Errorf("%+v", r)
		}
	})
}

// TestLateCommit seals an event that became visible after younger ones were sealed.
func TestLateCommit(t *testing.T) {
	t.Run("on both databases", func(t *testing.T) {
		storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
			b := newBench(t, db)
			b.write(t, 2)
			b.seal(t)
			b.clock.Advance(-5 * time.Second)
			b.write(t, 1)
			b.seal(t)
			events := b.sealed(t)
			if len(events) != 3 || events[2].ID > events[0].ID {
				t.Errorf("sealed: %v", events)
			}
			if r := b.verify(t); !r.OK() || len(r.Backdated) != 0 {
				t.Errorf("%+v", r)
			}
		})
	})
	t.Run("while its transaction is open", func(t *testing.T) {
		b := newBench(t, storagetest.Postgres(t)) // SQLite has one writer
		ctx := context.Background()
		err := b.store.InTx(ctx, func(inside context.Context) error {
			if err := b.writer.Write(inside, storage.Event{Kind: PasswordSuccess}); err != nil {
				return err
			}
			b.write(t, 2)
			b.seal(t)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.seal(t)
		var kinds []string
		for _, e := range b.sealed(t) {
			kinds = append(kinds, e.Kind)
		}
		if !slices.Equal(kinds, []string{PasscodeSent, PasscodeSent, PasswordSuccess}) {
			t.Errorf("sealed: %v", kinds)
		}
		if r := b.verify(t); !r.OK() || r.Unsealed != 0 {
			t.Errorf("%+v", r)
		}
	})
}

// TestRacingSealers has four sealers whose leases end all the time, against writers on two nodes.
func TestRacingSealers(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		b := newBench(t, db)
		stores := []storage.Store{b.store, db.Open(t, storagetest.Options{})}
		ctx, stop := context.WithCancel(context.Background())
		var sealers, writers sync.WaitGroup
		for i := range 4 {
			s := b.another(fmt.Sprint("sealer-", i), stores[i%2])
			sealers.Go(func() {
				for ctx.Err() == nil {
					s.Seal(ctx) // losing a race is an error that the next round mends
					b.clock.Advance(leaseTime / 2)
				}
			})
		}
		const each = 60
		for i := range 4 {
			store := stores[i%2]
			writer := NewWriter(Config{Events: store, Clock: b.clock, Node: fmt.Sprint(i), Release: "dev"})
			writers.Go(func() {
				for range each {
					if err := store.InTx(context.Background(), func(ctx context.Context) error {
						return writer.Write(ctx, storage.Event{Kind: PasscodeSent}, storage.Event{Kind: PasscodeReceipt})
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writers.Wait()
		stop()
		sealers.Wait()
		b.clock.Advance(leaseTime)
		if err := b.sealer.finish(context.Background()); err != nil {
			t.Fatal(err)
		}
		if r := b.verify(t); !r.OK() || r.Events != 4*each*2 || r.Unsealed != 0 || r.Last.Sequence != r.Events {
			t.Errorf("%+v", r)
		}
	})
}

func TestRunSealsWithinASecondAndSignsAtTheEnd(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.sealer.Run(ctx) }()
	b.write(t, 1)
	deadline := time.Now().Add(5 * time.Second)
	for len(b.sealed(t)) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("nothing was sealed")
		}
		<-time.After(2 * time.Millisecond)
	}
	b.write(t, 2)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if r := b.verify(t); !r.OK() || r.Events != 3 || r.Unsealed != 0 || r.Last.Sequence != 3 {
		t.Errorf("%+v", r)
	}
}

func TestStartingSealerTellsOfABrokenChain(t *testing.T) {
	for name, c := range map[string]struct{ statement, reason string }{
		"cut off":   {`DELETE FROM events WHERE sequence > 5`, "truncated"},
		"rewritten": {`UPDATE events SET hash = prev_hash WHERE sequence = 10`, "checkpoint_mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, storagetest.SQLite(t))
			b.write(t, 10)
			b.seal(t)
			b.db.Exec(t, c.statement)
			next := b.another("sealer", b.store)
			for range 3 { // told once
				if err := next.Seal(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			told, err := b.store.ListEvents(context.Background(), storage.EventFilter{Kind: ChainBroken})
			if err != nil || len(told) != 1 || told[0].Reason != c.reason || told[0].Sequence == 0 {
				t.Errorf("told %v, %v", told, err)
			}
		})
	}
}
