package sqlstore

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestTurnsComeInOrderAndNoneIsLost(t *testing.T) {
	var line turns
	if mine, err := line.take(t.Context(), time.Minute); !mine || err != nil {
		t.Fatal(mine, err)
	}
	if line.hand() {
		t.Error("handed to nobody")
	}
	order := make(chan int, 3)
	for i := range 3 {
		go func() {
			mine, err := line.take(context.Background(), time.Minute)
			if !mine || err != nil {
				t.Error(mine, err)
			}
			order <- i
		}()
		waitFor(t, func() bool { line.mu.Lock(); defer line.mu.Unlock(); return len(line.waiting) == i+1 })
	}
	for i := range 3 {
		if i == 1 {
			line.leave()
		} else if !line.hand() {
			t.Error("nobody waits")
		}
		if got := <-order; got != i {
			t.Errorf("turn %d came to %d", i, got)
		}
	}
	line.leave()
	if mine, err := line.take(t.Context(), time.Minute); !mine || err != nil {
		t.Error("the turn was lost", mine, err)
	}
}

func TestWhoGivesUpWaitingLeavesTheLine(t *testing.T) {
	var line turns
	_, _ = line.take(t.Context(), time.Minute)
	if mine, err := line.take(t.Context(), time.Millisecond); mine || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(mine, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if mine, err := line.take(over, time.Minute); mine || !errors.Is(err, context.Canceled) {
		t.Error(mine, err)
	}
	if line.hand() {
		t.Error("handed to somebody who had gone")
	}
	// A turn that comes together with the end of the patience is somebody's all the same.
	for range 200 {
		result := make(chan bool)
		go func() {
			mine, _ := line.take(context.Background(), 50*time.Microsecond)
			result <- mine
		}()
		time.Sleep(40 * time.Microsecond)
		handed := line.hand()
		if mine := <-result; mine != handed {
			t.Fatalf("handed %v, taken %v", handed, mine)
		}
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}
