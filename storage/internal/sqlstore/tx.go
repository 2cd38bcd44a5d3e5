package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/storage"
)

// mostTries is how often a transaction is run when the database asks for it to be run again.
const mostTries = 5

// txKey finds the transaction in a context. It holds the store, so that a transaction of one database is never taken
// for another's.
type txKey struct{ store *Store }

// tx is a transaction in progress. Like sql.Tx it serves one goroutine at a time.
type tx struct {
	store *Store
	conn  *sql.Conn
	sql   *sql.Tx
	// over is set once it committed or rolled back: a context that outlives it carries nothing.
	over atomic.Bool
	// failed is the first error of a statement, or of a function that joined. PostgreSQL refuses every statement after
	// one that failed; holding SQLite to the same rule makes a test on either tell the truth about both.
	failed error
	hooks  []func()
	// events are appended and not written yet.
	events []storage.Event
	// unprepared are texts to prepare once the writer's connection is free again.
	unprepared []string
}

func (s *Store) txOf(ctx context.Context) *tx {
	t, _ := ctx.Value(txKey{s}).(*tx)
	if t == nil || t.over.Load() {
		return nil
	}
	return t
}

// InTx implements storage.Transactor.
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	if t := s.txOf(ctx); t != nil {
		// What a joined function wrote before its error must not be committed by an outer function that ignores it.
		if err := fn(ctx); err != nil {
			return t.fail(err)
		}
		return nil
	}
	for try := 1; ; try++ {
		again, err := s.try(ctx, fn)
		if !again || try == mostTries {
			return err
		}
		pause := time.NewTimer(time.Duration(try*(5+rand.IntN(10))) * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
	}
}

// try runs fn in one transaction; again says that the database wants it run once more.
func (s *Store) try(ctx context.Context, fn func(ctx context.Context) error) (again bool, err error) {
	if s.commits != nil {
		return false, s.together(ctx, fn)
	}
	// Of the transaction alone, not of what fn gets: that context may be kept.
	bounded, cancel := s.within(ctx)
	defer cancel()
	conn, begun, err := s.beginOn(bounded)
	if err != nil {
		return s.dialect.Classify(err) == Retry, err
	}
	defer conn.Close() // a second time does nothing but say so
	t := &tx{store: s, conn: conn, sql: begun}
	finished := false
	defer func() {
		t.over.Store(true)
		if !finished { // fn panicked, or ended its goroutine
			t.sql.Rollback()
		}
	}()
	err = s.inside(ctx, t, fn)
	finished = true
	t.over.Store(true)
	if err != nil {
		t.sql.Rollback() // its own error adds nothing: the connection is discarded when it is broken
		return s.dialect.Classify(err) == Retry || t.failed != nil && s.dialect.Classify(t.failed) == Retry, err
	}
	s.hear("commit")
	if err := t.sql.Commit(); err != nil {
		return s.dialect.Classify(err) == Retry, fmt.Errorf("commit: %w", s.translate(err))
	}
	conn.Close()
	s.committed()
	for _, hook := range t.hooks {
		hook()
	}
	return false, nil
}

// inside runs fn with a context that carries t, and says whether t may commit.
func (s *Store) inside(ctx context.Context, t *tx, fn func(ctx context.Context) error) error {
	inside := context.WithValue(ctx, txKey{s}, t)
	err := fn(inside)
	if err == nil && t.failed == nil {
		err = s.writeLast(inside)
	}
	if err == nil {
		err = ctx.Err() // nobody waits for the answer any more
	}
	if err == nil && t.failed != nil {
		err = fmt.Errorf("commit: a statement failed before: %w", t.failed)
	}
	return err
}

// beginOn waits a bounded time for a connection and begins a transaction on it.
func (s *Store) beginOn(ctx context.Context) (*sql.Conn, *sql.Tx, error) {
	waiting, stop := context.WithTimeout(ctx, s.wait)
	defer stop()
	conn, err := s.writer.Conn(waiting)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return nil, nil, noTurn(s.wait)
		}
		return nil, nil, fmt.Errorf("begin transaction: %w", err)
	}
	steady, err := s.steady(ctx)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("begin transaction: %w", err)
	}
	begun, err := conn.BeginTx(steady, nil)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("begin transaction: %w", err)
	}
	return conn, begun, nil
}

// noTurn is what a transaction gets that waited too long for its connection.
func noTurn(wait time.Duration) error {
	return fmt.Errorf("begin transaction: no connection came free in %s; was InTx called inside another transaction with "+
		"the context from outside it? %w", wait, context.DeadlineExceeded)
}

// AfterCommit implements storage.Transactor.
func (s *Store) AfterCommit(ctx context.Context, fn func()) {
	if t := s.txOf(ctx); t != nil {
		t.hooks = append(t.hooks, fn)
		return
	}
	fn()
}

// fail notes the first error of the transaction and returns err.
func (t *tx) fail(err error) error {
	if t.failed == nil {
		t.failed = err
	}
	return err
}

func (t *tx) abandoned() error {
	return fmt.Errorf("transaction is rolled back because of an earlier error: %w", t.failed)
}

// stmt returns the prepared statement of a text for this transaction; nil when there is none yet.
func (t *tx) stmt(ctx context.Context, query string) *sql.Stmt {
	cache := t.store.prepared
	if cache == nil {
		return nil
	}
	if prepared := cache.get(query); prepared != nil {
		return t.sql.StmtContext(ctx, prepared)
	}
	if !cache.full() {
		t.unprepared = append(t.unprepared, query)
	}
	return nil
}

func (t *tx) run(ctx context.Context, query string, args []any) (sql.Result, error) {
	if prepared := t.stmt(ctx, query); prepared != nil {
		return prepared.ExecContext(ctx, args...)
	}
	return t.sql.ExecContext(ctx, query, args...)
}

func (t *tx) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if prepared := t.stmt(ctx, query); prepared != nil {
		return prepared.QueryContext(ctx, args...)
	}
	return t.sql.QueryContext(ctx, query, args...)
}

// prepareRest prepares what this transaction ran as text. It is a convenience for the next ones: it does not wait long,
// and its failure is nobody's.
func (t *tx) prepareRest(ctx context.Context) {
	if len(t.unprepared) == 0 {
		return
	}
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	for _, query := range t.unprepared {
		if _, err := t.store.prepared.prepare(short, query); err != nil {
			return
		}
	}
}
