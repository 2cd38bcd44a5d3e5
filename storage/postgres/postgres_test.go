package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage/postgres"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestContract(t *testing.T) { storagetest.Run(t, storagetest.Postgres) }

func TestMigrations(t *testing.T) {
	dsn := storagetest.EmptyPostgresDSN(t)
	storagetest.RunMigrations(t, func(t testing.TB) *postgres.Store { return open(t, dsn) },
		func(t testing.TB, statement string, args ...any) {
			storagetest.ExecPostgres(t, dsn, statement, args...)
		})
}

func TestUpgradeKeepsTheRowsOfTheFirstRelease(t *testing.T) {
	dsn := storagetest.EmptyPostgresDSN(t)
	storagetest.RunUpgrade(t, func(t testing.TB) *postgres.Store { return open(t, dsn) },
		func(t testing.TB, statement string, args ...any) {
			storagetest.ExecPostgres(t, dsn, statement, args...)
		})
}

func TestREL10_TheReleaseBeforeWorksBesideThisOne(t *testing.T) {
	dsn := storagetest.EmptyPostgresDSN(t)
	storagetest.RunSideBySide(t, func(t testing.TB) *postgres.Store { return open(t, dsn) },
		func(t testing.TB, statement string, args ...any) {
			storagetest.ExecPostgres(t, dsn, statement, args...)
		})
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	for name, dsn := range map[string]string{
		"no DSN":    "postgres://[",
		"no server": "host=/nonexistent dbname=x",
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := postgres.Open(context.Background(), postgres.Config{DSN: dsn}); err == nil {
				s.Close()
				t.Error("opened")
			}
		})
	}
}

// TestBehindAPooler works through PgBouncer, which refuses settings that it does not know when they come with the connecting:
// a transaction has what its statements are written for, and another node is heard.
func TestBehindAPooler(t *testing.T) {
	dsn := storagetest.Pooled(t)
	s := open(t, dsn)
	now := time.Now()
	err := s.InTx(t.Context(), func(ctx context.Context) error {
		_, err := s.AcquireLease(ctx, "pooled", "test", now, now.Add(time.Minute))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	leases, err := s.Leases(t.Context())
	if err != nil || len(leases) != 1 {
		t.Errorf("%v %v, want one lease", leases, err)
	}
}

// TestConnectionsAreSetUp has every connection of the pool with the settings that statements rely on, whatever the server's
// defaults, and leaves to the DSN what it names.
func TestConnectionsAreSetUp(t *testing.T) {
	dsn := storagetest.PostgresDSN(t)
	for _, c := range []struct{ dsn, name, want string }{
		{dsn, "default_transaction_isolation", "read committed"},
		{dsn, "lock_timeout", "5s"},
		{dsn, "idle_in_transaction_session_timeout", "1min"},
		{dsn, "plan_cache_mode", "force_generic_plan"},
		{dsn, "jit", "off"},
		{dsn, "application_name", "parola"},
		{dsn + " lock_timeout=7000", "lock_timeout", "7s"},
		{dsn + " plan_cache_mode=auto", "plan_cache_mode", "auto"},
	} {
		if got := postgres.Setting(t, c.dsn, c.name); got != c.want {
			t.Errorf("%s is %q, want %q", c.name, got, c.want)
		}
	}
}

func BenchmarkStore(b *testing.B) { storagetest.Benchmark(b, open(b, storagetest.PostgresDSN(b))) }

func open(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), postgres.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
