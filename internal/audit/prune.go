package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

// LeastKept is the shortest time that events are kept where they are removed at all. A removal that reaches further is a
// finding of Verify: otherwise whoever can write to the database could have yesterday's events removed in good order.
const LeastKept = 90 * 24 * time.Hour

// pruneEvery is the least time between two removals, so that each is worth its event.
const pruneEvery = 24 * time.Hour

// PruneStore is what the Pruner needs of storage.
type PruneStore interface {
	storage.Transactor
	storage.Pruner
	SealedEvents(ctx context.Context, afterSequence int64, limit int) ([]storage.Event, error)
	ListEvents(ctx context.Context, f storage.EventFilter) ([]storage.Event, error)
}

// Pruner removes the beginning of the log once it is old enough, behind a checkpoint that stays: what is left verifies from
// there. First an event tells what is going to be removed; when that has its place in the chain, the removal begins. Whoever
// runs it sees to it that one process at a time does.
type Pruner struct {
	Store PruneStore
	Audit *Writer
	Clock clock.Clock
	// Keep is how long events are kept; 0 keeps them for ever.
	Keep time.Duration
	// AtOnce bounds the rows that one Step removes.
	AtOnce int
}

// Step does the next part of the work and says how many rows it removed; there may be more when that is AtOnce.
func (p *Pruner) Step(ctx context.Context) (removed int, err error) {
	if p.Keep == 0 {
		return 0, nil
	}
	s, err := p.look(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at the beginning of the audit log: %w", err)
	}
	act, through := decide(s, p.Clock.Now(), p.Keep)
	err = p.Store.InTx(ctx, func(ctx context.Context) (err error) {
		switch act {
		case announce:
			return p.Audit.Write(ctx, storage.Event{Kind: AuditPruned, ActorID: "system", Data: map[string]string{
				"through": strconv.FormatInt(through, 10), "signed_at": s.checkpoint.At.UTC().Format(stamp), "keep": p.Keep.String(),
			}})
		case remove:
			removed, err = p.Store.PruneEvents(ctx, through, p.AtOnce)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove old events: %w", err)
	}
	return removed, nil
}

// standing is what the Pruner decides by.
type standing struct {
	// first is the oldest sealed event; its sequence is 0 when there is none.
	first storage.Event
	// announced is the newest event that tells of a removal; its kind is empty when there is none.
	announced storage.Event
	// checkpoint is the newest one that is old enough and that no reader of the log has yet to reach.
	checkpoint storage.Checkpoint
	// read is how far the slowest reader of the log is.
	read int64
}

func (p *Pruner) look(ctx context.Context) (s standing, err error) {
	first, err := p.Store.SealedEvents(ctx, 0, 1)
	if err != nil || len(first) == 0 {
		return s, err
	}
	s.first = first[0]
	announced, err := p.Store.ListEvents(ctx, storage.EventFilter{Kind: AuditPruned, Backward: true, Limit: 1})
	if err != nil {
		return s, err
	}
	if len(announced) > 0 {
		s.announced = announced[0]
	}
	if s.read, err = p.Store.LeastCursor(ctx); err != nil {
		return s, err
	}
	s.checkpoint, err = p.Store.CheckpointBefore(ctx, p.Clock.Now().Add(-p.Keep), s.read)
	if errors.Is(err, storage.ErrNotFound) {
		err = nil
	}
	return s, err
}

type pruneAct int

const (
	wait pruneAct = iota
	announce
	remove
)

// decide says what comes next. Nothing is removed before the event that tells of it is sealed: it is also what keeps the
// end of a chain whose events are all old.
func decide(s standing, now time.Time, keep time.Duration) (pruneAct, int64) {
	if s.first.Sequence == 0 {
		return wait, 0
	}
	through, _ := announcedThrough(s.announced)
	switch {
	case through > 0 && s.announced.Sequence == 0:
		return wait, 0
	case through >= s.first.Sequence && through <= s.read && through < s.announced.Sequence:
		return remove, through
	case s.checkpoint.Sequence >= s.first.Sequence && now.Sub(s.first.At) > keep+pruneEvery:
		return announce, s.checkpoint.Sequence
	case through > 0 && through < s.first.Sequence: // checkpoints of what is gone
		return remove, through
	}
	return wait, 0
}

// announcedThrough is the number up to which an event says that the log is removed.
func announcedThrough(e storage.Event) (through int64, ok bool) {
	if e.Kind != AuditPruned {
		return 0, false
	}
	through, err := strconv.ParseInt(e.Data["through"], 10, 64)
	return through, err == nil && through > 0
}
