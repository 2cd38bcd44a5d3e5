package storage

import (
	"context"
	"time"
)

// RootGeneration is one root secret that things in the database were made with, known by the id that stands beside them;
// never the secret.
type RootGeneration struct {
	ID string
	// FirstUsedAt and LastUsedAt are between when a node made things with it. A running node notes it again and again.
	FirstUsedAt time.Time
	LastUsedAt  time.Time
	// RetiredAt is when nothing of it was left, or nobody wanted what was; zero while it is needed.
	RetiredAt time.Time
	// AuditKey is the public key of the checkpoints that were signed under it, sealed with the root that is in force, so
	// that they verify after it is gone and nobody can put another key there.
	AuditKey []byte
}

// RootGenerations keeps which root secrets a database needs.
type RootGenerations interface {
	// RootGenerations returns all, by first use.
	RootGenerations(ctx context.Context) ([]RootGeneration, error)
	// UseRoot notes that a node makes things with a generation, and says whether it is the first to.
	UseRoot(ctx context.Context, id string, now time.Time) (first bool, err error)
	// RetireRoot sets RetiredAt, and says whether this call did.
	RetireRoot(ctx context.Context, id string, now time.Time) (bool, error)
	// KeepAuditKey stores AuditKey; ErrNotFound.
	KeepAuditKey(ctx context.Context, id string, sealed []byte) error
}
