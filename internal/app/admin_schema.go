package app

import (
	"context"
	"fmt"
	"time"

	"github.com/parola-id/parola/idp/signing"
)

// Migration is one step of the database's schema. AppliedAt is zero while it is pending.
type Migration struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

// Migrate brings the database's schema up to this release, whatever database.migrate says, and returns the versions
// that it applied.
func Migrate(ctx context.Context, c Config, o Options) ([]int64, error) {
	b, err := open(ctx, c, o)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return b.store.Migrate(ctx)
}

// MigrationStatus lists the steps that this release knows, oldest first. It changes nothing.
func MigrationStatus(ctx context.Context, c Config, o Options) ([]Migration, error) {
	b, err := open(ctx, c, o)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	steps, err := b.store.MigrationStatus(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Migration, len(steps))
	for i, s := range steps {
		list[i] = Migration{Version: s.Version, Name: s.Name, AppliedAt: s.AppliedAt}
	}
	return list, nil
}

// SigningKey is a key that signs tokens, without its private half.
type SigningKey struct {
	KID         string    `json:"kid"`
	Alg         string    `json:"alg"`
	State       string    `json:"state"`
	CreatedAt   time.Time `json:"created_at"`
	ActivatedAt time.Time `json:"activated_at,omitzero"`
	RetiredAt   time.Time `json:"retired_at,omitzero"`
}

// SigningKeys lists the keys that sign tokens, newest first.
func (b *Base) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	signer, err := signing.New(signing.Config{Keys: b.store, Secrets: b.keys, Audit: b.audit, Clock: b.clock, Log: b.log})
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	keys, err := signer.List(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]SigningKey, len(keys))
	for i, k := range keys {
		list[i] = SigningKey{
			KID: k.KID, Alg: k.Alg, State: string(k.State),
			CreatedAt: k.CreatedAt, ActivatedAt: k.ActivatedAt, RetiredAt: k.RetiredAt,
		}
	}
	return list, nil
}
