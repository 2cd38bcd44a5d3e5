package app

import (
	"context"
	"os"
	"runtime"
)

// lendProcessors gives Go, besides a processor for each core, one for each hash that may run at a time. Go takes a goroutine that computes
// off its processor after ten milliseconds, and everybody who waits for one waits as long; the kernel lets a thread that
// slept go first. So the storm of logins that keeps the processors busy leaves cheap requests their turn.
//
// Under a quota of processor time more threads would only use it up sooner and then all stand still: where Go has fewer
// processors than cores for it, and where the operator says how many, nothing changes. Of a quota that Go rounds up to all
// cores (it takes two at least) there is no sign here.
func lendProcessors(ctx context.Context, hashes int) {
	cores := runtime.NumCPU()
	if os.Getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) != cores {
		return
	}
	runtime.GOMAXPROCS(cores + hashes)
	defer runtime.SetDefaultGOMAXPROCS()
	<-ctx.Done()
}
