package app

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	gauges "runtime/metrics"
	"time"
)

// One hash of argon2id leaves 19 MiB of garbage. Go would collect in the middle of almost every other, have the one that hashes
// help with it, give the pages back and fault them in again for the next hash: together that cost more than all else in a
// login. So the gate has garbage collected between hashes, after every third; what the next ones need is still mapped then.
// The limit is above that and follows what really lives, so that a large installation is not collected without end.
const (
	roomForHashes = 80 << 20
	leastMemory   = 88 << 20
	patientGC     = 1000 // percent, for the runtime's own rule; the limit comes first
)

// memoryLimit is what the runtime may hold for a heap of which that much lives, in bytes.
func memoryLimit(live uint64) int64 {
	return max(leastMemory, int64(live)+roomForHashes, int64(live+live/2))
}

// operatorTendsMemory says that the operator knows better than the above.
func operatorTendsMemory() bool { return os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" }

// collectHashes collects what hashes left. Where much lives, a collection costs more than their room, and the limit is far enough.
func collectHashes() {
	if liveHeap() < roomForHashes {
		runtime.GC()
	}
}

func liveHeap() uint64 {
	live := []gauges.Sample{{Name: "/gc/heap/live:bytes"}}
	gauges.Read(live)
	return live[0].Value.Uint64()
}

// startTakes is when the start is over, keys included.
const startTakes = 2 * time.Second

// tendMemory forgets the start once it is over, and keeps the limit.
func tendMemory(ctx context.Context) {
	time.AfterFunc(startTakes, forgetStart)
	if percent := debug.SetGCPercent(100); percent != 100 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		debug.SetGCPercent(percent) // the operator's, or that of another server in this process
		return
	}
	debug.SetMemoryLimit(memoryLimit(liveHeap())) // a process that did other things before has more than the least
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
		debug.SetMemoryLimit(memoryLimit(liveHeap()))
	}
}
