package e2e_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/storage/postgres"
	"github.com/parola-id/parola/storage/sqlite"
	"github.com/parola-id/parola/storage/storagetest"
)

// TestREL10_NodesThatStartAtOnceMigrateOnce starts several processes at the same moment on an empty database, and on one of
// the release before with rows in it.
func TestREL10_NodesThatStartAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{})
	const nodes = 3
	start := func(t *testing.T, settings ...string) {
		t.Helper()
		port := harness.Ports(t, nodes)
		var processes []*harness.Process
		for i := range nodes {
			processes = append(processes, harness.Start(t, append(slices.Clone(settings), "PAROLA_SERVER_LISTEN="+harness.Loopback(port+i)),
				harness.Program(t, "cmd/parola"), "--config", in.ConfigFile, "serve"))
		}
		for _, p := range processes {
			if line := p.FirstLine(t); !strings.Contains(line, "serves") {
				t.Errorf("a node did not start: %s", p.Output())
			}
		}
		for _, p := range processes {
			p.Kill()
		}
	}
	// applied holds the database to every step being noted once, and the last one being there.
	applied := func(t *testing.T, s *sqlite.Store, exec func(t testing.TB, statement string, args ...any)) {
		t.Helper()
		exec(t, `CREATE UNIQUE INDEX each_once ON goose_db_version (version_id)`)
		if err := s.CheckSchema(context.Background()); err != nil {
			t.Error(err)
		}
	}
	for name, seed := range map[string]func(testing.TB, *sqlite.Store, func(testing.TB, string, ...any)){
		"an empty database":                   func(testing.TB, *sqlite.Store, func(testing.TB, string, ...any)) {},
		"a database of the release before it": storagetest.FormerRelease,
	} {
		t.Run(name+", sqlite", func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "parola.db")
			exec := func(t testing.TB, statement string, args ...any) { storagetest.ExecSQLite(t, path, statement, args...) }
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			seed(t, s, exec)
			start(t, "PAROLA_DATABASE_PATH="+path)
			applied(t, s, exec)
		})
		t.Run(name+", postgres", func(t *testing.T) {
			t.Parallel()
			dsn := storagetest.EmptyPostgresDSN(t)
			exec := func(t testing.TB, statement string, args ...any) {
				storagetest.ExecPostgres(t, dsn, statement, args...)
			}
			s, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			seed(t, s, exec)
			start(t, "PAROLA_DATABASE_DRIVER=postgres", "PAROLA_DATABASE_DSN="+dsn)
			applied(t, s, exec)
		})
	}
}
