package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parola-id/parola/storage/internal/sqlstore"
)

const (
	// wakeupChannel is what NOTIFY and LISTEN name. It belongs to one database of the server.
	wakeupChannel = "parola_wakeups"
	notify        = "SELECT pg_notify('" + wakeupChannel + "', $1)"
	// answerWithin bounds connecting, and the answer to a greeting: a partition closes no connection.
	answerWithin = 3 * time.Second
	// Between two attempts to connect there is a pause; all nodes lost their connections at the same moment.
	shortestPause, longestPause = 50 * time.Millisecond, time.Second
)

// broadcast tells all nodes that hear. It is a statement of its own: NOTIFY inside a transaction would have the commits
// of all logins wait for each other.
func broadcast(db *sql.DB) func(ctx context.Context, text string) error {
	return func(ctx context.Context, text string) error {
		_, err := db.ExecContext(ctx, notify, text)
		return err
	}
}

// listener hears what is broadcast, on one connection of its own outside the pool.
type listener struct {
	settings *pgx.ConnConfig
	log      *slog.Logger
}

func newListener(settings *pgx.ConnConfig, log *slog.Logger) *listener {
	own := settings.Copy()
	own.RuntimeParams["application_name"] = "parola wake-ups" // to tell it from the pool's in pg_stat_activity
	return &listener{settings: own, log: log}
}

// hear connects again and again until ctx ends. After each time that nothing was heard, anything may have been missed.
func (l *listener) hear(ctx context.Context, e sqlstore.Ear) {
	pause, deaf := shortestPause, false
	for {
		err := l.listen(ctx, e, func() {
			if deaf {
				l.log.Info("wake-ups of other nodes are heard again")
			}
			pause, deaf = shortestPause, false
		})
		if ctx.Err() != nil {
			return
		}
		if !deaf {
			l.log.Warn("wake-ups of other nodes are not heard: what they change is noticed by polling until the connection is back", "err", err)
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
func (l *listener) listen(ctx context.Context, e sqlstore.Ear, listening func()) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		closing, stop := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		defer stop()
		_ = conn.Close(closing)
	}()
	listening()
	e.Missed()
	for {
		if err := greet(ctx, conn, e.Greeting); err != nil {
			return fmt.Errorf("greet: %w", err)
		}
		if err := hearUntil(ctx, conn, e); err != nil {
			return fmt.Errorf("wait for a notification: %w", err)
		}
	}
}

func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	soon, stop := context.WithTimeout(ctx, answerWithin)
	defer stop()
	conn, err := pgx.ConnectConfig(soon, l.settings)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(soon, "LISTEN "+wakeupChannel); err != nil {
		_ = conn.Close(soon)
		return nil, err
	}
	return conn, nil
}

// greet keeps what is notified meanwhile for the next wait.
func greet(ctx context.Context, conn *pgx.Conn, greeting string) error {
	soon, stop := context.WithTimeout(ctx, answerWithin)
	defer stop()
	_, err := conn.Exec(soon, notify, greeting)
	return err
}

// hearUntil hears until it is time for a greeting.
func hearUntil(ctx context.Context, conn *pgx.Conn, e sqlstore.Ear) error {
	waiting, stop := context.WithTimeout(ctx, e.GreetEvery)
	defer stop()
	for {
		n, err := conn.WaitForNotification(waiting)
		switch {
		case err == nil:
			e.Heard(n.Payload)
		case errors.Is(waiting.Err(), context.DeadlineExceeded) && ctx.Err() == nil && !conn.IsClosed():
			return nil
		default:
			return err
		}
	}
}
