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

// SetKeyState implements storage.SigningKeys. A second current key of one algorithm is ErrConflict.
func (s *Store) SetKeyState(ctx context.Context, kid string, state storage.KeyState, now time.Time) error {
	return s.affects(ctx, `UPDATE signing_keys SET state = $2,
			activated_at = CASE WHEN $2 = 'current' THEN CAST($3 AS BIGINT) ELSE activated_at END,
			retired_at = CASE WHEN $2 = 'retired' THEN CAST($3 AS BIGINT) ELSE retired_at END
		WHERE kid = $1`, kid, string(state), ms(now))
}
