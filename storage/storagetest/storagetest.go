// Package storagetest is the contract that every storage.Store keeps, and fresh databases for the tests of other rooms:
// New gives one on SQLite, Each runs a test on SQLite and on PostgreSQL, Run is the whole contract.
package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/postgres"
	"github.com/parola-id/parola/storage/sqlite"
)

// Options are what a test may want different in a store.
type Options struct {
	// Observe hears of statements (select, insert, update, delete) and commits.
	Observe func(op string)
	// Wait bounds the wait for a connection or a lock; 5 s when zero.
	Wait time.Duration
}

// Database is a fresh, migrated database that is gone when the test ends. Each Open is another node on it.
type Database struct {
	Open func(t testing.TB, o Options) storage.Store
	// Exec runs a statement behind the stores' back, as somebody with access to the database might.
	Exec func(t testing.TB, statement string, args ...any)
}

// New returns a store on a fresh SQLite file.
func New(t testing.TB) storage.Store {
	t.Helper()
	return SQLite(t).Open(t, Options{})
}

// Each runs a test on SQLite and on PostgreSQL, with a fresh database each.
func Each(t *testing.T, run func(t *testing.T, s storage.Store)) {
	t.Run("sqlite", func(t *testing.T) { run(t, New(t)) })
	t.Run("postgres", func(t *testing.T) { run(t, Postgres(t).Open(t, Options{})) })
}

// EachDatabase is Each for a test that needs several nodes or the database itself.
func EachDatabase(t *testing.T, run func(t *testing.T, db Database)) {
	t.Run("sqlite", func(t *testing.T) { run(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { run(t, Postgres(t)) })
}

// SQLite returns a fresh SQLite database.
func SQLite(t testing.TB) Database {
	t.Helper()
	path := SQLiteFile(t)
	open := func(t testing.TB, o Options) storage.Store {
		t.Helper()
		// OFF: what these tests are about does not survive a power cut anyway.
		store, err := sqlite.Open(context.Background(), sqlite.Config{
			Path: path, Synchronous: "OFF", Wait: o.Wait, Observe: o.Observe,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	return Database{Open: open, Exec: func(t testing.TB, statement string, args ...any) {
		t.Helper()
		ExecSQLite(t, path, statement, args...)
	}}
}

// Postgres returns a fresh PostgreSQL database; see PostgresDSN.
func Postgres(t testing.TB) Database {
	t.Helper()
	dsn := PostgresDSN(t)
	open := func(t testing.TB, o Options) storage.Store {
		t.Helper()
		store, err := postgres.Open(context.Background(), postgres.Config{DSN: dsn, Wait: o.Wait, Observe: o.Observe})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	return Database{Open: open, Exec: func(t testing.TB, statement string, args ...any) {
		t.Helper()
		ExecPostgres(t, dsn, statement, args...)
	}}
}
