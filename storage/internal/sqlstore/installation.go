package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/parola-id/parola/storage"
)

// The numbers that hold for the whole database.
const (
	epoch      = "epoch"
	servesFrom = "serves_from" // the oldest schema version whose releases work on this schema
)

func scanNumber(r row) (n int64, err error) { return n, r.Scan(&n) }

func (s *Store) number(ctx context.Context, name string) (int64, error) {
	return reading(scanNumber).one(ctx, s, `SELECT value FROM installation WHERE name = $1`, name)
}

// Epoch implements storage.Epochs.
func (s *Store) Epoch(ctx context.Context) (int64, error) { return s.number(ctx, epoch) }

// RaiseEpoch implements storage.Epochs.
func (s *Store) RaiseEpoch(ctx context.Context, from, to int64) (bool, error) {
	return s.once(ctx, `UPDATE installation SET value = $3 WHERE name = $1 AND value = $2`, epoch, from, to)
}

// issued tells which records of a table still count, and what ends them; $1 is the present.
type issued struct{ table, counts, end string }

var issuedKinds = map[storage.Issued]issued{
	storage.IssuedSessions:     {"sessions", "ended_at IS NULL", "ended_at = $1, end_reason = 'epoch'"},
	storage.IssuedAuthRequests: {"auth_requests", "ended_at IS NULL", "ended_at = $1, version = version + 1"},
	storage.IssuedChallenges:   {"challenges", "ended_at IS NULL", "ended_at = $1, ended_as = 'cancelled', due_at = NULL"},
	storage.IssuedGrants:       {"grants", "revoked_at IS NULL", "revoked_at = $1, revoke_reason = 'epoch'"},
	storage.IssuedDeliveries: {"deliveries", "state IN ('queued', 'sending')",
		"state = 'unknown', sending_at = COALESCE(sending_at, $1), failure_code = 'epoch'"},
	storage.IssuedNotices: {"notices", "state IN ('queued', 'sending')",
		"state = 'unknown', sending_at = COALESCE(sending_at, $1), failure_code = 'epoch'"},
}

// EndIssued implements storage.Epochs. The order of ids makes that each record is looked at once, whatever the number of
// those that have ended already.
func (s *Store) EndIssued(ctx context.Context, kind storage.Issued, after string, now time.Time, limit int) (int, string, error) {
	if s.txOf(ctx) == nil {
		return 0, "", storage.ErrNoTransaction
	}
	k, known := issuedKinds[kind]
	if !known {
		return 0, "", fmt.Errorf("end %q: nothing of that kind is issued", kind)
	}
	ids, err := reading(scanString).all(ctx, s, `SELECT id FROM `+k.table+` WHERE id > $1 AND `+k.counts+` ORDER BY id LIMIT $2`+
		s.dialect.ForUpdate, after, bounded(limit, 1000, 10000))
	if err != nil || len(ids) == 0 {
		return 0, "", err
	}
	n, err := s.exec(ctx, `UPDATE `+k.table+` SET `+k.end+` WHERE `+s.dialect.among("id", "$2"), ms(now), listText(ids))
	return int(n), ids[len(ids)-1], err
}
