// Package sqlite opens storage on one SQLite file: the default, for one node. It knows the driver, the DSN and what the
// driver's errors mean; the SQL is storage/internal/sqlstore's.
//
// There is one writer connection, whose transactions begin IMMEDIATE, and a few readers that see the last commit. The
// file is in WAL mode; what is in the log is carried over to the file beside the writer, not by it (checkpoint.go).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/parola-id/parola/storage/internal/sqlstore"
)

// Store is storage.Store on SQLite, with Migrate, MigrationStatus and CheckSchema.
type Store = sqlstore.Store

// Config says which file, and how careful to be with it.
type Config struct {
	// Path of the database file; it is created, readable by its owner alone, when it does not exist.
	Path string
	// Synchronous is FULL (default: what was committed survives a power cut), NORMAL (survives the end of the process
	// only, and writes are several times quicker) or OFF (for tests).
	Synchronous string
	// Wait bounds how long a transaction waits for the writer; 5 s when zero.
	Wait time.Duration
	// Observe hears of statements and commits; see sqlstore.Config.
	Observe func(op string)
}

const (
	readers = 4
	// What a connection may hold of the file, in KiB. With SQLite's own 2 MiB for the writer a batch of a hundred events,
	// which touches the pages of a dozen indexes, would write and read the same pages several times before it commits. A
	// reader finds in the system's cache what it does not hold.
	writerCache = 8 << 10
	readerCache = 1 << 10
)

// Open opens the file. It neither migrates nor checks the schema: see Store.Migrate and Store.CheckSchema.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Path == "" || c.Path == ":memory:" {
		return nil, errors.New("open SQLite database: a path to a file is needed; a database in memory cannot be shared by connections")
	}
	switch c.Synchronous {
	case "":
		c.Synchronous = "FULL"
	case "FULL", "NORMAL", "OFF":
	default:
		return nil, fmt.Errorf("open SQLite database: synchronous is %q, not FULL, NORMAL or OFF", c.Synchronous)
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("open SQLite database: %w", err)
	}
	// SQLite would create the file, and with it the WAL, as the umask says.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open SQLite database: %w", err)
	}
	file.Close()

	// What a savepoint changes is kept for its end: in memory, not in a file that every transaction of a shared commit writes to.
	writer, err := open(path, c.Synchronous, fmt.Sprintf("_txlock=immediate&_pragma=cache_size(-%d)&_pragma=wal_autocheckpoint(%d)&_pragma=temp_store(MEMORY)", writerCache, longestWAL), 1)
	if err != nil {
		return nil, fmt.Errorf("open SQLite database: %w", err)
	}
	reader, err := open(path, c.Synchronous, fmt.Sprintf("_pragma=query_only(1)&_pragma=cache_size(-%d)", readerCache), readers)
	if err != nil {
		writer.Close()
		return nil, fmt.Errorf("open SQLite database: %w", err)
	}
	keeper, err := open(path, c.Synchronous, "_pragma=wal_autocheckpoint(0)", 1)
	if err != nil {
		writer.Close()
		reader.Close()
		return nil, fmt.Errorf("open SQLite database: %w", err)
	}
	checkpoints := newCheckpoints(keeper)
	store := sqlstore.New(sqlstore.Config{Writer: writer, Reader: reader, Dialect: dialect, Wait: c.Wait, Observe: c.Observe,
		Committed: checkpoints.due, Closing: checkpoints.close, Hear: otherProcesses(writer)})
	// The writer goes first: it turns WAL on, which a reader may not.
	if err := writer.PingContext(ctx); err != nil {
		store.Close()
		return nil, fmt.Errorf("open SQLite database %s: %w", path, err)
	}
	if err := store.Ping(ctx); err != nil {
		store.Close()
		return nil, fmt.Errorf("open SQLite database %s: %w", path, err)
	}
	return store, nil
}

// open puts every pragma in the DSN: one that is set by a statement reaches a single connection of the pool.
func open(path, synchronous, extra string, connections int) (*sql.DB, error) {
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
		"&_pragma=foreign_keys(1)&_pragma=synchronous(" + synchronous + ")&" + extra
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

var dialect = sqlstore.Dialect{
	Name:        "sqlite",
	Elements:    "json_each",
	Parameters:  200,
	Among:       "IN (%s)",
	Unhex:       "unhex(%s)",
	Clock:       "CAST((julianday('now') - 2440587.5) * 86400000 AS BIGINT)",
	PrepareHere: true,
	Inside:      true,
	Together:    true,
	Classify:    classify,
}

func classify(err error) sqlstore.Failure {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return sqlstore.Outage
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return sqlstore.Duplicate
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return sqlstore.NoParent
	}
	return sqlstore.Outage
}
