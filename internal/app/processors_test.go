package app

import (
	"context"
	"runtime"
	"testing"
	"time"
)

func TestHashesGetProcessorsBesidesTheCores(t *testing.T) {
	t.Setenv("GOMAXPROCS", "") // the test's own
	runtime.SetDefaultGOMAXPROCS()
	t.Cleanup(runtime.SetDefaultGOMAXPROCS)
	cores := runtime.GOMAXPROCS(0)
	if cores != runtime.NumCPU() {
		t.Skip("a quota bounds the processors here")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { lendProcessors(ctx, 3); close(ended) }()
	for end := time.Now().Add(5 * time.Second); runtime.GOMAXPROCS(0) != cores+3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d processors, want %d", runtime.GOMAXPROCS(0), cores+3)
		}
	}
	lendProcessors(ctx, 5) // a second server in the process: it has them already, and returns at once
	if n := runtime.GOMAXPROCS(0); n != cores+3 {
		t.Errorf("%d processors with two servers, want %d", n, cores+3)
	}
	stop()
	<-ended
	if n := runtime.GOMAXPROCS(0); n != cores {
		t.Errorf("%d processors after the end, want %d", n, cores)
	}
}

func TestProcessorsThatTheOperatorOrAQuotaBoundsAreLeftAlone(t *testing.T) {
	t.Cleanup(runtime.SetDefaultGOMAXPROCS)
	t.Run("the operator", func(t *testing.T) {
		t.Setenv("GOMAXPROCS", "7")
		before := runtime.GOMAXPROCS(0)
		lendProcessors(t.Context(), 3)
		if n := runtime.GOMAXPROCS(0); n != before {
			t.Errorf("%d processors, want %d", n, before)
		}
	})
	t.Run("a quota", func(t *testing.T) {
		t.Setenv("GOMAXPROCS", "")
		quota := runtime.NumCPU() + 1 // any number that is not the machine's
		runtime.GOMAXPROCS(quota)
		lendProcessors(t.Context(), 3)
		if n := runtime.GOMAXPROCS(0); n != quota {
			t.Errorf("%d processors, want %d", n, quota)
		}
	})
}
