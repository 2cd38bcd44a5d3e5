package app

import (
	"context"
	"debug/elf"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMemoryLimitFollowsWhatLives(t *testing.T) {
	for live, want := range map[uint64]int64{
		0:         88 << 20,
		8 << 20:   88 << 20,  // a node by itself
		40 << 20:  120 << 20, // two hashes in progress
		500 << 20: 750 << 20,
	} {
		if got := memoryLimit(live); got != want {
			t.Errorf("%d MiB live: limit %d MiB, want %d", live>>20, got>>20, want>>20)
		}
	}
}

func TestMemoryIsTendedUnlessTheOperatorDoes(t *testing.T) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Skip("GOMEMLIMIT is set")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { tendMemory(ctx); close(ended) }()
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
	tendMemory(over)
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
