package sqlstore

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

// AcquireLease implements storage.Leases.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, now, until time.Time) (bool, error) {
	return s.once(ctx, `INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE leases.holder = excluded.holder OR leases.expires_at <= $4`, name, holder, ms(until), ms(now))
}

// ReleaseLease implements storage.Leases.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	_, err := s.exec(ctx, `DELETE FROM leases WHERE name = $1 AND holder = $2`, name, holder)
	return err
}

// Leases implements storage.Leases.
func (s *Store) Leases(ctx context.Context) ([]storage.Lease, error) {
	scan := func(r row) (l storage.Lease, err error) { return l, r.Scan(&l.Name, &l.Holder, timeOf(&l.ExpiresAt)) }
	return reading(scan).all(ctx, s, `SELECT name, holder, expires_at FROM leases ORDER BY name`)
}
