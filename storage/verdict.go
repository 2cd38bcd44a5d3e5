package storage

import (
	"context"
	"time"
)

// VerdictState says what a verdict does.
type VerdictState string

// The states.
const (
	VerdictObserve VerdictState = "observe" // told, nothing is refused
	VerdictEnforce VerdictState = "enforce" // messages are refused
)

// Override is an operator's word, which stands over what the numbers say until it is withdrawn.
type Override string

// The overrides.
const (
	OverrideAllow Override = "allow"
	OverrideBlock Override = "block"
)

// Verdict is what the defence against SMS pumping thinks of one number prefix on one edge: too few of its messages are
// ever followed by a right passcode. There is no record of a prefix that nothing is said of.
type Verdict struct {
	Prefix  string
	Country string
	// Edge is sms, or instant: SMS at once because the number has no WhatsApp.
	Edge     string
	State    VerdictState // empty when only an override is there
	Override Override     // empty for none
	// Sent and Verified are the numbers behind it, over the window.
	Sent, Verified int
	Since          time.Time
	UpdatedAt      time.Time
}

// Verdicts keeps them. They are unique by prefix and edge.
type Verdicts interface {
	PutVerdict(ctx context.Context, v Verdict) error
	RemoveVerdict(ctx context.Context, prefix, edge string) (removed bool, err error)
	// Verdicts returns all by prefix and edge.
	Verdicts(ctx context.Context) ([]Verdict, error)
}
