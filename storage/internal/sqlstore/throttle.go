package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

// A bucket by GCRA is one number: full_at, the moment at which it will be full again, in microseconds. Taking from it
// moves that spacing further for each one taken, and is refused when it would then be more than tolerance ahead of now.
// Both are columns so that one statement can take from buckets of different sizes; excluded.full_at − now is what this
// taking costs. NOW stands for the parameter with the present.
const takeTail = ` ON CONFLICT (id) DO UPDATE SET spacing = excluded.spacing, tolerance = excluded.tolerance,
		full_at = excluded.full_at + AHEAD
	WHERE excluded.tolerance + NOW >= excluded.full_at + AHEAD
	RETURNING id`

// ahead is how far the bucket is from full. One that is further than it can be was taken from before the clock went back
// (REL-11), and would refuse everybody until the clock is there again: it gives this one, and is empty then. The minute is
// for nodes whose clocks differ.
const ahead = `CASE
		WHEN buckets.full_at > NOW + excluded.tolerance + 60000000 THEN NOW + excluded.tolerance - excluded.full_at
		WHEN buckets.full_at > NOW THEN buckets.full_at - NOW
		ELSE 0 END`

var errTwice = errors.New("the same key is named twice")

// Take implements storage.Throttles.
func (s *Store) Take(ctx context.Context, now time.Time, buckets ...storage.Throttle) (*storage.Refusal, error) {
	if len(buckets) == 0 {
		return nil, nil
	}
	for _, b := range buckets {
		if costOf(b) > int64(b.Burst) { // more than it ever holds: time alone does not help
			return &storage.Refusal{Key: b.Key}, nil
		}
	}
	// One order of rows for every caller: two of them cannot wait for each other.
	ordered := slices.SortedFunc(slices.Values(buckets), func(a, b storage.Throttle) int { return strings.Compare(a.Key, b.Key) })
	var args []any
	for i, b := range ordered {
		if i > 0 && b.Key == ordered[i-1].Key {
			return nil, fmt.Errorf("take from bucket %s: %w", b.Key, errTwice)
		}
		spacing := spacingOf(b)
		args = append(args, b.Key, now.UnixMicro()+costOf(b)*spacing, spacing, spacing*int64(b.Burst))
	}
	args = append(args, now.UnixMicro())
	tail := strings.ReplaceAll(takeTail, "AHEAD", ahead)
	tail = strings.ReplaceAll(tail, "NOW", "CAST($"+number(len(args))+" AS BIGINT)")
	taken, err := changing(scanString).all(ctx, s, `INSERT INTO buckets (id, full_at, spacing, tolerance) VALUES `+
		placeholders(len(ordered), 4)+tail, args...)
	if err != nil || len(taken) == len(buckets) {
		return nil, err
	}
	back := slices.DeleteFunc(ordered, func(b storage.Throttle) bool { return !slices.Contains(taken, b.Key) })
	if err := s.GiveBack(ctx, now, back...); err != nil {
		return nil, err
	}
	return s.refusal(ctx, buckets, taken)
}

func costOf(b storage.Throttle) int64 { return max(b.Cost, 1) }

func spacingOf(b storage.Throttle) int64 { return max(b.Interval.Microseconds(), 1) }

// refusal tells of the first bucket that was not taken when it will have enough again.
func (s *Store) refusal(ctx context.Context, buckets []storage.Throttle, taken []string) (*storage.Refusal, error) {
	for _, b := range buckets {
		if slices.Contains(taken, b.Key) {
			continue
		}
		scan := func(r row) (at int64, err error) { return at, r.Scan(&at) }
		fullAt, err := reading(scan).one(ctx, s, `SELECT full_at FROM buckets WHERE id = $1`, b.Key)
		if err != nil {
			return nil, err
		}
		free := fullAt - spacingOf(b)*(int64(b.Burst)-costOf(b))
		return &storage.Refusal{Key: b.Key, RetryAt: ceilMilli(free)}, nil
	}
	return nil, errors.New("take: the database changed more buckets than were named")
}

// ceilMilli rounds up: a retry at the time that was told must succeed.
func ceilMilli(micro int64) time.Time { return time.UnixMilli((micro + 999) / 1000).UTC() }

// GiveBack implements storage.Throttles. A bucket named twice gets both.
func (s *Store) GiveBack(ctx context.Context, now time.Time, buckets ...storage.Throttle) error {
	costs := make(map[string]int64, len(buckets))
	for _, b := range buckets {
		costs[b.Key] += costOf(b)
	}
	if len(costs) == 0 {
		return nil
	}
	var rows []cells
	for key, cost := range costs {
		rows = append(rows, cells{key, cost})
	}
	locked, among := "", ""
	if s.dialect.ForUpdate != "" { // in order, for others do the same
		locked = `, locked AS MATERIALIZED (SELECT id FROM buckets WHERE full_at > $1 AND id ` + s.dialect.in("SELECT key FROM given") + `
			ORDER BY id` + s.dialect.ForUpdate + `)`
		among = ` AND buckets.id ` + s.dialect.in("SELECT id FROM locked")
	}
	_, err := s.exec(ctx, `WITH given AS MATERIALIZED (`+s.dialect.given("$2", "key", "cost BIGINT")+`)`+locked+`
		UPDATE buckets SET full_at = CASE WHEN full_at - given.cost * spacing > $1 THEN full_at - given.cost * spacing ELSE $1 END
		FROM given WHERE buckets.id = given.key AND buckets.full_at > $1`+among,
		now.UnixMicro(), rowsText(rows))
	return err
}

// The delay after failure number n is 0 up to free, then base, twice that, …, at most longest. blocked_until 0 is never.
// shut_at 0 means that the key is never shut.
const countTail = ` ON CONFLICT (id) DO UPDATE SET failures = failures.failures + 1, counted_at = excluded.counted_at,
		free = excluded.free, base = excluded.base, longest = excluded.longest, shut_at = excluded.shut_at,
		blocked_until = CASE
			WHEN failures.failures < excluded.free THEN 0
			WHEN failures.failures - excluded.free >= 30 THEN excluded.counted_at + excluded.longest
			WHEN excluded.base << CAST(failures.failures - excluded.free AS INTEGER) > excluded.longest
				THEN excluded.counted_at + excluded.longest
			ELSE excluded.counted_at + (excluded.base << CAST(failures.failures - excluded.free AS INTEGER)) END
	WHERE failures.blocked_until <= excluded.counted_at
		AND (excluded.shut_at = 0 OR failures.failures < excluded.shut_at)
	RETURNING id, failures`

type counted struct {
	key      string
	failures int
}

func scanCounted(r row) (c counted, err error) { return c, r.Scan(&c.key, &c.failures) }

// CountFailures implements storage.Throttles.
func (s *Store) CountFailures(ctx context.Context, now time.Time, budgets ...storage.FailureBudget) ([]int, *storage.Refusal, error) {
	if len(budgets) == 0 {
		return nil, nil, nil
	}
	ordered := slices.SortedFunc(slices.Values(budgets), func(a, b storage.FailureBudget) int { return strings.Compare(a.Key, b.Key) })
	var args []any
	for i, b := range ordered {
		if i > 0 && b.Key == ordered[i-1].Key {
			return nil, nil, fmt.Errorf("count failure on %s: %w", b.Key, errTwice)
		}
		longest := min(max(b.Cap.Milliseconds(), 0), 1<<32)
		base := min(max(b.Base.Milliseconds(), 0), longest) // both below 2³³, so that 30 doublings fit
		var blocked int64
		if b.Free < 1 {
			blocked = now.UnixMilli() + base
		}
		args = append(args, b.Key, 1, blocked, now.UnixMilli(), max(b.Free, 0), base, longest, max(b.Limit, 0))
	}
	rows, err := changing(scanCounted).all(ctx, s, `INSERT INTO failures (id, failures, blocked_until, counted_at, free, base,
		longest, shut_at) VALUES `+placeholders(len(ordered), 8)+countTail, args...)
	if err != nil {
		return nil, nil, err
	}
	if len(rows) < len(budgets) {
		r, err := s.uncount(ctx, budgets, rows)
		return nil, r, err
	}
	counts := make([]int, len(budgets))
	for i, b := range budgets {
		j := slices.IndexFunc(rows, func(c counted) bool { return c.key == b.Key })
		counts[i] = rows[j].failures
	}
	return counts, nil, nil
}

// uncount takes back what was counted beside a budget that refused, and tells when the first that refused is free.
// Whoever was counted was not blocked, so there is no older delay to restore.
func (s *Store) uncount(ctx context.Context, budgets []storage.FailureBudget, rows []counted) (*storage.Refusal, error) {
	var keys []string
	for _, c := range rows {
		keys = append(keys, c.key)
	}
	if err := s.UncountFailures(ctx, keys...); err != nil {
		return nil, err
	}
	for _, b := range budgets {
		if slices.ContainsFunc(rows, func(c counted) bool { return c.key == b.Key }) {
			continue
		}
		type state struct {
			failures int
			blocked  int64
		}
		scan := func(r row) (f state, err error) { return f, r.Scan(&f.failures, &f.blocked) }
		f, err := reading(scan).one(ctx, s, `SELECT failures, blocked_until FROM failures WHERE id = $1`, b.Key)
		if err != nil {
			return nil, err
		}
		if b.Limit > 0 && f.failures >= b.Limit {
			return &storage.Refusal{Key: b.Key}, nil
		}
		return &storage.Refusal{Key: b.Key, RetryAt: time.UnixMilli(f.blocked).UTC()}, nil
	}
	return nil, errors.New("count failures: the database changed more budgets than were named")
}

// UncountFailures implements storage.Throttles.
func (s *Store) UncountFailures(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	var args []any
	for _, key := range keys {
		args = append(args, key)
	}
	_, err := s.exec(ctx, `WITH named AS MATERIALIZED (
			SELECT id FROM failures WHERE failures > 0 AND id IN `+list(0, len(keys))+` ORDER BY id`+s.dialect.ForUpdate+`)
		UPDATE failures SET failures = failures - 1, blocked_until = 0 WHERE id `+s.dialect.in("SELECT id FROM named"), args...)
	return err
}

// ClearFailures implements storage.Throttles.
func (s *Store) ClearFailures(ctx context.Context, keys ...string) (map[string]int, error) {
	before := make(map[string]int, len(keys))
	if len(keys) == 0 {
		return before, nil
	}
	var args []any
	for _, key := range keys {
		args = append(args, key)
	}
	rows, err := changing(scanCounted).all(ctx, s, `WITH named AS MATERIALIZED (
			SELECT id FROM failures WHERE id IN `+list(0, len(keys))+` ORDER BY id`+s.dialect.ForUpdate+`)
		DELETE FROM failures WHERE id `+s.dialect.in("SELECT id FROM named")+` RETURNING id, failures`, args...)
	for _, c := range rows {
		before[c.key] = c.failures
	}
	return before, err
}

// ClearFailuresUnder implements storage.Throttles.
func (s *Store) ClearFailuresUnder(ctx context.Context, prefix string) (map[string]int, error) {
	before := make(map[string]int)
	if prefix == "" {
		return before, nil // everybody's failures are nobody's to forget
	}
	rows, err := changing(scanCounted).all(ctx, s, `DELETE FROM failures
		WHERE substr(id, 1, length(CAST($1 AS TEXT))) = CAST($1 AS TEXT) RETURNING id, failures`, prefix)
	for _, c := range rows {
		before[c.key] = c.failures
	}
	return before, err
}
