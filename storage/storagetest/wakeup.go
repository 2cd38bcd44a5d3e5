package storagetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

// heard collects wake-ups.
type heard struct {
	mu  sync.Mutex
	all []storage.Wakeup
}

func (h *heard) hear(w storage.Wakeup) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, w)
}

// take returns what was heard so far and forgets it.
func (h *heard) take() []storage.Wakeup {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all
}

// within waits for a wake-up, or for Anything, which stands for any.
func (h *heard) within(t testing.TB, d time.Duration, want storage.Wakeup) {
	t.Helper()
	var all []storage.Wakeup
	for end := time.Now().Add(d); time.Now().Before(end); pause(5 * time.Millisecond) {
		all = append(all, h.take()...)
		if slices.ContainsFunc(all, func(w storage.Wakeup) bool { return w == want || w.Topic == storage.Anything }) {
			return
		}
	}
	t.Errorf("heard %v within %s, not %v", all, d, want)
}

// listening is another node that hears the others already: the first thing it hears is that anything may have been missed.
func (db Database) listening(t testing.TB) *heard {
	t.Helper()
	h := new(heard)
	t.Cleanup(db.Open(t, Options{}).Listen(h.hear))
	h.within(t, 10*time.Second, storage.Wakeup{Topic: storage.Anything})
	h.take()
	return h
}

func testWakeups(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	about := storage.Wakeup{Topic: storage.ChallengeChanged, Subject: storage.NewID()}

	t.Run("the node itself hears after the commit, and nothing after a rollback", func(t *testing.T) {
		h := new(heard)
		stop := s.Listen(h.hear)
		write(t, s, func(ctx context.Context) error {
			s.Wake(ctx, about)
			if got := h.take(); slices.Contains(got, about) {
				t.Error("heard before the commit")
			}
			return nil
		})
		if got := h.take(); !slices.Contains(got, about) {
			t.Errorf("heard %v", got)
		}
		refused(t, s, errChanged, func(ctx context.Context) error { s.Wake(ctx, about); return errChanged })
		if got := h.take(); slices.Contains(got, about) {
			t.Error("heard of what was rolled back")
		}
		stop()
		s.Wake(ctx, about)
		if got := h.take(); slices.Contains(got, about) {
			t.Error("heard after stop")
		}
	})

	t.Run("every other node hears of a change within little more than a second", func(t *testing.T) {
		a, b := db.listening(t), db.listening(t)
		write(t, s, func(ctx context.Context) error {
			s.Wake(ctx, about)
			return s.InsertPerson(ctx, personRecord())
		})
		a.within(t, 2*time.Second, about)
		b.within(t, 2*time.Second, about)
	})

	t.Run("what a node says last it still says when it closes", func(t *testing.T) {
		h := db.listening(t)
		command := db.Open(t, Options{})
		for i := range 3 { // the first is told at once, the others are collected
			write(t, command, func(ctx context.Context) error {
				command.Wake(ctx, storage.Wakeup{Topic: storage.ChallengeChanged, Subject: fmt.Sprint(i)})
				return command.InsertPerson(ctx, personRecord())
			})
		}
		if err := command.Close(); err != nil {
			t.Fatal(err)
		}
		h.within(t, 2*time.Second, storage.Wakeup{Topic: storage.ChallengeChanged, Subject: "2"})
	})

	t.Run("a great many wake-ups become those of their topic", func(t *testing.T) {
		h, other := db.listening(t), db.Open(t, Options{})
		write(t, other, func(ctx context.Context) error {
			for range 2000 {
				other.Wake(ctx, storage.Wakeup{Topic: storage.ChallengeChanged, Subject: storage.NewID()})
			}
			return other.InsertPerson(ctx, personRecord())
		})
		h.within(t, 2*time.Second, storage.Wakeup{Topic: storage.ChallengeChanged})
	})

	testStorageTellsItself(t, s)
}

// testStorageTellsItself changes what nodes keep in memory.
func testStorageTellsItself(t *testing.T, s storage.Store) {
	h := new(heard)
	t.Cleanup(s.Listen(h.hear))
	c, circuit := clientRecord(), storage.Circuit{Name: "carrier/meta", Reason: "failures", OpenedAt: noon, Until: noon}
	verdict := storage.Verdict{Prefix: "+39333", Edge: "sms", Country: "IT", State: storage.VerdictEnforce, Since: noon, UpdatedAt: noon}
	second := func(_ any, err error) error { return err }
	for _, change := range []struct {
		name  string
		topic storage.Topic
		run   func(ctx context.Context) error
	}{
		{"InsertClient", storage.ClientsChanged, func(ctx context.Context) error { return s.InsertClient(ctx, c) }},
		{"UpdateClient", storage.ClientsChanged, func(ctx context.Context) error { return s.UpdateClient(ctx, c, noon) }},
		{"DeleteClient", storage.ClientsChanged, func(ctx context.Context) error { return s.DeleteClient(ctx, c.ID) }},
		{"OpenCircuit", storage.CircuitsChanged, func(ctx context.Context) error { return second(s.OpenCircuit(ctx, circuit)) }},
		{"CloseCircuit", storage.CircuitsChanged, func(ctx context.Context) error { return second(s.CloseCircuit(ctx, circuit.Name, true)) }},
		{"PutVerdict", storage.VerdictsChanged, func(ctx context.Context) error { return s.PutVerdict(ctx, verdict) }},
		{"RemoveVerdict", storage.VerdictsChanged, func(ctx context.Context) error { return second(s.RemoveVerdict(ctx, verdict.Prefix, verdict.Edge)) }},
	} {
		t.Run(change.name+" tells by itself", func(t *testing.T) {
			h.take()
			write(t, s, change.run)
			if got := h.take(); !slices.Contains(got, storage.Wakeup{Topic: change.topic}) {
				t.Errorf("heard %v", got)
			}
		})
	}
}
