package sqlstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

const challengeColumns = `id, person_id, phone_id, auth_request_id, purpose, nonce, browser_hash, details_hash, key_id, client_id,
	correlation_id, source_addr, locale, policy, created_at, expires_at, tries, max_tries, ended_at, ended_as, fallback_at,
	identity_bar, due_at, phone_hash, phone_country, phone_last_two, phone_prefix, sms_refused, trace`

func challengeDest(c *storage.Challenge) []any {
	return []any{&c.ID, &c.PersonID, &c.PhoneID, &c.AuthRequestID, &c.Purpose, &c.Nonce, &c.BrowserHash, &c.DetailsHash,
		&c.KeyID, &c.ClientID, &c.CorrelationID, &c.SourceAddr, &c.Locale, jsonOf(&c.Policy), timeOf(&c.CreatedAt),
		timeOf(&c.ExpiresAt), &c.Tries, &c.MaxTries, timeOf(&c.EndedAt), &c.End, timeOf(&c.FallbackAt), &c.IdentityBar,
		timeOf(&c.DueAt), &c.PhoneHash, &c.PhoneCountry, &c.PhoneLastTwo, &c.PhonePrefix, &c.SMSRefused, &c.Trace}
}

func scanChallenge(r row) (storage.Challenge, error) {
	var c storage.Challenge
	err := r.Scan(challengeDest(&c)...)
	return c, err
}

// InsertChallenge implements storage.Challenges.
func (s *Store) InsertChallenge(ctx context.Context, c storage.Challenge) error {
	_, err := s.exec(ctx, `INSERT INTO challenges (`+challengeColumns+`) VALUES `+placeholders(1, 29),
		c.ID, c.PersonID, c.PhoneID, c.AuthRequestID, string(c.Purpose), c.Nonce, c.BrowserHash, c.DetailsHash, c.KeyID,
		c.ClientID, c.CorrelationID, c.SourceAddr, c.Locale, jsonText(c.Policy), ms(c.CreatedAt), ms(c.ExpiresAt), c.Tries,
		c.MaxTries, ms(c.EndedAt), string(c.End), ms(c.FallbackAt), c.IdentityBar, ms(c.DueAt),
		c.PhoneHash, c.PhoneCountry, c.PhoneLastTwo, c.PhonePrefix, c.SMSRefused, c.Trace)
	return err
}

// Challenge implements storage.Challenges.
func (s *Store) Challenge(ctx context.Context, id string) (storage.Challenge, error) {
	return reading(scanChallenge).one(ctx, s, `SELECT `+challengeColumns+` FROM challenges WHERE id = $1`, id)
}

// ChallengeWithDeliveries implements storage.Challenges. Every row repeats the challenge; without deliveries there is one
// row, whose delivery is empty.
func (s *Store) ChallengeWithDeliveries(ctx context.Context, id string) (storage.Challenge, []storage.Delivery, error) {
	type found struct {
		challenge storage.Challenge
		delivery  storage.Delivery
	}
	scan := func(r row) (f found, err error) {
		return f, r.Scan(append(challengeDest(&f.challenge), deliveryDest(&f.delivery)...)...)
	}
	rows, err := reading(scan).all(ctx, s, `SELECT `+of("c", challengeColumns)+`, `+deliveriesOrEmpty+`
		FROM challenges c LEFT JOIN deliveries d ON d.challenge_id = c.id WHERE c.id = $1 ORDER BY d.created_at, d.id`, id)
	if err != nil {
		return storage.Challenge{}, nil, err
	}
	if len(rows) == 0 {
		return storage.Challenge{}, nil, storage.ErrNotFound
	}
	var deliveries []storage.Delivery
	for _, f := range rows {
		if f.delivery.ID != "" {
			deliveries = append(deliveries, f.delivery)
		}
	}
	return rows[0].challenge, deliveries, nil
}

// of names the table of each column in a list.
func of(table, columns string) string {
	names := strings.Split(columns, ",")
	for i, name := range names {
		names[i] = table + "." + strings.TrimSpace(name)
	}
	return strings.Join(names, ", ")
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

// EndChallengesOfPerson implements storage.Challenges.
func (s *Store) EndChallengesOfPerson(ctx context.Context, personID string, end storage.ChallengeEnd, now time.Time) error {
	_, err := s.exec(ctx, `UPDATE challenges SET ended_at = $3, ended_as = $2, due_at = NULL
		WHERE person_id = $1 AND ended_at IS NULL`, personID, string(end), ms(now))
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

// NoteSMSRefused implements storage.Challenges.
func (s *Store) NoteSMSRefused(ctx context.Context, id, reason string) error {
	return s.affects(ctx, `UPDATE challenges SET sms_refused = $2 WHERE id = $1`, id, reason)
}

// ScheduleChallenge implements storage.Challenges.
func (s *Store) ScheduleChallenge(ctx context.Context, id string, due time.Time) error {
	return s.affects(ctx, `UPDATE challenges SET due_at = $2 WHERE id = $1`, id, ms(due))
}

// AdvanceChallenges implements storage.Challenges.
func (s *Store) AdvanceChallenges(ctx context.Context, due map[string]time.Time) error {
	var rows []cells
	for id, at := range due {
		if !at.IsZero() {
			rows = append(rows, cells{id, at.UnixMilli()})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := s.exec(ctx, `WITH given AS MATERIALIZED (`+s.dialect.given("$1", "key", "due BIGINT")+`),
			locked AS MATERIALIZED (SELECT id FROM challenges WHERE id `+s.dialect.in("SELECT key FROM given")+`
				ORDER BY id`+s.dialect.ForUpdate+`)
		UPDATE challenges SET due_at = given.due FROM given
		WHERE challenges.id = given.key AND challenges.ended_at IS NULL
			AND (challenges.due_at IS NULL OR challenges.due_at > given.due) AND challenges.id `+s.dialect.in("SELECT id FROM locked"),
		rowsText(rows))
	return err
}

// LockChallenge implements storage.Challenges.
func (s *Store) LockChallenge(ctx context.Context, id string, due time.Time) (storage.Challenge, storage.PhoneFactor, error) {
	type locked struct {
		challenge storage.Challenge
		phone     storage.PhoneFactor
	}
	scan := func(r row) (l locked, err error) {
		return l, r.Scan(append(challengeDest(&l.challenge), &l.phone.ID, &l.phone.Sealed, timeOf(&l.phone.DisabledAt),
			&l.phone.Identity)...)
	}
	l, err := changing(scan).one(ctx, s, `UPDATE challenges SET due_at = $2 WHERE id = $1 RETURNING `+challengeColumns+`,
		COALESCE((SELECT p.id FROM phones p WHERE p.id = phone_id), ''), (SELECT p.sealed FROM phones p WHERE p.id = phone_id),
		(SELECT p.disabled_at FROM phones p WHERE p.id = phone_id), (SELECT p.identity FROM phones p WHERE p.id = phone_id)`,
		id, ms(due))
	if l.phone.ID != "" {
		c := l.challenge
		l.phone.PersonID, l.phone.Hash, l.phone.Country, l.phone.LastTwo = c.PersonID, c.PhoneHash, c.PhoneCountry, c.PhoneLastTwo
	}
	return l.challenge, l.phone, err
}

// ClaimDueChallenges implements storage.Challenges. One that expired unlooked-at is returned too: whoever claims it ends
// it, with its event.
func (s *Store) ClaimDueChallenges(ctx context.Context, now, leaseUntil time.Time, limit int) ([]storage.Challenge, error) {
	claimed, err := changing(scanChallenge).all(ctx, s, `WITH due AS MATERIALIZED (
			SELECT id FROM challenges WHERE due_at IS NOT NULL AND ended_at IS NULL AND due_at <= $1
			ORDER BY due_at LIMIT $3`+s.dialect.SkipLocked+`)
		UPDATE challenges SET due_at = CAST($2 AS BIGINT)
		WHERE id `+s.dialect.in("SELECT id FROM due")+` RETURNING `+challengeColumns, ms(now), ms(leaseUntil), bounded(limit, 100, 1000))
	slices.SortFunc(claimed, func(a, b storage.Challenge) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return claimed, err
}
