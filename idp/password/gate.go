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
	waiting atomic.Int64
	queue   int64
	// reserved is the part of the queue kept for people who hold a session already, so that a flood of strangers cannot
	// keep them out (DOS-02).
	reserved int64
}

func newGate(memory int64, queue int) *gate {
	size := memory / (memoryKiB << 10)
	size = max(1, min(size, int64(runtime.GOMAXPROCS(0)-1)))
	return &gate{slots: semaphore.NewWeighted(size), size: size, queue: int64(queue), reserved: int64(queue) / 4}
}

// enter waits for n slots. The caller holds them until hashing has really ended, also when the browser has gone:
// otherwise clients that hang up would start more hashes than the memory allows.
func (g *gate) enter(ctx context.Context, n int64, known bool) (leave func(), err error) {
	n = min(n, g.size)
	if g.slots.TryAcquire(n) {
		return func() { g.slots.Release(n) }, nil
	}
	room := g.queue
	if !known {
		room -= g.reserved
	}
	if g.waiting.Add(1) > room {
		g.waiting.Add(-1)
		return nil, &BusyError{RetryAfter: 2 * time.Second}
	}
	defer g.waiting.Add(-1)
	if err := g.slots.Acquire(ctx, n); err != nil {
		return nil, fmt.Errorf("wait for the password gate: %w", err)
	}
	return func() { g.slots.Release(n) }, nil
}
