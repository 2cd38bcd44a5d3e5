package e2e_test

import (
	"context"
	"testing"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/postgres"
	"github.com/parola-id/parola/storage/sqlite"
	"github.com/parola-id/parola/storage/storagetest"
)

// databases are where tests of both run: a DSN for PostgreSQL, none for SQLite.
var databases = map[string]func(testing.TB) string{
	"sqlite":   func(testing.TB) string { return "" },
	"postgres": postgresDSN,
}

// postgresDSN is a fresh, migrated PostgreSQL database; without PostgreSQL the test is skipped.
func postgresDSN(t testing.TB) string {
	t.Helper()
	return storagetest.PostgresDSN(t)
}

// onEach runs a test on both databases, at the same time.
func onEach(t *testing.T, run func(t *testing.T, dsn string)) {
	for name, dsn := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, dsn(t))
		})
	}
}

// open opens the database of an installation beside its provider, to look at what no page shows.
func open(t testing.TB, in *harness.Installation) storage.Store {
	t.Helper()
	var store storage.Store
	var err error
	if d := in.Config.Database; d.Driver == "postgres" {
		store, err = postgres.Open(context.Background(), postgres.Config{DSN: d.DSN.Reveal(), Connections: 2})
	} else {
		store, err = sqlite.Open(context.Background(), sqlite.Config{Path: d.Path, Synchronous: "OFF"})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// events are those of a kind, or with a trailing dot of a family of kinds.
func events(t testing.TB, s storage.Store, kind string) []storage.Event {
	t.Helper()
	found, err := s.ListEvents(context.Background(), storage.EventFilter{Kind: kind, Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
