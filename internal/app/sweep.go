package app

import (
	"context"
	"fmt"
	"time"

	"github.com/parola-id/parola/storage"
)

// sweep removes what has ended, a bounded number of records of each kind per run (DOS-07, DAT-06). One node at a time
// does it.
func (a *App) sweep(ctx context.Context) {
	r := a.config.Retention
	tick := time.NewTicker(r.Every)
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

func (a *App) sweepOnce(ctx context.Context) error {
	now := a.clock.Now()
	r := a.config.Retention
	held := false
	err := a.store.InTx(ctx, func(ctx context.Context) (err error) {
		held, err = a.store.AcquireLease(ctx, "sweeper", a.node, now, now.Add(2*r.Every))
		return err
	})
	if err != nil || !held {
		return err
	}
	for _, s := range []struct {
		kind storage.Sweepable
		keep time.Duration
	}{
		{storage.SweepChallenges, r.Challenges}, {storage.SweepAuthRequests, r.AuthRequests},
		{storage.SweepSessions, r.Sessions}, {storage.SweepTokens, r.Tokens}, {storage.SweepGrants, r.Tokens},
		{storage.SweepConversions, r.Conversions}, {storage.SweepDeliveryDays, r.DeliveryDays},
		{storage.SweepAssertions, 0}, {storage.SweepThrottles, 0},
	} {
		removed := 0
		err := a.store.InTx(ctx, func(ctx context.Context) (err error) {
			removed, err = a.store.Sweep(ctx, s.kind, now.Add(-s.keep), r.PerRun)
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep %s: %w", s.kind, err)
		}
		a.metrics.swept.WithLabelValues(string(s.kind)).Add(float64(removed))
	}
	return nil
}
