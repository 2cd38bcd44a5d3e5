package sqlstore

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

// CheckpointBefore implements storage.Pruner.
func (s *Store) CheckpointBefore(ctx context.Context, before time.Time, upTo int64) (storage.Checkpoint, error) {
	return reading(scanCheckpoint).one(ctx, s, selectCheckpoints+`WHERE at < $1 AND sequence <= $2
		ORDER BY sequence DESC LIMIT 1`, ms(before), upTo)
}

// LeastCursor implements storage.Pruner.
func (s *Store) LeastCursor(ctx context.Context) (int64, error) {
	return reading(scanNumber).one(ctx, s, `SELECT COALESCE(MIN(position), 0) FROM cursors`)
}

// PruneEvents implements storage.Pruner.
func (s *Store) PruneEvents(ctx context.Context, through int64, limit int) (int, error) {
	n, err := s.exec(ctx, `DELETE FROM events WHERE sequence IS NOT NULL AND sequence `+s.dialect.in(`SELECT sequence FROM events
		WHERE sequence IS NOT NULL AND sequence <= $1 ORDER BY sequence LIMIT $2`), through, limit)
	if err != nil || n > 0 {
		return int(n), err
	}
	n, err = s.exec(ctx, `DELETE FROM checkpoints WHERE sequence `+s.dialect.in(`SELECT sequence FROM checkpoints
		WHERE sequence < $1 ORDER BY sequence LIMIT $2`), through, limit)
	return int(n), err
}
