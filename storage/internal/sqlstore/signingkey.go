package sqlstore

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

// InsertSigningKey implements storage.SigningKeys.
func (s *Store) InsertSigningKey(ctx context.Context, k storage.SigningKey) error {
	_, err := s.exec(ctx, `INSERT INTO signing_keys (kid, alg, state, public, sealed, created_at, activated_at, retired_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		k.KID, k.Alg, string(k.State), k.Public, k.Sealed, ms(k.CreatedAt), ms(k.ActivatedAt), ms(k.RetiredAt))
	return err
}

// SigningKeys implements storage.SigningKeys.
func (s *Store) SigningKeys(ctx context.Context) ([]storage.SigningKey, error) {
	scan := func(r row) (storage.SigningKey, error) {
		var k storage.SigningKey
		err := r.Scan(&k.KID, &k.Alg, &k.State, &k.Public, &k.Sealed, timeOf(&k.CreatedAt), timeOf(&k.ActivatedAt),
			timeOf(&k.RetiredAt))
		return k, err
	}
	return reading(scan).all(ctx, s, `SELECT kid, alg, state, public, sealed, created_at, activated_at, retired_at
		FROM signing_keys ORDER BY created_at DESC, kid`)
}

// MoveSigningKey implements storage.SigningKeys.
func (s *Store) MoveSigningKey(ctx context.Context, kid string, from, to storage.KeyState, now time.Time) (bool, error) {
	return s.once(ctx, `UPDATE signing_keys SET state = $3,
			activated_at = CASE WHEN $3 = 'current' THEN CAST($4 AS BIGINT) ELSE activated_at END,
			retired_at = CASE WHEN $3 = 'retired' THEN CAST($4 AS BIGINT) ELSE retired_at END,
			sealed = CASE WHEN $3 = 'retired' THEN NULL ELSE sealed END
		WHERE kid = $1 AND state = $2`, kid, string(from), string(to), ms(now))
}
