package storage

import (
	"context"
	"time"
)

// Leases keeps which node does work of which only one may be done at a time (the sealer, the sweeper).
type Leases interface {
	// AcquireLease takes or renews the named lease for holder until the given time; false when another holder has it.
	AcquireLease(ctx context.Context, name, holder string, now, until time.Time) (bool, error)
	// ReleaseLease gives it back if holder has it.
	ReleaseLease(ctx context.Context, name, holder string) error
}
