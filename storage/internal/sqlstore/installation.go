package sqlstore

import "context"

// The numbers that hold for the whole database.
const (
	epoch      = "epoch"
	servesFrom = "serves_from" // the oldest schema version whose releases work on this schema
)

func scanNumber(r row) (n int64, err error) { return n, r.Scan(&n) }

func (s *Store) number(ctx context.Context, name string) (int64, error) {
	return reading(scanNumber).one(ctx, s, `SELECT value FROM installation WHERE name = $1`, name)
}
