package fraud

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

// Store is what the Worker needs of storage.
type Store interface {
	storage.Transactor
	storage.Leases
	storage.Verdicts
	Conversions(ctx context.Context, since time.Time) ([]storage.Conversion, error)
	ListEvents(ctx context.Context, f storage.EventFilter) ([]storage.Event, error)
}

// Config is what a Worker needs.
type Config struct {
	Store    Store
	Audit    *audit.Writer
	Clock    clock.Clock
	Settings Settings
	// Holder names this process in the lease; no two processes share one.
	Holder string
	// Every is how often it judges; 30 s when zero.
	Every time.Duration
	// Settle is how old a message must be to count: by then most people have typed their passcode, so that a rush of
	// honest logins does not look like messages that nobody wanted. 2 min when zero.
	Settle time.Duration
	Log    *slog.Logger
}

const (
	leaseName = "fraud"
	// week is how far before the window a prefix's past counts.
	week = 7 * 24 * time.Hour
)

// Worker writes verdicts. Any number of nodes may run one: a lease lets one of them work.
type Worker struct {
	Config
	firstMessage time.Time
	// readings are the conversions as they were read before, oldest first, back to the newest that has settled.
	readings []reading
	before   past
}

// reading is what the window held at a time.
type reading struct {
	at, since time.Time
	rows      []storage.Conversion
}

// past is the week before a window. It hardly changes while the window begins at the same hour.
type past struct {
	until time.Time
	rows  []storage.Conversion
}

// New returns a Worker.
func New(c Config) *Worker {
	if c.Every == 0 {
		c.Every = 30 * time.Second
	}
	if c.Settle == 0 {
		c.Settle = 2 * time.Minute
	}
	return &Worker{Config: c}
}

// Run judges until ctx ends. Errors of storage are logged and tried again.
func (w *Worker) Run(ctx context.Context) {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		if err := w.Work(ctx); err != nil && ctx.Err() == nil {
			w.Log.ErrorContext(ctx, "judge number prefixes", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Work judges once, unless another process does. A new worker judges nothing before Settle has passed: it must have seen
// how many messages there were before it can say how many of them were answered.
func (w *Worker) Work(ctx context.Context) error {
	held, err := w.lease(ctx)
	if err != nil {
		return fmt.Errorf("take lease: %w", err)
	}
	if !held {
		w.readings = nil
		return nil
	}
	e, settled, err := w.evidence(ctx)
	if err != nil || !settled {
		return err
	}
	if e.Verdicts, err = w.Store.Verdicts(ctx); err != nil {
		return fmt.Errorf("read verdicts: %w", err)
	}
	if len(Judge(w.Settings, e)) == 0 {
		return nil
	}
	err = w.Store.InTx(ctx, func(ctx context.Context) error { return w.write(ctx, e) })
	if err != nil {
		return fmt.Errorf("write verdicts: %w", err)
	}
	return nil
}

func (w *Worker) lease(ctx context.Context) (held bool, err error) {
	err = w.Store.InTx(ctx, func(ctx context.Context) error {
		now := w.Clock.Now()
		held, err = w.Store.AcquireLease(ctx, leaseName, w.Holder, now, now.Add(3*w.Every))
		return err
	})
	return held, err
}

// evidence reads all but the verdicts. settled is false while no reading is old enough.
func (w *Worker) evidence(ctx context.Context) (e Evidence, settled bool, err error) {
	e.Now = w.Clock.Now()
	now := reading{at: e.Now, since: e.Now.Add(-w.Settings.Window).Truncate(time.Hour)}
	if now.rows, err = w.Store.Conversions(ctx, now.since); err != nil {
		return e, false, fmt.Errorf("read conversions: %w", err)
	}
	w.readings = append(w.readings, now)
	for len(w.readings) > 1 && !w.readings[1].at.After(e.Now.Add(-w.Settle)) {
		w.readings = w.readings[1:]
	}
	then := w.readings[0]
	if then.at.After(e.Now.Add(-w.Settle)) {
		return e, false, nil
	}
	if !now.since.Equal(then.since) { // an hour has left the window since
		if now.rows, err = w.Store.Conversions(ctx, then.since); err != nil {
			return e, false, fmt.Errorf("read conversions: %w", err)
		}
	}
	if !w.before.until.Equal(then.since) {
		all, err := w.Store.Conversions(ctx, then.since.Add(-week))
		if err != nil {
			return e, false, fmt.Errorf("read conversions of the week before: %w", err)
		}
		w.before = past{until: then.since, rows: without(all, now.rows)}
	}
	if e.FirstMessage, err = w.first(ctx); err != nil {
		return e, false, fmt.Errorf("find first message: %w", err)
	}
	e.Recent, e.Before = mature(then.rows, now.rows), w.before.rows
	return e, true, nil
}

// first is when the installation's first message was accepted.
func (w *Worker) first(ctx context.Context) (time.Time, error) {
	if w.firstMessage.IsZero() {
		events, err := w.Store.ListEvents(ctx, storage.EventFilter{Kind: audit.PasscodeSent, Limit: 1})
		if err != nil || len(events) == 0 {
			return time.Time{}, err
		}
		w.firstMessage = events[0].At
	}
	return w.firstMessage, nil
}

// mature counts the messages that were sent by then and those that were verified by now. It flatters: what was verified
// may be younger than what is counted as sent.
func mature(then, now []storage.Conversion) []storage.Conversion {
	verified := make(map[storage.Conversion]int)
	for _, c := range now {
		verified[named(c)] = c.Verified
	}
	rows := make([]storage.Conversion, 0, len(then))
	for _, c := range then {
		c.Verified = min(c.Sent, verified[named(c)])
		rows = append(rows, c)
	}
	return rows
}

// without takes the later rows away from all.
func without(all, later []storage.Conversion) []storage.Conversion {
	less := make(map[storage.Conversion]storage.Conversion)
	for _, c := range later {
		less[named(c)] = c
	}
	var rows []storage.Conversion
	for _, c := range all {
		l := less[named(c)]
		c.Sent, c.Verified, c.Spent = c.Sent-l.Sent, c.Verified-l.Verified, c.Spent-l.Spent
		if c.Sent > 0 {
			rows = append(rows, c)
		}
	}
	return rows
}

// named is the row without its numbers: what it is a row of.
func named(c storage.Conversion) storage.Conversion {
	return storage.Conversion{Prefix: c.Prefix, Country: c.Country, Channel: c.Channel, Instant: c.Instant}
}

// write judges again with the verdicts as they are in this transaction, so that an operator's word of a moment ago is not
// overwritten, and stores what changes, each with its event.
func (w *Worker) write(ctx context.Context, e Evidence) (err error) {
	if err := lock(ctx, w.Store, e.Now); err != nil {
		return err
	}
	if e.Verdicts, err = w.Store.Verdicts(ctx); err != nil {
		return err
	}
	for _, c := range Judge(w.Settings, e) {
		if err := put(ctx, w.Store, c.Verdict); err != nil {
			return err
		}
		if err := w.Audit.Write(ctx, verdictEvent(c)); err != nil {
			return err
		}
	}
	return nil
}

func verdictEvent(c Change) storage.Event {
	v := c.Verdict
	state := string(v.State)
	if state == "" {
		state = "lifted"
	}
	return storage.Event{Kind: audit.FraudVerdict, ActorID: "system", Data: map[string]string{
		"prefix": v.Prefix, "country": v.Country, "edge": v.Edge, "state": state, "before": string(c.From),
		"sent": strconv.Itoa(v.Sent), "verified": strconv.Itoa(v.Verified),
	}}
}
