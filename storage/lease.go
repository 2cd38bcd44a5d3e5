package storage

import (
	"context"
	"time"
)

// Lease is work that one node at a time does.
type Lease struct {
	Name   string
	Holder string
	// ExpiresAt is when another node may take it, unless it is renewed before.
	ExpiresAt time.Time
}

// Leases keeps which node does work of which only one may be done at a time (the sealer, the sweeper).
type Leases interface {
	// AcquireLease takes or renews the named lease for holder until the given time; false when another holder has it.
	AcquireLease(ctx context.Context, name, holder string, now, until time.Time) (bool, error)
	// ReleaseLease gives it back if holder has it.
	ReleaseLease(ctx context.Context, name, holder string) error
	// Leases returns all of them by name, those that are over too.
	Leases(ctx context.Context) ([]Lease, error)
}
