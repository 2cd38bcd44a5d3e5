package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/parola-id/parola/storage"
)

const deliveryColumns = `id, challenge_id, channel, carrier, cause, automatic, state, calls, created_at, due_at, sending_at,
	lease_until, accepted_at, sent_at, delivered_at, read_at, failed_at, message_hash, failure_class, failure_code,
	tried, cost, identity, trace`

// deliveriesOrEmpty are the columns of an outer join: an empty delivery where there is none.
const deliveriesOrEmpty = `COALESCE(d.id, ''), COALESCE(d.challenge_id, ''), COALESCE(d.channel, ''), COALESCE(d.carrier, ''),
	COALESCE(d.cause, ''), COALESCE(d.automatic, FALSE), COALESCE(d.state, ''), COALESCE(d.calls, 0), d.created_at, d.due_at,
	d.sending_at, d.lease_until, d.accepted_at, d.sent_at, d.delivered_at, d.read_at, d.failed_at,
	COALESCE(d.message_hash, ''), COALESCE(d.failure_class, ''), COALESCE(d.failure_code, ''),
	COALESCE(d.tried, '[]'), COALESCE(d.cost, 0), d.identity, COALESCE(d.trace, '')`

func deliveryDest(d *storage.Delivery) []any {
	return []any{&d.ID, &d.ChallengeID, &d.Channel, &d.Carrier, &d.Trigger, &d.Automatic, &d.State, &d.Calls,
		timeOf(&d.CreatedAt), timeOf(&d.DueAt), timeOf(&d.SendingAt), timeOf(&d.LeaseUntil), timeOf(&d.AcceptedAt),
		timeOf(&d.SentAt), timeOf(&d.DeliveredAt), timeOf(&d.ReadAt), timeOf(&d.FailedAt), &d.MessageHash, &d.FailureClass,
		&d.FailureCode, wordsOf(&d.Tried), &d.Cost, &d.Identity, &d.Trace}
}

func scanDelivery(r row) (storage.Delivery, error) {
	var d storage.Delivery
	err := r.Scan(deliveryDest(&d)...)
	return d, err
}

// InsertDelivery implements storage.Deliveries.
func (s *Store) InsertDelivery(ctx context.Context, d storage.Delivery) error {
	_, err := s.exec(ctx, `INSERT INTO deliveries (`+deliveryColumns+`) VALUES `+placeholders(1, 24),
		d.ID, d.ChallengeID, string(d.Channel), d.Carrier, d.Trigger, d.Automatic, string(d.State), d.Calls,
		ms(d.CreatedAt), ms(d.DueAt), ms(d.SendingAt), ms(d.LeaseUntil), ms(d.AcceptedAt), ms(d.SentAt), ms(d.DeliveredAt),
		ms(d.ReadAt), ms(d.FailedAt), d.MessageHash, d.FailureClass, d.FailureCode, words(d.Tried), int64(d.Cost),
		blob(d.Identity), d.Trace)
	return err
}

// Delivery implements storage.Deliveries.
func (s *Store) Delivery(ctx context.Context, id string) (storage.Delivery, error) {
	return reading(scanDelivery).one(ctx, s, `SELECT `+deliveryColumns+` FROM deliveries WHERE id = $1`, id)
}

// DeliveriesByID implements storage.Deliveries.
func (s *Store) DeliveriesByID(ctx context.Context, ids []string) ([]storage.Delivery, error) {
	return s.deliveriesWhere(ctx, s.dialect.among("id", "$1"), ids)
}

// DeliveriesByMessage implements storage.Deliveries.
func (s *Store) DeliveriesByMessage(ctx context.Context, messageHashes []string) ([]storage.Delivery, error) {
	return s.deliveriesWhere(ctx, "message_hash <> '' AND "+s.dialect.among("message_hash", "$1"), messageHashes)
}

func (s *Store) deliveriesWhere(ctx context.Context, condition string, values []string) ([]storage.Delivery, error) {
	if len(values) == 0 {
		return nil, nil
	}
	query := `SELECT ` + deliveryColumns + ` FROM deliveries WHERE ` + condition + ` ORDER BY id`
	if s.txOf(ctx) != nil {
		query += s.dialect.ForUpdate
	}
	return reading(scanDelivery).all(ctx, s, query, listText(values))
}

// DeliveriesOf implements storage.Deliveries.
func (s *Store) DeliveriesOf(ctx context.Context, challengeID string) ([]storage.Delivery, error) {
	return reading(scanDelivery).all(ctx, s, `SELECT `+deliveryColumns+` FROM deliveries WHERE challenge_id = $1
		ORDER BY created_at, id`, challengeID)
}

// ClaimQueued implements storage.Deliveries.
func (s *Store) ClaimQueued(ctx context.Context, now, leaseUntil time.Time, limit int, busy ...string) ([]storage.Delivery, error) {
	claimed, err := changing(scanDelivery).all(ctx, s, `WITH due AS MATERIALIZED (
			SELECT id FROM deliveries WHERE state = 'queued' AND due_at <= $1 AND NOT `+s.dialect.among("carrier", "$4")+`
			ORDER BY due_at LIMIT $3`+s.dialect.SkipLocked+`)
		UPDATE deliveries SET state = 'sending', sending_at = $1, lease_until = $2, calls = calls + 1
		WHERE id `+s.dialect.in("SELECT id FROM due")+` RETURNING `+deliveryColumns,
		ms(now), ms(leaseUntil), bounded(limit, 100, 1000), listText(busy))
	slices.SortFunc(claimed, byDue)
	return claimed, err
}

// ClaimAbandoned implements storage.Deliveries.
func (s *Store) ClaimAbandoned(ctx context.Context, now time.Time, limit int) ([]storage.Delivery, error) {
	claimed, err := changing(scanDelivery).all(ctx, s, `WITH over AS MATERIALIZED (
			SELECT id FROM deliveries WHERE state = 'sending' AND lease_until < $1
			ORDER BY lease_until LIMIT $2`+s.dialect.SkipLocked+`)
		UPDATE deliveries SET state = 'unknown'
		WHERE id `+s.dialect.in("SELECT id FROM over")+` RETURNING `+deliveryColumns, ms(now), bounded(limit, 100, 1000))
	slices.SortFunc(claimed, byDue)
	return claimed, err
}

// byDue restores the order that RETURNING does not promise.
func byDue(a, b storage.Delivery) int { return a.DueAt.Compare(b.DueAt) }

// UpdateDelivery implements storage.Deliveries.
func (s *Store) UpdateDelivery(ctx context.Context, d storage.Delivery, from ...storage.DeliveryState) (bool, error) {
	if len(from) == 0 {
		return false, nil
	}
	updated, err := s.moveDeliveries(ctx, []cells{moveOf(d, from...)})
	return len(updated) > 0, err
}

// UpdateDeliveries implements storage.Deliveries.
func (s *Store) UpdateDeliveries(ctx context.Context, moves []storage.DeliveryMove) ([]string, error) {
	if len(moves) == 0 {
		return nil, nil
	}
	seen := make(map[string]bool, len(moves))
	rows := make([]cells, len(moves))
	for i, m := range moves {
		if seen[m.Delivery.ID] {
			return nil, fmt.Errorf("update delivery %s: %w", m.Delivery.ID, errTwice)
		}
		seen[m.Delivery.ID] = true
		rows[i] = moveOf(m.Delivery, m.From)
	}
	return s.moveDeliveries(ctx, rows)
}

// moveOf is a row for moveDeliveries. The states in which the delivery may be stand between spaces in one value, not in a
// row each: PostgreSQL, when it waited for another's change of the delivery, looks at the new state with the same row.
func moveOf(d storage.Delivery, from ...storage.DeliveryState) cells {
	was := " "
	for _, state := range from {
		was += string(state) + " "
	}
	return cells{d.ID, was, string(d.State), d.Carrier, words(d.Tried), int64(d.Cost), ms(d.DueAt), ms(d.SendingAt),
		ms(d.LeaseUntil), ms(d.AcceptedAt), ms(d.SentAt), ms(d.DeliveredAt), ms(d.ReadAt), ms(d.FailedAt), d.Identity,
		d.MessageHash, d.FailureClass, d.FailureCode}
}

// moveDeliveries updates those that are in one of the states that their row names, and returns their ids.
func (s *Store) moveDeliveries(ctx context.Context, rows []cells) ([]string, error) {
	return changing(scanString).all(ctx, s, `WITH given AS MATERIALIZED (`+s.dialect.given("$1", "key", "was", "state",
		"carrier", "tried", "cost BIGINT", "due_at BIGINT", "sending_at BIGINT", "lease_until BIGINT", "accepted_at BIGINT",
		"sent_at BIGINT", "delivered_at BIGINT", "read_at BIGINT", "failed_at BIGINT", "identity BYTEA", "message_hash",
		"failure_class", "failure_code")+`),
			locked AS MATERIALIZED (SELECT id FROM deliveries WHERE id `+s.dialect.in("SELECT key FROM given")+`
				ORDER BY id`+s.dialect.ForUpdate+`)
		UPDATE deliveries SET state = given.state, carrier = given.carrier, tried = given.tried, cost = given.cost,
			due_at = given.due_at, sending_at = given.sending_at, lease_until = given.lease_until,
			accepted_at = COALESCE(given.accepted_at, deliveries.accepted_at), sent_at = COALESCE(given.sent_at, deliveries.sent_at),
			delivered_at = COALESCE(given.delivered_at, deliveries.delivered_at), read_at = COALESCE(given.read_at, deliveries.read_at),
			failed_at = given.failed_at, identity = COALESCE(given.identity, deliveries.identity),
			message_hash = COALESCE(NULLIF(given.message_hash, ''), deliveries.message_hash),
			failure_class = given.failure_class, failure_code = given.failure_code
		FROM given WHERE deliveries.id = given.key AND given.was LIKE '% ' || deliveries.state || ' %'
			AND deliveries.id `+s.dialect.in("SELECT id FROM locked")+`
		RETURNING id`, rowsText(rows))
}

// receiptKey is what a Receipt is unique by.
type receiptKey struct {
	deliveryID string
	status     storage.DeliveryState
}

// InsertReceipts implements storage.Deliveries. One order of rows for every caller: two nodes with the same receipts do
// not wait for each other.
func (s *Store) InsertReceipts(ctx context.Context, receipts []storage.Receipt) ([]storage.Receipt, error) {
	if len(receipts) == 0 {
		return nil, nil
	}
	rows := make([]cells, len(receipts))
	for i, r := range receipts {
		rows[i] = cells{r.DeliveryID, string(r.Status), ms(r.At), ms(r.ReceivedAt), r.FailureCode}
	}
	scan := func(r row) (k receiptKey, err error) { return k, r.Scan(&k.deliveryID, &k.status) }
	inserted, err := changing(scan).all(ctx, s, `WITH given AS MATERIALIZED (`+s.dialect.given("$1", "delivery_id", "status",
		"at BIGINT", "received_at BIGINT", "failure_code")+`)
		INSERT INTO receipts (delivery_id, status, at, received_at, failure_code)
			SELECT delivery_id, status, at, received_at, failure_code FROM given WHERE TRUE ORDER BY delivery_id, status
		ON CONFLICT (delivery_id, status) DO NOTHING RETURNING delivery_id, status`, rowsText(rows))
	if err != nil {
		return nil, err
	}
	var fresh []storage.Receipt
	for _, r := range receipts {
		i := slices.Index(inserted, receiptKey{r.DeliveryID, r.Status})
		if i >= 0 {
			fresh = append(fresh, r)
			inserted = slices.Delete(inserted, i, i+1) // the same one again is not new
		}
	}
	return fresh, nil
}

// NextDue implements storage.Deliveries. Each part is the head of a partial index.
func (s *Store) NextDue(ctx context.Context, busy ...string) (time.Time, error) {
	scan := func(r row) (t time.Time, err error) { return t, r.Scan(timeOf(&t)) }
	return reading(scan).one(ctx, s, `SELECT MIN(due) FROM (
			SELECT MIN(due_at) AS due FROM deliveries WHERE state = 'queued' AND NOT `+s.dialect.among("carrier", "$1")+`
			UNION ALL SELECT MIN(lease_until) FROM deliveries WHERE state = 'sending'
			UNION ALL SELECT MIN(due_at) FROM notices WHERE state = 'queued'
			UNION ALL SELECT MIN(lease_until) FROM notices WHERE state = 'sending'
			UNION ALL SELECT MIN(due_at) FROM challenges WHERE due_at IS NOT NULL AND ended_at IS NULL) AS every_due`,
		listText(busy))
}
