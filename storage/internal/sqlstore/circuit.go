package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/parola-id/parola/storage"
)

// OpenCircuit implements storage.Circuits.
func (s *Store) OpenCircuit(ctx context.Context, c storage.Circuit) (bool, error) {
	scan := func(r row) (openings int, err error) { return openings, r.Scan(&openings) }
	openings, err := changing(scan).one(ctx, s, `INSERT INTO circuits (name, held, reason, opened_at, until, probe_until, openings)
		VALUES ($1, $2, $3, $4, $5, $6, 1)
		ON CONFLICT (name) DO UPDATE SET held = excluded.held, reason = excluded.reason, opened_at = excluded.opened_at,
			until = excluded.until, probe_until = excluded.probe_until, openings = circuits.openings + 1
			WHERE (excluded.held OR NOT circuits.held)
				AND NOT (circuits.held AND circuits.reason = 'operator' AND excluded.reason <> 'operator')
		RETURNING openings`,
		c.Name, c.Held, c.Reason, ms(c.OpenedAt), ms(c.Until), ms(c.ProbeUntil))
	if errors.Is(err, storage.ErrNotFound) { // it is held, and stays so
		return false, nil
	}
	s.changedAny(ctx, storage.CircuitsChanged, err == nil)
	return openings == 1, err
}

// ProbeCircuit implements storage.Circuits.
func (s *Store) ProbeCircuit(ctx context.Context, name string, now, probeUntil time.Time) (bool, error) {
	return s.once(ctx, `UPDATE circuits SET probe_until = $3
		WHERE name = $1 AND NOT held AND until <= $2 AND (probe_until IS NULL OR probe_until <= $2)`,
		name, ms(now), ms(probeUntil))
}

// CloseCircuit implements storage.Circuits.
func (s *Store) CloseCircuit(ctx context.Context, name string, held bool) (bool, error) {
	query := `DELETE FROM circuits WHERE name = $1`
	if !held {
		query += ` AND NOT held`
	}
	closed, err := s.once(ctx, query, name)
	s.changedAny(ctx, storage.CircuitsChanged, closed)
	return closed, err
}

// Circuits implements storage.Circuits.
func (s *Store) Circuits(ctx context.Context) ([]storage.Circuit, error) {
	scan := func(r row) (c storage.Circuit, err error) {
		return c, r.Scan(&c.Name, &c.Held, &c.Reason, timeOf(&c.OpenedAt), timeOf(&c.Until), timeOf(&c.ProbeUntil))
	}
	return reading(scan).all(ctx, s, `SELECT name, held, reason, opened_at, until, probe_until FROM circuits ORDER BY name`)
}
