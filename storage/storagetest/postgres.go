package storagetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/postgres"
)

// PostgresDSN returns the DSN of a fresh, migrated PostgreSQL database. The server is the one that PAROLA_TEST_POSTGRES
// names (a DSN whose user may create databases), or a private one that this test binary starts when it first needs it.
// Where there is no PostgreSQL the test is skipped, loudly; under PAROLA_CI it fails.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	return postgresDatabase(t, true)
}

// EmptyPostgresDSN is PostgresDSN without a schema.
func EmptyPostgresDSN(t testing.TB) string {
	t.Helper()
	return postgresDatabase(t, false)
}

func postgresDatabase(t testing.TB, migrated bool) string {
	t.Helper()
	server, err := postgresServer()
	if errors.Is(err, errNoPostgres) {
		SkipLoudly(t, "PostgreSQL IS NOT TESTED: "+err.Error(), "install it, or name a server in PAROLA_TEST_POSTGRES")
	}
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	name := "parola_test_" + storage.NewID()
	create := "CREATE DATABASE " + name
	if migrated && server.template != "" {
		create += " TEMPLATE " + server.template
	}
	ctx := context.Background()
	if err := server.exec(ctx, create); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	if migrated && server.template == "" {
		if err := migratePostgres(ctx, server.dsn(name)); err != nil {
			t.Fatal(err)
		}
	}
	return server.dsn(name)
}

var errNoPostgres = errors.New("no initdb in PATH or /usr/lib/postgresql")

// server is a PostgreSQL server.
type server struct {
	settings *pgx.ConnConfig
	// template is a migrated database to copy. A server that is not ours has none: nobody would remove it.
	template string
	// own is the private server; the collector would end it, were it not kept here.
	own *Cluster
}

var postgresServer = sync.OnceValues(func() (*server, error) {
	s := new(server)
	dsn := os.Getenv("PAROLA_TEST_POSTGRES")
	own := dsn == ""
	var err error
	if own {
		if s.own, err = StartCluster(forgetful...); err != nil {
			return nil, err
		}
		dsn = s.own.DSN
	}
	if s.settings, err = pgx.ParseConfig(dsn); err != nil || !own {
		return s, err
	}
	s.template = "parola_template"
	ctx := context.Background()
	if err := s.exec(ctx, "CREATE DATABASE "+s.template); err != nil {
		return nil, err
	}
	return s, migratePostgres(ctx, s.dsn(s.template))
})

// migratePostgres leaves no connection behind: a database is copied only while nobody is connected to it.
func migratePostgres(ctx context.Context, dsn string) error {
	store, err := postgres.Open(ctx, postgres.Config{DSN: dsn})
	if err != nil {
		return err
	}
	defer store.Close()
	_, err = store.Migrate(ctx)
	return err
}

func (s *server) exec(ctx context.Context, statement string) error {
	conn, err := pgx.ConnectConfig(ctx, s.settings)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func (s *server) dsn(database string) string {
	c := s.settings
	dsn := fmt.Sprintf("host='%s' port=%d user='%s' dbname='%s'", c.Host, c.Port, c.User, database)
	if c.Password != "" {
		dsn += fmt.Sprintf(" password='%s'", c.Password)
	}
	if c.TLSConfig == nil {
		dsn += " sslmode=disable"
	}
	return dsn
}

// ExecPostgres runs a statement on a database.
func ExecPostgres(t testing.TB, dsn, statement string, args ...any) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement, args...); err != nil {
		t.Fatal(err)
	}
}
