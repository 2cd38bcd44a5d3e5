package app

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	gauges "runtime/metrics"
	"time"

	"github.com/parola-id/parola/idp/password"
)

// One hash of argon2id leaves 19 MiB of garbage. Go would collect in the middle of almost every other, have the one that hashes
// help with it, give the pages back and fault them in again for the next hash: together that cost more than all else in a
// login. So the gate has garbage collected between hashes; what the next ones need is still mapped then. The limit is above
// what hashing holds between two collections and follows what really lives, so that a large installation is not collected
// without end.
const (
	oneHash     = 19 << 20
	besidesHash = 4 << 20 // what else is left between two collections
	leastMemory = 88 << 20
	patientGC   = 1000 // percent, for the runtime's own rule; the limit comes first
	// dearToScan is so much with pointers in it that looking through it after every few hashes costs more than their room.
	dearToScan = 64 << 20
)

// memoryLimit is what the runtime may hold for a heap of which that much lives, in bytes, where so many hashes may run.
func memoryLimit(live uint64, hashes int) int64 {
	room := int64(hashes+password.CollectedAfter)*oneHash + besidesHash
	return max(leastMemory, int64(live)+room, int64(live+live/2))
}

// operatorTendsMemory says that the operator knows better than the above.
func operatorTendsMemory() bool { return os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" }

// collectHashes collects what hashes left, unless that is dear. The memory of hashes that run has no pointers.
func collectHashes() {
	if gauge("/gc/scan/heap:bytes") < dearToScan {
		runtime.GC()
	}
}

func liveHeap() uint64 { return gauge("/gc/heap/live:bytes") }

func gauge(name string) uint64 {
	sample := []gauges.Sample{{Name: name}}
	gauges.Read(sample)
	return sample[0].Value.Uint64()
}

// startTakes is when the start is over, keys included.
const startTakes = 2 * time.Second

// tendMemory forgets the start once it is over, and keeps the limit for a gate that lets so many hashes run.
func tendMemory(ctx context.Context, hashes int) {
	time.AfterFunc(startTakes, forgetStart)
	if percent := debug.SetGCPercent(100); percent != 100 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		debug.SetGCPercent(percent) // the operator's, or that of another server in this process
		return
	}
	debug.SetMemoryLimit(memoryLimit(liveHeap(), hashes)) // a process that did other things before has more than the least
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
		debug.SetMemoryLimit(memoryLimit(liveHeap(), hashes))
	}
}
