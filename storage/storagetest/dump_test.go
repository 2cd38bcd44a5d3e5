package storagetest

import (
	"database/sql"
	"io"
	"slices"
	"testing"

	"github.com/parola-id/parola/storage/internal/sqlstore"
	"github.com/parola-id/parola/storage/sqlite"
)

func TestDumpAndLoad(t *testing.T) {
	kinds := map[string]func(t testing.TB) Database{"sqlite": SQLite, "postgres": Postgres}
	for from := range kinds {
		for to := range kinds {
			t.Run("from "+from+" to "+to, func(t *testing.T) {
				db := kinds[from](t)
				RunDump(t, db.Open(t, Options{}).(*sqlite.Store), db.Exec, func(t testing.TB) *sqlite.Store {
					return kinds[to](t).Open(t, Options{}).(*sqlite.Store)
				})
			})
		}
	}
}

func TestEveryTableIsDumped(t *testing.T) {
	path := SQLiteFile(t)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var have []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		have = append(have, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	counts, err := store.Dump(t.Context(), io.Discard, sqlstore.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	dumped := []string{"goose_db_version", "leases"} // the schema's own, and who works where
	for _, c := range counts {
		dumped = append(dumped, c.Table)
	}
	slices.Sort(have)
	slices.Sort(dumped)
	same(t, dumped, have)
}
