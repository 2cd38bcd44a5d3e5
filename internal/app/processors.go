package app

import (
	"context"
	"os"
	"runtime"
)

// lendProcessors lets as many hashes run besides the processors as there may be at a time. Go takes a goroutine that computes
// off its processor after ten milliseconds, and everybody who waits for one waits as long; the kernel lets a thread that
// slept go first. So the storm of logins that keeps the processors busy leaves cheap requests their turn.
//
// Where a quota bounds processor time, more threads would only use it up sooner and then all stand still: there, and where
// the operator says how many, nothing changes.
func lendProcessors(ctx context.Context, hashes int) {
	cores := runtime.NumCPU()
	if os.Getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) != cores {
		return
	}
	runtime.GOMAXPROCS(cores + hashes)
	defer runtime.SetDefaultGOMAXPROCS()
	<-ctx.Done()
}
