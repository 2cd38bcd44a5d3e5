package sqlstore

import (
	"context"
	"errors"
	"strings"

	"github.com/parola-id/parola/storage"
)

const eventColumns = `id, version, at, kind, outcome, reason, severity, person_id, actor_id, client_id, session_id,
	auth_request_id, grant_id, challenge_id, delivery_id, jti, correlation_id, trace_id, source_addr, user_agent, channel, node,
	release, data`

func scanEvent(r row) (storage.Event, error) {
	var e storage.Event
	var sequence *int64
	err := r.Scan(&e.ID, &e.Version, timeOf(&e.At), &e.Kind, &e.Outcome, &e.Reason, &e.Severity, &e.PersonID, &e.ActorID,
		&e.ClientID, &e.SessionID, &e.AuthRequestID, &e.GrantID, &e.ChallengeID, &e.DeliveryID, &e.JTI, &e.CorrelationID,
		&e.TraceID, &e.SourceAddr, &e.UserAgent, &e.Channel, &e.Node, &e.Release, jsonOf(&e.Data), &sequence, &e.PrevHash,
		&e.Hash)
	if sequence != nil {
		e.Sequence = *sequence
	}
	return e, err
}

const selectEvents = `SELECT ` + eventColumns + `, sequence, prev_hash, hash FROM events `

// AppendEvents implements storage.Events. The events wait in the transaction until it commits, so that all that were
// appended along the way cost one statement.
func (s *Store) AppendEvents(ctx context.Context, events ...storage.Event) error {
	t := s.txOf(ctx)
	if t == nil {
		return storage.ErrNoTransaction
	}
	if t.failed != nil {
		return t.abandoned()
	}
	t.events = append(t.events, events...)
	return nil
}

// writeEvents stores the events that wait in the transaction of ctx, before it reads events.
func (s *Store) writeEvents(ctx context.Context) error {
	return s.eachEvents(ctx, func(query string, args []any) error {
		_, err := s.exec(ctx, query, args...)
		return err
	})
}

// writeLast is writeEvents at the end of a transaction.
func (s *Store) writeLast(ctx context.Context) error {
	t := s.txOf(ctx)
	if t == nil || s.dialect.Defer == nil {
		return s.writeEvents(ctx)
	}
	return s.eachEvents(ctx, func(query string, args []any) error {
		s.hear(query)
		return t.conn.Raw(func(driverConn any) error { return s.dialect.Defer(driverConn, query, clean(args)) })
	})
}

func (s *Store) eachEvents(ctx context.Context, write func(query string, args []any) error) error {
	t := s.txOf(ctx)
	if t == nil || len(t.events) == 0 {
		return nil
	}
	events := t.events
	t.events = nil
	for part := range parts(events, mostEvents) {
		args := make([]any, 0, 2*len(part))
		for _, e := range part {
			args = append(args, e.ID, queued(e))
		}
		if err := write(`INSERT INTO event_queue (id, record) VALUES `+placeholders(len(part), 2), args); err != nil {
			return err
		}
	}
	return nil
}

// ListEvents implements storage.Events. The queue is read first: an event that is sealed meanwhile is then found twice
// rather than not at all.
func (s *Store) ListEvents(ctx context.Context, f storage.EventFilter) ([]storage.Event, error) {
	if err := s.writeEvents(ctx); err != nil {
		return nil, err
	}
	f.Limit = bounded(f.Limit, 100, 10000)
	waiting, err := s.listQueue(ctx, f)
	if err != nil {
		return nil, err
	}
	placed, err := s.listPlaced(ctx, f)
	if err != nil {
		return nil, err
	}
	return merge(waiting, placed, f), nil
}

func (s *Store) listPlaced(ctx context.Context, f storage.EventFilter) ([]storage.Event, error) {
	var where []string
	var args []any
	narrow := func(condition, value string) {
		if value != "" {
			args = append(args, value)
			where = append(where, strings.ReplaceAll(condition, "?", "$"+number(len(args))))
		}
	}
	// The second half of each condition is what the partial index asks for.
	for _, key := range []struct{ column, value string }{
		{"person_id", f.PersonID}, {"client_id", f.ClientID}, {"auth_request_id", f.AuthRequestID}, {"grant_id", f.GrantID},
		{"challenge_id", f.ChallengeID}, {"jti", f.JTI}, {"correlation_id", f.CorrelationID}, {"session_id", f.SessionID},
	} {
		narrow(key.column+" = ? AND "+key.column+" <> ''", key.value)
	}
	if strings.HasSuffix(f.Kind, ".") {
		narrow("substr(kind, 1, length(CAST(? AS TEXT))) = CAST(? AS TEXT)", f.Kind)
	} else {
		narrow("kind = ?", f.Kind)
	}
	if !f.Since.IsZero() {
		narrow("id >= ?", storage.FirstID(f.Since))
	}
	if !f.Until.IsZero() {
		narrow("id < ?", storage.FirstID(f.Until))
	}
	order := " ORDER BY id"
	if f.Backward {
		order += " DESC"
		narrow("id < ?", f.AfterID)
	} else {
		narrow("id > ?", f.AfterID)
	}
	query := selectEvents
	if len(where) > 0 {
		query += "WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, f.Limit)
	return reading(scanEvent).all(ctx, s, query+order+" LIMIT $"+number(len(args)), args...)
}

// UnsealedEvents implements storage.Events.
func (s *Store) UnsealedEvents(ctx context.Context, limit int) ([]storage.Event, error) {
	if err := s.writeEvents(ctx); err != nil {
		return nil, err
	}
	limit = bounded(limit, 100, 10000)
	waiting, err := reading(scanQueued).all(ctx, s, `SELECT record FROM event_queue ORDER BY id LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	// A node of an older release puts them into the log at once.
	placed, err := reading(scanEvent).all(ctx, s, selectEvents+`WHERE sequence IS NULL ORDER BY id LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return merge(waiting, placed, storage.EventFilter{Limit: limit}), nil
}

// SealEvents implements storage.Events. Fewer removed rows than events means that one is missing, sealed already or named
// twice; a sequence that exists meets the unique index.
func (s *Store) SealEvents(ctx context.Context, events []storage.Event) error {
	if err := s.writeEvents(ctx); err != nil {
		return err
	}
	for part := range parts(events, s.dialect.Parameters/eventCells) {
		ids := make([]string, len(part))
		for i, e := range part {
			ids[i] = e.ID
		}
		if err := s.unqueue(ctx, ids); err != nil {
			return err
		}
		if err := s.insertEvents(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) unqueue(ctx context.Context, ids []string) error {
	removed := int64(0)
	for _, where := range []string{`event_queue WHERE `, `events WHERE sequence IS NULL AND `} {
		n, err := s.exec(ctx, `DELETE FROM `+where+s.dialect.among("id", "$1"), listText(ids))
		if err != nil {
			return err
		}
		if removed += n; removed == int64(len(ids)) {
			return nil
		}
	}
	return storage.ErrConflict
}

func (s *Store) insertEvents(ctx context.Context, events []storage.Event) error {
	args := make([]any, 0, eventCells*len(events))
	for _, e := range events {
		data := "{}"
		if len(e.Data) > 0 {
			data = jsonText(e.Data)
		}
		args = append(args, e.ID, e.Version, e.At.UnixMilli(), e.Kind, e.Outcome, e.Reason, e.Severity, e.PersonID, e.ActorID,
			e.ClientID, e.SessionID, e.AuthRequestID, e.GrantID, e.ChallengeID, e.DeliveryID, e.JTI, e.CorrelationID, e.TraceID,
			e.SourceAddr, e.UserAgent, e.Channel, e.Node, e.Release, data, e.Sequence, e.PrevHash, e.Hash)
	}
	_, err := s.exec(ctx, `INSERT INTO events (`+eventColumns+`, sequence, prev_hash, hash) VALUES `+
		placeholders(len(events), eventCells), args...)
	return err
}

// SealedEvents implements storage.Events.
func (s *Store) SealedEvents(ctx context.Context, afterSequence int64, limit int) ([]storage.Event, error) {
	return reading(scanEvent).all(ctx, s, selectEvents+`WHERE sequence IS NOT NULL AND sequence > $1
		ORDER BY sequence LIMIT $2`, afterSequence, bounded(limit, 100, 10000))
}

// SealedEventsOf implements storage.Events.
func (s *Store) SealedEventsOf(ctx context.Context, challengeIDs []string, upTo int64) ([]storage.Event, error) {
	if len(challengeIDs) == 0 {
		return nil, nil
	}
	return reading(scanEvent).all(ctx, s, selectEvents+`WHERE challenge_id <> '' AND `+s.dialect.among("challenge_id", "$1")+`
		AND sequence <= $2 ORDER BY sequence`, listText(challengeIDs), upTo)
}

// LastSeal implements storage.Events.
func (s *Store) LastSeal(ctx context.Context) (int64, []byte, error) {
	type head struct {
		sequence int64
		hash     []byte
	}
	scan := func(r row) (h head, err error) { return h, r.Scan(&h.sequence, &h.hash) }
	h, err := reading(scan).one(ctx, s, `SELECT sequence, hash FROM events WHERE sequence IS NOT NULL
		ORDER BY sequence DESC LIMIT 1`)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil, nil
	}
	return h.sequence, h.hash, err
}

// InsertCheckpoint implements storage.Events.
func (s *Store) InsertCheckpoint(ctx context.Context, c storage.Checkpoint) error {
	_, err := s.exec(ctx, `INSERT INTO checkpoints (sequence, head, at, key_id, signature) VALUES ($1, $2, $3, $4, $5)`,
		c.Sequence, c.Head, ms(c.At), c.KeyID, c.Signature)
	return err
}

const selectCheckpoints = `SELECT sequence, head, at, key_id, signature FROM checkpoints `

func scanCheckpoint(r row) (storage.Checkpoint, error) {
	var c storage.Checkpoint
	err := r.Scan(&c.Sequence, &c.Head, timeOf(&c.At), &c.KeyID, &c.Signature)
	return c, err
}

// Checkpoints implements storage.Events.
func (s *Store) Checkpoints(ctx context.Context, afterSequence int64, limit int) ([]storage.Checkpoint, error) {
	return reading(scanCheckpoint).all(ctx, s, selectCheckpoints+`WHERE sequence > $1 ORDER BY sequence LIMIT $2`,
		afterSequence, bounded(limit, 100, 10000))
}

// LastCheckpoint implements storage.Events.
func (s *Store) LastCheckpoint(ctx context.Context) (storage.Checkpoint, error) {
	return reading(scanCheckpoint).one(ctx, s, selectCheckpoints+`ORDER BY sequence DESC LIMIT 1`)
}
