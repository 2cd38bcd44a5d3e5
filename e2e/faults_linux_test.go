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

// tablesFull lets no file of PostgreSQL grow beyond a segment of its own log, and fills the table of new events up to that.
func tablesFull(c *storagetest.Cluster) fault {
	limit := func(t *testing.T, s *survival, limit string) {
		pid, err := c.PID()
		must(t, err)
		for _, pid := range append(backends(t, s.Config.Database.DSN.Reveal()), pid) {
			fileSize(t, pid, limit)
		}
	}
	return fault{reads: true,
		down: func(t *testing.T, s *survival) {
			limit(t, s, strconv.Itoa(segment))
			// Rows of a transaction that fails take their place all the same, until they are vacuumed away.
			for _, size := range []int{1000, 10} {
				fill(t, s.Config.Database.DSN.Reveal(), size)
			}
		},
		back: func(t *testing.T, s *survival) { limit(t, s, "unlimited") },
	}
}

// segment is the length of a segment of PostgreSQL's log.
const segment = 16 << 20

// fill inserts events until there is no more room.
func fill(t *testing.T, dsn string, size int) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, fmt.Sprintf("INSERT INTO event_queue SELECT 'filler' || n, repeat('x', %d) FROM generate_series(1, 1000000) n", size))
	if err == nil || !strings.Contains(err.Error(), "could not extend file") {
		t.Fatalf("fill the table of new events: %v", err)
	}
}

// backends are the processes that serve connections to a database.
func backends(t *testing.T, dsn string) (pids []int) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	must(t, err)
	pids, err = pgx.CollectRows(rows, pgx.RowTo[int])
	must(t, err)
	return pids
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
