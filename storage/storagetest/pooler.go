package storagetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Pooled returns the DSN of a fresh, migrated PostgreSQL database behind a PgBouncer that pools by session, with nothing else
// set. Where there is no PgBouncer the test is skipped, loudly; under PAROLA_CI it fails.
func Pooled(t testing.TB) string {
	t.Helper()
	direct := PostgresDSN(t)
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // not in the path of ordinary users
	}
	if _, err := os.Stat(program); err != nil {
		SkipLoudly(t, "PGBOUNCER IS NOT TESTED: there is none in the path or /usr/sbin", "install it")
	}
	server, err := pgx.ParseConfig(direct)
	if err != nil {
		t.Fatal(err)
	}
	// Not the test's own directory: PgBouncer refuses to run as root and its user must get there.
	dir, err := os.MkdirTemp("/tmp", "parola-pool-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	settings := fmt.Sprintf("[databases]\n* = host=%s port=%d user=%s\n[pgbouncer]\npool_mode = session\nauth_type = any\nlisten_port = 6432\n"+
		"unix_socket_dir = %s\n", server.Host, server.Port, server.User, dir)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(program, file)
	run.Dir = dir
	if err := asPostgres(dir, run); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	run.Stdout, run.Stderr = log, log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait()
	})
	dsn := fmt.Sprintf("host=%s port=6432 user=%s dbname=%s sslmode=disable", dir, server.User, server.Database)
	if err := waitForServer(dsn, log.Name()); err != nil {
		t.Fatal(err)
	}
	return dsn
}
