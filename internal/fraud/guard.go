package fraud

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// GuardConfig is what a Guard needs.
type GuardConfig struct {
	Store interface {
		storage.Verdicts
		storage.Wakeups
	}
	// Every is how often Run reads the verdicts without having heard that one changed; 3 s when zero.
	Every time.Duration
	Log   *slog.Logger
}

// Guard answers from memory whether an SMS must not be sent. It is safe for concurrent use.
type Guard struct {
	GuardConfig
	known atomic.Pointer[verdicts]
}

var _ mfa.Guard = (*Guard)(nil)

// verdicts are what is known, in the order of storage and by subject.
type verdicts struct {
	list []storage.Verdict
	by   map[key]storage.Verdict
}

// NewGuard returns a Guard that refuses nothing until Load or Run has read the verdicts.
func NewGuard(c GuardConfig) *Guard {
	if c.Every == 0 {
		c.Every = 3 * time.Second
	}
	g := &Guard{GuardConfig: c}
	g.known.Store(&verdicts{})
	return g
}

// Load reads the verdicts.
func (g *Guard) Load(ctx context.Context) error {
	list, err := g.Store.Verdicts(ctx)
	if err != nil {
		return fmt.Errorf("load verdicts: %w", err)
	}
	by := make(map[key]storage.Verdict, len(list))
	for _, v := range list {
		by[key{v.Prefix, v.Edge}] = v
	}
	g.known.Store(&verdicts{list: list, by: by})
	return nil
}

// Run loads the verdicts whenever one changed on any node, and now and then, until ctx ends. While storage is down the last known ones stand.
func (g *Guard) Run(ctx context.Context) {
	changed := make(chan struct{}, 1)
	defer g.Store.Listen(func(w storage.Wakeup) {
		if w.Topic == storage.VerdictsChanged || w.Topic == storage.Anything {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	})()
	tick := time.NewTicker(g.Every)
	defer tick.Stop()
	for {
		if err := g.Load(ctx); err != nil && ctx.Err() == nil {
			g.Log.WarnContext(ctx, "load verdicts", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// Refuses implements mfa.Guard. An SMS that would go out at once must pass both edges.
func (g *Guard) Refuses(q mfa.SMSQuestion) bool {
	known := g.known.Load()
	return known.refuse(q, EdgeSMS) || q.Instant && known.refuse(q, EdgeInstant)
}

// refuse answers for one edge: by the operator's word for the prefix, or for its country, or by the numbers.
func (v *verdicts) refuse(q mfa.SMSQuestion, edge string) bool {
	verdict := v.by[key{q.Prefix, edge}]
	word := verdict.Override
	for n := len(q.Prefix) - 1; word == "" && n > 1; n-- {
		word = v.by[key{q.Prefix[:n], edge}].Override // a word for +39 holds for +393331, unless there is a nearer one
	}
	if word == "" {
		word = v.by[key{CountryPrefix + q.Country, edge}].Override
	}
	switch word {
	case storage.OverrideAllow:
		return false
	case storage.OverrideBlock:
		return true
	default:
		return verdict.State == storage.VerdictEnforce
	}
}

// Verdicts are the last known ones, by prefix and edge, for metrics.
func (g *Guard) Verdicts() []storage.Verdict { return g.known.Load().list }
