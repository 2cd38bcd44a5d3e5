package sqlstore

import (
	"context"

	"github.com/parola-id/parola/storage"
)

// PutVerdict implements storage.Verdicts.
func (s *Store) PutVerdict(ctx context.Context, v storage.Verdict) error {
	_, err := s.exec(ctx, `INSERT INTO verdicts (prefix, edge, country, state, override, sent, verified, since, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (prefix, edge) DO UPDATE SET country = excluded.country, state = excluded.state,
			override = excluded.override, sent = excluded.sent, verified = excluded.verified, since = excluded.since,
			updated_at = excluded.updated_at`,
		v.Prefix, v.Edge, v.Country, string(v.State), string(v.Override), v.Sent, v.Verified, ms(v.Since), ms(v.UpdatedAt))
	s.changedAny(ctx, storage.VerdictsChanged, err == nil)
	return err
}

// RemoveVerdict implements storage.Verdicts.
func (s *Store) RemoveVerdict(ctx context.Context, prefix, edge string) (bool, error) {
	removed, err := s.once(ctx, `DELETE FROM verdicts WHERE prefix = $1 AND edge = $2`, prefix, edge)
	s.changedAny(ctx, storage.VerdictsChanged, removed)
	return removed, err
}

// Verdicts implements storage.Verdicts.
func (s *Store) Verdicts(ctx context.Context) ([]storage.Verdict, error) {
	scan := func(r row) (v storage.Verdict, err error) {
		return v, r.Scan(&v.Prefix, &v.Edge, &v.Country, &v.State, &v.Override, &v.Sent, &v.Verified, timeOf(&v.Since),
			timeOf(&v.UpdatedAt))
	}
	return reading(scan).all(ctx, s, `SELECT prefix, edge, country, state, override, sent, verified, since, updated_at
		FROM verdicts ORDER BY prefix, edge`)
}
