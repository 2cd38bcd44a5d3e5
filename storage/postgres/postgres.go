// Package postgres opens storage on PostgreSQL, for installations of several nodes. It knows the driver, the settings of
// a connection and what the server's errors mean; the SQL is storage/internal/sqlstore's.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/parola-id/parola/storage/internal/sqlstore"
)

// Store is storage.Store on PostgreSQL, with Migrate, MigrationStatus and CheckSchema.
type Store = sqlstore.Store

// Config says which database, and how many connections to it.
type Config struct {
	// DSN is a URL (postgres://…) or keyword=value text. A pooler in front must work by session, or LISTEN is lost.
	DSN string
	// Connections bounds the pool; 10 when zero. A store that somebody listens to has one more, outside the pool. All nodes
	// together must stay below the server's max_connections.
	Connections int
	// Wait bounds how long a transaction waits for a connection, and a statement for a lock; 5 s when zero.
	Wait time.Duration
	// Observe hears of statements and commits; see sqlstore.Config.
	Observe func(op string)
	// Log hears when the connection for the wake-ups of other nodes breaks and is back; nil for nobody.
	Log *slog.Logger
}

// Open connects. It neither migrates nor checks the schema: see Store.Migrate and Store.CheckSchema.
func Open(ctx context.Context, c Config) (*Store, error) {
	settings, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL database: %w", err) // pgx leaves the password out
	}
	if c.Wait == 0 {
		c.Wait = 5 * time.Second
	}
	if c.Connections == 0 {
		c.Connections = 10
	}
	if err := encrypted(settings); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	db := sql.OpenDB(newConnector(settings, c.Wait))
	db.SetMaxOpenConns(c.Connections)
	db.SetMaxIdleConns(c.Connections)
	db.SetConnMaxIdleTime(5 * time.Minute)
	store := sqlstore.New(sqlstore.Config{Writer: db, Reader: db, Dialect: dialect, Wait: c.Wait, Observe: c.Observe,
		Broadcast: broadcast(db), Hear: newListener(settings, c.Log).hear})
	if err := store.Ping(ctx); err != nil {
		store.Close()
		return nil, fmt.Errorf("open PostgreSQL database: %w", err)
	}
	return store, nil
}

// newConnector opens connections with the settings that the statements are written for, but for those that the DSN names. Most do
// not travel with the connecting: a pooler refuses what it does not know there.
func newConnector(settings *pgx.ConnConfig, wait time.Duration) connector {
	if _, given := settings.RuntimeParams["application_name"]; !given {
		settings.RuntimeParams["application_name"] = "parola"
	}
	var set strings.Builder
	for _, s := range [][2]string{
		// Every statement that decides something is written for this level, whatever the server's default.
		{"default_transaction_isolation", "'read committed'"},
		{"lock_timeout", strconv.FormatInt(wait.Milliseconds(), 10)},
		// A node that hangs inside a transaction must not keep its locks for ever.
		{"idle_in_transaction_session_timeout", "60000"},
		// Every statement looks rows up by an index, whatever the values: planning it anew for each set of them, as the first
		// executions on each connection otherwise do, costs more than running it.
		{"plan_cache_mode", "force_generic_plan"},
		{"jit", "off"},
	} {
		if _, given := settings.RuntimeParams[s[0]]; !given {
			fmt.Fprintf(&set, "SET %s = %s;", s[0], s[1])
		}
	}
	return connector{stdlib.GetConnector(*settings, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.PgConn().Exec(ctx, set.String()).ReadAll(); err != nil {
			return fmt.Errorf("prepare connection: %w", err)
		}
		return nil
	}))}
}

// encrypted refuses a connection that could go over the network in clear (KEY-09): to another machine only with TLS, and
// without falling back to none.
func encrypted(c *pgx.ConnConfig) error {
	plain := func(host string, secure bool) bool {
		ip := net.ParseIP(host)
		local := strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
		return !secure && !local
	}
	refused := plain(c.Host, c.TLSConfig != nil)
	for _, f := range c.Fallbacks {
		refused = refused || plain(f.Host, f.TLSConfig != nil)
	}
	if refused {
		return errors.New("open PostgreSQL database: the connection to another machine could be made without encryption: add sslmode=verify-full to database.dsn")
	}
	return nil
}

var dialect = sqlstore.Dialect{
	Name:       "postgres",
	Elements:   "jsonb_array_elements",
	Parameters: 2400,
	Among:      "= ANY (ARRAY(%s))",
	Unhex:      "decode(%s, 'hex')",
	// NO KEY: a receipt that is being inserted holds its delivery against removal, and two transactions that inserted
	// receipts of one delivery must not wait for each other when they go on to change it.
	ForUpdate:  " FOR NO KEY UPDATE",
	ForShare:   " FOR SHARE",
	SkipLocked: " FOR UPDATE SKIP LOCKED",
	Clock:      "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
	Classify:   classify,
	Defer:      deferExec,
}

// classify reads SQLSTATE (PostgreSQL manual, appendix A).
func classify(err error) sqlstore.Failure {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return sqlstore.Outage
	}
	switch e.Code {
	case "23505": // unique_violation
		return sqlstore.Duplicate
	case "23503": // foreign_key_violation
		return sqlstore.NoParent
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return sqlstore.Retry
	}
	return sqlstore.Outage
}
