package sqlstore

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parola-id/parola/storage"
)

// ErrDump says that a file cannot be loaded: it is no dump, damaged, or not for this database.
var ErrDump = errors.New("the dump cannot be loaded")

func dumpErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDump, fmt.Errorf(format, args...))
}

// Load fills an empty, migrated database with what Dump wrote, in the transaction that ctx carries, and reads everything
// back: counts and digests must be those of the file. On any error the transaction must be rolled back. accept looks at
// the origin first.
func (s *Store) Load(ctx context.Context, r io.Reader, accept func(Origin) error) ([]Count, error) {
	t := s.txOf(ctx)
	if t == nil {
		return nil, storage.ErrNoTransaction
	}
	counts, err := (&loader{ctx: ctx, tx: t.sql, atOnce: s.dialect.Parameters}).load(r, accept)
	if err != nil {
		return nil, t.fail(err)
	}
	return counts, nil
}

// loader is one Load.
type loader struct {
	ctx    context.Context
	tx     *sql.Tx
	in     *bufio.Reader
	atOnce int // parameters of one statement
	counts []Count
}

func (l *loader) load(r io.Reader, accept func(Origin) error) ([]Count, error) {
	packed, err := gzip.NewReader(r)
	if err != nil {
		return nil, dumpErrorf("it is not compressed by gzip: %w", err)
	}
	l.in = bufio.NewReaderSize(packed, 64<<10)
	if err := l.origin(accept); err != nil {
		return nil, err
	}
	if err := l.empty(); err != nil {
		return nil, err
	}
	line, err := l.line()
	for _, table := range dumped {
		if err != nil {
			return nil, err
		}
		if line, err = l.table(table, line); err != nil {
			return nil, fmt.Errorf("load table %s: %w", table, err)
		}
	}
	if err != nil {
		return nil, err
	}
	var end trailer
	if err := json.Unmarshal(line, &end); err != nil || len(end.Counts) == 0 {
		return nil, dumpErrorf("a line after the last table is not the end")
	}
	if !slices.Equal(end.Counts, l.counts) {
		return nil, dumpErrorf("its rows are not those that its last line counts")
	}
	if _, err := l.in.ReadByte(); !errors.Is(err, io.EOF) { // also where gzip compares its checksum
		return nil, dumpErrorf("it does not end after its last line: %v", err)
	}
	return l.counts, l.verify()
}

func (l *loader) line() ([]byte, error) {
	line, err := readLine(l.in)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, dumpErrorf("it is cut off")
	}
	if err != nil {
		return nil, dumpErrorf("%w", err)
	}
	return line, nil
}

func (l *loader) origin(accept func(Origin) error) error {
	line, err := l.line()
	if err != nil {
		return err
	}
	var o Origin
	if err := json.Unmarshal(line, &o); err != nil || o.Format == 0 {
		return dumpErrorf("its first line is not that of a dump")
	}
	if o.Format != dumpFormat {
		return dumpErrorf("it is of form %d, and this release reads form %d", o.Format, dumpFormat)
	}
	var schema int64
	if err := l.tx.QueryRowContext(l.ctx, `SELECT MAX(version_id) FROM goose_db_version`).Scan(&schema); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if o.Schema != schema {
		return dumpErrorf("its schema is at version %d and the database's at %d: load it with the release that wrote it (%s), then migrate",
			o.Schema, schema, o.Release)
	}
	return accept(o)
}

// empty refuses a database that holds anything but what a migration and a first look put there, which the dump's replaces.
func (l *loader) empty() error {
	for _, table := range dumped[2:] {
		var holds bool
		if err := l.tx.QueryRowContext(l.ctx, `SELECT EXISTS (SELECT 1 FROM `+table+`)`).Scan(&holds); err != nil {
			return fmt.Errorf("look into table %s: %w", table, err)
		}
		if holds {
			return dumpErrorf("the database is not empty: there are rows in %s", table)
		}
	}
	for _, table := range dumped[:2] {
		if _, err := l.tx.ExecContext(l.ctx, `DELETE FROM `+table); err != nil {
			return fmt.Errorf("replace %s: %w", table, err)
		}
	}
	return nil
}

// table inserts the rows that follow a heading and returns the line after them.
func (l *loader) table(table string, line []byte) (next []byte, err error) {
	var h heading
	if err := json.Unmarshal(line, &h); err != nil || h.Table != table {
		return nil, dumpErrorf("table %s is not where it belongs", table)
	}
	columns, err := columnsOf(l.ctx, l.tx, table)
	if err != nil {
		return nil, err
	}
	// The names of the file go into a statement: they must be the database's.
	if !slices.Equal(slices.Sorted(slices.Values(h.Columns)), slices.Sorted(slices.Values(columns))) {
		return nil, dumpErrorf("the columns of table %s are other ones", table)
	}
	sum := new(digest)
	batch := inserter{loader: l, table: table, columns: h.Columns, most: max(1, l.atOnce/len(columns))}
	for {
		if next, err = l.line(); err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(next, []byte("[")) {
			l.counts = append(l.counts, sum.count(table))
			return next, batch.flush()
		}
		sum.add(next)
		values, err := valuesOf(next, len(columns))
		if err != nil {
			return nil, dumpErrorf("%w", err)
		}
		if err := batch.insert(values); err != nil {
			return nil, err
		}
	}
}

// inserter stores rows several at a time.
type inserter struct {
	*loader
	table   string
	columns []string
	most    int // rows of one statement
	rows    int
	args    []any
	full    *sql.Stmt
}

func (i *inserter) insert(row []any) (err error) {
	i.args, i.rows = append(i.args, row...), i.rows+1
	if i.rows < i.most {
		return nil
	}
	if i.full == nil {
		if i.full, err = i.tx.PrepareContext(i.ctx, i.text()); err != nil {
			return err
		}
	}
	_, err = i.full.ExecContext(i.ctx, i.args...)
	i.args, i.rows = i.args[:0], 0
	return err
}

func (i *inserter) text() string {
	return `INSERT INTO ` + i.table + ` (` + strings.Join(i.columns, ", ") + `) VALUES ` + placeholders(i.rows, len(i.columns))
}

func (i *inserter) flush() error {
	if i.full != nil {
		if err := i.full.Close(); err != nil {
			return err
		}
	}
	if i.rows == 0 {
		return nil
	}
	_, err := i.tx.ExecContext(i.ctx, i.text(), i.args...)
	return err
}

// verify reads back what was stored.
func (l *loader) verify() error {
	for i, table := range dumped {
		columns, err := columnsOf(l.ctx, l.tx, table)
		if err != nil {
			return fmt.Errorf("read table %s back: %w", table, err)
		}
		sum := new(digest)
		if err := eachRow(l.ctx, l.tx, table, columns, func(line []byte) error { sum.add(line); return nil }); err != nil {
			return fmt.Errorf("read table %s back: %w", table, err)
		}
		if stored := sum.count(table); stored != l.counts[i] {
			return fmt.Errorf("table %s has %d rows of another content than the dump's %d", table, stored.Rows, l.counts[i].Rows)
		}
	}
	return nil
}
