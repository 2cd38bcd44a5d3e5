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
	t, release, err := s.begin(ctx)
	if err != nil {
		return s.dialect.Classify(err) == Retry, err
	}
	defer release()
	finished := false
	defer func() {
		if !finished { // fn panicked, or ended its goroutine
			t.over.Store(true)
			t.sql.Rollback()
		}
	}()
	inside := context.WithValue(ctx, txKey{s}, t)
	if err = fn(inside); err == nil && t.failed == nil {
		err = s.writeLast(inside)
	}
	finished = true
	t.over.Store(true)
	if err == nil {
		err = ctx.Err() // nobody waits for the answer any more
	}
	if err == nil && t.failed != nil {
		err = fmt.Errorf("commit: a statement failed before: %w", t.failed)
	}
	if err != nil {
		t.sql.Rollback() // its own error adds nothing: the connection is discarded when it is broken
		return s.dialect.Classify(err) == Retry || t.failed != nil && s.dialect.Classify(t.failed) == Retry, err
	}
	s.observe("commit")
	if err := t.sql.Commit(); err != nil {
		return s.dialect.Classify(err) == Retry, fmt.Errorf("commit: %w", s.translate(err))
	}
	release()
	s.committed()
	for _, hook := range t.hooks {
		hook()
	}
	t.prepareRest(ctx)
	return false, nil
}

// begin waits a bounded time for a connection and begins a transaction on it. release gives the connection back and may
// be called twice.
func (s *Store) begin(ctx context.Context) (t *tx, release func(), err error) {
	waiting, stop := context.WithTimeout(ctx, s.wait)
	defer stop()
	conn, err := s.writer.Conn(waiting)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return nil, nil, fmt.Errorf("begin transaction: no connection came free in %s; was InTx called inside another "+
				"transaction with the context from outside it? %w", s.wait, err)
		}
		return nil, nil, fmt.Errorf("begin transaction: %w", err)
	}
	release = func() { conn.Close() } // a second Close does nothing but say so
	steady, err := s.steady(ctx)
	if err != nil {
		release()
		return nil, nil, fmt.Errorf("begin transaction: %w", err)
	}
	begun, err := conn.BeginTx(steady, nil)
	if err != nil {
		release()
		return nil, nil, fmt.Errorf("begin transaction: %w", err)
	}
	return &tx{store: s, conn: conn, sql: begun}, release, nil
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
