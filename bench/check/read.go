package check

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/parola-id/parola/storage"
)

// Database is one that is looked at from outside, beside the servers that use it or after they are gone.
type Database struct {
	db       *sql.DB
	postgres bool
}

// Open opens a database: driver is "sqlite" with the path of the file, or "postgres" with a DSN. The program must have the
// drivers in it, as everything has that imports internal/app.
func Open(driver, source string) (*Database, error) {
	name, postgres := "sqlite", driver == "postgres"
	if postgres {
		name = "pgx"
	} else {
		source = "file:" + source + "?_pragma=busy_timeout(5000)&_pragma=query_only(1)"
	}
	db, err := sql.Open(name, source)
	if err != nil {
		return nil, fmt.Errorf("open database to check: %w", err)
	}
	db.SetMaxOpenConns(1)
	return &Database{db: db, postgres: postgres}, nil
}

// Close closes it.
func (d *Database) Close() error { return d.db.Close() }

// Read returns everything there is at one instant.
func (d *Database) Read(ctx context.Context) (*Record, error) {
	isolation := sql.LevelDefault
	if d.postgres {
		isolation = sql.LevelRepeatableRead // one snapshot for all statements
	}
	tx, err := d.db.BeginTx(ctx, &sql.TxOptions{Isolation: isolation, ReadOnly: d.postgres})
	if err != nil {
		return nil, fmt.Errorf("read database to check: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	r := new(Record)
	for _, read := range []func(context.Context, *sql.Tx) error{
		r.readChallenges, r.readDeliveries, r.readNotices, r.readSessions, r.readGrants, r.readTokens, r.readEvents, r.readQueue,
	} {
		if err := read(ctx, tx); err != nil {
			return nil, fmt.Errorf("read database to check: %w", err)
		}
	}
	return r, nil
}

// each calls scan for every row of a query.
func each(ctx context.Context, tx *sql.Tx, query string, scan func(rows *sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ms is a time as the tables keep it: milliseconds since 1970, or NULL.
type ms struct{ time.Time }

// Scan implements sql.Scanner.
func (m *ms) Scan(value any) error {
	m.Time = time.Time{}
	if n, there := value.(int64); there {
		m.Time = time.UnixMilli(n).UTC()
	} else if value != nil {
		return fmt.Errorf("a time is a %T", value)
	}
	return nil
}

func (r *Record) readChallenges(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT id, person_id, auth_request_id, policy, tries, max_tries, created_at, expires_at, ended_at, ended_as,
		identity_bar FROM challenges`, func(rows *sql.Rows) error {
		var c storage.Challenge
		var policy string
		var created, expires, ended ms
		if err := rows.Scan(&c.ID, &c.PersonID, &c.AuthRequestID, &policy, &c.Tries, &c.MaxTries, &created, &expires, &ended, &c.End,
			&c.IdentityBar); err != nil {
			return err
		}
		c.CreatedAt, c.ExpiresAt, c.EndedAt = created.Time, expires.Time, ended.Time
		r.Challenges = append(r.Challenges, c)
		return json.Unmarshal([]byte(policy), &r.Challenges[len(r.Challenges)-1].Policy)
	})
}

func (r *Record) readDeliveries(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT id, challenge_id, channel, cause, automatic, state, calls FROM deliveries`, func(rows *sql.Rows) error {
		var d storage.Delivery
		r.Deliveries = append(r.Deliveries, d)
		to := &r.Deliveries[len(r.Deliveries)-1]
		return rows.Scan(&to.ID, &to.ChallengeID, &to.Channel, &to.Trigger, &to.Automatic, &to.State, &to.Calls)
	})
}

func (r *Record) readNotices(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT id, state FROM notices`, func(rows *sql.Rows) error {
		var n storage.Notice
		err := rows.Scan(&n.ID, &n.State)
		r.Notices = append(r.Notices, n)
		return err
	})
}

func (r *Record) readSessions(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT id, person_id, created_at, ended_at FROM sessions`, func(rows *sql.Rows) error {
		var s storage.Session
		var created, ended ms
		err := rows.Scan(&s.ID, &s.PersonID, &created, &ended)
		s.CreatedAt, s.EndedAt = created.Time, ended.Time
		r.Sessions = append(r.Sessions, s)
		return err
	})
}

func (r *Record) readGrants(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT id, client_id, person_id, session_id, auth_request_id, auth_code_hash, auth_code_used_at, created_at,
		revoked_at, revoke_reason FROM grants`, func(rows *sql.Rows) error {
		var g storage.Grant
		var used, created, revoked ms
		err := rows.Scan(&g.ID, &g.ClientID, &g.PersonID, &g.SessionID, &g.AuthRequestID, &g.AuthCodeHash, &used, &created, &revoked,
			&g.RevokeReason)
		g.AuthCodeUsedAt, g.CreatedAt, g.RevokedAt = used.Time, created.Time, revoked.Time
		r.Grants = append(r.Grants, g)
		return err
	})
}

func (r *Record) readTokens(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT kind, grant_id, used_at, revoked_at FROM tokens`, func(rows *sql.Rows) error {
		var t storage.Token
		var used, revoked ms
		err := rows.Scan(&t.Kind, &t.GrantID, &used, &revoked)
		t.UsedAt, t.RevokedAt = used.Time, revoked.Time
		r.Tokens = append(r.Tokens, t)
		return err
	})
}

func (r *Record) readEvents(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT id, kind, reason, person_id, session_id, auth_request_id, grant_id, challenge_id, delivery_id, data,
		sequence, prev_hash, hash FROM events ORDER BY sequence IS NULL, sequence, id`, func(rows *sql.Rows) error {
		var e storage.Event
		var data string
		var sequence sql.NullInt64
		if err := rows.Scan(&e.ID, &e.Kind, &e.Reason, &e.PersonID, &e.SessionID, &e.AuthRequestID, &e.GrantID, &e.ChallengeID,
			&e.DeliveryID, &data, &sequence, &e.PrevHash, &e.Hash); err != nil {
			return err
		}
		e.Sequence = sequence.Int64
		if e.Kind == "authn.otp.receipt" { // of no other event is the data looked at
			if err := json.Unmarshal([]byte(data), &e.Data); err != nil {
				return fmt.Errorf("data of event %s: %w", e.ID, err)
			}
		}
		r.Events = append(r.Events, e)
		return nil
	})
}

// readQueue reads the events that wait for their place.
func (r *Record) readQueue(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT record FROM event_queue ORDER BY id`, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var q struct {
			ID            string            `json:"id"`
			Kind          string            `json:"kind"`
			Reason        string            `json:"reason"`
			PersonID      string            `json:"person_id"`
			SessionID     string            `json:"session_id"`
			AuthRequestID string            `json:"auth_request_id"`
			GrantID       string            `json:"grant_id"`
			ChallengeID   string            `json:"challenge_id"`
			DeliveryID    string            `json:"delivery_id"`
			Data          map[string]string `json:"data"`
		}
		if err := json.Unmarshal([]byte(text), &q); err != nil {
			return fmt.Errorf("event that waits: %w", err)
		}
		r.Events = append(r.Events, storage.Event{ID: q.ID, Kind: q.Kind, Reason: q.Reason, PersonID: q.PersonID, SessionID: q.SessionID,
			AuthRequestID: q.AuthRequestID, GrantID: q.GrantID, ChallengeID: q.ChallengeID, DeliveryID: q.DeliveryID, Data: q.Data})
		return nil
	})
}
