package sqlstore

import (
	"context"

	"github.com/parola-id/parola/storage"
)

const authRequestColumns = `id, client_id, browser_hash, correlation_id, created_at, expires_at, request, progress, ended_at,
	version`

func scanAuthRequest(r row) (storage.AuthRequest, error) {
	var a storage.AuthRequest
	err := r.Scan(&a.ID, &a.ClientID, &a.BrowserHash, &a.CorrelationID, timeOf(&a.CreatedAt), timeOf(&a.ExpiresAt),
		jsonOf(&a.Request), jsonOf(&a.Progress), timeOf(&a.EndedAt), &a.Version)
	return a, err
}

func progressText(p storage.AuthRequestProgress) string {
	p.PasswordAt, p.SecondFactorAt = milli(p.PasswordAt), milli(p.SecondFactorAt)
	p.ConsentAt, p.ReadyAt = milli(p.ConsentAt), milli(p.ReadyAt)
	return jsonText(p)
}

// InsertAuthRequest implements storage.AuthRequests.
func (s *Store) InsertAuthRequest(ctx context.Context, r storage.AuthRequest) error {
	_, err := s.exec(ctx, `INSERT INTO auth_requests (`+authRequestColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		r.ID, r.ClientID, r.BrowserHash, r.CorrelationID, ms(r.CreatedAt), ms(r.ExpiresAt), jsonText(r.Request),
		progressText(r.Progress), ms(r.EndedAt), r.Version)
	return err
}

// AuthRequest implements storage.AuthRequests.
func (s *Store) AuthRequest(ctx context.Context, id string) (storage.AuthRequest, error) {
	return reading(scanAuthRequest).one(ctx, s, `SELECT `+authRequestColumns+` FROM auth_requests WHERE id = $1`, id)
}

// UpdateAuthRequest implements storage.AuthRequests.
func (s *Store) UpdateAuthRequest(ctx context.Context, r storage.AuthRequest) error {
	moved, err := s.once(ctx, `UPDATE auth_requests SET browser_hash = $3, progress = $4, ended_at = $5, version = version + 1
		WHERE id = $1 AND version = $2 AND ended_at IS NULL`,
		r.ID, r.Version, r.BrowserHash, progressText(r.Progress), ms(r.EndedAt))
	if err == nil && !moved {
		return storage.ErrConflict
	}
	return err
}
