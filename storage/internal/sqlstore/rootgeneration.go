package sqlstore

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

// RootGenerations implements storage.RootGenerations.
func (s *Store) RootGenerations(ctx context.Context) ([]storage.RootGeneration, error) {
	scan := func(r row) (storage.RootGeneration, error) {
		var g storage.RootGeneration
		return g, r.Scan(&g.ID, timeOf(&g.FirstUsedAt), timeOf(&g.LastUsedAt), timeOf(&g.RetiredAt), &g.AuditKey)
	}
	return reading(scan).all(ctx, s, `SELECT id, first_used_at, last_used_at, retired_at, audit_key
		FROM root_generations ORDER BY first_used_at, id`)
}

// UseRoot implements storage.RootGenerations.
func (s *Store) UseRoot(ctx context.Context, id string, now time.Time) (bool, error) {
	first, err := s.once(ctx, `INSERT INTO root_generations (id, first_used_at, last_used_at) VALUES ($1, $2, $2)
		ON CONFLICT (id) DO NOTHING`, id, ms(now))
	if err != nil || first {
		return first, err
	}
	_, err = s.exec(ctx, `UPDATE root_generations SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2`, id, ms(now))
	return false, err
}

// RetireRoot implements storage.RootGenerations.
func (s *Store) RetireRoot(ctx context.Context, id string, now time.Time) (bool, error) {
	return s.once(ctx, `UPDATE root_generations SET retired_at = $2 WHERE id = $1 AND retired_at IS NULL`, id, ms(now))
}

// KeepAuditKey implements storage.RootGenerations.
func (s *Store) KeepAuditKey(ctx context.Context, id string, sealed []byte) error {
	return s.affects(ctx, `UPDATE root_generations SET audit_key = $2 WHERE id = $1`, id, sealed)
}
