package sqlstore

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

// A token is revoked as soon as its grant is.
const tokenColumns = `t.hash, t.kind, t.grant_id, t.client_id, t.jti, t.scopes, t.audience, t.issued_at, t.expires_at,
	t.used_at, COALESCE(t.revoked_at, x.revoked_at)`

const selectToken = `SELECT ` + tokenColumns + `, ` + grantColumns + ` FROM tokens t JOIN grants x ON x.id = t.grant_id`

type tokenAndGrant struct {
	token storage.Token
	grant storage.Grant
}

func scanToken(r row) (tokenAndGrant, error) {
	var f tokenAndGrant
	t := &f.token
	err := r.Scan(append([]any{&t.Hash, &t.Kind, &t.GrantID, &t.ClientID, &t.JTI, wordsOf(&t.Scopes), wordsOf(&t.Audience),
		timeOf(&t.IssuedAt), timeOf(&t.ExpiresAt), timeOf(&t.UsedAt), timeOf(&t.RevokedAt)}, grantDest(&f.grant)...)...)
	return f, err
}

// InsertTokens implements storage.Grants.
func (s *Store) InsertTokens(ctx context.Context, tokens ...storage.Token) error {
	if len(tokens) == 0 {
		return nil
	}
	var args []any
	for _, t := range tokens {
		args = append(args, t.Hash, string(t.Kind), t.GrantID, t.ClientID, t.JTI, words(t.Scopes), words(t.Audience),
			ms(t.IssuedAt), ms(t.ExpiresAt), ms(t.UsedAt), ms(t.RevokedAt))
	}
	_, err := s.exec(ctx, `INSERT INTO tokens (hash, kind, grant_id, client_id, jti, scopes, audience, issued_at, expires_at,
		used_at, revoked_at) VALUES `+placeholders(len(tokens), 11), args...)
	return err
}

// Token implements storage.Grants. It reads few columns: each costs, and this is asked more often than anything else.
func (s *Store) Token(ctx context.Context, kind storage.TokenKind, hash string) (storage.PresentedToken, error) {
	scan := func(r row) (storage.PresentedToken, error) {
		f := storage.PresentedToken{Token: storage.Token{Hash: hash, Kind: kind}}
		t, g, p := &f.Token, &f.Grant, &f.Person
		err := r.Scan(&t.ClientID, &t.JTI, wordsOf(&t.Scopes), wordsOf(&t.Audience), timeOf(&t.IssuedAt), timeOf(&t.ExpiresAt),
			timeOf(&t.UsedAt), timeOf(&t.RevokedAt), &g.ID, &g.ClientID, &g.PersonID, &g.SessionID, &g.AuthRequestID,
			jsonOf(&g.Login), timeOf(&g.RevokedAt), &g.Barred, &p.ID, &p.Username, &p.Claims, &p.SMSForbidden,
			timeOf(&p.CreatedAt), timeOf(&p.UpdatedAt), timeOf(&p.DisabledAt))
		t.GrantID = g.ID
		return f, err
	}
	return reading(scan).one(ctx, s, `SELECT t.client_id, t.jti, t.scopes, t.audience, t.issued_at, t.expires_at, t.used_at,
			COALESCE(t.revoked_at, x.revoked_at), x.id, x.client_id, x.person_id, x.session_id, x.auth_request_id, x.login,
			x.revoked_at, p.disabled_at IS NOT NULL OR f.disabled_at IS NOT NULL, COALESCE(p.id, ''), COALESCE(p.username, ''),
			p.claims, COALESCE(p.sms_forbidden, FALSE), p.created_at, p.updated_at, p.disabled_at
		FROM tokens t JOIN grants x ON x.id = t.grant_id LEFT JOIN persons p ON p.id = x.person_id
			LEFT JOIN phones f ON f.person_id = x.person_id
		WHERE t.hash = $1 AND t.kind = $2`, hash, string(kind))
}

// UseRefreshToken implements storage.Grants.
func (s *Store) UseRefreshToken(ctx context.Context, hash, clientID string, now time.Time) (storage.Token, storage.Grant, bool, error) {
	burned, err := s.once(ctx, `UPDATE tokens SET used_at = $3
		WHERE hash = $1 AND kind = 'refresh' AND client_id = $2 AND used_at IS NULL AND revoked_at IS NULL
			AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.id = tokens.grant_id AND g.revoked_at IS NOT NULL)`,
		hash, clientID, ms(now))
	if err != nil {
		return storage.Token{}, storage.Grant{}, false, err
	}
	f, err := reading(scanToken).one(ctx, s, selectToken+` WHERE t.hash = $1 AND t.kind = 'refresh' AND t.client_id = $2`,
		hash, clientID)
	return f.token, f.grant, burned, err
}

// RevokeToken implements storage.Grants.
func (s *Store) RevokeToken(ctx context.Context, hash string, now time.Time) (bool, error) {
	return s.once(ctx, `UPDATE tokens SET revoked_at = $2 WHERE hash = $1 AND revoked_at IS NULL`, hash, ms(now))
}
