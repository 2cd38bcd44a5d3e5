package postgres

import (
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Setting is what a setting is on a connection as Open makes them.
func Setting(t *testing.T, dsn, name string) (value string) {
	t.Helper()
	settings, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(newConnector(settings, 5*time.Second))
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SHOW "+name).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}
