package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// size is how many rows a database holds of what grows with its use.
type size struct {
	Users    int64 `json:"users"`
	Events   int64 `json:"events"`
	Sessions int64 `json:"open_sessions"`
}

// seeder puts rows into a database that no server has open, as one text for both databases: the rows are made where they are
// stored. They have the widths and the spread of real ones; what is sealed or hashed in them is noise, which nobody reads,
// because nobody signs in as these people.
type seeder struct {
	db      *sql.DB
	dialect seedDialect
	// now, in milliseconds, is when the newest rows are from.
	now int64
	// noise stands for sealed values and hashes.
	noise []byte
}

// seedDialect is where the databases differ.
type seedDialect struct {
	driver string
	// begin and end surround the work: quick and careless in between, whole and orderly after it.
	begin, end []string
	// indexes lists those of a table that are not constraints, as statements.
	indexes string
}

var seedDialects = map[string]seedDialect{
	"sqlite": {driver: "sqlite",
		begin:   []string{"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -524288"},
		end:     []string{"PRAGMA journal_mode = WAL"},
		indexes: `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL ORDER BY name`},
	"postgres": {driver: "pgx",
		// Roles of replication skip the triggers that check foreign keys.
		begin: []string{"SET session_replication_role = replica", "SET synchronous_commit = off", "SET maintenance_work_mem = '512MB'"},
		end:   []string{"VACUUM ANALYZE", "CHECKPOINT"},
		indexes: `SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.schemaname = current_schema() AND i.tablename = $1
			AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname) ORDER BY i.indexname`},
}

// grow adds rows to a database until there are as many as want says; it has so many.
func grow(ctx context.Context, database, source string, has, want size) error {
	s, err := openSeeder(database, source)
	if err != nil {
		return err
	}
	defer s.db.Close()
	return s.grow(ctx, has, want)
}

func openSeeder(database, source string) (*seeder, error) {
	d := seedDialects[database]
	db, err := sql.Open(d.driver, source)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // settings belong to a connection
	s := &seeder{db: db, dialect: d, now: time.Now().UnixMilli(), noise: make([]byte, 64)}
	rand.Read(s.noise)
	return s, nil
}

func (s *seeder) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (s *seeder) grow(ctx context.Context, has, want size) error {
	if err := s.exec(ctx, s.dialect.begin...); err != nil {
		return err
	}
	for _, step := range []struct {
		table     string
		has, want int64
		row       []string
	}{
		{"persons", has.Users, want.Users, personRow},
		{"passwords", has.Users, want.Users, passwordRow},
		{"phones", has.Users, want.Users, phoneRow},
		{"sessions", has.Sessions, want.Sessions, sessionRow},
		{"grants", has.Sessions, want.Sessions, grantRow},
		{"tokens", has.Sessions * 2, want.Sessions * 2, tokenRow},
		{"events", has.Events, want.Events, eventRow},
	} {
		if err := s.table(ctx, step.table, step.has, step.want, want.Users, step.row); err != nil {
			return fmt.Errorf("seed %s: %w", step.table, err)
		}
	}
	// The ledger has counted them: nobody wants to wait until it has.
	if err := s.exec(ctx, `INSERT INTO cursors (name, position) SELECT 'ledger', MAX(sequence) FROM events WHERE true
		ON CONFLICT (name) DO UPDATE SET position = excluded.position`); err != nil {
		return err
	}
	return s.exec(ctx, s.dialect.end...)
}

// table adds the rows after the ones it has. The indexes are made anew afterwards, which takes a part of the time of filling them row
// by row in no order.
func (s *seeder) table(ctx context.Context, table string, has, want, users int64, row []string) error {
	if want <= has {
		return nil
	}
	var sequence int64 // of the chain, which goes on after what it holds
	if err := s.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(sequence), 0) FROM events").Scan(&sequence); err != nil {
		return err
	}
	list, err := s.indexes(ctx, table)
	if err != nil {
		return err
	}
	for _, x := range list {
		if err := s.exec(ctx, "DROP INDEX "+x.name); err != nil {
			return err
		}
	}
	columns, values := make([]string, len(row)), make([]string, len(row))
	for i, c := range row {
		columns[i], values[i], _ = strings.Cut(c, "=")
	}
	insert := fmt.Sprintf(`INSERT INTO %s (%s) WITH RECURSIVE s(n) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT n + 1 FROM s WHERE n < $2)
		SELECT %s FROM s`, table, strings.Join(columns, ", "), strings.Join(values, ", "))
	insert = strings.NewReplacer("{now}", fmt.Sprint(s.now), "{users}", fmt.Sprint(users), "{sequence}", fmt.Sprint(sequence-has),
		"{noise}", "$3", "{text}", "'"+strings.Repeat("x", 80)+"'").Replace(insert)
	const atOnce = 100_000
	for first := has + 1; first <= want; first += atOnce {
		args := []any{first, min(first+atOnce-1, want), s.noise}
		if !strings.Contains(insert, "$3") {
			args = args[:2]
		}
		if _, err := s.db.ExecContext(ctx, insert, args...); err != nil {
			return fmt.Errorf("%s: %w", insert, err)
		}
	}
	for _, x := range list {
		if err := s.exec(ctx, x.create); err != nil {
			return err
		}
	}
	return nil
}

// index is one of a table, by the statement that makes it.
type index struct{ name, create string }

// indexes are those of a table that are no constraints.
func (s *seeder) indexes(ctx context.Context, table string) (list []index, err error) {
	rows, err := s.db.QueryContext(ctx, s.dialect.indexes, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var x index
		if err := rows.Scan(&x.name, &x.create); err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, rows.Err()
}

// timeID is an identifier that sorts by n, and before all that the server makes, as older ones do.
func timeID(n string) string {
	return "substr(CAST(CAST(1000000000000000 AS BIGINT) + " + n + " AS TEXT), 2) || 'abcdefghjkm'"
}

// spreadID is an identifier that is somewhere else for every n: a multiplication by a prime that has no factor in common
// with the power of two it is taken by.
func spreadID(n string) string {
	return "CAST((" + n + ") * 2654435761 % 4294967296 + 1000000000 AS TEXT) || 'abcdefghjkmnpqrs'"
}

// The rows by column. n counts from 1; {noise} are bytes, {text} is text of that kind, {now} the time.
var (
	personRow = []string{"id=" + spreadID("n"), "username='grown-' || n", "claims={noise}", "sms_forbidden=false", "created_at={now}", "updated_at={now}"}

	passwordRow = []string{"person_id=" + spreadID("n"), "hash={text} || {text}", "key_id='0123456789abcdef'", "normalization=1", "updated_at={now}"}

	phoneRow = []string{"id=" + spreadID("n"), "person_id=" + spreadID("n"), "sealed={noise}", "hash=" + spreadID("n + 77"), "country='IT'", "last_two='00'",
		"verified_at={now}", "created_at={now}", "failures=0", "last_used_at={now}"}

	sessionRow = []string{"id=" + timeID("n"), "token_hash=" + spreadID("n"), "person_id=" + spreadID("n"), "auth_time={now}", "acr='urn:parola:acr:phone'",
		`amr='["pwd","otp","mca","mfa"]'`, "channel='whatsapp'", "created_at={now}", "last_seen_at={now}", "expires_at={now} + 86400000",
		"end_reason=''", "user_agent={text}", "source_addr='198.51.100.7'"}

	grantRow = []string{"id=" + timeID("n"), "client_id='" + clientID + "'", "person_id=" + spreadID("n"), "session_id=" + timeID("n"),
		"auth_request_id=" + timeID("n"), "correlation_id=" + timeID("n"), `scopes='["openid","offline_access"]'`, `audience='["` + resource + `"]'`,
		"login='{}'", "form=''", "auth_code_hash=" + spreadID("n + 77"), "auth_code_expires_at={now}", "auth_code_used_at={now}", "created_at={now}",
		"refresh_until={now} + 7776000000", "revoke_reason=''", "offline=true"}

	tokenRow = []string{"hash=" + spreadID("n"), "kind=CASE n % 2 WHEN 0 THEN 'access' ELSE 'refresh' END", "grant_id=" + timeID("(n + 1) / 2"), "client_id='" + clientID + "'",
		"jti=" + timeID("n"), `scopes='["openid","offline_access"]'`, `audience='["` + resource + `"]'`, "issued_at={now}", "expires_at={now} + 1209600000"}

	// Ten events are those of one login.
	eventRow = []string{"id=" + timeID("n"), "version=1", "at={now} - 1000", "kind='authn.seeded.' || n % 10", "outcome='success'", "reason=''",
		"severity='info'", "person_id=" + spreadID("n / 10 * 7919 % {users} + 1"), "actor_id=''", "client_id='" + clientID + "'", "session_id=" + timeID("n / 10"), "auth_request_id=" + timeID("n / 10"),
		"grant_id=CASE WHEN n % 10 > 7 THEN " + timeID("n / 10") + " ELSE '' END", "challenge_id=CASE WHEN n % 10 BETWEEN 2 AND 7 THEN " + timeID("n / 10") + " ELSE '' END",
		"delivery_id=''", "jti=CASE WHEN n % 10 = 9 THEN " + timeID("n") + " ELSE '' END", "correlation_id=" + timeID("n / 10"), "trace_id=''", "source_addr='198.51.100.7'", "user_agent={text}",
		"channel='whatsapp'", "node='node'", "release='bench'", "data='{}'", "sequence={sequence} + n", "prev_hash={noise}", "hash={noise}"}
)
