package ledger

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBuckets(t *testing.T) {
	if width > 1.08 {
		t.Errorf("a bucket is %.2f %% wide", 100*(width-1))
	}
	cases := []struct {
		name string
		d    time.Duration
		want int
	}{
		{"a clock that went backwards", -time.Second, 0},
		{"at once", 0, 0},
		{"the shortest time that is told apart", shortest, 0},
		{"just longer", shortest + 1, 1},
		{"an hour", longest, buckets},
		{"longer than an hour", longest + 1, buckets + 1},
		{"days", 72 * time.Hour, buckets + 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := Bucket(c.d); got != c.want {
				t.Errorf("bucket %d, want %d", got, c.want)
			}
		})
	}
	for i := 1; i <= buckets; i++ {
		d := time.Duration(end(i))
		if got := Bucket(d); got != i {
			t.Errorf("the end of bucket %d is in bucket %d", i, got)
		}
		if got := Bucket(d + 1); got != i+1 {
			t.Errorf("just after the end of bucket %d is bucket %d", i, got)
		}
	}
}

// TestQuantileIsClose: the quantile of the counts is at most a bucket's width off the one of the times themselves.
func TestQuantileIsClose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logs := rapid.SliceOfN(rapid.Float64Range(math.Log(float64(shortest)), math.Log(float64(longest))), 1, 200).Draw(t, "logs")
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		var times []time.Duration
		counts := make(map[int]int)
		for _, l := range logs {
			d := min(longest, max(shortest, time.Duration(math.Exp(l))))
			times = append(times, d)
			counts[Bucket(d)]++
		}
		slices.Sort(times)
		exact := times[max(1, int(math.Ceil(q*float64(len(times)))))-1]
		got, counted := Quantile(counts, q)
		if off := float64(got) / float64(exact); !counted || off > width+1e-6 && exact > shortest || off < 1/width-1e-6 && exact > shortest {
			t.Fatalf("got %v for %v", got, exact)
		}
	})
}

func TestQuantileAtTheEdges(t *testing.T) {
	if _, counted := Quantile(nil, 0.5); counted {
		t.Error("nothing was counted")
	}
	if _, counted := Quantile(map[int]int{3: 0}, 0.5); counted {
		t.Error("nothing was counted, in a bucket")
	}
	if got, _ := Quantile(map[int]int{0: 2}, 0.5); got != shortest/2 {
		t.Errorf("two times below 100 ms: %v", got)
	}
	if got, _ := Quantile(map[int]int{buckets + 1: 1}, 0.5); got != longest {
		t.Errorf("a time above an hour: %v", got)
	}
	if got, _ := Quantile(map[int]int{0: 95, buckets + 1: 5}, 0.95); got != shortest {
		t.Errorf("95 of 100 within 100 ms: %v", got)
	}
}
