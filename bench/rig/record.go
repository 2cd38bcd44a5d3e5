package rig

import (
	"context"
	"os"
	"time"

	"github.com/parola-id/parola/bench/check"
)

// Record reads what there is at this instant, beside a server that may be running: the database, what the carriers saw and
// what the witness was told.
func (in *Installation) Record(ctx context.Context, w *check.Witness) (*check.Record, error) {
	// In this order: what was told and asked before must be in the database, what is in it may have been asked just now.
	told, asked := w.Told(), len(in.Tap.Calls())
	db, err := check.Open(in.config.Database.Driver, in.source())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	r, err := db.Read(ctx)
	if err != nil {
		return nil, err
	}
	if r.Damage, err = db.Damage(ctx); err != nil {
		return nil, err
	}
	r.Told, r.Asked = told, asked
	for _, c := range in.Tap.Calls() {
		r.Calls = append(r.Calls, check.Call{Delivery: c.Delivery, Taken: c.Taken()})
	}
	return r, nil
}

func (in *Installation) source() string {
	if in.options.DSN != "" {
		return in.options.DSN
	}
	return in.config.Database.Path
}

// Verify adds to a record what a verification of the chain finds with nothing but the public key and the server's log.
func (in *Installation) Verify(ctx context.Context, r *check.Record) error {
	b, err := in.OpenBase(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	log, err := os.ReadFile(in.log.Name())
	if err != nil {
		return err
	}
	report, err := b.VerifyAudit(ctx, b.AuditPublicKey(), log)
	if err != nil {
		return err
	}
	for _, p := range report.Problems {
		r.Chain = append(r.Chain, p.Finding+": "+p.Detail)
	}
	return nil
}

// Settle waits until nothing is due any more and every event has its place in the chain, or until patience is at its end:
// what is still due then is a finding.
func (in *Installation) Settle(ctx context.Context, patience time.Duration) error {
	store, err := in.OpenStore(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	for until := time.Now().Add(patience); time.Now().Before(until); pause(ctx, 200*time.Millisecond) {
		due, err := store.NextDue(ctx)
		if err != nil {
			return err
		}
		waiting, err := store.UnsealedEvents(ctx, 1)
		if err != nil {
			return err
		}
		if due.IsZero() && len(waiting) == 0 {
			pause(ctx, time.Second) // receipts that are still on their way
			return ctx.Err()
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
