// Package sqlstore is the SQL of storage.Store, once, for SQLite and PostgreSQL alike: one file per noun. What differs
// between the two is a Dialect, which the driver packages storage/sqlite and storage/postgres hand in together with
// their pools; nothing here opens a database or knows a driver.
//
// The text keeps to what both understand: parameters as $1, times as BIGINT milliseconds, records as JSON in TEXT,
// ON CONFLICT … DO UPDATE … WHERE … RETURNING. Whatever may happen only once is one conditional statement.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

// Failure is what a driver's error means to storage.
type Failure int

// The failures. Outage is everything that the others are not.
const (
	Outage    Failure = iota
	Duplicate         // a unique constraint
	NoParent          // a foreign key to a record that does not exist
	Retry             // a serialisation failure or deadlock: the transaction may succeed when run again
)

// Dialect holds the differences between the databases.
type Dialect struct {
	// Name is sqlite or postgres.
	Name string
	// ForUpdate is appended to a SELECT whose rows are about to be changed; empty where one writer makes it needless.
	ForUpdate string
	// ForShare is appended to a SELECT whose rows must stay as they are until the transaction ends; empty where one writer
	// makes it needless.
	ForShare string
	// Elements is the function whose rows are the elements of a JSON array, in a column called value.
	Elements string
	// Parameters is how many one statement had better have at most: the SQLite driver looks for each one's value among all.
	Parameters int
	// Among is what a column is compared with to be one of the values of a query: "IN (%s)", or what makes the database look
	// each of them up instead of reading the table, of whose size it knows and of the query's it does not.
	Among string
	// Unhex is an expression for the bytes of a text in hexadecimal, which %s stands for.
	Unhex string
	// SkipLocked is appended instead of ForUpdate where rows that another node is claiming must be passed over.
	SkipLocked string
	// Clock is an expression for the database's time in milliseconds since 1970.
	Clock string
	// PrepareHere says that the driver keeps no prepared statements of its own.
	PrepareHere bool
	// Inside says that the database is part of this process. A statement is then over in microseconds, and a context that
	// could end in the middle of it would cost two goroutines, more than many a statement itself: it is asked before.
	Inside bool
	// Classify says what a driver's error means.
	Classify func(error) Failure
	// Together says that there is one writer, whose transactions share commits.
	Together bool
	// Defer, when set, hands a statement whose result nobody needs to the driver's connection, which sends it with COMMIT.
	Defer func(driverConn any, query string, args []any) error
}

// Config is what a Store needs.
type Config struct {
	// Writer serves transactions, Reader the reads outside them. They may be the same pool. Close closes both.
	Writer, Reader *sql.DB
	Dialect        Dialect
	// Wait bounds how long InTx waits for a connection; 5 s when zero.
	Wait time.Duration
	// Committed, when set, is called after every commit, and Closing before the pools are closed: for what a driver does
	// beside them.
	Committed, Closing func()
	// Broadcast, when set, hands a text to every node that hears; it may fail. Hear, when set, is an Ear until ctx ends.
	Broadcast func(ctx context.Context, text string) error
	Hear      func(ctx context.Context, e Ear)
	// Observe, when set, hears of every statement by its lower-case verb (select, insert, update, delete) and of every
	// commit ("commit"). It is called on the goroutine that ran it.
	Observe func(op string)
}

// Store implements storage.Store.
type Store struct {
	writer, reader      *sql.DB
	prepared, preparedR *statements
	dialect             Dialect
	wait                time.Duration
	committed, closing  func()
	observe             func(op string)
	wakeups             *wakeups
	commits             *commits // nil where transactions run side by side
}

var _ storage.Store = (*Store)(nil)

// New returns a Store over open pools. It does not touch the database.
func New(c Config) *Store {
	s := &Store{writer: c.Writer, reader: c.Reader, dialect: c.Dialect, wait: c.Wait, observe: c.Observe, wakeups: newWakeups(c)}
	if s.wait == 0 {
		s.wait = 5 * time.Second
	}
	s.committed, s.closing = c.Committed, c.Closing
	if s.committed == nil {
		s.committed = func() {}
	}
	if s.closing == nil {
		s.closing = func() {}
	}
	if c.Dialect.Together {
		s.commits = new(commits)
	}
	if c.Dialect.PrepareHere {
		s.prepared, s.preparedR = newStatements(c.Writer), newStatements(c.Reader)
	}
	return s
}

// Unobserved is the same store, whose statements Observe does not hear of: for housekeeping that belongs to no request.
// A transaction of one is none of the other.
func (s *Store) Unobserved() *Store {
	quiet := *s
	quiet.observe = nil
	return &quiet
}

// hear tells Observe of a statement or a commit.
func (s *Store) hear(query string) {
	if s.observe != nil {
		s.observe(verb(query))
	}
}

// steady is the context that a statement runs with; see Dialect.Inside.
func (s *Store) steady(ctx context.Context) (context.Context, error) {
	if !s.dialect.Inside || ctx.Done() == nil {
		return ctx, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return context.WithoutCancel(ctx), nil
}

// Close passes the last wake-ups on and closes the pools.
func (s *Store) Close() error {
	s.wakeups.close()
	s.closing()
	if s.reader == s.writer {
		return s.writer.Close()
	}
	return errors.Join(s.reader.Close(), s.writer.Close())
}

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.reader.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

// ClockOffset measures how far the database's clock is ahead of the given one, to about half a round trip.
func (s *Store) ClockOffset(ctx context.Context, now func() time.Time) (time.Duration, error) {
	before := now()
	var ms int64
	if err := s.reader.QueryRowContext(ctx, "SELECT "+s.dialect.Clock).Scan(&ms); err != nil {
		return 0, fmt.Errorf("read database clock: %w", err)
	}
	middle := before.Add(now().Sub(before) / 2)
	return time.UnixMilli(ms).Sub(middle), nil
}

// translate adds storage's errors to a driver's, which stays in the chain for the retry of the transaction.
func (s *Store) translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return storage.ErrNotFound
	}
	switch s.dialect.Classify(err) {
	case Duplicate:
		return fmt.Errorf("%w: %w", storage.ErrConflict, err)
	case NoParent:
		return fmt.Errorf("%w: what it belongs to: %w", storage.ErrNotFound, err)
	}
	return err
}

// verb is what a statement does, in lower case: its first word, or with WITH the one after the last closing bracket of
// the named queries.
func verb(query string) string {
	word, rest, _ := strings.Cut(strings.TrimSpace(query), " ")
	if word != "WITH" {
		return strings.ToLower(word)
	}
	before := ""
	for word := range strings.FieldsSeq(rest) {
		if strings.HasSuffix(before, ")") && (word == "UPDATE" || word == "DELETE" || word == "INSERT") {
			return strings.ToLower(word)
		}
		before = word
	}
	return "select"
}
