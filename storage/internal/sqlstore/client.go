package sqlstore

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

func scanClient(r row) (storage.Client, error) {
	var c storage.Client
	err := r.Scan(jsonOf(&c), timeOf(&c.CreatedAt), timeOf(&c.UpdatedAt))
	return c, err
}

func clientText(c storage.Client) string {
	secrets := make([]storage.ClientSecret, len(c.Secrets))
	for i, secret := range c.Secrets {
		secret.CreatedAt, secret.ExpiresAt = milli(secret.CreatedAt), milli(secret.ExpiresAt)
		secrets[i] = secret
	}
	c.Secrets = secrets
	return jsonText(c)
}

// InsertClient implements storage.Clients.
func (s *Store) InsertClient(ctx context.Context, c storage.Client) error {
	_, err := s.exec(ctx, `INSERT INTO clients (id, record, created_at, updated_at) VALUES ($1, $2, $3, $4)`,
		c.ID, clientText(c), ms(c.CreatedAt), ms(c.UpdatedAt))
	s.changedAny(ctx, storage.ClientsChanged, err == nil)
	return err
}

// UpdateClient implements storage.Clients. The stored time always grows, so that of two changes in one millisecond the
// second is still stale.
func (s *Store) UpdateClient(ctx context.Context, c storage.Client, now time.Time) error {
	changed, err := s.once(ctx, `UPDATE clients SET record = $2,
			updated_at = CASE WHEN updated_at >= CAST($4 AS BIGINT) THEN updated_at + 1 ELSE CAST($4 AS BIGINT) END
		WHERE id = $1 AND COALESCE(updated_at, 0) = COALESCE(CAST($3 AS BIGINT), 0)`,
		c.ID, clientText(c), ms(c.UpdatedAt), ms(now))
	if err == nil && !changed {
		return storage.ErrConflict
	}
	s.changedAny(ctx, storage.ClientsChanged, changed)
	return err
}

// Client implements storage.Clients.
func (s *Store) Client(ctx context.Context, id string) (storage.Client, error) {
	return reading(scanClient).one(ctx, s, `SELECT record, created_at, updated_at FROM clients WHERE id = $1`, id)
}

// ListClients implements storage.Clients.
func (s *Store) ListClients(ctx context.Context, after string, limit int) ([]storage.Client, error) {
	return reading(scanClient).all(ctx, s, `SELECT record, created_at, updated_at FROM clients
		WHERE id > $1 ORDER BY id LIMIT $2`, after, bounded(limit, 100, 1000))
}

// DeleteClient implements storage.Clients; grants, their tokens and consents go by foreign key.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	err := s.affects(ctx, `DELETE FROM clients WHERE id = $1`, id)
	s.changedAny(ctx, storage.ClientsChanged, err == nil)
	return err
}
