// Package storagetest is the contract that every storage.Store keeps, and fresh databases for the tests of other rooms:
// New gives one on SQLite, Each runs a test on SQLite and on PostgreSQL.
package storagetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/sqlite"
)

// New returns a store on a fresh, migrated SQLite file that is gone when the test ends.
func New(t testing.TB) storage.Store {
	t.Helper()
	return OpenSQLite(t, SQLiteFile(t), nil)
}

// OpenSQLite opens a store on a file that SQLiteFile gave; observe may be nil. Two stores on one file are two nodes.
func OpenSQLite(t testing.TB, path string, observe func(op string)) storage.Store {
	t.Helper()
	store, err := sqlite.Open(context.Background(), sqlite.Config{
		Path: path, Synchronous: "OFF", Wait: 2 * time.Second, Observe: observe,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// SQLiteFile returns the path of a fresh, migrated SQLite file: a copy of one that is made once per test binary.
func SQLiteFile(t testing.TB) string {
	t.Helper()
	content, err := template()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "parola.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "parola-template-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	ctx := context.Background()
	store, err := sqlite.Open(ctx, sqlite.Config{Path: path, Synchronous: "OFF"})
	if err != nil {
		return nil, err
	}
	if _, err := store.Migrate(ctx); err != nil {
		store.Close()
		return nil, err
	}
	// The last connection to close brings the WAL home: the file alone is the database.
	if err := store.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
