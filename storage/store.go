package storage

import (
	"context"
	"time"
)

// Sweepable names a kind of record that ends.
type Sweepable string

// What can be swept, and by which time a record counts as ended.
const (
	SweepAuthRequests Sweepable = "auth_requests" // expires_at
	SweepChallenges   Sweepable = "challenges"    // expires_at; takes deliveries and receipts along
	SweepSessions     Sweepable = "sessions"      // ended_at, or expires_at
	SweepGrants       Sweepable = "grants"        // refresh_until (or the code's end when there never was a token), revoked ones too
	SweepTokens       Sweepable = "tokens"        // expires_at
	SweepAssertions   Sweepable = "assertions"    // until
	SweepThrottles    Sweepable = "throttles"     // full buckets; failure counters untouched for 30 days
	SweepConversions  Sweepable = "conversions"   // hour
	SweepDeliveryDays Sweepable = "delivery_days" // day
	SweepConsents     Sweepable = "consents"      // expires_at
	SweepSigningKeys  Sweepable = "signing_keys"  // retired_at
	SweepLeases       Sweepable = "leases"        // expires_at; of processes that are gone
)

// Sweeper removes what has ended.
type Sweeper interface {
	// Sweep removes at most limit records of the kind that ended before the given time, and says how many.
	Sweep(ctx context.Context, kind Sweepable, before time.Time, limit int) (int, error)
}

// Store is everything a database keeps. Only internal/app and the contract suite hold one whole.
type Store interface {
	Transactor
	Persons
	Phones
	Clients
	AuthRequests
	Sessions
	Grants
	Consents
	Assertions
	Challenges
	Deliveries
	Throttles
	Circuits
	Notices
	Ledger
	Verdicts
	RateCards
	SigningKeys
	RootGenerations
	Reseals
	Events
	Leases
	Wakeups
	Sweeper
	Pruner
	Epochs
	Subjects

	// Ping asks the database for a sign of life.
	Ping(ctx context.Context) error
	// ClockOffset measures how far the database's clock is ahead of the given one.
	ClockOffset(ctx context.Context, now func() time.Time) (time.Duration, error)
	Close() error
}
