package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/parola-id/parola/storage"
)

const noticeColumns = `id, challenge_id, person_id, phone_id, channel, carrier, kind, locale, state, calls, created_at, due_at,
	sending_at, lease_until, failure_code`

func scanNotice(r row) (storage.Notice, error) {
	var n storage.Notice
	err := r.Scan(&n.ID, &n.ChallengeID, &n.PersonID, &n.PhoneID, &n.Channel, &n.Carrier, &n.Kind, &n.Locale, &n.State,
		&n.Calls, timeOf(&n.CreatedAt), timeOf(&n.DueAt), timeOf(&n.SendingAt), timeOf(&n.LeaseUntil), &n.FailureCode)
	return n, err
}

// InsertNotice implements storage.Notices.
func (s *Store) InsertNotice(ctx context.Context, n storage.Notice) error {
	_, err := s.exec(ctx, `INSERT INTO notices (`+noticeColumns+`) VALUES `+placeholders(1, 15),
		n.ID, n.ChallengeID, n.PersonID, n.PhoneID, string(n.Channel), n.Carrier, string(n.Kind), n.Locale, string(n.State),
		n.Calls, ms(n.CreatedAt), ms(n.DueAt), ms(n.SendingAt), ms(n.LeaseUntil), n.FailureCode)
	return err
}

// ClaimNotices implements storage.Notices.
func (s *Store) ClaimNotices(ctx context.Context, now, leaseUntil time.Time, limit int) ([]storage.Notice, error) {
	_, err := s.exec(ctx, `WITH over AS MATERIALIZED (
			SELECT id FROM notices WHERE state = 'sending' AND lease_until < $1
			ORDER BY lease_until LIMIT $2`+s.dialect.SkipLocked+`)
		UPDATE notices SET state = 'unknown' WHERE id `+s.dialect.in("SELECT id FROM over"), ms(now), bounded(limit, 100, 1000))
	if err != nil {
		return nil, err
	}
	claimed, err := changing(scanNotice).all(ctx, s, `WITH due AS MATERIALIZED (
			SELECT id FROM notices WHERE state = 'queued' AND due_at <= $1
			ORDER BY due_at LIMIT $3`+s.dialect.SkipLocked+`)
		UPDATE notices SET state = 'sending', sending_at = $1, lease_until = $2, calls = calls + 1
		WHERE id `+s.dialect.in("SELECT id FROM due")+` RETURNING `+noticeColumns, ms(now), ms(leaseUntil), bounded(limit, 100, 1000))
	slices.SortFunc(claimed, func(a, b storage.Notice) int { return a.DueAt.Compare(b.DueAt) })
	return claimed, err
}

// SettleNotice implements storage.Notices.
func (s *Store) SettleNotice(ctx context.Context, n storage.Notice) error {
	_, err := s.exec(ctx, `UPDATE notices SET state = $2, due_at = $3, failure_code = $4 WHERE id = $1 AND state = 'sending'`,
		n.ID, string(n.State), ms(n.DueAt), n.FailureCode)
	return err
}
