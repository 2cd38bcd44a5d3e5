package postgres_test

import (
	"context"
	"testing"

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
