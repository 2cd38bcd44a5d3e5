package sqlstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/parola-id/parola/storage"
)

const challengeColumns = `id, person_id, phone_id, auth_request_id, purpose, nonce, browser_hash, details_hash, key_id, client_id,
	correlation_id, source_addr, locale, policy, created_at, expires_at, tries, max_tries, ended_at, ended_as, fallback_at,
	identity_bar, due_at`

func scanChallenge(r row) (storage.Challenge, error) {
	var c storage.Challenge
	err := r.Scan(&c.ID, &c.PersonID, &c.PhoneID, &c.AuthRequestID, &c.Purpose, &c.Nonce, &c.BrowserHash, &c.DetailsHash,
		&c.KeyID, &c.ClientID, &c.CorrelationID, &c.SourceAddr, &c.Locale, jsonOf(&c.Policy), timeOf(&c.CreatedAt),
		timeOf(&c.ExpiresAt), &c.Tries, &c.MaxTries, timeOf(&c.EndedAt), &c.End, timeOf(&c.FallbackAt), &c.IdentityBar,
		timeOf(&c.DueAt))
	return c, err
}

// InsertChallenge implements storage.Challenges.
func (s *Store) InsertChallenge(ctx context.Context, c storage.Challenge) error {
	_, err := s.exec(ctx, `INSERT INTO challenges (`+challengeColumns+`) VALUES `+placeholders(1, 23),
		c.ID, c.PersonID, c.PhoneID, c.AuthRequestID, string(c.Purpose), c.Nonce, c.BrowserHash, c.DetailsHash, c.KeyID,
		c.ClientID, c.CorrelationID, c.SourceAddr, c.Locale, jsonText(c.Policy), ms(c.CreatedAt), ms(c.ExpiresAt), c.Tries,
		c.MaxTries, ms(c.EndedAt), string(c.End), ms(c.FallbackAt), c.IdentityBar, ms(c.DueAt))
	return err
}

// Challenge implements storage.Challenges.
func (s *Store) Challenge(ctx context.Context, id string) (storage.Challenge, error) {
	return reading(scanChallenge).one(ctx, s, `SELECT `+challengeColumns+` FROM challenges WHERE id = $1`, id)
}

// CountTry implements storage.Challenges.
func (s *Store) CountTry(ctx context.Context, id string, now time.Time) (storage.Challenge, bool, error) {
	c, err := changing(scanChallenge).one(ctx, s, `UPDATE challenges SET tries = tries + 1
		WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 AND tries < max_tries
		RETURNING `+challengeColumns, id, ms(now))
	if !errors.Is(err, storage.ErrNotFound) {
		return c, err == nil, err
	}
	c, err = s.Challenge(ctx, id)
	return c, false, err
}

// EndChallenge implements storage.Challenges.
func (s *Store) EndChallenge(ctx context.Context, id string, end storage.ChallengeEnd, now time.Time) (bool, error) {
	query := `UPDATE challenges SET ended_at = $3, ended_as = $2, due_at = NULL WHERE id = $1 AND ended_at IS NULL`
	if end == storage.ChallengeVerified {
		query += ` AND expires_at > $3`
	}
	return s.once(ctx, query, id, string(end), ms(now))
}

// EndChallengesOf implements storage.Challenges.
func (s *Store) EndChallengesOf(ctx context.Context, authRequestID string, end storage.ChallengeEnd, now time.Time) error {
	_, err := s.exec(ctx, `UPDATE challenges SET ended_at = $3, ended_as = $2, due_at = NULL
		WHERE auth_request_id = $1 AND ended_at IS NULL`, authRequestID, string(end), ms(now))
	return err
}

// TakeFallback implements storage.Challenges.
func (s *Store) TakeFallback(ctx context.Context, id string, now time.Time) (bool, error) {
	return s.once(ctx, `UPDATE challenges SET fallback_at = $2
		WHERE id = $1 AND fallback_at IS NULL AND ended_at IS NULL AND expires_at > $2`, id, ms(now))
}

// BarIdentity implements storage.Challenges.
func (s *Store) BarIdentity(ctx context.Context, id string) error {
	return s.affects(ctx, `UPDATE challenges SET identity_bar = TRUE WHERE id = $1`, id)
}

// ScheduleChallenge implements storage.Challenges.
func (s *Store) ScheduleChallenge(ctx context.Context, id string, due time.Time) error {
	return s.affects(ctx, `UPDATE challenges SET due_at = $2 WHERE id = $1`, id, ms(due))
}

// ClaimDueChallenges implements storage.Challenges. One that expired unlooked-at loses its due time and is not
// returned: otherwise NextDue would name it for ever.
func (s *Store) ClaimDueChallenges(ctx context.Context, now, leaseUntil time.Time, limit int) ([]storage.Challenge, error) {
	claimed, err := changing(scanChallenge).all(ctx, s, `WITH due AS MATERIALIZED (
			SELECT id FROM challenges WHERE due_at IS NOT NULL AND ended_at IS NULL AND due_at <= $1
			ORDER BY due_at LIMIT $3`+s.dialect.SkipLocked+`)
		UPDATE challenges SET due_at = CASE WHEN expires_at > $1 THEN CAST($2 AS BIGINT) END
		WHERE id IN (SELECT id FROM due) RETURNING `+challengeColumns, ms(now), ms(leaseUntil), bounded(limit, 100, 1000))
	claimed = slices.DeleteFunc(claimed, func(c storage.Challenge) bool { return !c.ExpiresAt.After(now) })
	slices.SortFunc(claimed, func(a, b storage.Challenge) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return claimed, err
}
