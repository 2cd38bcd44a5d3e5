package sqlite

import (
	"database/sql"
	"sync"
	"time"
)

const (
	// checkpointEvery is how long the log grows at least before it is carried over to the file.
	checkpointEvery = 250 * time.Millisecond
	// longestWAL is the length of the log, in pages of 4 KiB, at which the writer carries it over itself: only it can begin
	// the log anew while commits come without a pause.
	longestWAL = 8000
)

// checkpoints carries what was committed from the write-ahead log over to the database file, on a connection of its own. A
// passive checkpoint keeps neither writer nor readers waiting; done by the writer, as is SQLite's way, every few commits
// would take a hundred times as long as the others.
type checkpoints struct {
	db   *sql.DB
	work chan struct{}
	stop chan struct{}
	done sync.WaitGroup
	once sync.Once
}

func newCheckpoints(db *sql.DB) *checkpoints {
	c := &checkpoints{db: db, work: make(chan struct{}, 1), stop: make(chan struct{})}
	c.done.Go(c.run)
	return c
}

// due says that something was committed.
func (c *checkpoints) due() {
	select {
	case c.work <- struct{}{}:
	default:
	}
}

func (c *checkpoints) run() {
	pause := time.NewTimer(checkpointEvery)
	defer pause.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-c.work:
		}
		pause.Reset(checkpointEvery)
		select {
		case <-c.stop:
			return
		case <-pause.C:
		}
		// What fails or is not finished is done next time, and in the end by the writer or by the last connection's close.
		_, _ = c.db.Exec("PRAGMA wal_checkpoint(PASSIVE)")
	}
}

// close ends the work; the connections that remain close the log.
func (c *checkpoints) close() {
	c.once.Do(func() {
		close(c.stop)
		c.done.Wait()
		_ = c.db.Close()
	})
}
