package app

import (
	"context"
	"debug/elf"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMemoryLimitFollowsWhatLives(t *testing.T) {
	for _, c := range []struct {
		live   uint64 // MiB
		hashes int
		want   int64 // MiB
	}{
		{0, 1, 88},
		{8, 1, 88},    // a node by itself
		{27, 1, 107},  // with a hash in progress
		{500, 1, 750}, // a large installation
		{10, 7, 204},  // eight cores: seven hashes in progress, and the garbage of three
		{500, 15, 846},
	} {
		if got := memoryLimit(c.live<<20, c.hashes); got != c.want<<20 {
			t.Errorf("%d MiB live, %d hashes: limit %d MiB, want %d", c.live, c.hashes, got>>20, c.want)
		}
	}
}

// TestHashesInProgressAreNoReasonNotToCollect holds memory without pointers, as many hashes do at a time.
func TestHashesInProgressAreNoReasonNotToCollect(t *testing.T) {
	held := make([][]uint64, 8)
	for i := range held {
		held[i] = make([]uint64, oneHash/8)
	}
	runtime.GC()
	before := gauge("/gc/cycles/total:gc-cycles")
	collectHashes()
	if after := gauge("/gc/cycles/total:gc-cycles"); after == before {
		t.Errorf("not collected, with %d MiB live of which %d MiB can have pointers", liveHeap()>>20, gauge("/gc/scan/heap:bytes")>>20)
	}
	runtime.KeepAlive(held)
}

func TestMemoryIsTendedUnlessTheOperatorDoes(t *testing.T) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Skip("GOMEMLIMIT is set")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { tendMemory(ctx, 1); close(ended) }()
	for end := time.Now().Add(5 * time.Second); debug.SetMemoryLimit(-1) == math.MaxInt64; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no limit is set")
		}
	}
	stop()
	<-ended
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		t.Errorf("after the end the limit is %d", limit)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(50)) // GOGC=50
	over, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	tendMemory(over, 1)
	if percent := debug.SetGCPercent(50); percent != 50 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Errorf("an operator's GOGC became %d", percent)
	}
}

func TestStartIsForgotten(t *testing.T) {
	filePages := func() int {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip("this system does not tell")
		}
		for line := range strings.Lines(string(status)) {
			if value, is := strings.CutPrefix(line, "RssFile:"); is {
				kib, err := strconv.Atoi(strings.Fields(value)[0])
				if err != nil {
					t.Fatal(err)
				}
				return kib
			}
		}
		t.Skip("this system does not tell")
		return 0
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if file, err := elf.Open(program); err != nil || file.Type != elf.ET_EXEC {
		t.Skip("the test program is not of the kind that this is for")
	}
	before := filePages()
	forgetStart()
	if after := filePages(); after >= before {
		t.Errorf("%d KiB of files before, %d after", before, after)
	}
}
