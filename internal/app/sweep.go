package app

import (
	"context"
	"fmt"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

const (
	sweeperLease = "sweeper"
	// retiredKeys is how long a retired signing key is remembered, for `parola keys list`.
	retiredKeys = 400 * 24 * time.Hour
	// sweptEvents is the kind under which removed events count.
	sweptEvents storage.Sweepable = "events"
	// leastPause lets others at SQLite's one writer between two steps of a sweep.
	leastPause = 20 * time.Millisecond
)

// sweep removes what has ended, a bounded number of records per transaction (DOS-07, DAT-06). One node at a time does it.
func (a *App) sweep(ctx context.Context) {
	tick := time.NewTicker(a.config.Retention.Every)
	defer tick.Stop()
	for {
		if err := a.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "sweep", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweeping is one kind of record that ends; step removes at most retention.per_run of them in the caller's transaction.
type sweeping struct {
	kind storage.Sweepable
	step func(ctx context.Context) (int, error)
}

func (a *App) sweepings(now time.Time) []sweeping {
	r := a.config.Retention
	var all []sweeping
	for _, s := range []struct {
		kind storage.Sweepable
		keep time.Duration
	}{
		{storage.SweepChallenges, r.Challenges}, {storage.SweepAuthRequests, r.AuthRequests},
		{storage.SweepSessions, r.Sessions}, {storage.SweepTokens, r.Tokens}, {storage.SweepGrants, r.Tokens},
		{storage.SweepConversions, r.Conversions}, {storage.SweepDeliveryDays, r.DeliveryDays},
		{storage.SweepAssertions, 0}, {storage.SweepThrottles, 0}, {storage.SweepConsents, 0},
		{storage.SweepSigningKeys, retiredKeys}, {storage.SweepLeases, time.Hour},
	} {
		all = append(all, sweeping{s.kind, func(ctx context.Context) (int, error) {
			return a.store.Sweep(ctx, s.kind, now.Add(-s.keep), r.PerRun)
		}})
	}
	pruner := audit.Pruner{Store: a.store, Audit: a.audit, Clock: a.clock, Keep: r.Events, AtOnce: r.PerRun}
	return append(all, sweeping{sweptEvents, pruner.Step})
}

// sweepOnce goes on until nothing that has ended is left: a node that was away for days catches up at once, and a busy
// installation is not left behind by one step a minute.
func (a *App) sweepOnce(ctx context.Context) error {
	for _, s := range a.sweepings(a.clock.Now()) {
		for more := true; more; {
			began := a.clock.Now()
			removed, held, err := a.sweepStep(ctx, s)
			if err != nil {
				return fmt.Errorf("sweep %s: %w", s.kind, err)
			}
			if !held {
				a.metrics.behind.Reset() // another node knows
				return nil
			}
			more = removed >= a.config.Retention.PerRun
			a.metrics.sweptSome(s.kind, removed, more)
			if !more {
				break
			}
			// At most a third of the time is the sweeper's.
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(max(leastPause, 2*a.clock.Now().Sub(began))):
			}
		}
	}
	return nil
}

// sweepStep is one transaction, which holds the lease: two nodes never remove the same.
func (a *App) sweepStep(ctx context.Context, s sweeping) (removed int, held bool, err error) {
	err = a.store.InTx(ctx, func(ctx context.Context) (err error) {
		now := a.clock.Now()
		held, err = a.store.AcquireLease(ctx, sweeperLease, a.node, now, now.Add(2*a.config.Retention.Every))
		if err != nil || !held {
			return err
		}
		removed, err = s.step(ctx)
		return err
	})
	return removed, held, err
}
