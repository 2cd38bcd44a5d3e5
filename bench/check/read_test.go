package check_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/bench/check"
	"github.com/parola-id/parola/storage/sqlite"
	"github.com/parola-id/parola/storage/storagetest"
)

// rows are a token of a grant of a client, as the provider writes them, and an event that waits.
const rows = `INSERT INTO clients (id, record) VALUES ('c', '{}');
INSERT INTO grants (id, client_id, person_id, session_id, auth_request_id, correlation_id, scopes, audience, login, form, auth_code_hash,
	created_at, revoke_reason, offline) VALUES ('g', 'c', '', '', '', '', '[]', '[]', '{}', '', '', 1, '', false);
INSERT INTO tokens (hash, kind, grant_id, client_id, jti, scopes, audience, issued_at, expires_at) VALUES ('t', 'access', 'g', 'c', 'j', '[]', '[]', 1, 2);
INSERT INTO event_queue (id, record) VALUES ('e', '{"id": "e", "kind": "oauth.token.issued", "grant_id": "g"}')`

// databases are where the checker reads: how a token loses its grant there, and what is then found.
var databases = map[string]struct {
	open   func(t *testing.T) (driver, source string)
	driver string
	orphan string
	want   string
}{
	"sqlite": {sqliteFile, "sqlite", "PRAGMA foreign_keys = 0; DELETE FROM grants", "of tokens leads to nothing in grants"},
	"postgres": {func(t *testing.T) (string, string) { return "postgres", storagetest.PostgresDSN(t) }, "pgx",
		"SET session_replication_role = replica; DELETE FROM grants", "tokens leads to nothing in grants: 1 rows"},
}

func sqliteFile(t *testing.T) (driver, source string) {
	source = filepath.Join(t.TempDir(), "parola.db")
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: source, Synchronous: "OFF"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return "sqlite", source
}

func TestADatabaseIsReadWithWhatIsWrongInIt(t *testing.T) {
	for name, d := range databases {
		t.Run(name, func(t *testing.T) {
			driver, source := d.open(t)
			db, err := sql.Open(d.driver, source)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			exec := func(text string) {
				for statement := range strings.SplitSeq(text, ";") {
					if _, err := db.ExecContext(t.Context(), statement); err != nil {
						t.Fatalf("%s: %v", statement, err)
					}
				}
			}
			exec(rows)
			if found := examine(t, driver, source).AtOnce(); len(found) > 0 {
				t.Errorf("a sound database: found %q", found)
			}
			exec("DELETE FROM event_queue")
			if found := examine(t, driver, source).AtOnce(); len(found) != 1 || found[0].Invariant != "what succeeded is in the log" {
				t.Errorf("a token without its event: found %q", found)
			}
			exec(d.orphan)
			damage := examine(t, driver, source).Damage
			if !slices.ContainsFunc(damage, func(s string) bool { return strings.Contains(s, d.want) }) {
				t.Errorf("a token without its grant: found %q", damage)
			}
		})
	}
}

func examine(t *testing.T, driver, source string) *check.Record {
	t.Helper()
	db, err := check.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Damage, err = db.Damage(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}
