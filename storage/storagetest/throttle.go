package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testThrottles(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	take := func(t *testing.T, now time.Time, buckets ...storage.Throttle) (r *storage.Refusal) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			r, err = s.Take(ctx, now, buckets...)
			return err
		})
		return r
	}
	granted := func(t *testing.T, now time.Time, b storage.Throttle) (n int) {
		t.Helper()
		for take(t, now, b) == nil {
			n++
		}
		return n
	}

	t.Run("a bucket gives its burst, then one per interval, at exactly the time it told", func(t *testing.T) {
		b := storage.Throttle{Key: "plain", Interval: 10 * time.Minute, Burst: 6}
		same(t, granted(t, noon, b), 6)
		same(t, take(t, noon, b), &storage.Refusal{Key: "plain", RetryAt: noon.Add(10 * time.Minute)})
		same(t, take(t, noon.Add(10*time.Minute-time.Millisecond), b).RetryAt, noon.Add(10*time.Minute))
		same(t, granted(t, noon.Add(10*time.Minute), b), 1)
		same(t, granted(t, noon.Add(40*time.Minute), b), 3)
		same(t, granted(t, noon.Add(48*time.Hour), b), 6)
	})
	t.Run("REL-11 after the clock went back a bucket is empty, and not shut", func(t *testing.T) {
		b := storage.Throttle{Key: "stepped", Interval: 10 * time.Minute, Burst: 6}
		same(t, granted(t, noon, b), 6)
		back := noon.Add(-30 * time.Hour)
		same(t, granted(t, back, b), 1)
		same(t, take(t, back, b), &storage.Refusal{Key: "stepped", RetryAt: back.Add(10 * time.Minute)})
		same(t, granted(t, back.Add(40*time.Minute), b), 4)
		// Clocks of nodes differ by seconds: that gives nobody anything.
		same(t, granted(t, back.Add(40*time.Minute-30*time.Second), b), 0)
	})
	t.Run("an interval below a millisecond is kept", func(t *testing.T) {
		b := storage.Throttle{Key: "fine", Interval: time.Hour / 20_000_000, Burst: 3} // 180 µs
		same(t, granted(t, noon, b), 3)
		same(t, granted(t, noon.Add(time.Millisecond), b), 3)
	})
	t.Run("all buckets give or none does, and the first that refuses is told", func(t *testing.T) {
		wide := storage.Throttle{Key: "wide", Interval: time.Minute, Burst: 10}
		narrow := storage.Throttle{Key: "narrow", Interval: time.Hour, Burst: 2}
		shut := storage.Throttle{Key: "shut", Interval: time.Hour, Burst: 1}
		take(t, noon, shut)
		for range 2 {
			same(t, take(t, noon, wide, narrow), (*storage.Refusal)(nil))
		}
		for range 20 {
			same(t, take(t, noon, wide, narrow, shut).Key, "narrow")
			same(t, take(t, noon, wide, shut, narrow).Key, "shut")
		}
		same(t, granted(t, noon, wide), 8)
	})
	t.Run("what is given back can be taken again, and no more than that", func(t *testing.T) {
		b := storage.Throttle{Key: "back", Interval: time.Minute, Burst: 3}
		granted(t, noon, b)
		write(t, s, func(ctx context.Context) error { return s.GiveBack(ctx, noon, b, storage.Throttle{Key: "unknown"}) })
		same(t, granted(t, noon, b), 1)
		for range 10 {
			write(t, s, func(ctx context.Context) error { return s.GiveBack(ctx, noon, b) })
		}
		same(t, granted(t, noon, b), 3)
	})
	t.Run("a bucket that holds nothing refuses for good", func(t *testing.T) {
		same(t, take(t, noon, storage.Throttle{Key: "none", Interval: time.Minute}), &storage.Refusal{Key: "none"})
	})
	t.Run("a bucket may change its size", func(t *testing.T) {
		b := storage.Throttle{Key: "size", Interval: time.Minute, Burst: 2}
		granted(t, noon, b)
		b.Burst = 5
		same(t, granted(t, noon, b), 3)
	})
	t.Run("one key twice is a mistake of the caller", func(t *testing.T) {
		b := storage.Throttle{Key: "twice", Interval: time.Minute, Burst: 2}
		if err := s.InTx(context.Background(), func(ctx context.Context) error {
			_, err := s.Take(ctx, noon, b, b)
			return err
		}); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("all failures under a prefix are forgotten, and no others", func(t *testing.T) {
		count := func(key string) (n []int) {
			write(t, s, func(ctx context.Context) (err error) {
				n, _, err = s.CountFailures(ctx, noon, storage.FailureBudget{Key: key, Free: 9})
				return err
			})
			return n
		}
		for _, key := range []string{"pre:a", "pre:b", "pre", "prefix:c"} {
			count(key)
		}
		var before map[string]int
		write(t, s, func(ctx context.Context) (err error) {
			before, err = s.ClearFailuresUnder(ctx, "pre:")
			return err
		})
		same(t, before, map[string]int{"pre:a": 1, "pre:b": 1})
		same(t, count("pre:a"), []int{1})
		same(t, count("pre"), []int{2})
		same(t, count("prefix:c"), []int{2})
		write(t, s, func(ctx context.Context) (err error) {
			before, err = s.ClearFailuresUnder(ctx, "")
			return err
		})
		same(t, before, map[string]int{})
	})
	t.Run("a weight is taken whole, at exactly the time it told", func(t *testing.T) {
		b := storage.Throttle{Key: "money", Interval: 1500 * time.Microsecond, Burst: 100_000}
		dear, cheap := b, b
		dear.Cost, cheap.Cost = 70_000, 30_000
		same(t, take(t, noon, dear), (*storage.Refusal)(nil))
		same(t, take(t, noon, dear), &storage.Refusal{Key: "money", RetryAt: noon.Add(60 * time.Second)})
		same(t, take(t, noon.Add(60*time.Second-time.Millisecond), dear).RetryAt, noon.Add(60*time.Second))
		same(t, take(t, noon, cheap), (*storage.Refusal)(nil))
		same(t, take(t, noon, b), &storage.Refusal{Key: "money", RetryAt: noon.Add(2 * time.Millisecond)})
		write(t, s, func(ctx context.Context) error { return s.GiveBack(ctx, noon, dear) })
		same(t, take(t, noon, dear), (*storage.Refusal)(nil))
	})
	t.Run("a weight that is more than the bucket ever holds is refused for good, and takes from no other", func(t *testing.T) {
		b := storage.Throttle{Key: "too dear", Interval: time.Minute, Burst: 5, Cost: 6}
		beside := storage.Throttle{Key: "beside", Interval: time.Minute, Burst: 1}
		same(t, take(t, noon, beside, b), &storage.Refusal{Key: "too dear"})
		same(t, granted(t, noon, beside), 1)
		b.Cost = 5
		same(t, granted(t, noon, b), 1)
	})
	t.Run("what was taken beside a refusal is given back with its weight", func(t *testing.T) {
		wide := storage.Throttle{Key: "wide money", Interval: time.Minute, Burst: 10, Cost: 4}
		narrow := storage.Throttle{Key: "narrow money", Interval: time.Hour, Burst: 5, Cost: 5}
		same(t, take(t, noon, wide, narrow), (*storage.Refusal)(nil))
		same(t, take(t, noon, wide, narrow).Key, "narrow money")
		wide.Cost = 1
		same(t, granted(t, noon, wide), 6)
	})
	t.Run("a bucket that is given back to twice at once gets both", func(t *testing.T) {
		b := storage.Throttle{Key: "both", Interval: time.Minute, Burst: 9}
		granted(t, noon, b)
		two := b
		two.Cost = 2
		write(t, s, func(ctx context.Context) error { return s.GiveBack(ctx, noon, b, two) })
		same(t, granted(t, noon, b), 3)
	})
	t.Run("a hundred at once that take three get exactly what the bucket holds", func(t *testing.T) {
		b := storage.Throttle{Key: "raced money", Interval: time.Hour, Burst: 100, Cost: 3}
		other := storage.Throttle{Key: "other raced money", Interval: time.Hour, Burst: 1000, Cost: 7}
		same(t, race(t, 100, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			r, err := s.Take(ctx, noon, b, other)
			return r == nil, err
		}), 33)
		same(t, race(t, 60, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return true, s.GiveBack(ctx, noon, other, b)
		}), 60)
		b.Cost, other.Cost = 1, 1
		same(t, granted(t, noon, b), 100)
		same(t, granted(t, noon, other), 1000)
	})
	t.Run("taking and giving back in any order is as a jar of tokens would have it", func(t *testing.T) { testJars(t, s) })
	t.Run("two hundred at once get exactly the burst of every bucket", func(t *testing.T) {
		a := storage.Throttle{Key: "raced-a", Interval: time.Hour, Burst: 30}
		b := storage.Throttle{Key: "raced-b", Interval: time.Hour, Burst: 50}
		wins := race(t, 200, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			r, err := s.Take(ctx, noon, b, a)
			return r == nil, err
		})
		same(t, wins, 30)
		same(t, granted(t, noon, b), 20)
	})
}

func testFailures(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	count := func(t *testing.T, now time.Time, budgets ...storage.FailureBudget) (counts []int, r *storage.Refusal) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			counts, r, err = s.CountFailures(ctx, now, budgets...)
			return err
		})
		return counts, r
	}
	clear := func(t *testing.T, keys ...string) (before map[string]int) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			before, err = s.ClearFailures(ctx, keys...)
			return err
		})
		return before
	}

	t.Run("PW-13 free failures cost nothing, then the wait doubles up to its cap", func(t *testing.T) {
		b := storage.FailureBudget{Key: "growing", Free: 2, Base: 30 * time.Second, Cap: 3 * time.Minute}
		now := noon
		for i, wait := range []time.Duration{0, 0, 30 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute, 3 * time.Minute} {
			counts, r := count(t, now, b)
			if r != nil || len(counts) != 1 || counts[0] != i+1 {
				t.Fatalf("failure %d: counts %v, refusal %v", i+1, counts, r)
			}
			if wait > 0 {
				_, r = count(t, now.Add(wait-time.Millisecond), b)
				same(t, r, &storage.Refusal{Key: "growing", RetryAt: now.Add(wait)})
			}
			now = now.Add(wait)
		}
	})
	t.Run("the wait stays at its cap after a hundred failures", func(t *testing.T) {
		b := storage.FailureBudget{Key: "many", Base: time.Second, Cap: time.Minute}
		now := noon
		for range 100 {
			if _, r := count(t, now, b); r != nil {
				t.Fatal(r)
			}
			now = now.Add(time.Minute)
		}
		count(t, now, b)
		_, r := count(t, now, b)
		same(t, r.RetryAt, now.Add(time.Minute))
	})
	t.Run("at its limit a key is shut until it is cleared", func(t *testing.T) {
		b := storage.FailureBudget{Key: "limit", Free: 10, Base: time.Second, Cap: time.Second, Limit: 3}
		for range 3 {
			if _, r := count(t, noon, b); r != nil {
				t.Fatal(r)
			}
		}
		_, r := count(t, noon.Add(1000*time.Hour), b)
		same(t, r, &storage.Refusal{Key: "limit"})
		same(t, clear(t, "limit", "unknown"), map[string]int{"limit": 3})
		counts, r := count(t, noon, b)
		same(t, counts, []int{1})
		same(t, r, (*storage.Refusal)(nil))
	})
	t.Run("all budgets count or none does", func(t *testing.T) {
		open := storage.FailureBudget{Key: "open", Free: 2, Base: time.Hour, Cap: time.Hour}
		shut := storage.FailureBudget{Key: "a-shut", Free: 5, Limit: 1}
		counts, _ := count(t, noon, open, shut)
		same(t, counts, []int{1, 1})
		for range 9 {
			_, r := count(t, noon, open, shut)
			same(t, r, &storage.Refusal{Key: "a-shut"})
		}
		counts, r := count(t, noon, open)
		same(t, r, (*storage.Refusal)(nil))
		same(t, counts, []int{2})
	})
	t.Run("what is taken back leaves neither a count nor its delay", func(t *testing.T) {
		b := storage.FailureBudget{Key: "taken-back", Free: 1, Base: time.Hour, Cap: time.Hour}
		count(t, noon, b)
		uncount := func() {
			write(t, s, func(ctx context.Context) error { return s.UncountFailures(ctx, "taken-back", "unknown") })
		}
		for range 3 {
			counts, r := count(t, noon, b)
			same(t, counts, []int{2})
			same(t, r, (*storage.Refusal)(nil))
			uncount()
		}
		same(t, clear(t, "taken-back"), map[string]int{"taken-back": 1})
		count(t, noon, b)
		uncount()
		uncount()
		same(t, clear(t, "taken-back", "unknown")["taken-back"], 0)
	})
	t.Run("fifty at once count to exactly the limit", func(t *testing.T) {
		a := storage.FailureBudget{Key: "raced-a", Free: 100, Limit: 7}
		b := storage.FailureBudget{Key: "raced-b", Free: 100, Limit: 20}
		wins := race(t, 50, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			_, r, err := s.CountFailures(ctx, noon, b, a)
			return r == nil, err
		})
		same(t, wins, 7)
		same(t, clear(t, "raced-a", "raced-b"), map[string]int{"raced-a": 7, "raced-b": 7})
	})
}
