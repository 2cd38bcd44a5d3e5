package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

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
	// alive ends the private server when it is closed; the collector would close it, were it not kept here.
	alive io.Closer
}

var postgresServer = sync.OnceValues(func() (*server, error) {
	s := new(server)
	dsn := os.Getenv("PAROLA_TEST_POSTGRES")
	own := dsn == ""
	var err error
	if own {
		if dsn, s.alive, err = startCluster(); err != nil {
			return nil, err
		}
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

// keeper runs the server until its standard input ends, which is when the test binary is gone, however it went; then it
// stops the server and removes the directory.
const keeper = `trap '' INT TERM HUP
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
	-c deadlock_timeout=100ms -c max_connections=200 -c shared_buffers=64MB >"$2/log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT $server
wait $server
rm -rf "$2"`

// startCluster makes a private PostgreSQL cluster that listens on a Unix socket alone, and returns its DSN.
func startCluster() (dsn string, alive io.Closer, err error) {
	bin, err := postgresBin()
	if err != nil {
		return "", nil, err
	}
	// Not the test's own directory: PostgreSQL refuses to run as root and its user must get there.
	dir, err := os.MkdirTemp("/tmp", "parola-pg-")
	if err != nil {
		return "", nil, err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "--auth=trust",
		"--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	run := exec.Command("/bin/sh", "-c", keeper, "sh", bin, dir)
	initdb.Dir, run.Dir = dir, dir
	if err := asPostgres(dir, initdb, run); err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	// The write end stays open as long as this process lives; nobody ever writes.
	if alive, err = run.StdinPipe(); err != nil {
		return "", nil, err
	}
	if err := run.Start(); err != nil {
		return "", nil, err
	}
	dsn = fmt.Sprintf("host=%s user=postgres dbname=postgres sslmode=disable", dir)
	return dsn, alive, waitForServer(dsn, filepath.Join(dir, "log"))
}

func waitForServer(dsn, log string) error {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			said, _ := os.ReadFile(log)
			return fmt.Errorf("%w; the server said: %s", err, said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// postgresBin is the directory with initdb and postgres of the newest version at hand.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errNoPostgres
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}
