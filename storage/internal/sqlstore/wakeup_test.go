package sqlstore

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parola-id/parola/storage"
)

// wire carries texts between nodes as PostgreSQL does, and counts them.
type wire struct {
	mu   sync.Mutex
	ears map[string]Ear
	said []string
}

func (w *wire) broadcast(_ context.Context, text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
	for _, e := range w.ears {
		e.Heard(text)
	}
	return nil
}

// node is a node that hears until stop.
func (w *wire) node() (u *wakeups, heard *[]storage.Wakeup, stop func()) {
	u = newWakeups(Config{Broadcast: w.broadcast, Hear: func(ctx context.Context, e Ear) {
		w.mu.Lock()
		w.ears[e.Greeting] = e
		w.mu.Unlock()
		e.Missed()
		for ctx.Err() == nil {
			_ = w.broadcast(ctx, e.Greeting)
			select {
			case <-ctx.Done():
			case <-time.After(e.GreetEvery):
			}
		}
		w.mu.Lock()
		delete(w.ears, e.Greeting)
		w.mu.Unlock()
	}})
	heard = new([]storage.Wakeup)
	u.listen(func(wake storage.Wakeup) { *heard = append(*heard, wake) })
	return u, heard, u.close
}

// told are the texts that carry wake-ups.
func (w *wire) told() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range w.said {
		if strings.Contains(text, `"wake"`) {
			n++
		}
	}
	w.said = nil
	return n
}

func TestWakeups_ManyAreToldTogetherAndNobodyIsToldOfWhatNobodyHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{ears: map[string]Ear{}}
		a, _, stopA := w.node()
		defer stopA()
		_, heard, stopB := w.node()
		synctest.Wait()
		*heard = nil
		for range 100 {
			for _, id := range []string{"x", "y"} {
				a.wake(storage.Wakeup{Topic: storage.ChallengeChanged, Subject: id})
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(tellEvery)
		if n := w.told(); n < 2 || n > 4 || len(*heard) > 8 {
			t.Errorf("200 wake-ups within 100 ms were told %d times and heard %d times", n, len(*heard))
		}
		stopB()
		time.Sleep(goneAfter + greetEvery)
		a.wake(storage.Wakeup{Topic: storage.CircuitsChanged})
		time.Sleep(tellEvery)
		if n := w.told(); n != 0 {
			t.Errorf("the last node tells itself, %d times", n)
		}
		_, heard, stopC := w.node()
		defer stopC()
		synctest.Wait()
		*heard = nil
		a.wake(storage.Wakeup{Topic: storage.CircuitsChanged})
		time.Sleep(tellEvery)
		if w.told() != 1 || len(*heard) != 1 {
			t.Errorf("a node that is new hears %v", *heard)
		}
	})
}

// A command line listens to nobody, and so does not know who is there.
func TestWakeups_WhoDoesNotHearAlwaysTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{ears: map[string]Ear{}}
		u := newWakeups(Config{Broadcast: w.broadcast})
		time.Sleep(time.Hour)
		u.wake(storage.Wakeup{Topic: storage.CircuitsChanged})
		u.wake(storage.Wakeup{Topic: storage.ClientsChanged})
		u.close()
		if n := w.told(); n != 1 && n != 2 {
			t.Errorf("told %d times", n)
		}
		if len(u.untold) != 0 {
			t.Errorf("closed with %v untold", u.untold)
		}
	})
}
