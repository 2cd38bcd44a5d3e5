package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/parola-id/parola/storage"
)

const deliveryColumns = `id, challenge_id, channel, carrier, cause, automatic, state, calls, created_at, due_at, sending_at,
	lease_until, accepted_at, sent_at, delivered_at, read_at, failed_at, message_hash, failure_class, failure_code`

// deliveriesOrEmpty are the columns of an outer join: an empty delivery where there is none.
const deliveriesOrEmpty = `COALESCE(d.id, ''), COALESCE(d.challenge_id, ''), COALESCE(d.channel, ''), COALESCE(d.carrier, ''),
	COALESCE(d.cause, ''), COALESCE(d.automatic, FALSE), COALESCE(d.state, ''), COALESCE(d.calls, 0), d.created_at, d.due_at,
	d.sending_at, d.lease_until, d.accepted_at, d.sent_at, d.delivered_at, d.read_at, d.failed_at,
	COALESCE(d.message_hash, ''), COALESCE(d.failure_class, ''), COALESCE(d.failure_code, '')`

func deliveryDest(d *storage.Delivery) []any {
	return []any{&d.ID, &d.ChallengeID, &d.Channel, &d.Carrier, &d.Trigger, &d.Automatic, &d.State, &d.Calls,
		timeOf(&d.CreatedAt), timeOf(&d.DueAt), timeOf(&d.SendingAt), timeOf(&d.LeaseUntil), timeOf(&d.AcceptedAt),
		timeOf(&d.SentAt), timeOf(&d.DeliveredAt), timeOf(&d.ReadAt), timeOf(&d.FailedAt), &d.MessageHash, &d.FailureClass,
		&d.FailureCode}
}

func scanDelivery(r row) (storage.Delivery, error) {
	var d storage.Delivery
	err := r.Scan(deliveryDest(&d)...)
	return d, err
}

// InsertDelivery implements storage.Deliveries.
func (s *Store) InsertDelivery(ctx context.Context, d storage.Delivery) error {
	_, err := s.exec(ctx, `INSERT INTO deliveries (`+deliveryColumns+`) VALUES `+placeholders(1, 20),
		d.ID, d.ChallengeID, string(d.Channel), d.Carrier, d.Trigger, d.Automatic, string(d.State), d.Calls,
		ms(d.CreatedAt), ms(d.DueAt), ms(d.SendingAt), ms(d.LeaseUntil), ms(d.AcceptedAt), ms(d.SentAt), ms(d.DeliveredAt),
		ms(d.ReadAt), ms(d.FailedAt), d.MessageHash, d.FailureClass, d.FailureCode)
	return err
}

// Delivery implements storage.Deliveries.
func (s *Store) Delivery(ctx context.Context, id string) (storage.Delivery, error) {
	return reading(scanDelivery).one(ctx, s, `SELECT `+deliveryColumns+` FROM deliveries WHERE id = $1`, id)
}

// DeliveryByMessage implements storage.Deliveries.
func (s *Store) DeliveryByMessage(ctx context.Context, messageHash string) (storage.Delivery, error) {
	return reading(scanDelivery).one(ctx, s, `SELECT `+deliveryColumns+` FROM deliveries
		WHERE message_hash = $1 AND message_hash <> ''`, messageHash)
}

// DeliveriesOf implements storage.Deliveries.
func (s *Store) DeliveriesOf(ctx context.Context, challengeID string) ([]storage.Delivery, error) {
	return reading(scanDelivery).all(ctx, s, `SELECT `+deliveryColumns+` FROM deliveries WHERE challenge_id = $1
		ORDER BY created_at, id`, challengeID)
}

// ClaimQueued implements storage.Deliveries.
func (s *Store) ClaimQueued(ctx context.Context, now, leaseUntil time.Time, limit int) ([]storage.Delivery, error) {
	claimed, err := changing(scanDelivery).all(ctx, s, `WITH due AS MATERIALIZED (
			SELECT id FROM deliveries WHERE state = 'queued' AND due_at <= $1
			ORDER BY due_at LIMIT $3`+s.dialect.SkipLocked+`)
		UPDATE deliveries SET state = 'sending', sending_at = $1, lease_until = $2, calls = calls + 1
		WHERE id IN (SELECT id FROM due) RETURNING `+deliveryColumns, ms(now), ms(leaseUntil), bounded(limit, 100, 1000))
	slices.SortFunc(claimed, byDue)
	return claimed, err
}

// ClaimAbandoned implements storage.Deliveries.
func (s *Store) ClaimAbandoned(ctx context.Context, now time.Time, limit int) ([]storage.Delivery, error) {
	claimed, err := changing(scanDelivery).all(ctx, s, `WITH over AS MATERIALIZED (
			SELECT id FROM deliveries WHERE state = 'sending' AND lease_until < $1
			ORDER BY lease_until LIMIT $2`+s.dialect.SkipLocked+`)
		UPDATE deliveries SET state = 'unknown'
		WHERE id IN (SELECT id FROM over) RETURNING `+deliveryColumns, ms(now), bounded(limit, 100, 1000))
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
	args := []any{d.ID, string(d.State), ms(d.DueAt), ms(d.SendingAt), ms(d.LeaseUntil), ms(d.AcceptedAt), ms(d.SentAt),
		ms(d.DeliveredAt), ms(d.ReadAt), ms(d.FailedAt), d.MessageHash, d.FailureClass, d.FailureCode}
	states := list(len(args), len(from))
	for _, state := range from {
		args = append(args, string(state))
	}
	return s.once(ctx, `UPDATE deliveries SET state = $2, due_at = $3, sending_at = $4, lease_until = $5, accepted_at = $6,
			sent_at = $7, delivered_at = $8, read_at = $9, failed_at = $10, message_hash = $11, failure_class = $12,
			failure_code = $13
		WHERE id = $1 AND state IN `+states, args...)
}

// InsertReceipt implements storage.Deliveries.
func (s *Store) InsertReceipt(ctx context.Context, r storage.Receipt) (bool, error) {
	return s.once(ctx, `INSERT INTO receipts (delivery_id, status, at, received_at, failure_code)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (delivery_id, status) DO NOTHING`,
		r.DeliveryID, string(r.Status), ms(r.At), ms(r.ReceivedAt), r.FailureCode)
}

// NextDue implements storage.Deliveries. Each part is the head of a partial index.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	scan := func(r row) (t time.Time, err error) { return t, r.Scan(timeOf(&t)) }
	return reading(scan).one(ctx, s, `SELECT MIN(due) FROM (
			SELECT MIN(due_at) AS due FROM deliveries WHERE state = 'queued'
			UNION ALL SELECT MIN(lease_until) FROM deliveries WHERE state = 'sending'
			UNION ALL SELECT MIN(due_at) FROM challenges WHERE due_at IS NOT NULL AND ended_at IS NULL) AS every_due`)
}
