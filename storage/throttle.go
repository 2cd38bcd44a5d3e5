package storage

import (
	"context"
	"time"
)

// Throttle is a token bucket by GCRA: Burst at once, then one per Interval.
type Throttle struct {
	Key      string
	Interval time.Duration
	Burst    int
	// Cost is how many it takes or gives back at once; 0 means 1. Money is taken in ten-thousandths.
	Cost int64
}

// FailureBudget is a counter of consecutive failures with a growing delay: Free failures cost nothing, the next waits
// Base, then twice that, up to Cap. At Limit the key is shut until it is cleared (0: never).
type FailureBudget struct {
	Key   string
	Free  int
	Base  time.Duration
	Cap   time.Duration
	Limit int
}

// Refusal says which key refused and when to try again; the zero RetryAt means that time alone does not help.
type Refusal struct {
	Key     string
	RetryAt time.Time
}

// Throttles keeps how often things happened. Keys are made by internal/throttle and hold no personal data in clear.
type Throttles interface {
	// Take takes the Cost from every bucket, or from none: the first refusal is returned and the others are given back. Each
	// bucket is exact under any number of simultaneous callers and nodes. A Cost above Burst is refused with no RetryAt.
	Take(ctx context.Context, now time.Time, buckets ...Throttle) (*Refusal, error)
	// GiveBack returns what each bucket's Cost says, never beyond full, in one statement. One named twice gets both.
	GiveBack(ctx context.Context, now time.Time, buckets ...Throttle) error
	// CountFailures counts one failure on every budget before the secret is compared (PW-13), or on none when one
	// refuses. It returns the counts in the order of the budgets.
	CountFailures(ctx context.Context, now time.Time, budgets ...FailureBudget) (counts []int, r *Refusal, err error)
	// UncountFailures takes one failure back from each key, with the delay that it caused: what was counted was in the end
	// not compared.
	UncountFailures(ctx context.Context, keys ...string) error
	// ClearFailuresUnder forgets the failures of every key that begins with prefix, and returns how many each had.
	ClearFailuresUnder(ctx context.Context, prefix string) (map[string]int, error)
	// ClearFailures forgets the failures of these keys, and returns how many each had before, by key.
	ClearFailures(ctx context.Context, keys ...string) (map[string]int, error)
}
