package password

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// BusyError says that the gate and its queue are full: an outage to be retried, never a wrong password.
type BusyError struct{ RetryAfter time.Duration }

// Error names the wait, for logs.
func (e *BusyError) Error() string {
	return fmt.Sprintf("password gate is full, retry after %s", e.RetryAfter)
}

// gate bounds the memory and the cores that hashing may take at once, with a short queue in front. One slot is the
// memory of one hash at current parameters; a costlier imported hash takes several.
type gate struct {
	slots   *semaphore.Weighted
	size    int64
	running atomic.Int64 // slots taken
	waiting atomic.Int64
	refused atomic.Int64
	// left is what ended hashes have left to the collector, in slots.
	left    atomic.Int64
	collect func()
	queue   int64
	// reserved is the part of the queue kept for people who hold a session already, so that a flood of strangers cannot
	// keep them out (DOS-02).
	reserved int64
}

// CollectedAfter is how many hashes leave garbage before it is collected, however many may run at a time: each collection looks
// through all that lives, and what is left comes on top of what runs.
const CollectedAfter = 3

func newGate(memory int64, queue int, collect func()) *gate {
	size := memory / (memoryKiB << 10)
	// The cores: Go may have more processors than those, which are lent to what runs here.
	size = max(1, min(size, int64(min(runtime.NumCPU(), runtime.GOMAXPROCS(0))-1)))
	return &gate{slots: semaphore.NewWeighted(size), size: size, queue: int64(queue), reserved: int64(queue) / 4, collect: collect}
}

// enter waits for n slots. The caller holds them until hashing has really ended, also when the browser has gone:
// otherwise clients that hang up would start more hashes than the memory allows.
func (g *gate) enter(ctx context.Context, n int64, known bool) (leave func(), err error) {
	n = min(n, g.size)
	if g.slots.TryAcquire(n) {
		return g.taken(n), nil
	}
	room := g.queue
	if !known {
		room -= g.reserved
	}
	if g.waiting.Add(1) > room {
		g.waiting.Add(-1)
		g.refused.Add(1)
		return nil, &BusyError{RetryAfter: 2 * time.Second}
	}
	defer g.waiting.Add(-1)
	if err := g.slots.Acquire(ctx, n); err != nil {
		return nil, fmt.Errorf("wait for the password gate: %w", err)
	}
	return g.taken(n), nil
}

func (g *gate) taken(n int64) (leave func()) {
	g.running.Add(n)
	return func() {
		g.running.Add(-n)
		defer g.slots.Release(n)
		// Before the slot is given on: what waits for the collector is memory of hashing, too.
		if left := g.left.Add(n); g.collect != nil && left >= CollectedAfter && g.left.CompareAndSwap(left, 0) {
			g.collect()
		}
	}
}

// Load is how busy the gate in front of hashing is (DOS-01).
type Load struct {
	// Slots is how many hashes may run at a time; Running how many do, a costlier one counting for several.
	Slots, Running int
	// Queue is how many may wait; Waiting how many do. Refused is how many found it full since the start.
	Queue, Waiting int
	Refused        int64
}

// Load tells how busy the gate is.
func (h *Hasher) Load() Load {
	g := h.gate
	return Load{Slots: int(g.size), Running: int(g.running.Load()), Queue: int(g.queue), Waiting: int(g.waiting.Load()),
		Refused: g.refused.Load()}
}
