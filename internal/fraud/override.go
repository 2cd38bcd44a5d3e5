package fraud

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

// CountryPrefix begins the name of a whole country as a subject of overrides: country:AZ.
const CountryPrefix = "country:"

// VerdictStore is what overrides need of storage.
type VerdictStore interface {
	storage.Transactor
	storage.Leases
	storage.Verdicts
}

// Overrides stores what an operator says of a prefix or a country.
type Overrides struct {
	Store VerdictStore
	Audit *audit.Writer
	Clock clock.Clock
}

// Set stores word for a subject on an edge, with its event; an empty word withdraws it. The subject is a number prefix (a
// number without its last six digits, as +393331, or a part of one) or a country (country:AZ). actor is who says so.
func (o Overrides) Set(ctx context.Context, subject, edge string, word storage.Override, actor string) error {
	if err := checkOverride(subject, edge, word); err != nil {
		return err
	}
	err := o.Store.InTx(ctx, func(ctx context.Context) error { return o.set(ctx, subject, edge, word, actor) })
	if err != nil {
		return fmt.Errorf("override verdict: %w", err)
	}
	return nil
}

func (o Overrides) set(ctx context.Context, subject, edge string, word storage.Override, actor string) error {
	now := o.Clock.Now()
	if err := lock(ctx, o.Store, now); err != nil {
		return err
	}
	verdicts, err := o.Store.Verdicts(ctx)
	if err != nil {
		return err
	}
	v := storage.Verdict{Prefix: subject, Edge: edge, Since: now}
	if country, isCountry := strings.CutPrefix(subject, CountryPrefix); isCountry {
		v.Country = country
	}
	for _, stored := range verdicts {
		if stored.Prefix == subject && stored.Edge == edge {
			v = stored
		}
	}
	if v.Override == word {
		return nil
	}
	e := storage.Event{Kind: audit.FraudOverride, ActorID: actor, Data: map[string]string{
		"prefix": subject, "edge": edge, "override": string(word), "before": string(v.Override), "state": string(v.State),
	}}
	v.Override, v.UpdatedAt = word, now
	if err := put(ctx, o.Store, v); err != nil {
		return err
	}
	return o.Audit.Write(ctx, e)
}

func checkOverride(subject, edge string, word storage.Override) error {
	country, isCountry := strings.CutPrefix(subject, CountryPrefix)
	digits, isPrefix := strings.CutPrefix(subject, "+")
	switch {
	case edge != EdgeSMS && edge != EdgeInstant:
		return fmt.Errorf("%q is no edge: write %s or %s", edge, EdgeSMS, EdgeInstant)
	case word != storage.OverrideAllow && word != storage.OverrideBlock && word != "":
		return fmt.Errorf("%q is no override: write %s or %s, or withdraw it", word, storage.OverrideAllow, storage.OverrideBlock)
	case isCountry && len(country) == 2 && strings.Trim(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
		return nil
	case isPrefix && digits != "" && len(digits) <= 9 && strings.Trim(digits, "0123456789") == "":
		return nil
	default:
		return fmt.Errorf("%q is neither a number without its last six digits, such as +393331, nor a country, such as %sAZ",
			subject, CountryPrefix)
	}
}

// put stores a verdict, or removes one that says nothing.
func put(ctx context.Context, store storage.Verdicts, v storage.Verdict) error {
	if v.State == "" && v.Override == "" {
		_, err := store.RemoveVerdict(ctx, v.Prefix, v.Edge)
		return err
	}
	return store.PutVerdict(ctx, v)
}

// lockName is a lease that is over as soon as it is taken: taking it writes its row, and whoever else wants it waits for
// this transaction. So a verdict is read and written by one at a time, on PostgreSQL as with SQLite's one writer.
const lockName = "fraud-verdicts"

func lock(ctx context.Context, leases storage.Leases, now time.Time) error {
	got, err := leases.AcquireLease(ctx, lockName, lockName, now, now)
	if err == nil && !got {
		err = errors.New("verdicts are locked")
	}
	return err
}
