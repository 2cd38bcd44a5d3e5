package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

const (
	epochLease = "epoch"
	epochHold  = 30 * time.Second
	// epochAtOnce bounds a transaction that ends what was issued.
	epochAtOnce = 1000
	// epochLook is how often a node looks whether the one that works has finished.
	epochLook = 100 * time.Millisecond
)

// checkEpoch refuses a configuration that is behind the database: it would put the installation back before a restore.
func (b *Base) checkEpoch(ctx context.Context) error {
	at, err := b.store.Epoch(ctx)
	if err != nil {
		return fmt.Errorf("read epoch: %w", err)
	}
	if want := b.config.Database.Epoch; want < at {
		return refuse("database.epoch is %d, and the database is at %d since an older copy was restored: set it to %d", want, at, at)
	}
	return nil
}

// enterEpoch brings the database to the epoch of the configuration, before anything is served. An operator raises it after
// restoring an older copy: whatever may have been used since the copy was made must not count again (REL-13). A copy that
// is older than the last raise is known by itself, by the epoch in it. One node does the work; others wait for it.
func (b *Base) enterEpoch(ctx context.Context) error {
	for want := b.config.Database.Epoch; ; {
		at, err := b.store.Epoch(ctx)
		if err != nil {
			return fmt.Errorf("read epoch: %w", err)
		}
		if at >= want { // checkEpoch has refused more
			return nil
		}
		if held, err := b.endEpoch(ctx, at, want); err != nil {
			return fmt.Errorf("end what was issued before epoch %d: %w", want, err)
		} else if held {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(epochLook):
		}
	}
}

// endEpoch ends what was issued, step by step, and then raises the epoch with its event. A process that is killed on the
// way leaves the old epoch, and the next one goes on. held is false while another node does it.
func (b *Base) endEpoch(ctx context.Context, from, to int64) (held bool, err error) {
	b.log.WarnContext(ctx, "an older copy of the database was restored: what it holds of logins ends", "epoch", to)
	data := map[string]string{"from": strconv.FormatInt(from, 10), "to": strconv.FormatInt(to, 10)}
	for _, kind := range []storage.Issued{
		storage.IssuedDeliveries, storage.IssuedNotices, storage.IssuedChallenges, storage.IssuedAuthRequests,
		storage.IssuedGrants, storage.IssuedSessions,
	} {
		total, after := 0, ""
		for more := true; more; more = after != "" {
			n, last := 0, ""
			err := b.inEpochLease(ctx, &held, func(ctx context.Context) (err error) { // it may run again, from the same place
				n, last, err = b.store.EndIssued(ctx, kind, after, b.clock.Now(), epochAtOnce)
				return err
			})
			if err != nil || !held {
				return held, err
			}
			after = last
			total += n
		}
		data[string(kind)] = strconv.Itoa(total)
	}
	err = b.inEpochLease(ctx, &held, func(ctx context.Context) error {
		if err := b.retireKeys(ctx); err != nil {
			return err
		}
		if raised, err := b.store.RaiseEpoch(ctx, from, to); err != nil || !raised {
			return err
		}
		if err := b.write(ctx, storage.Event{Kind: audit.SystemEpoch, ActorID: "system", Data: data}); err != nil {
			return err
		}
		return b.store.ReleaseLease(ctx, epochLease, b.node)
	})
	return held, err
}

// inEpochLease runs fn in a transaction that renews the lease; not at all while another node holds it.
func (b *Base) inEpochLease(ctx context.Context, held *bool, fn func(ctx context.Context) error) error {
	return b.store.InTx(ctx, func(ctx context.Context) (err error) {
		now := b.clock.Now()
		if *held, err = b.store.AcquireLease(ctx, epochLease, b.node, now, now.Add(epochHold)); err != nil || !*held {
			return err
		}
		return fn(ctx)
	})
}

// retireKeys takes the signing keys of the copy out of use: one of them may have been withdrawn since, and access tokens
// that are JWTs have no other end before their time.
func (b *Base) retireKeys(ctx context.Context) error {
	keys, err := b.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.State == storage.KeyRetired {
			continue
		}
		moved, err := b.store.MoveSigningKey(ctx, k.KID, k.State, storage.KeyRetired, b.clock.Now())
		if err != nil {
			return err
		}
		if moved {
			if err := b.write(ctx, storage.Event{Kind: audit.KeyRetired, ActorID: "system", Reason: "epoch",
				Data: map[string]string{"kid": k.KID, "alg": k.Alg}}); err != nil {
				return err
			}
		}
	}
	return nil
}
