package fraud

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// scene is an installation that has learned, with a clock that stands still until it is moved.
type scene struct {
	*testing.T
	store  storage.Store
	clock  *clock.Manual
	audit  *audit.Writer
	worker *Worker
	ctx    context.Context
}

func newScene(t *testing.T, store storage.Store) *scene {
	t.Helper()
	s := &scene{T: t, store: store, clock: clock.NewManual(noon.Add(-100 * time.Hour)), ctx: context.Background()}
	s.audit = audit.NewWriter(audit.Config{Events: store, Clock: s.clock, Node: "n", Release: "dev"})
	s.tx(func(ctx context.Context) error { return s.audit.Write(ctx, storage.Event{Kind: audit.PasscodeSent}) })
	s.clock.Advance(100 * time.Hour)
	s.worker = s.newWorker("one", store)
	return s
}

func (s *scene) newWorker(holder string, store storage.Store) *Worker {
	writer := audit.NewWriter(audit.Config{Events: store, Clock: s.clock, Node: holder, Release: "dev"})
	return New(Config{Store: store, Audit: writer, Clock: s.clock, Settings: Defaults(), Holder: holder,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

func (s *scene) tx(fn func(ctx context.Context) error) {
	s.Helper()
	if err := s.store.InTx(s.ctx, fn); err != nil {
		s.Fatal(err)
	}
}

// add counts messages of this hour.
func (s *scene) add(rows ...storage.Conversion) {
	s.Helper()
	for i := range rows {
		rows[i].Hour = s.clock.Now().Truncate(time.Hour)
	}
	s.tx(func(ctx context.Context) error { return s.store.AddConversions(ctx, rows...) })
}

// work lets time pass and the worker judge on its way, at least once; of a long time its last minutes.
func (s *scene) work(passes time.Duration) {
	s.Helper()
	if most := 10 * time.Minute; passes > most {
		s.clock.Advance(passes - most)
		passes = most
	}
	for end := s.clock.Now().Add(passes); ; s.clock.Advance(30 * time.Second) {
		if err := s.worker.Work(s.ctx); err != nil {
			s.Fatal(err)
		}
		if !s.clock.Now().Before(end) {
			return
		}
	}
}

func (s *scene) verdicts() string {
	s.Helper()
	list, err := s.store.Verdicts(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	var all []string
	for _, v := range list {
		all = append(all, strings.TrimRight(fmt.Sprintf("%s %s %s %s", v.Prefix, v.Edge, v.State, v.Override), " "))
	}
	return strings.Join(all, ", ")
}

func (s *scene) want(verdicts string) {
	s.Helper()
	if got := s.verdicts(); got != verdicts {
		s.Errorf("verdicts %q, want %q", got, verdicts)
	}
}

func (s *scene) events(kind string) (told []string) {
	s.Helper()
	list, err := s.store.ListEvents(s.ctx, storage.EventFilter{Kind: kind, Limit: 1000})
	if err != nil {
		s.Fatal(err)
	}
	for _, e := range list {
		d := e.Data
		told = append(told, strings.Join([]string{e.ActorID, d["prefix"], d["edge"], d["before"] + ">" + d["state"] + d["override"], d["verified"] + "/" + d["sent"]}, " "))
	}
	return told
}

func TestWorkerWritesAVerdictWithItsEvent(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		s := newScene(t, store)
		s.add(sms("+99450", 30, 1), sms("+39333", 30, 25))
		s.work(0)
		s.want("") // nobody could have answered yet
		s.work(2 * time.Minute)
		s.want("+99450 sms enforce")
		s.work(time.Minute)
		want := []string{"system +99450 sms >enforce 1/30"}
		if got := s.events(audit.FraudVerdict); len(got) != 1 || got[0] != want[0] {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

func TestARushOfHonestLoginsIsNotAccused(t *testing.T) {
	s := newScene(t, storagetest.New(t))
	s.work(3 * time.Minute)
	for range 20 { // forty a minute, answered half a minute later
		s.add(sms("+39333", 20, 0))
		s.work(30 * time.Second)
		s.add(sms("+39333", 0, 17))
	}
	s.want("")
	if got := s.events(audit.FraudVerdict); len(got) != 0 {
		t.Errorf("events: %q", got)
	}
}

func TestAnHourThatLeavesTheWindowAccusesNobody(t *testing.T) {
	s := newScene(t, storagetest.New(t))
	s.add(sms("+39333", 100, 90))
	s.clock.Advance(6*time.Hour + 45*time.Minute)
	s.work(10 * time.Minute)
	s.add(sms("+39333", 22, 18))
	s.work(10 * time.Minute) // over the full hour
	s.want("")
}

func TestARefusedPrefixIsTriedAgain(t *testing.T) {
	s := newScene(t, storagetest.New(t))
	s.add(sms("+99450", 30, 0))
	s.work(3 * time.Minute)
	s.want("+99450 sms enforce")
	s.work(6 * time.Hour)
	s.want("+99450 sms enforce") // the window is of whole hours
	s.work(time.Hour)
	s.want("+99450 sms observe")
	s.add(sms("+99450", 5, 0))
	s.work(3 * time.Minute)
	s.want("+99450 sms enforce")
	s.work(8 * time.Hour)
	s.want("+99450 sms observe")
	s.add(sms("+99450", 6, 5))
	s.work(3 * time.Minute)
	s.want("")
}

func TestOneOfTwoWorkersJudges(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		s := newScene(t, db.Open(t, storagetest.Options{}))
		other := s.newWorker("two", db.Open(t, storagetest.Options{}))
		s.add(sms("+99450", 30, 1))
		for range 6 {
			var both sync.WaitGroup
			for _, w := range []*Worker{s.worker, other} {
				both.Go(func() {
					if err := w.Work(s.ctx); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			s.clock.Advance(30 * time.Second)
		}
		s.want("+99450 sms enforce")
		if got := s.events(audit.FraudVerdict); len(got) != 1 {
			t.Errorf("events: %q", got)
		}
		// The one that judged is gone: the other takes over when the lease is over.
		s.add(sms("+99451", 30, 1))
		s.clock.Advance(2 * time.Minute)
		survivor := other
		if len(other.readings) > 0 {
			survivor = s.worker
		}
		s.worker = survivor
		s.work(3 * time.Minute)
		s.want("+99450 sms enforce, +99451 sms enforce")
	})
}

func TestOverrides(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		s := newScene(t, store)
		o := Overrides{Store: store, Audit: s.audit, Clock: s.clock}
		set := func(subject, edge string, word storage.Override) {
			t.Helper()
			if err := o.Set(s.ctx, subject, edge, word, "cli"); err != nil {
				t.Error(err)
			}
		}
		set("+99450", EdgeSMS, storage.OverrideAllow)
		set("+99450", EdgeSMS, storage.OverrideAllow) // said already
		set("country:AZ", EdgeInstant, storage.OverrideBlock)
		s.add(sms("+99450", 30, 1))
		s.work(3 * time.Minute)
		s.want("+99450 sms enforce allow, country:AZ instant  block")
		set("+99450", EdgeSMS, "")
		set("country:AZ", EdgeInstant, "")
		set("+99451", EdgeSMS, "") // nothing to withdraw
		s.want("+99450 sms enforce")
		want := "cli +99450 sms >allow /, cli country:AZ instant >block /, cli +99450 sms allow>enforce /, cli country:AZ instant block> /"
		if got := strings.Join(s.events(audit.FraudOverride), ", "); got != want {
			t.Errorf("events %s\nwant   %s", got, want)
		}
	})
}

func TestOverridesRefuse(t *testing.T) {
	s := newScene(t, storagetest.New(t))
	o := Overrides{Store: s.store, Audit: s.audit, Clock: s.clock}
	for _, c := range []struct {
		subject, edge string
		word          storage.Override
	}{
		{"+994501234567", EdgeSMS, storage.OverrideBlock}, // a whole number
		{"99450", EdgeSMS, storage.OverrideBlock},
		{"+", EdgeSMS, storage.OverrideBlock},
		{"+994x", EdgeSMS, storage.OverrideBlock},
		{"country:az", EdgeSMS, storage.OverrideBlock},
		{"country:", EdgeSMS, storage.OverrideBlock},
		{"+99450", "whatsapp", storage.OverrideBlock},
		{"+99450", EdgeSMS, "enforce"},
	} {
		if err := o.Set(s.ctx, c.subject, c.edge, c.word, "cli"); err == nil {
			t.Errorf("%v was stored", c)
		}
	}
	s.want("")
}

// TestAnOverrideIsNotOverwritten: an operator speaks while the worker writes, again and again.
func TestAnOverrideIsNotOverwritten(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		s := newScene(t, store)
		o := Overrides{Store: store, Audit: s.audit, Clock: s.clock}
		for i := range 5 {
			prefix := fmt.Sprintf("+9945%d", i)
			s.add(sms(prefix, 30, 0))
			s.work(2 * time.Minute)
			s.clock.Advance(30 * time.Second)
			var both sync.WaitGroup
			both.Go(func() {
				if err := s.worker.Work(s.ctx); err != nil {
					t.Error(err)
				}
			})
			both.Go(func() {
				if err := o.Set(s.ctx, prefix, EdgeSMS, storage.OverrideAllow, "cli"); err != nil {
					t.Error(err)
				}
			})
			both.Wait()
			if got := s.verdicts(); !strings.Contains(got, prefix+" sms enforce allow") {
				t.Fatalf("verdicts: %q", got)
			}
		}
	})
}

func TestGuardSeesVerdictsOfOtherProcesses(t *testing.T) {
	s := newScene(t, storagetest.New(t))
	g := NewGuard(GuardConfig{Store: s.store, Every: time.Millisecond, Log: s.worker.Log})
	ctx, stop := context.WithCancel(s.ctx)
	done := make(chan struct{})
	go func() { defer close(done); g.Run(ctx) }()
	defer func() { stop(); <-done }()
	s.add(sms("+99450", 30, 0))
	s.work(3 * time.Minute)
	for deadline := time.Now().Add(5 * time.Second); len(g.Verdicts()) != 1; {
		if time.Now().After(deadline) {
			t.Fatal("the verdict was not seen")
		}
		time.Sleep(time.Millisecond)
	}
}
