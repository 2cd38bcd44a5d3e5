package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

const (
	// lockWithin is how long a node waits while another one migrates.
	lockWithin = time.Minute
	lockEvery  = 50 * time.Millisecond
)

// advisory lets nodes on PostgreSQL migrate in turn. It is goose's own lock, which nodes of older releases take too; goose
// tries for it once a second, and several nodes that start together would wait for seconds.
type advisory struct{}

// SessionLock implements lock.SessionLocker.
func (advisory) SessionLock(ctx context.Context, conn *sql.Conn) error {
	ctx, stop := context.WithTimeout(ctx, lockWithin)
	defer stop()
	for {
		var locked bool
		if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, lock.DefaultLockID).Scan(&locked); err != nil {
			return fmt.Errorf("lock the schema: %w", err)
		}
		if locked {
			return nil
		}
		pause := time.NewTimer(lockEvery)
		select {
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("lock the schema: another node migrates: %w", ctx.Err())
		case <-pause.C:
		}
	}
}

// SessionUnlock implements lock.SessionLocker.
func (advisory) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, lock.DefaultLockID)
	return err
}

// onceEach notes a step in its own transaction only when nobody has noted it. SQLite has no session lock: of two processes
// that found the same step pending, the second one runs it after the first has committed, and must not keep what it did.
type onceEach struct{ database.Store }

func (o onceEach) Insert(ctx context.Context, db database.DBTxConn, r database.InsertRequest) error {
	_, err := o.GetMigration(ctx, db, r.Version)
	switch {
	case err == nil:
		return fmt.Errorf("step %d was applied by another process meanwhile", r.Version)
	case !errors.Is(err, database.ErrVersionNotFound):
		return err
	}
	return o.Store.Insert(ctx, db, r)
}
