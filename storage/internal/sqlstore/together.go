package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// With one writer, transactions come one after the other, and most of what a small one costs is its commit: a wait for the
// disk, and pages that the next one changes again. So those that wait already join the one before them in one commit, each
// within a savepoint of its own. Nobody's InTx returns before that commit, so that what was answered is on the disk; and if
// it fails, it fails for all of them.

// mostTogether and longestTogether bound one commit: by transactions, and by how long the first of them waits for others.
const (
	mostTogether    = 32
	longestTogether = 5 * time.Millisecond
)

// commits is the one writer of a database: whoever has the turn may use open.
type commits struct {
	turns turns
	open  *group
}

// group is the transactions of one commit.
type group struct {
	conn  *sql.Conn
	sql   *sql.Tx
	began time.Time
	// tried counts the transactions that had a turn, kept those whose work is to be committed.
	tried, kept int
	// broken is set when the database has given up all of it.
	broken error
	// done is closed once err says how the commit ended.
	done chan struct{}
	err  error
}

// together runs fn in a transaction that may share its commit with others.
func (s *Store) together(ctx context.Context, fn func(ctx context.Context) error) error {
	c := s.commits
	mine, err := c.turns.take(ctx, s.wait)
	if err != nil {
		if mine {
			c.pass(s)
		}
		return err
	}
	if c.open == nil {
		if c.open, err = s.beginGroup(ctx); err != nil {
			c.turns.leave()
			return err
		}
	}
	g := c.open
	t := &tx{store: s, conn: g.conn, sql: g.sql}
	err = c.member(ctx, s, t, fn)
	<-g.done
	switch {
	case g.err != nil && (err == nil || g.tried > 1): // a refusal may rest on what others wrote, and that is not on the disk
		return fmt.Errorf("commit: %w", s.translate(g.err))
	case err != nil:
		return err
	}
	for _, hook := range t.hooks {
		hook()
	}
	t.prepareRest(ctx)
	return nil
}

// member runs one transaction of the open group and passes the turn on, whatever becomes of fn.
func (c *commits) member(ctx context.Context, s *Store, t *tx, fn func(ctx context.Context) error) (err error) {
	g := c.open
	finished := false
	defer func() {
		if !finished || err != nil { // fn panicked or ended its goroutine, or it is to leave no trace
			g.undo(t)
		} else {
			g.kept++
		}
		c.pass(s)
	}()
	defer t.over.Store(true)
	if g.tried++; g.tried > 1 { // the first needs none: without it there is no group
		if _, err := t.run(context.WithoutCancel(ctx), "SAVEPOINT member", nil); err != nil {
			finished = true
			return fmt.Errorf("begin transaction: %w", err)
		}
	}
	err = s.inside(ctx, t, fn)
	if err == nil && g.tried > 1 {
		_, err = t.run(context.WithoutCancel(ctx), "RELEASE member", nil)
	}
	finished = true
	return err
}

// undo takes back what a transaction did. Some failures, a full disk among them, make SQLite give up everything; then the
// savepoint is gone too, and so is the group.
func (g *group) undo(t *tx) {
	if g.tried == 1 {
		g.broken = errors.New("its only transaction failed")
		return
	}
	for _, back := range []string{"ROLLBACK TO member", "RELEASE member"} {
		if _, err := t.run(context.Background(), back, nil); err != nil {
			g.broken = fmt.Errorf("take back another transaction: %w", err)
			return
		}
	}
}

// pass gives the open group to whoever waits, or ends it. The caller has the turn, and has it no longer afterwards.
func (c *commits) pass(s *Store) {
	g := c.open
	if g == nil {
		c.turns.leave()
		return
	}
	if g.broken == nil && g.tried < mostTogether && time.Since(g.began) < longestTogether && c.turns.hand() {
		return
	}
	c.open = nil
	g.err = g.end(s)
	close(g.done)
	c.turns.leave()
}

// end commits what there is to commit.
func (g *group) end(s *Store) error {
	defer g.conn.Close()
	if g.broken != nil || g.kept == 0 {
		if err := g.sql.Rollback(); err != nil {
			// The database may have given up by itself; if not, the connection must not keep it open.
			_, _ = g.conn.ExecContext(context.Background(), "ROLLBACK")
		}
		return g.broken
	}
	s.hear("commit")
	if err := g.sql.Commit(); err != nil {
		_, _ = g.conn.ExecContext(context.Background(), "ROLLBACK") // a commit that failed leaves it open
		return err
	}
	s.committed()
	return nil
}

func (s *Store) beginGroup(ctx context.Context) (*group, error) {
	conn, begun, err := s.beginOn(ctx)
	if err != nil {
		return nil, err
	}
	return &group{conn: conn, sql: begun, began: time.Now(), done: make(chan struct{})}, nil
}

// turns is a lock whose waiters are served in order, give up in time, and can be told apart from nobody.
type turns struct {
	mu      sync.Mutex
	taken   bool
	waiting []chan struct{}
}

// take waits for the turn. With an error, mine says that the turn came nevertheless and must be passed on.
func (t *turns) take(ctx context.Context, wait time.Duration) (mine bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("begin transaction: %w", err)
	}
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return true, nil
	}
	turn := make(chan struct{})
	t.waiting = append(t.waiting, turn)
	t.mu.Unlock()
	patience := time.NewTimer(wait)
	defer patience.Stop()
	select {
	case <-turn:
		return true, nil
	case <-ctx.Done():
		err = fmt.Errorf("begin transaction: %w", ctx.Err())
	case <-patience.C:
		err = noTurn(wait)
	}
	return !t.forget(turn), err
}

// forget takes a waiter out of the line; false when its turn has come.
func (t *turns) forget(turn chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, w := range t.waiting {
		if w == turn {
			t.waiting = append(t.waiting[:i], t.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// hand gives the turn to the next in line; false when nobody waits, and the caller keeps it.
func (t *turns) hand() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		return false
	}
	close(t.waiting[0])
	t.waiting = t.waiting[1:]
	return true
}

// leave gives the turn to the next in line, or to whoever comes.
func (t *turns) leave() {
	if t.hand() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) > 0 { // somebody came in between
		close(t.waiting[0])
		t.waiting = t.waiting[1:]
		return
	}
	t.taken = false
}
