package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// wakeupChannel is what NOTIFY and LISTEN name. It belongs to one database of the server.
	wakeupChannel = "parola_wakeups"
	// quietFor is how long nothing may be heard before the connection is asked for a sign of life: a partition closes none.
	quietFor = 5 * time.Second
	// answerWithin bounds connecting and that sign of life.
	answerWithin = 3 * time.Second
	// Between two attempts to connect there is a pause; all nodes lost their connections at the same moment.
	shortestPause, longestPause = 50 * time.Millisecond, time.Second
)

// broadcast tells all nodes that hear. It is a statement of its own: NOTIFY inside a transaction would have the commits
// of all logins wait for each other.
func broadcast(db *sql.DB) func(ctx context.Context, text string) error {
	return func(ctx context.Context, text string) error {
		_, err := db.ExecContext(ctx, "SELECT pg_notify('"+wakeupChannel+"', $1)", text)
		return err
	}
}

// ear hears what is broadcast, on one connection of its own outside the pool.
type ear struct {
	settings *pgx.ConnConfig
	log      *slog.Logger
}

func newEar(settings *pgx.ConnConfig, log *slog.Logger) *ear {
	own := settings.Copy()
	own.RuntimeParams["application_name"] = "parola wake-ups" // to tell it from the pool's in pg_stat_activity
	return &ear{settings: own, log: log}
}

// hear connects again and again until ctx ends. After each time that nothing was heard, anything may have been missed.
func (e *ear) hear(ctx context.Context, heard func(text string), missed func()) {
	pause, deaf := shortestPause, false
	for {
		err := e.listen(ctx, heard, func() {
			if deaf {
				e.log.Info("wake-ups of other nodes are heard again")
			}
			pause, deaf = shortestPause, false
			missed()
		})
		if ctx.Err() != nil {
			return
		}
		if !deaf {
			e.log.Warn("wake-ups of other nodes are not heard: what they change is noticed by polling until the connection is back", "err", err)
			deaf = true
		}
		wait := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		pause = min(2*pause, longestPause)
	}
}

// listen hears on one connection until it breaks.
func (e *ear) listen(ctx context.Context, heard func(text string), listening func()) error {
	begin, stop := context.WithTimeout(ctx, answerWithin)
	defer stop()
	conn, err := pgx.ConnectConfig(begin, e.settings)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		closing, stop := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		defer stop()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(begin, "LISTEN "+wakeupChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	listening()
	for {
		waiting, stop := context.WithTimeout(ctx, quietFor)
		n, err := conn.WaitForNotification(waiting)
		quiet := err != nil && waiting.Err() != nil && ctx.Err() == nil
		stop()
		switch {
		case err == nil:
			heard(n.Payload)
		case !quiet:
			return fmt.Errorf("wait for a notification: %w", err)
		default:
			if err := ping(ctx, conn); err != nil {
				return fmt.Errorf("ask for a sign of life: %w", err)
			}
		}
	}
}

// ping keeps what is notified meanwhile for the next wait.
func ping(ctx context.Context, conn *pgx.Conn) error {
	soon, stop := context.WithTimeout(ctx, answerWithin)
	defer stop()
	return conn.Ping(soon)
}
