package sqlstore

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

// Cursor implements storage.Ledger.
func (s *Store) Cursor(ctx context.Context, name string) (int64, error) {
	scan := func(r row) (position int64, err error) { return position, r.Scan(&position) }
	return reading(scan).one(ctx, s, `SELECT COALESCE(MAX(position), 0) FROM cursors WHERE name = $1`, name)
}

// MoveCursor implements storage.Ledger.
func (s *Store) MoveCursor(ctx context.Context, name string, from, position int64) (bool, error) {
	if from == 0 { // there may be no row yet
		return s.once(ctx, `INSERT INTO cursors (name, position) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET position = excluded.position WHERE cursors.position = 0`, name, position)
	}
	return s.once(ctx, `UPDATE cursors SET position = $3 WHERE name = $1 AND position = $2`, name, from, position)
}

const dayColumns = `day, country, channel, carrier, language, sent, delivered, read, failed, verified, spent, saved, fell_back,
	to_delivered, to_verified`

func scanDay(r row) (storage.DeliveryDay, error) {
	var d storage.DeliveryDay
	err := r.Scan(&d.Day, &d.Country, &d.Channel, &d.Carrier, &d.Language, &d.Sent, &d.Delivered, &d.Read, &d.Failed,
		&d.Verified, &d.Spent, &d.Saved, jsonOf(&d.FellBack), jsonOf(&d.ToDelivered), jsonOf(&d.ToVerified))
	return d, err
}

// dayKey is what a DeliveryDay is unique by.
type dayKey struct{ day, country, channel, carrier, language string }

func keyOf(d storage.DeliveryDay) dayKey {
	return dayKey{d.Day, d.Country, string(d.Channel), d.Carrier, d.Language}
}

// AddDeliveryDays implements storage.Ledger. The first statement adds the numbers, and locks and returns the rows; what
// is counted by name is then added to what they hold, so that of two workers neither overwrites the other's counts.
func (s *Store) AddDeliveryDays(ctx context.Context, days ...storage.DeliveryDay) error {
	if len(days) == 0 {
		return nil
	}
	added := make(map[dayKey]storage.DeliveryDay)
	for _, d := range days {
		key := keyOf(d)
		added[key] = sum(added[key], d)
	}
	var rows []cells
	for k, d := range added {
		rows = append(rows, cells{k.day, k.country, k.channel, k.carrier, k.language, d.Sent, d.Delivered, d.Read, d.Failed,
			d.Verified, int64(d.Spent), int64(d.Saved)})
	}
	stored, err := changing(scanDay).all(ctx, s, `WITH given AS MATERIALIZED (`+s.dialect.given("$1", "day", "country",
		"channel", "carrier", "language", "sent BIGINT", "delivered BIGINT", "read BIGINT", "failed BIGINT",
		"verified BIGINT", "spent BIGINT", "saved BIGINT")+`)
		INSERT INTO delivery_days (`+dayColumns+`) SELECT day, country, channel, carrier, language, sent, delivered, read,
			failed, verified, spent, saved, '{}', '{}', '{}' FROM given WHERE TRUE
			ORDER BY day, country, channel, carrier, language
		ON CONFLICT (day, country, channel, carrier, language) DO UPDATE SET sent = delivery_days.sent + excluded.sent,
			delivered = delivery_days.delivered + excluded.delivered, read = delivery_days.read + excluded.read,
			failed = delivery_days.failed + excluded.failed, verified = delivery_days.verified + excluded.verified,
			spent = delivery_days.spent + excluded.spent, saved = delivery_days.saved + excluded.saved
		RETURNING `+dayColumns, rowsText(rows))
	if err != nil {
		return err
	}
	rows = nil
	for _, d := range stored {
		k := keyOf(d)
		a := added[k]
		if len(a.FellBack)+len(a.ToDelivered)+len(a.ToVerified) == 0 {
			continue
		}
		rows = append(rows, cells{k.day, k.country, k.channel, k.carrier, k.language, counts(d.FellBack, a.FellBack),
			counts(d.ToDelivered, a.ToDelivered), counts(d.ToVerified, a.ToVerified)})
	}
	if len(rows) == 0 {
		return nil
	}
	_, err = s.exec(ctx, `WITH given AS MATERIALIZED (`+s.dialect.given("$1", "day", "country", "channel", "carrier",
		"language", "fell_back", "to_delivered", "to_verified")+`)
		UPDATE delivery_days SET fell_back = given.fell_back, to_delivered = given.to_delivered,
			to_verified = given.to_verified
		FROM given WHERE delivery_days.day = given.day AND delivery_days.country = given.country
			AND delivery_days.channel = given.channel AND delivery_days.carrier = given.carrier
			AND delivery_days.language = given.language`, rowsText(rows))
	return err
}

// sum adds b's counts to a's; names and maps of a new a are b's.
func sum(a, b storage.DeliveryDay) storage.DeliveryDay {
	b.Sent += a.Sent
	b.Delivered += a.Delivered
	b.Read += a.Read
	b.Failed += a.Failed
	b.Verified += a.Verified
	b.Spent += a.Spent
	b.Saved += a.Saved
	b.FellBack = merged(a.FellBack, b.FellBack)
	b.ToDelivered = merged(a.ToDelivered, b.ToDelivered)
	b.ToVerified = merged(a.ToVerified, b.ToVerified)
	return b
}

// merged is a new map with the counts of both.
func merged[K comparable](a, b map[K]int) map[K]int {
	both := maps.Clone(a)
	if both == nil {
		both = make(map[K]int, len(b))
	}
	for k, n := range b {
		both[k] += n
	}
	return both
}

// counts encodes the counts of both.
func counts[K comparable](a, b map[K]int) string { return jsonText(merged(a, b)) }

// DeliveryDays implements storage.Ledger.
func (s *Store) DeliveryDays(ctx context.Context, f storage.DayFilter) ([]storage.DeliveryDay, error) {
	where := []string{"TRUE"}
	var args []any
	for _, part := range []struct{ condition, value string }{
		{"day >= ", f.Since}, {"day <= ", f.Until}, {"country = ", f.Country}, {"channel = ", string(f.Channel)},
		{"carrier = ", f.Carrier},
	} {
		if part.value != "" {
			args = append(args, part.value)
			where = append(where, part.condition+"$"+number(len(args)))
		}
	}
	return reading(scanDay).all(ctx, s, `SELECT `+dayColumns+` FROM delivery_days WHERE `+strings.Join(where, " AND ")+
		` ORDER BY day, country, channel, carrier, language`, args...)
}

// AddConversions implements storage.Ledger.
func (s *Store) AddConversions(ctx context.Context, conversions ...storage.Conversion) error {
	if len(conversions) == 0 {
		return nil
	}
	type key struct {
		prefix, country, channel string
		instant                  bool
		hour                     int64
	}
	added := make(map[key]storage.Conversion)
	for _, c := range conversions {
		k := key{c.Prefix, c.Country, string(c.Channel), c.Instant, c.Hour.UnixMilli()}
		before := added[k]
		c.Sent += before.Sent
		c.Verified += before.Verified
		c.Spent += before.Spent
		added[k] = c
	}
	var rows []cells
	for k, c := range added {
		rows = append(rows, cells{k.prefix, k.country, k.channel, k.instant, k.hour, c.Sent, c.Verified, int64(c.Spent)})
	}
	_, err := s.exec(ctx, `WITH given AS MATERIALIZED (`+s.dialect.given("$1", "prefix", "country", "channel",
		"instant BOOLEAN", "hour BIGINT", "sent BIGINT", "verified BIGINT", "spent BIGINT")+`)
		INSERT INTO conversions (prefix, country, channel, instant, hour, sent, verified, spent)
			SELECT prefix, country, channel, instant, hour, sent, verified, spent FROM given WHERE TRUE
			ORDER BY prefix, country, channel, instant, hour
		ON CONFLICT (prefix, country, channel, instant, hour) DO UPDATE SET sent = conversions.sent + excluded.sent,
			verified = conversions.verified + excluded.verified, spent = conversions.spent + excluded.spent`, rowsText(rows))
	return err
}

// Conversions implements storage.Ledger.
func (s *Store) Conversions(ctx context.Context, since time.Time) ([]storage.Conversion, error) {
	scan := func(r row) (c storage.Conversion, err error) {
		return c, r.Scan(&c.Prefix, &c.Country, &c.Channel, &c.Instant, timeOf(&c.Hour), &c.Sent, &c.Verified, &c.Spent)
	}
	return reading(scan).all(ctx, s, `SELECT prefix, country, channel, instant, MAX(hour), CAST(SUM(sent) AS BIGINT),
			CAST(SUM(verified) AS BIGINT), CAST(SUM(spent) AS BIGINT)
		FROM conversions WHERE hour >= $1 GROUP BY prefix, country, channel, instant
		ORDER BY prefix, country, channel, instant`, since.UnixMilli())
}

// ChallengesByID implements storage.Ledger.
func (s *Store) ChallengesByID(ctx context.Context, ids []string) ([]storage.Challenge, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return reading(scanChallenge).all(ctx, s, `SELECT `+challengeColumns+` FROM challenges WHERE `+s.dialect.among("id", "$1"),
		listText(ids))
}

// DeliveriesOfAll implements storage.Ledger.
func (s *Store) DeliveriesOfAll(ctx context.Context, challengeIDs []string) ([]storage.Delivery, error) {
	if len(challengeIDs) == 0 {
		return nil, nil
	}
	return reading(scanDelivery).all(ctx, s, `SELECT `+deliveryColumns+` FROM deliveries
		WHERE `+s.dialect.among("challenge_id", "$1")+` ORDER BY created_at, id`, listText(challengeIDs))
}
