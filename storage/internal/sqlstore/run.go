package sqlstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parola-id/parola/storage"
)

// row is what a scan function reads from.
type row interface{ Scan(dest ...any) error }

// exec runs a write in the transaction that ctx carries and returns the row count.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	t := s.txOf(ctx)
	if t == nil {
		return 0, storage.ErrNoTransaction
	}
	if t.failed != nil {
		return 0, t.abandoned()
	}
	s.hear(query)
	ctx, err := s.steady(ctx)
	if err != nil {
		return 0, t.fail(err)
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	result, err := t.run(ctx, query, clean(args))
	if err != nil {
		return 0, t.fail(s.translate(err))
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, t.fail(err)
	}
	return n, nil
}

// affects is exec for a write that must meet a record: ErrNotFound when it meets none.
func (s *Store) affects(ctx context.Context, query string, args ...any) error {
	n, err := s.exec(ctx, query, args...)
	if err == nil && n == 0 {
		return storage.ErrNotFound
	}
	return err
}

// once is exec for a write whose row count is the answer.
func (s *Store) once(ctx context.Context, query string, args ...any) (bool, error) {
	n, err := s.exec(ctx, query, args...)
	return n > 0, err
}

// statement is a query with the way to read its rows.
type statement[T any] struct {
	scan  func(row) (T, error)
	write bool
}

func reading[T any](scan func(row) (T, error)) statement[T] { return statement[T]{scan: scan} }

// changing marks a write that returns rows: it needs a transaction.
func changing[T any](scan func(row) (T, error)) statement[T] {
	return statement[T]{scan: scan, write: true}
}

// all returns every row. Rows are read to the end before it returns: a transaction has one connection.
func (q statement[T]) all(ctx context.Context, s *Store, query string, args ...any) ([]T, error) {
	t := s.txOf(ctx)
	switch {
	case t == nil && q.write:
		return nil, storage.ErrNoTransaction
	case t != nil && t.failed != nil:
		return nil, t.abandoned()
	}
	s.hear(query)
	found, err := q.read(ctx, s, t, query, clean(args))
	if err != nil {
		err = s.translate(err)
		if t != nil {
			err = t.fail(err)
		}
		return nil, err
	}
	return found, nil
}

func (q statement[T]) read(ctx context.Context, s *Store, t *tx, query string, args []any) ([]T, error) {
	ctx, err := s.steady(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	var rows *sql.Rows
	if t != nil {
		rows, err = t.query(ctx, query, args)
	} else {
		rows, err = s.query(ctx, query, args)
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		record, err := q.scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, record)
	}
	return found, rows.Err()
}

// one returns the first row; ErrNotFound when there is none.
func (q statement[T]) one(ctx context.Context, s *Store, query string, args ...any) (T, error) {
	found, err := q.all(ctx, s, query, args...)
	var none T
	if err != nil {
		return none, err
	}
	if len(found) == 0 {
		return none, storage.ErrNotFound
	}
	return found[0], nil
}

func (s *Store) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if s.preparedR != nil {
		prepared, err := s.preparedR.prepare(ctx, query)
		if err != nil {
			return nil, err
		}
		if prepared != nil {
			return prepared.QueryContext(ctx, args...)
		}
	}
	return s.reader.QueryContext(ctx, query, args...)
}

// clean replaces in text what PostgreSQL refuses to store: NUL and bytes that are not UTF-8. They come from outside, in
// a User-Agent or an ID in a URL, and must end as an ordinary value or as "not found", never as an outage.
func clean(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok && (!utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0) {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return args
}

func scanString(r row) (s string, err error) { return s, r.Scan(&s) }

// placeholders returns rows groups of columns parameters each, numbered from $1: ($1,$2),($3,$4).
func placeholders(rows, columns int) string {
	var b strings.Builder
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for j := range columns {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(i*columns + j + 1))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// list returns n parameters numbered after the first ones: ($3,$4,$5).
func list(after, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString([2]string{",$", "($"}[btoi(i == 0)])
		b.WriteString(strconv.Itoa(after + i + 1))
	}
	return b.String() + ")"
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// bounded returns limit, or standard when it is zero, within 1 to most.
func bounded(limit, standard, most int) int {
	if limit == 0 {
		limit = standard
	}
	return min(max(limit, 1), most)
}

func number(n int) string { return strconv.Itoa(n) }
