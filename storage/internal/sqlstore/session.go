package sqlstore

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

const sessionColumns = `x.id, x.token_hash, x.person_id, x.auth_time, x.acr, x.amr, x.channel, x.created_at, x.last_seen_at,
	x.expires_at, x.ended_at, x.end_reason, x.user_agent, x.source_addr`

// barred tells of the record x whether its person is disabled, or a phone factor of that person is (OA-55, OTP-23).
const barred = `(EXISTS (SELECT 1 FROM persons b WHERE b.id = x.person_id AND b.disabled_at IS NOT NULL)
	OR EXISTS (SELECT 1 FROM phones b WHERE b.person_id = x.person_id AND b.disabled_at IS NOT NULL))`

func sessionDest(x *storage.Session) []any {
	return []any{&x.ID, &x.TokenHash, &x.PersonID, timeOf(&x.AuthTime), &x.ACR, wordsOf(&x.AMR), &x.Channel,
		timeOf(&x.CreatedAt), timeOf(&x.LastSeenAt), timeOf(&x.ExpiresAt), timeOf(&x.EndedAt), &x.EndReason, &x.UserAgent,
		&x.SourceAddr}
}

func scanSession(r row) (storage.Session, error) {
	var x storage.Session
	err := r.Scan(sessionDest(&x)...)
	return x, err
}

// InsertSession implements storage.Sessions.
func (s *Store) InsertSession(ctx context.Context, x storage.Session) error {
	_, err := s.exec(ctx, `INSERT INTO sessions (id, token_hash, person_id, auth_time, acr, amr, channel, created_at,
			last_seen_at, expires_at, ended_at, end_reason, user_agent, source_addr)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		x.ID, x.TokenHash, x.PersonID, ms(x.AuthTime), x.ACR, words(x.AMR), x.Channel, ms(x.CreatedAt), ms(x.LastSeenAt),
		ms(x.ExpiresAt), ms(x.EndedAt), x.EndReason, x.UserAgent, x.SourceAddr)
	return err
}

// SessionByToken implements storage.Sessions.
func (s *Store) SessionByToken(ctx context.Context, tokenHash string) (storage.Session, bool, error) {
	type found struct {
		session storage.Session
		barred  bool
	}
	scan := func(r row) (found, error) {
		var f found
		err := r.Scan(append(sessionDest(&f.session), &f.barred)...)
		return f, err
	}
	f, err := reading(scan).one(ctx, s, `SELECT `+sessionColumns+`, `+barred+` FROM sessions x WHERE x.token_hash = $1`,
		tokenHash)
	return f.session, f.barred, err
}

// Session implements storage.Sessions.
func (s *Store) Session(ctx context.Context, id string) (storage.Session, error) {
	return reading(scanSession).one(ctx, s, `SELECT `+sessionColumns+` FROM sessions x WHERE x.id = $1`, id)
}

// RenewSession implements storage.Sessions.
func (s *Store) RenewSession(ctx context.Context, x storage.Session) error {
	return s.affects(ctx, `UPDATE sessions SET token_hash = $2, auth_time = $3, acr = $4, amr = $5, channel = $6,
			last_seen_at = $7, expires_at = $8, user_agent = $9, source_addr = $10
		WHERE id = $1 AND ended_at IS NULL`,
		x.ID, x.TokenHash, ms(x.AuthTime), x.ACR, words(x.AMR), x.Channel, ms(x.LastSeenAt), ms(x.ExpiresAt), x.UserAgent,
		x.SourceAddr)
}

// TouchSession implements storage.Sessions.
func (s *Store) TouchSession(ctx context.Context, id string, now time.Time) error {
	_, err := s.exec(ctx, `UPDATE sessions SET last_seen_at = $2
		WHERE id = $1 AND ended_at IS NULL AND COALESCE(last_seen_at, 0) < $2`, id, ms(now))
	return err
}

// EndSession implements storage.Sessions.
func (s *Store) EndSession(ctx context.Context, id, reason string, now time.Time) (bool, error) {
	return s.once(ctx, `UPDATE sessions SET ended_at = $3, end_reason = $2 WHERE id = $1 AND ended_at IS NULL`,
		id, reason, ms(now))
}

// EndSessionsOf implements storage.Sessions.
func (s *Store) EndSessionsOf(ctx context.Context, personID, reason string, now time.Time) ([]string, error) {
	return changing(scanString).all(ctx, s, `UPDATE sessions SET ended_at = $3, end_reason = $2
		WHERE person_id = $1 AND ended_at IS NULL RETURNING id`, personID, reason, ms(now))
}

// ListSessions implements storage.Sessions.
func (s *Store) ListSessions(ctx context.Context, personID string, openOnly bool, now time.Time, limit int) ([]storage.Session, error) {
	query := `SELECT ` + sessionColumns + ` FROM sessions x WHERE x.created_at IS NOT NULL`
	args := []any{bounded(limit, 100, 1000)}
	if personID != "" {
		args = append(args, personID)
		query += ` AND x.person_id = $` + number(len(args))
	}
	if openOnly {
		args = append(args, ms(now))
		query += ` AND x.ended_at IS NULL AND x.expires_at > $` + number(len(args))
	}
	return reading(scanSession).all(ctx, s, query+` ORDER BY x.created_at DESC, x.id DESC LIMIT $1`, args...)
}
