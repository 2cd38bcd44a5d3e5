package sqlstore

import (
	"bufio"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"time"
)

// dumped are the tables of a dump, each after those that its rows belong to. Left out are goose_db_version, which the
// schema of the target has of its own, and leases: no process that holds one works on the target.
var dumped = []string{
	"installation", "root_generations", "clients", "persons", "passwords", "phones", "auth_requests", "sessions", "grants", "tokens", "consents",
	"assertions", "challenges", "deliveries", "receipts", "notices", "buckets", "failures", "circuits", "verdicts",
	"conversions", "delivery_days", "cursors", "rate_cards", "signing_keys", "events", "event_queue", "checkpoints",
}

// Origin is the first line of a dump.
type Origin struct {
	// Format is the version of the form of the file.
	Format int `json:"parola_dump"`
	// Schema is the version of the database's schema; a dump is loaded into the same one.
	Schema   int64  `json:"schema"`
	Database string `json:"database"`
	// Release and KeyID name who wrote it and the root secret that seals what is sealed in it.
	Release string    `json:"release"`
	KeyID   string    `json:"key_id"`
	At      time.Time `json:"at"`
}

// Count is what a dump holds of one table. Digest is the sum of the SHA-256 of every row's line, as whole numbers modulo
// 2^256: it does not depend on the order of the rows, which no database has to sort for it.
type Count struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	Digest string `json:"sha256_sum"`
}

// dumpFormat is the version of the form that this release writes and reads.
const dumpFormat = 1

// Dump writes everything as one gzip-compressed file of JSON lines, as one snapshot, row by row: the origin, then for each
// table a line with its name and columns and a line for each row, then the counts. Only Release, KeyID and At of the
// origin are the caller's.
func (s *Store) Dump(ctx context.Context, w io.Writer, o Origin) ([]Count, error) {
	if err := s.CheckSchema(ctx); err != nil {
		return nil, err
	}
	// On SQLite a transaction that reads sees one state; on PostgreSQL only at this level.
	snapshot := sql.TxOptions{ReadOnly: true}
	if s.dialect.Name == "postgres" {
		snapshot.Isolation = sql.LevelRepeatableRead
	}
	tx, err := s.reader.BeginTx(ctx, &snapshot)
	if err != nil {
		return nil, fmt.Errorf("dump database: %w", err)
	}
	defer tx.Rollback()
	if err := tx.QueryRowContext(ctx, `SELECT MAX(version_id) FROM goose_db_version`).Scan(&o.Schema); err != nil {
		return nil, fmt.Errorf("dump database: read schema version: %w", err)
	}
	o.Format, o.Database = dumpFormat, s.dialect.Name

	packed := gzip.NewWriter(w)
	out := bufio.NewWriterSize(packed, 64<<10)
	if err := writeLine(out, o); err != nil {
		return nil, fmt.Errorf("dump database: %w", err)
	}
	var counts []Count
	for _, table := range dumped {
		sum, err := dumpTable(ctx, tx, out, table)
		if err != nil {
			return nil, fmt.Errorf("dump table %s: %w", table, err)
		}
		counts = append(counts, sum.count(table))
	}
	if err := writeLine(out, trailer{Counts: counts}); err != nil {
		return nil, fmt.Errorf("dump database: %w", err)
	}
	if err := out.Flush(); err != nil {
		return nil, fmt.Errorf("dump database: %w", err)
	}
	if err := packed.Close(); err != nil {
		return nil, fmt.Errorf("dump database: %w", err)
	}
	return counts, nil
}

// heading precedes the rows of a table.
type heading struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type trailer struct {
	Counts []Count `json:"counts"`
}

func dumpTable(ctx context.Context, tx *sql.Tx, out *bufio.Writer, table string) (*digest, error) {
	sum := new(digest)
	columns, err := columnsOf(ctx, tx, table)
	if err != nil {
		return nil, err
	}
	if err := writeLine(out, heading{table, columns}); err != nil {
		return nil, err
	}
	err = eachRow(ctx, tx, table, columns, func(line []byte) error {
		sum.add(line)
		_, err := out.Write(line)
		return err
	})
	return sum, err
}

// columnsOf are the columns of a table as the database has them.
func columnsOf(ctx context.Context, tx *sql.Tx, table string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT * FROM `+table+` WHERE FALSE`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	return columns, rows.Err()
}

// eachRow calls f with the line of every row, in no order, one after the other as the database sends them.
func eachRow(ctx context.Context, tx *sql.Tx, table string, columns []string, f func(line []byte) error) error {
	rows, err := tx.QueryContext(ctx, `SELECT `+strings.Join(columns, ", ")+` FROM `+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i, value := range values {
			if n, is := value.(int64); is && strings.HasPrefix(types[i].DatabaseTypeName(), "BOOL") {
				values[i] = n != 0 // as SQLite keeps them
			}
		}
		line, err := rowLine(values)
		if err != nil {
			return err
		}
		if err := f(line); err != nil {
			return err
		}
	}
	return rows.Err()
}
