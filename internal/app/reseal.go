package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

const (
	// resealBatch is how many records a transaction seals anew: on SQLite nobody else writes meanwhile.
	resealBatch = 100
	// leastResealPause lets others write between two batches.
	leastResealPause = 10 * time.Millisecond
)

var sealedFor = map[storage.SealedKind]secret.Purpose{
	storage.SealedClaims: secret.ClaimSeal, storage.SealedPasswords: secret.Password, storage.SealedPhones: secret.PhoneSeal,
	storage.SealedIdentities: secret.IdentitySeal, storage.SealedSigningKeys: secret.KeySeal,
}

// ResealSecrets seals anew, with the root in force, what the one before had sealed (KEY-06), while servers run: what one of
// them writes meanwhile stands. It can be stopped at any moment and run again.
func (b *Base) ResealSecrets(ctx context.Context) (Resealed, error) {
	done := Resealed{Counts: map[string]int{}}
	for _, kind := range storage.SealedKinds() {
		for _, generation := range b.keys.Readable() {
			if !b.keys.Superseded(generation) {
				continue
			}
			if err := b.resealKind(ctx, kind, generation, &done); err != nil {
				return done, fmt.Errorf("seal %s anew: %w", kind, err)
			}
		}
	}
	if err := b.sealAuditKeys(ctx); err != nil {
		return done, err
	}
	if len(done.words()) == 0 {
		return done, nil
	}
	err := b.store.InTx(ctx, func(ctx context.Context) error {
		e := storage.Event{Kind: audit.RootResealed, ActorID: actor, Data: done.words()}
		e.Data["root"] = b.keys.ID()
		return b.write(ctx, e)
	})
	return done, err
}

func (b *Base) resealKind(ctx context.Context, kind storage.SealedKind, generation string, done *Resealed) error {
	for after := ""; ; {
		records, err := b.store.SealedWith(ctx, kind, generation, after, resealBatch)
		if err != nil || len(records) == 0 {
			return err
		}
		after = records[len(records)-1].ID
		var before, renewed []storage.SealedRecord
		for _, r := range records {
			fresh, err := b.sealAnew(kind, r)
			if err != nil {
				done.Damaged = append(done.Damaged, string(kind)+" "+r.ID)
				continue
			}
			before, renewed = append(before, r), append(renewed, fresh)
		}
		begun, changed := time.Now(), 0
		err = b.store.InTx(ctx, func(ctx context.Context) error {
			changed = 0
			for i := range renewed {
				ok, err := b.store.Reseal(ctx, kind, b.keys.ID(), before[i], renewed[i])
				if err != nil {
					return err
				}
				if ok {
					changed++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if changed > 0 {
			done.Counts[string(kind)] += changed
		}
		select { // as long as the batch took: servers have the database for half of the time at least
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(leastResealPause, time.Since(begun))):
		}
	}
}

// sealAnew opens a record with the root that sealed it, and seals it with the one in force.
func (b *Base) sealAnew(kind storage.SealedKind, r storage.SealedRecord) (storage.SealedRecord, error) {
	sealed, err := r.Sealed, error(nil)
	if kind == storage.SealedPasswords {
		if sealed, err = base64.RawStdEncoding.DecodeString(string(r.Sealed)); err != nil {
			return r, err
		}
	}
	plain, err := b.keys.Open(sealedFor[kind], r.ID, sealed)
	if err != nil {
		return r, err
	}
	fresh := storage.SealedRecord{ID: r.ID, Sealed: b.keys.Seal(sealedFor[kind], r.ID, plain)}
	switch kind {
	case storage.SealedPasswords:
		fresh.Sealed = []byte(base64.RawStdEncoding.EncodeToString(fresh.Sealed))
	case storage.SealedPhones:
		fresh.Hash = b.keys.Hash(secret.PhoneLookup, string(plain))
	}
	return fresh, nil
}
