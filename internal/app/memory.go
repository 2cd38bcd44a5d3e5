package app

import (
	"context"
	"math"
	"runtime/debug"
	gauges "runtime/metrics"
	"time"
)

// One hash of argon2id leaves 19 MiB of garbage, as much as everything else that lives here, and Go would collect after each
// of them: a fifth of what a login costs. So the collector comes when the heap nears a limit instead, which leaves room for
// two or three hashes and follows what really lives, so that a large installation is not collected without end.
const (
	roomForHashes = 36 << 20
	leastMemory   = 72 << 20
	patientGC     = 400 // percent, for the runtime's own rule; the limit comes first
)

// memoryLimit is what the runtime may hold for a heap of which that much lives, in bytes.
func memoryLimit(live uint64) int64 {
	return max(leastMemory, int64(live)+roomForHashes, int64(live+live/2))
}

// startTakes is when the start is over, keys included.
const startTakes = 2 * time.Second

// tendMemory forgets the start once it is over, and keeps the limit. An operator who set GOGC or GOMEMLIMIT knows better and is left alone.
func tendMemory(ctx context.Context) {
	time.AfterFunc(startTakes, forgetStart)
	if percent := debug.SetGCPercent(100); percent != 100 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		debug.SetGCPercent(percent)
		return
	}
	live := []gauges.Sample{{Name: "/gc/heap/live:bytes"}}
	gauges.Read(live)
	debug.SetMemoryLimit(memoryLimit(live[0].Value.Uint64())) // a process that did other things before has more than the least
	debug.SetGCPercent(patientGC)
	defer debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetGCPercent(100)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		gauges.Read(live)
		debug.SetMemoryLimit(memoryLimit(live[0].Value.Uint64()))
	}
}
