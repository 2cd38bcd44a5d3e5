package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/storage/storagetest"
)

// fault is what happens to a database while a provider uses it.
type fault struct {
	// reads says that what only reads goes on meanwhile.
	reads      bool
	down, back func(t *testing.T, s *survival)
}

// tablesGone is a SQLite file from which tables are missing: its provider has the file open and would not notice if it were
// moved.
var tablesGone = fault{
	down: func(t *testing.T, s *survival) { s.sqlite(t, renamed("", "_gone")...) },
	back: func(t *testing.T, s *survival) { s.sqlite(t, renamed("_gone", "")...) },
}

func renamed(from, to string) (statements []string) {
	for _, table := range []string{"clients", "auth_requests", "sessions", "persons", "phones", "challenges", "deliveries", "grants", "tokens", "buckets", "failures"} {
		statements = append(statements, "ALTER TABLE "+table+from+" RENAME TO "+table+to)
	}
	return statements
}

// logFull is a log that takes no more events, while everything else can be written.
var logFull = fault{reads: true,
	down: func(t *testing.T, s *survival) {
		s.sqlite(t, "CREATE TRIGGER log_full BEFORE INSERT ON event_queue BEGIN SELECT RAISE(ABORT, 'the log is full'); END")
	},
	back: func(t *testing.T, s *survival) { s.sqlite(t, "DROP TRIGGER log_full") },
}

// limitsGone is a limit store that fails on its own (DOS-06).
var limitsGone = fault{
	down: func(t *testing.T, s *survival) {
		s.sqlite(t, "ALTER TABLE buckets RENAME TO buckets_gone", "ALTER TABLE failures RENAME TO failures_gone")
	},
	back: func(t *testing.T, s *survival) {
		s.sqlite(t, "ALTER TABLE buckets_gone RENAME TO buckets", "ALTER TABLE failures_gone RENAME TO failures")
	},
}

// diskFull has every file of the provider's process end after a kilobyte: the file of the database and its log are longer.
var diskFull = fault{reads: true,
	down: func(t *testing.T, s *survival) { fileSize(t, s.process.PID(), "1024") },
	back: func(t *testing.T, s *survival) { fileSize(t, s.process.PID(), "unlimited") },
}

// fileSize sets how long the files may be that a process writes (RLIMIT_FSIZE).
func fileSize(t *testing.T, pid int, limit string) {
	t.Helper()
	command := exec.Command("prlimit", "--pid", strconv.Itoa(pid), "--fsize="+limit+":")
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	must(t, err)
	if owner := info.Sys().(*syscall.Stat_t); int(owner.Uid) != os.Geteuid() { // PostgreSQL does not run as root
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("limit the files of process %d: %v: %s", pid, err, out)
	}
}

func (s *survival) sqlite(t *testing.T, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.Config.Database.Path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// lineCut is a network that refuses, lineSilent one that swallows packets: nobody is told anything (a partition).
func lineCut(w *wire) fault {
	return fault{down: func(*testing.T, *survival) { w.cut() }, back: func(*testing.T, *survival) { w.mend() }}
}

func lineSilent(w *wire) fault {
	return fault{down: func(*testing.T, *survival) { w.hush() }, back: func(*testing.T, *survival) { w.speak() }}
}

// serverStopped is PostgreSQL ended with a signal: SIGINT lets it write everything down first, SIGQUIT is a crash.
func serverStopped(c *storagetest.Cluster, how os.Signal) fault {
	return fault{
		down: func(t *testing.T, _ *survival) { must(t, c.Stop(how)) },
		back: func(t *testing.T, _ *survival) { must(t, c.Start()) },
	}
}

// readOnly is a PostgreSQL that takes no writes, as a standby.
func readOnly(c *storagetest.Cluster) fault {
	set := func(value string) func(t *testing.T, _ *survival) {
		return func(t *testing.T, _ *survival) {
			storagetest.ExecPostgres(t, c.DSN, "ALTER SYSTEM SET default_transaction_read_only = "+value)
			storagetest.ExecPostgres(t, c.DSN, "SELECT pg_reload_conf()")
			harness.Eventually(t, 5*time.Second, "PostgreSQL reads its settings", func() bool { return setting(t, c.DSN) == value })
			time.Sleep(200 * time.Millisecond) // the processes of other connections are told at the same time, and by themselves
		}
	}
	return fault{reads: true, down: set("on"), back: set("off")}
}

func setting(t *testing.T, dsn string) (value string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer conn.Close(ctx)
	must(t, conn.QueryRow(ctx, "SHOW default_transaction_read_only").Scan(&value))
	return value
}

// tablesFull has PostgreSQL say, at every new event, that there is no more room. A table that is really full is no help: its pages
// have room left that only some connections know of.
func tablesFull() fault {
	exec := func(t *testing.T, s *survival, statements ...string) {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, s.Config.Database.DSN.Reveal())
		must(t, err)
		defer conn.Close(ctx)
		for _, statement := range statements {
			_, err = conn.Exec(ctx, statement)
			must(t, err)
		}
	}
	return fault{reads: true,
		down: func(t *testing.T, s *survival) {
			exec(t, s, `CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`,
				`CREATE TRIGGER no_room BEFORE INSERT ON event_queue FOR EACH STATEMENT EXECUTE FUNCTION no_room()`)
		},
		back: func(t *testing.T, s *survival) {
			exec(t, s, `DROP TRIGGER no_room ON event_queue`, `DROP FUNCTION no_room()`)
		},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ownCluster is a PostgreSQL server that only this test uses: it may be stopped. No vacuum makes room in what was filled.
func ownCluster(t *testing.T) *storagetest.Cluster {
	t.Helper()
	c, err := storagetest.StartCluster("fsync=off", "autovacuum=off", "max_connections=60", "shared_buffers=32MB")
	if err != nil && strings.Contains(err.Error(), "initdb") {
		storagetest.SkipLoudly(t, "PostgreSQL IS NOT STOPPED: "+err.Error(), "install it")
	}
	must(t, err)
	t.Cleanup(func() { _ = c.Close() }) // killed in the middle of it, it has nothing to say
	return c
}
