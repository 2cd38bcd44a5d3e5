package storage

import (
	"context"
	"time"
)

// Pruner shortens the audit log at its beginning, behind a checkpoint that stays as the new one.
type Pruner interface {
	// CheckpointBefore returns the newest checkpoint that was signed before a time and signs no more than upTo events;
	// ErrNotFound when there is none.
	CheckpointBefore(ctx context.Context, before time.Time, upTo int64) (Checkpoint, error)
	// LeastCursor returns how far the slowest reader of the log is; 0 when nobody has read any of it.
	LeastCursor(ctx context.Context) (int64, error)
	// PruneEvents removes at most limit events, the oldest first, whose sequence is not above through, and where there are
	// none left, checkpoints below it. It returns how many rows it removed.
	PruneEvents(ctx context.Context, through int64, limit int) (int, error)
}
