package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/parola-id/parola/storage/sqlite"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestContract(t *testing.T) { storagetest.Run(t, storagetest.SQLite) }

func TestMigrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a new % file?.db")
	storagetest.RunMigrations(t, func(t testing.TB) *sqlite.Store { return open(t, path) },
		func(t testing.TB, statement string, args ...any) { storagetest.ExecSQLite(t, path, statement, args...) })
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want mode 0600", info.Mode(), err)
	}
}

func TestUpgradeKeepsTheRowsOfTheFirstRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	storagetest.RunUpgrade(t, func(t testing.TB) *sqlite.Store { return open(t, path) },
		func(t testing.TB, statement string, args ...any) { storagetest.ExecSQLite(t, path, statement, args...) })
}

func TestREL10_TheReleaseBeforeWorksBesideThisOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "both.db")
	storagetest.RunSideBySide(t, func(t testing.TB) *sqlite.Store { return open(t, path) },
		func(t testing.TB, statement string, args ...any) { storagetest.ExecSQLite(t, path, statement, args...) })
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	for name, c := range map[string]sqlite.Config{
		"no path":               {},
		"a database in memory":  {Path: ":memory:"},
		"an unknown durability": {Path: filepath.Join(t.TempDir(), "x.db"), Synchronous: "MAYBE"},
		"a missing directory":   {Path: filepath.Join(t.TempDir(), "none", "x.db")},
		"a file that is no database": {Path: func() string {
			path := filepath.Join(t.TempDir(), "text.db")
			os.WriteFile(path, []byte("these are just some words, and many of them, but no database at all"), 0o600)
			return path
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := sqlite.Open(context.Background(), c); err == nil {
				s.Close()
				t.Error("opened")
			}
		})
	}
}

func BenchmarkStore(b *testing.B) { storagetest.Benchmark(b, open(b, storagetest.SQLiteFile(b))) }

// open opens a file as production does.
func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
