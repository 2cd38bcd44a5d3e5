// Package audit writes and reads the audit log: the kinds of events, the writer that every room uses inside its own
// transaction, the canonical bytes of an event, the sealer that links events into a chain, and the verifier that needs
// nothing but the database and the public key.
//
// A change and its event commit together (LOG-01): the writer never opens a transaction of its own.
package audit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/storage"
)

// SchemaVersion is the version of the event format that this release writes.
const SchemaVersion = 1

// The outcomes.
const (
	Success = "success"
	Failure = "failure"
)

// Writer fills in what every event of this process has in common and appends it.
type Writer struct {
	events  storage.Events
	clock   clock.Clock
	node    string
	release string

	// Events of one millisecond keep the order in which this process wrote them: count is how many there were before.
	mu    sync.Mutex
	last  int64
	count uint16
}

// Config is what a Writer needs. Node and Release name this process and its version in every event.
type Config struct {
	Events  storage.Events
	Clock   clock.Clock
	Node    string
	Release string
}

// NewWriter returns a Writer.
func NewWriter(c Config) *Writer {
	return &Writer{events: c.Events, clock: c.Clock, node: c.Node, release: c.Release}
}

// Write appends events in the transaction that ctx carries; without one it fails. ID, time, version, node, release,
// severity and, where empty, outcome and trace are filled in. The kind must be one of this package's.
func (w *Writer) Write(ctx context.Context, events ...storage.Event) error {
	now, trace := w.clock.Now(), tracing.ID(ctx)
	for i := range events {
		e := &events[i]
		severity, known := severities[e.Kind]
		if !known {
			return fmt.Errorf("write audit event: kind %q is not documented", e.Kind)
		}
		e.ID, e.At, e.Version = w.id(now), now, SchemaVersion
		e.Node, e.Release, e.Severity = w.node, w.release, severity
		if e.Outcome == "" {
			e.Outcome = Success
		}
		if e.TraceID == "" {
			e.TraceID = trace
		}
	}
	if err := w.events.AppendEvents(ctx, events...); err != nil {
		return fmt.Errorf("write audit event %s: %w", events[0].Kind, err)
	}
	return nil
}

func (w *Writer) id(now time.Time) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ms := now.UnixMilli(); ms != w.last {
		w.last, w.count = ms, 0
	}
	n := w.count
	w.count++
	return storage.NewOrderedID(now, n)
}
