package postgres

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// connector opens connections that save round trips. Half of what a statement costs is the way to the server and back, on
// both sides, so BEGIN travels with the first statement of a transaction, and what nobody waits for with its COMMIT. A
// transaction without a statement does not reach the server at all.
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, is := opened.(*stdlib.Conn)
	if !is {
		opened.Close()
		return nil, fmt.Errorf("the driver opened a %T", opened)
	}
	return &conn{Conn: inner}, nil
}

// conn is a connection; database/sql uses it from one goroutine at a time.
type conn struct {
	*stdlib.Conn
	// unbegun says that a transaction was begun here and the server has not heard of it.
	unbegun bool
	// last are statements that travel with COMMIT.
	last pgx.Batch
}

var (
	_ driver.ExecerContext   = (*conn)(nil)
	_ driver.QueryerContext  = (*conn)(nil)
	_ driver.ConnBeginTx     = (*conn)(nil)
	_ driver.SessionResetter = (*conn)(nil)
)

// deferExec keeps a statement for the end of the transaction in progress.
func deferExec(driverConn any, query string, args []any) error {
	c, is := driverConn.(*conn)
	if !is {
		return fmt.Errorf("defer statement: connection is a %T", driverConn)
	}
	c.last.Queue(query, args...)
	return nil
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if o != (driver.TxOptions{}) {
		return c.Conn.BeginTx(ctx, o)
	}
	if c.Conn.Conn().IsClosed() {
		return nil, driver.ErrBadConn
	}
	c.unbegun, c.last = true, pgx.Batch{}
	return &tx{ctx: ctx, conn: c}, nil
}

// begin queues BEGIN if the server has not heard of the transaction yet.
func (c *conn) begin(b *pgx.Batch) (queued bool) {
	if !c.unbegun {
		return false
	}
	c.unbegun = false
	b.Queue("BEGIN")
	return true
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, named []driver.NamedValue) (result driver.Result, err error) {
	var b pgx.Batch
	if !c.begin(&b) {
		return c.Conn.ExecContext(ctx, query, named)
	}
	if len(named) == 0 { // it may be several statements, which cannot be prepared
		if err := c.send(ctx, &b); err != nil {
			return nil, err
		}
		return c.Conn.ExecContext(ctx, query, nil)
	}
	b.Queue(query, values(named)...)
	results := c.Conn.Conn().SendBatch(ctx, &b)
	defer func() { err = cmp.Or(err, results.Close()) }()
	if _, err := results.Exec(); err != nil {
		return nil, err
	}
	tag, err := results.Exec()
	return driver.RowsAffected(tag.RowsAffected()), err
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, named []driver.NamedValue) (rows driver.Rows, err error) {
	var b pgx.Batch
	if !c.begin(&b) {
		return c.Conn.QueryContext(ctx, query, named)
	}
	b.Queue(query, values(named)...)
	results := c.Conn.Conn().SendBatch(ctx, &b)
	defer func() { err = cmp.Or(err, results.Close()) }()
	if _, err := results.Exec(); err != nil {
		return nil, err
	}
	found, err := results.Query()
	if err != nil {
		return nil, err
	}
	return readAll(found)
}

// send runs a batch whose results say nothing but whether it worked.
func (c *conn) send(ctx context.Context, b *pgx.Batch) (err error) {
	results := c.Conn.Conn().SendBatch(ctx, b)
	defer func() { err = cmp.Or(err, results.Close()) }()
	for range b.Len() {
		tag, err := results.Exec()
		if err != nil {
			return err
		}
		if tag.String() == "ROLLBACK" { // the answer to COMMIT after a statement that failed
			return pgx.ErrTxCommitRollback
		}
	}
	return nil
}

func values(named []driver.NamedValue) []any {
	args := make([]any, len(named))
	for i, v := range named {
		args[i] = v.Value
	}
	return args
}

// tx is a transaction that the server may not have heard of.
type tx struct {
	ctx  context.Context
	conn *conn
}

// Commit implements driver.Tx.
func (t *tx) Commit() error {
	c := t.conn
	last := c.last
	c.last = pgx.Batch{}
	var b pgx.Batch
	if c.begin(&b) && last.Len() == 0 {
		return nil
	}
	b.QueuedQueries = append(b.QueuedQueries, last.QueuedQueries...)
	b.Queue("COMMIT")
	return c.send(t.ctx, &b)
}

// rollbackWithin is how long a server may take to forget a transaction before its connection is given up.
const rollbackWithin = 5 * time.Second

// Rollback implements driver.Tx. It does not stop with the request that failed.
func (t *tx) Rollback() error {
	c := t.conn
	c.last = pgx.Batch{}
	if c.unbegun {
		c.unbegun = false
		return nil
	}
	if c.Conn.Conn().IsClosed() {
		return driver.ErrBadConn
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(t.ctx), rollbackWithin)
	defer stop()
	_, err := c.Conn.Conn().Exec(ctx, "ROLLBACK")
	return err
}

// ResetSession implements driver.SessionResetter.
func (c *conn) ResetSession(ctx context.Context) error {
	c.unbegun, c.last = false, pgx.Batch{}
	return c.Conn.ResetSession(ctx)
}

// rows are the rows of a statement that came with others; they were read to the end.
type rows struct {
	columns []string
	found   [][]any
}

func readAll(from pgx.Rows) (*rows, error) {
	defer from.Close()
	r := new(rows)
	for _, f := range from.FieldDescriptions() {
		r.columns = append(r.columns, f.Name)
	}
	for from.Next() {
		row, err := from.Values()
		if err != nil {
			return nil, err
		}
		r.found = append(r.found, row)
	}
	return r, from.Err()
}

// Columns implements driver.Rows.
func (r *rows) Columns() []string { return r.columns }

// Close implements driver.Rows.
func (r *rows) Close() error { return nil }

// Next implements driver.Rows.
func (r *rows) Next(dest []driver.Value) error {
	if len(r.found) == 0 {
		return io.EOF
	}
	for i, value := range r.found[0] {
		switch v := value.(type) {
		case int32: // database/sql knows int64 alone
			value = int64(v)
		case int16:
			value = int64(v)
		}
		dest[i] = value
	}
	r.found = r.found[1:]
	return nil
}
