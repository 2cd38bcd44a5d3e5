package storagetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parola-id/parola/storage"
)

// jar is the model of a bucket: a level that rises with time, at most to the brim.
type jar struct {
	storage.Throttle
	level time.Duration // what is in it, as the time that it took to fall in
	at    time.Time
}

func (j *jar) brim() time.Duration { return time.Duration(j.Burst) * j.Interval }

func (j *jar) wait(now time.Time) {
	j.level = min(j.brim(), j.level+now.Sub(j.at))
	j.at = now
}

// testJars holds buckets to the model: they give what it gives, refuse when it refuses, tell the time at which it would
// give, and never hold more than their burst.
func testJars(t *testing.T, s storage.Store) {
	rapid.Check(t, func(t *rapid.T) {
		now := noon
		jars := make([]*jar, 3)
		for i := range jars {
			b := storage.Throttle{
				Key:      "jar " + storage.NewID(),
				Interval: time.Duration(rapid.IntRange(1, 3_000_000).Draw(t, "interval")) * time.Microsecond,
				Burst:    rapid.IntRange(1, 40).Draw(t, "burst"),
			}
			jars[i] = &jar{Throttle: b, at: now}
			jars[i].level = jars[i].brim()
		}
		steps := rapid.IntRange(1, 25).Draw(t, "steps")
		err := s.InTx(context.Background(), func(ctx context.Context) error {
			for range steps {
				now = now.Add(time.Duration(rapid.IntRange(0, 4_000_000).Draw(t, "pause")) * time.Microsecond)
				var some []*jar
				var buckets []storage.Throttle
				for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 2), 1, 3, rapid.ID).Draw(t, "jars") {
					jars[i].wait(now)
					jars[i].Cost = int64(rapid.IntRange(0, 45).Draw(t, "cost"))
					some, buckets = append(some, jars[i]), append(buckets, jars[i].Throttle)
				}
				if rapid.Bool().Draw(t, "give back") {
					for _, j := range some {
						j.level = min(j.brim(), j.level+time.Duration(max(j.Cost, 1))*j.Interval)
					}
					if err := s.GiveBack(ctx, now, buckets...); err != nil {
						return err
					}
					continue
				}
				got, err := s.Take(ctx, now, buckets...)
				if err != nil {
					return err
				}
				want := takeFromJars(now, some)
				if (got == nil) != (want == nil) || got != nil && *got != *want {
					t.Fatalf("took from %+v: got %+v, want %+v", buckets, got, want)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func takeFromJars(now time.Time, jars []*jar) *storage.Refusal {
	price := func(j *jar) time.Duration { return time.Duration(max(j.Cost, 1)) * j.Interval }
	if i := slices.IndexFunc(jars, func(j *jar) bool { return price(j) > j.brim() }); i >= 0 {
		return &storage.Refusal{Key: jars[i].Key}
	}
	for _, j := range jars {
		if missing := price(j) - j.level; missing > 0 {
			at := now.Add(missing)
			if whole := at.Truncate(time.Millisecond); whole.Before(at) {
				at = whole.Add(time.Millisecond)
			}
			return &storage.Refusal{Key: j.Key, RetryAt: at.Truncate(time.Millisecond)}
		}
	}
	for _, j := range jars {
		j.level -= price(j)
	}
	return nil
}
