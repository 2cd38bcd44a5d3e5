package audit

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

const kept = 400 * 24 * time.Hour

// aged is a chain of 24 events, signed for at 10, 20 and 24, of which the first 20 are old, all read.
func aged(t *testing.T, db storagetest.Database) (*bench, *Pruner) {
	b := newBench(t, db)
	for range 2 {
		b.write(t, 10)
		b.seal(t)
	}
	b.clock.Advance(kept + 2*pruneEvery)
	b.write(t, 4)
	b.seal(t)
	b.read(t, 24)
	return b, &Pruner{Store: b.store, Audit: b.writer, Clock: b.clock, Keep: kept, AtOnce: 7}
}

// read moves the cursor of a reader of the log.
func (b *bench) read(t *testing.T, to int64) {
	t.Helper()
	err := b.store.InTx(t.Context(), func(ctx context.Context) error {
		at, err := b.store.Cursor(ctx, "reader")
		if err != nil {
			return err
		}
		_, err = b.store.MoveCursor(ctx, "reader", at, to)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) step(t *testing.T, p *Pruner) int {
	t.Helper()
	n, err := p.Step(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDAT06_TheLogIsShortenedBehindACheckpointAndVerifiesAfterEveryStep also proves what is left with a checkpoint from
// outside, and tells since when there is a log.
func TestDAT06_TheLogIsShortenedBehindACheckpointAndVerifiesAfterEveryStep(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		b, p := aged(t, db)
		known, err := b.store.Checkpoints(t.Context(), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		whole := func(removed bool) {
			t.Helper()
			if r := b.verify(t, known...); !r.OK() || (r.Removed != nil) != removed {
				t.Fatalf("%+v, removed %+v", r.Problems, r.Removed)
			}
		}
		whole(false)
		if n := b.step(t, p); n != 0 || len(b.unsealed(t)) != 1 {
			t.Fatalf("the first step removed %d and announced %d", n, len(b.unsealed(t)))
		}
		if n := b.step(t, p); n != 0 || len(b.unsealed(t)) != 1 {
			t.Fatal("it went on, or announced again, before the announcement was sealed")
		}
		b.seal(t)
		whole(false)
		var steps []int
		for n := b.step(t, p); n > 0; n = b.step(t, p) {
			steps = append(steps, n)
			whole(true)
		}
		if want := []int{7, 7, 6, 1}; !slices.Equal(steps, want) {
			t.Errorf("removed in steps of %v, want %v", steps, want)
		}
		b.write(t, 3)
		b.seal(t)
		whole(true)
		r := b.verify(t)
		if r.Removed.Through != 20 || r.Events != 8 || !slices.Equal(b.checkpoints(t)[:2], []int64{20, 24}) {
			t.Errorf("left: %+v, %+v, checkpoints %v", r.Removed, r, b.checkpoints(t))
		}
		if b.step(t, p) != 0 || len(b.unsealed(t)) != 0 {
			t.Error("it goes on although nothing is old")
		}
	})
}

// TestDAT06_RemovalsOutOfOrderAreFound changes a chain whose beginning was removed in good order.
func TestDAT06_RemovalsOutOfOrderAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(t *testing.T, b *bench)
		want   string
	}{
		"one event more": {func(t *testing.T, b *bench) { b.db.Exec(t, `DELETE FROM events WHERE sequence = 21`) }, Missing},
		"the event that tells of it": {func(t *testing.T, b *bench) {
			b.db.Exec(t, `DELETE FROM events WHERE kind = 'audit.pruned'`)
		}, Missing},
		"the checkpoint that signs for it": {func(t *testing.T, b *bench) { b.db.Exec(t, `DELETE FROM checkpoints WHERE sequence = 20`) }, Missing},
		"another chain goes on":            {func(t *testing.T, b *bench) { b.rewrite(t, 21) }, Mismatch},
		// Whoever can write to the database has the sealer seal an event of their own about yesterday's events.
		"young events, announced by somebody": {func(t *testing.T, b *bench) {
			b.announce(t, 24)
			b.seal(t)
			b.db.Exec(t, `DELETE FROM events WHERE sequence <= 24`)
		}, Missing},
		"young events, announced with a later time": {func(t *testing.T, b *bench) {
			b.clock.Advance(2 * LeastKept)
			b.announce(t, 24)
			b.clock.Advance(-2 * LeastKept)
			b.seal(t)
			b.db.Exec(t, `DELETE FROM events WHERE sequence <= 24`)
			b.clock.Advance(LeastKept * 3)
			b.write(t, 10)
			b.seal(t)
		}, Missing},
	} {
		t.Run(name, func(t *testing.T) {
			b, p := aged(t, storagetest.SQLite(t))
			b.step(t, p)
			b.seal(t)
			for b.step(t, p) > 0 {
			}
			if r := b.verify(t); !r.OK() || r.Removed == nil {
				t.Fatalf("before: %+v", r)
			}
			c.tamper(t, b)
			if r := b.verify(t); r.OK() || r.Problems[0].Finding != c.want {
				t.Errorf("got %+v, want %s", r.Problems, c.want)
			}
		})
	}
}

func (b *bench) announce(t *testing.T, through int) {
	t.Helper()
	b.clock.Advance(2 * time.Minute)
	err := b.store.InTx(t.Context(), func(ctx context.Context) error {
		return b.writer.Write(ctx, storage.Event{Kind: AuditPruned, Data: map[string]string{"through": fmt.Sprint(through)}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatThePrunerDoesNext(t *testing.T) {
	now := noon
	event := func(sequence int64, age time.Duration) storage.Event {
		return storage.Event{Sequence: sequence, At: now.Add(-age)}
	}
	told := func(sequence int64, through string) storage.Event {
		return storage.Event{Sequence: sequence, Kind: AuditPruned, Data: map[string]string{"through": through}}
	}
	at := func(sequence int64) storage.Checkpoint { return storage.Checkpoint{Sequence: sequence} }
	old, due := kept+time.Hour, kept+pruneEvery+time.Hour
	for name, c := range map[string]struct {
		s       standing
		act     pruneAct
		through int64
	}{
		"an empty log":            {standing{}, wait, 0},
		"nothing is old":          {standing{first: event(1, time.Hour), read: 9}, wait, 0},
		"old for less than a day": {standing{first: event(1, old), checkpoint: at(5), read: 9}, wait, 0},
		"old enough":              {standing{first: event(1, due), checkpoint: at(5), read: 9}, announce, 5},
		"old, and no checkpoint or nobody has read":  {standing{first: event(1, due)}, wait, 0},
		"announced and not sealed":                   {standing{first: event(1, due), announced: told(0, "5"), checkpoint: at(5), read: 9}, wait, 0},
		"announced and sealed":                       {standing{first: event(1, due), announced: told(9, "5"), checkpoint: at(5), read: 9}, remove, 5},
		"half removed":                               {standing{first: event(4, due), announced: told(9, "5"), checkpoint: at(5), read: 9}, remove, 5},
		"removed but for checkpoints":                {standing{first: event(6, old), announced: told(9, "5"), checkpoint: at(5), read: 9}, remove, 5},
		"announced beyond what somebody has read":    {standing{first: event(1, old), announced: told(9, "5"), read: 4}, wait, 0},
		"the next day":                               {standing{first: event(6, due), announced: told(9, "5"), checkpoint: at(8), read: 9}, announce, 8},
		"announced beyond its own place":             {standing{first: event(1, old), announced: told(9, "10"), read: 20}, wait, 0},
		"announced nonsense":                         {standing{first: event(1, old), announced: told(9, "all"), read: 20}, wait, 0},
		"announced nonsense, and others are due now": {standing{first: event(1, due), announced: told(9, "-1"), checkpoint: at(8), read: 20}, announce, 8},
	} {
		if act, through := decide(c.s, now, kept); act != c.act || through != c.through {
			t.Errorf("%s: %d through %d, want %d through %d", name, act, through, c.act, c.through)
		}
	}
}
