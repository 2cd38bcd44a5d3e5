package sqlstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

const grantColumns = `x.id, x.client_id, x.person_id, x.session_id, x.auth_request_id, x.correlation_id, x.scopes, x.audience,
	x.login, x.form, x.auth_code_hash, x.auth_code_expires_at, x.auth_code_used_at, x.created_at, x.refresh_until,
	x.revoked_at, x.revoke_reason, ` + barred

// updatedGrant are the columns of a grant that was just updated: SQLite knows no alias there.
var updatedGrant = strings.ReplaceAll(grantColumns, "x.", "grants.")

func grantDest(g *storage.Grant) []any {
	return []any{&g.ID, &g.ClientID, &g.PersonID, &g.SessionID, &g.AuthRequestID, &g.CorrelationID, wordsOf(&g.Scopes),
		wordsOf(&g.Audience), jsonOf(&g.Login), &g.Form, &g.AuthCodeHash, timeOf(&g.AuthCodeExpiresAt),
		timeOf(&g.AuthCodeUsedAt), timeOf(&g.CreatedAt), timeOf(&g.RefreshUntil), timeOf(&g.RevokedAt), &g.RevokeReason,
		&g.Barred}
}

func scanGrant(r row) (storage.Grant, error) {
	var g storage.Grant
	err := r.Scan(grantDest(&g)...)
	return g, err
}

// InsertGrant implements storage.Grants. The statement that inserts holds the session, too: a look at it before would miss
// a logout that commits in between and finds no grant to revoke yet (OA-57).
func (s *Store) InsertGrant(ctx context.Context, g storage.Grant) error {
	g.Login.AuthTime = milli(g.Login.AuthTime)
	const values = `$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18`
	from := `VALUES (` + values + `)`
	if g.SessionID != "" {
		from = `SELECT ` + values + ` FROM sessions WHERE id = $4 AND ended_at IS NULL` + s.dialect.ForShare
	}
	return s.affects(ctx, `INSERT INTO grants (id, client_id, person_id, session_id, auth_request_id, correlation_id, scopes,
			audience, login, form, auth_code_hash, auth_code_expires_at, auth_code_used_at, created_at, refresh_until,
			revoked_at, revoke_reason, offline) `+from,
		g.ID, g.ClientID, g.PersonID, g.SessionID, g.AuthRequestID, g.CorrelationID, words(g.Scopes), words(g.Audience),
		jsonText(g.Login), g.Form, g.AuthCodeHash, ms(g.AuthCodeExpiresAt), ms(g.AuthCodeUsedAt), ms(g.CreatedAt),
		ms(g.RefreshUntil), ms(g.RevokedAt), g.RevokeReason, slices.Contains(g.Scopes, "offline_access"))
}

// Grant implements storage.Grants.
func (s *Store) Grant(ctx context.Context, id string) (storage.Grant, error) {
	return reading(scanGrant).one(ctx, s, `SELECT `+grantColumns+` FROM grants x WHERE x.id = $1`, id)
}

// UseAuthCode implements storage.Grants.
func (s *Store) UseAuthCode(ctx context.Context, codeHash, clientID string, now time.Time) (storage.Grant, bool, error) {
	if codeHash == "" { // what grants without a code have
		return storage.Grant{}, false, storage.ErrNotFound
	}
	g, err := changing(scanGrant).one(ctx, s, `UPDATE grants SET auth_code_used_at = $3
		WHERE auth_code_hash = $1 AND auth_code_hash <> '' AND client_id = $2 AND auth_code_used_at IS NULL
		RETURNING `+updatedGrant, codeHash, clientID, ms(now))
	if !errors.Is(err, storage.ErrNotFound) {
		return g, err == nil, err
	}
	g, err = reading(scanGrant).one(ctx, s, `SELECT `+grantColumns+` FROM grants x
		WHERE x.auth_code_hash = $1 AND x.auth_code_hash <> '' AND x.client_id = $2`, codeHash, clientID)
	return g, false, err
}

// RevokeGrant implements storage.Grants. Tokens need no statement of their own: they are read together with their
// grant, and whatever is issued while this transaction waits is revoked with it.
func (s *Store) RevokeGrant(ctx context.Context, id, reason string, now time.Time) (bool, error) {
	return s.once(ctx, `UPDATE grants SET revoked_at = $3, revoke_reason = $2 WHERE id = $1 AND revoked_at IS NULL`,
		id, reason, ms(now))
}

// RevokeGrantsOf implements storage.Grants.
func (s *Store) RevokeGrantsOf(ctx context.Context, personID, clientID, sessionID string, keepOffline bool, reason string, now time.Time) ([]string, error) {
	query := `UPDATE grants SET revoked_at = $3, revoke_reason = $2
		WHERE person_id = $1 AND person_id <> '' AND revoked_at IS NULL`
	args := []any{personID, reason, ms(now)}
	if clientID != "" {
		args = append(args, clientID)
		query += ` AND client_id = $` + number(len(args))
	}
	if sessionID != "" {
		args = append(args, sessionID)
		query += ` AND session_id = $` + number(len(args))
	}
	if keepOffline {
		query += ` AND NOT offline`
	}
	return changing(scanString).all(ctx, s, query+` RETURNING id`, args...)
}
