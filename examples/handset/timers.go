package handset

import (
	"sync"
	"time"
)

// maxTimers bounds what may be waiting at once: each message holds at most a handful.
const maxTimers = 20_000

// timers are the things that will happen later. Closing them prevents those that have not begun and waits for the others.
type timers struct {
	clock Clock

	mu     sync.Mutex
	closed bool
	next   int
	stops  map[int]func() bool
	wg     sync.WaitGroup
}

func newTimers(clock Clock) *timers {
	return &timers{clock: clock, stops: map[int]func() bool{}}
}

// after calls f after d, unless the timers are closed before or too many are waiting.
func (t *timers) after(d time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.stops) >= maxTimers {
		return
	}
	t.next++
	id := t.next
	t.wg.Add(1)
	t.stops[id] = t.clock.AfterFunc(d, func() {
		defer t.wg.Done()
		if t.begin(id) {
			f()
		}
	})
}

func (t *timers) begin(id int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.stops, id)
	return !t.closed
}

func (t *timers) close() {
	t.mu.Lock()
	t.closed = true
	for _, stop := range t.stops {
		if stop() {
			t.wg.Done()
		}
	}
	t.mu.Unlock()
	t.wg.Wait()
}
