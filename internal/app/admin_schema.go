package app

import (
	"context"
	"time"
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
