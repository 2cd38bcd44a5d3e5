package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

// Store is what the Worker needs of storage.
type Store interface {
	storage.Transactor
	storage.Leases
	storage.Ledger
	SealedEvents(ctx context.Context, afterSequence int64, limit int) ([]storage.Event, error)
	SealedEventsOf(ctx context.Context, challengeIDs []string, upTo int64) ([]storage.Event, error)
}

// Config is what a Worker needs.
type Config struct {
	Store  Store
	Prices Prices
	// SMSCarrier names the carrier that a country's SMS go to first, for what WhatsApp saves; nil is any.
	SMSCarrier func(country string) string
	Clock      clock.Clock
	// Holder names this process in the lease; no two processes share one.
	Holder string
	// Every is the pause after the log was read to its end; 5 s when zero.
	Every time.Duration
	// Counted, where set, hears what this process has counted, once that has committed: by country, channel and carrier
	// alone, the labels that metrics can bear.
	Counted func([]storage.DeliveryDay)
	Log     *slog.Logger
}

const (
	// cursor names the Worker among the readers of the audit log, and its lease.
	cursor    = "ledger"
	leaseTime = 30 * time.Second
	// readAtOnce bounds a batch.
	readAtOnce = 1000
	// challengesAtOnce bounds what is read of earlier events in one go: a challenge has four messages with a handful each.
	challengesAtOnce = 200
)

// Worker fills the ledger. Any number of nodes may run one: a lease lets one of them work, and the cursor lets each event
// count once.
type Worker struct {
	Config
	// awayUntil is when another process's lease may be over; there is no use in reading before.
	awayUntil time.Time
}

// New returns a Worker.
func New(c Config) *Worker {
	if c.Every == 0 {
		c.Every = 5 * time.Second
	}
	if c.SMSCarrier == nil {
		c.SMSCarrier = func(string) string { return string(storage.SMS) }
	}
	return &Worker{Config: c}
}

// Run counts until ctx ends. Errors of storage are logged and tried again.
func (w *Worker) Run(ctx context.Context) {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		if err := w.Work(ctx); err != nil && ctx.Err() == nil {
			w.Log.ErrorContext(ctx, "fill ledger", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Work counts everything that is sealed now, batch by batch, unless another process does.
func (w *Worker) Work(ctx context.Context) error {
	if w.Clock.Now().Before(w.awayUntil) {
		return nil
	}
	for ctx.Err() == nil {
		more, err := w.batch(ctx)
		if err != nil || !more {
			return err
		}
	}
	return ctx.Err()
}

// errMoved undoes a batch that another process has counted meanwhile.
var errMoved = errors.New("the cursor was moved by another process")

// batch counts up to readAtOnce events. What it needs is read before its transaction, which then only adds: a login never
// waits for SQLite's one writer while a thousand events are read.
func (w *Worker) batch(ctx context.Context) (more bool, err error) {
	from, err := w.Store.Cursor(ctx, cursor)
	if err != nil {
		return false, fmt.Errorf("read cursor of the ledger: %w", err)
	}
	events, err := w.Store.SealedEvents(ctx, from, readAtOnce)
	if err != nil {
		return false, fmt.Errorf("read events for the ledger: %w", err)
	}
	if len(events) == 0 {
		return false, nil
	}
	sums, err := w.count(ctx, from, events)
	if err != nil {
		return false, fmt.Errorf("count events %d to %d: %w", from+1, events[len(events)-1].Sequence, err)
	}
	days, conversions := sums.rows()
	held := false
	err = w.Store.InTx(ctx, func(ctx context.Context) error {
		now := w.Clock.Now()
		if held, err = w.Store.AcquireLease(ctx, cursor, w.Holder, now, now.Add(leaseTime)); err != nil || !held {
			return err
		}
		moved, err := w.Store.MoveCursor(ctx, cursor, from, events[len(events)-1].Sequence)
		if err != nil {
			return err
		}
		if !moved {
			return errMoved
		}
		if err := w.Store.AddDeliveryDays(ctx, days...); err != nil {
			return err
		}
		return w.Store.AddConversions(ctx, conversions...)
	})
	switch {
	case errors.Is(err, errMoved):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("add to the ledger: %w", err)
	case !held:
		w.awayUntil = w.Clock.Now().Add(leaseTime)
		return false, nil
	}
	if sums.passed > 0 {
		w.Log.WarnContext(ctx, "events about challenges that are no longer kept are not in the ledger", "events", sums.passed)
	}
	if w.Counted != nil && len(days) > 0 {
		w.Counted(Totals(days))
	}
	return len(events) == readAtOnce, nil
}

// count looks up what the events are about.
func (w *Worker) count(ctx context.Context, from int64, events []storage.Event) (counts, error) {
	ids := challengesOf(events)
	if len(ids) == 0 {
		return counts{}, nil
	}
	k := known{challenges: make(map[string]storage.Challenge), deliveries: make(map[string][]storage.Delivery)}
	challenges, err := w.Store.ChallengesByID(ctx, ids)
	if err != nil {
		return counts{}, err
	}
	deliveries, err := w.Store.DeliveriesOfAll(ctx, ids)
	if err != nil {
		return counts{}, err
	}
	for _, d := range deliveries {
		k.deliveries[d.ChallengeID] = append(k.deliveries[d.ChallengeID], d)
	}
	var kept []string
	for _, c := range challenges {
		k.challenges[c.ID] = c
		kept = append(kept, c.ID)
	}
	before, err := w.earlier(ctx, kept, from)
	if err != nil {
		return counts{}, err
	}
	return tally(events, before, k, w.Prices, w.SMSCarrier), nil
}

// earlier are the events of challenges that are counted already.
func (w *Worker) earlier(ctx context.Context, challengeIDs []string, upTo int64) (before []storage.Event, err error) {
	for chunk := range slices.Chunk(challengeIDs, challengesAtOnce) {
		all, err := w.Store.SealedEventsOf(ctx, chunk, upTo)
		if err != nil {
			return nil, err
		}
		before = append(before, slices.DeleteFunc(all, func(e storage.Event) bool { return !counted(e) })...)
	}
	return before, nil
}

// challengesOf are the challenges that events to be counted are about, each once.
func challengesOf(events []storage.Event) (ids []string) {
	seen := make(map[string]bool)
	for _, e := range events {
		if counted(e) && e.ChallengeID != "" && !seen[e.ChallengeID] {
			seen[e.ChallengeID] = true
			ids = append(ids, e.ChallengeID)
		}
	}
	return ids
}

// rows are the counts as storage takes them.
func (c counts) rows() (days []storage.DeliveryDay, conversions []storage.Conversion) {
	for _, d := range c.days {
		days = append(days, *d)
	}
	for _, v := range c.conversions {
		conversions = append(conversions, *v)
	}
	return days, conversions
}
