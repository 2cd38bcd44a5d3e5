package storage

import (
	"context"
	"time"
)

// DeliveryDay is what became of the messages of one day (UTC) to one country, on one channel by one carrier, in one
// language: what it cost, what arrived. Rows outlive the deliveries they were counted from and name nobody.
type DeliveryDay struct {
	Day      string // 2026-11-25
	Country  string // ISO 3166-1 alpha-2
	Channel  Channel
	Carrier  string
	Language string

	// Sent counts messages that the carrier accepted, Delivered and Read those it reported so, Failed those it refused,
	// reported as failed or lost the answer of, Verified those whose challenge was verified after them (the newest message
	// of a challenge counts).
	Sent, Delivered, Read, Failed, Verified int
	// FellBack counts messages after which an SMS followed by itself, by trigger.
	FellBack map[string]int
	// Spent is what the messages cost by the rate cards; Saved what SMS alone would have cost more.
	Spent, Saved Money
	// ToDelivered and ToVerified are times since acceptance, as counts by bucket; see internal/ledger for the bounds.
	ToDelivered, ToVerified map[int]int
}

// Conversion is how many of the messages of one hour to one number prefix were followed by a right passcode.
type Conversion struct {
	// Prefix is the number without its last six digits.
	Prefix  string
	Country string
	Channel Channel
	// Instant marks SMS that went out at once because the number has no WhatsApp: the edge that pumping aims at.
	Instant bool
	Hour    time.Time
	// Sent counts messages, Verified those whose challenge was verified, Spent what they cost.
	Sent, Verified int
	Spent          Money
}

// DayFilter narrows DeliveryDays. Zero fields do not narrow.
type DayFilter struct {
	Since, Until string // days, both included
	Country      string
	Channel      Channel
	Carrier      string
}

// Ledger keeps what messages cost and came to. It is filled from the audit log by one leased worker, which moves its
// cursor in the same transaction: each event counts once, whatever is killed.
type Ledger interface {
	// Cursor returns how far the named reader of the audit log has come; 0 at the start.
	Cursor(ctx context.Context, name string) (int64, error)
	// MoveCursor sets it to position if it still is at from; the row count is the answer.
	MoveCursor(ctx context.Context, name string, from, position int64) (moved bool, err error)
	// AddDeliveryDays adds these counts to the stored ones.
	AddDeliveryDays(ctx context.Context, days ...DeliveryDay) error
	// DeliveryDays returns rows in the order of day, country, channel, carrier, language.
	DeliveryDays(ctx context.Context, f DayFilter) ([]DeliveryDay, error)
	// AddConversions adds these counts to the stored ones.
	AddConversions(ctx context.Context, conversions ...Conversion) error
	// Conversions returns the sums since an hour, one row per prefix, country, channel and edge; Hour is the latest.
	Conversions(ctx context.Context, since time.Time) ([]Conversion, error)
	// ChallengesByID returns those of the ids that are still kept, without an order.
	ChallengesByID(ctx context.Context, ids []string) ([]Challenge, error)
	// DeliveriesOfAll returns the deliveries of several challenges, oldest first.
	DeliveriesOfAll(ctx context.Context, challengeIDs []string) ([]Delivery, error)
}
