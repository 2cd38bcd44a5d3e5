package storage

import (
	"context"
	"time"
)

// Event is one record of the audit log. It is inserted unsealed in the transaction of the change it tells; a sealer
// gives it a sequence number and links it into the chain. It never holds a password, passcode, token, cookie, secret,
// whole phone number or raw carrier body (LOG-03).
type Event struct {
	// ID is unique and made of At (see NewTimeID), so that it sorts by time and a time is found by it.
	ID      string
	Version int
	At      time.Time
	Kind    string
	// Outcome is success or failure; Reason a short machine word; Severity info, warning or high.
	Outcome  string
	Reason   string
	Severity string

	PersonID      string
	ActorID       string // who did it, when not the person: "cli", "system"
	ClientID      string
	SessionID     string
	AuthRequestID string
	GrantID       string
	ChallengeID   string
	DeliveryID    string
	JTI           string
	CorrelationID string
	TraceID       string
	SourceAddr    string
	UserAgent     string
	Channel       string
	Node          string
	Release       string
	// Data are further facts by name; values are short.
	Data map[string]string

	// Sequence is zero until sealed; then Hash covers the canonical bytes and PrevHash.
	Sequence int64
	PrevHash []byte
	Hash     []byte
}

// Checkpoint is the signed state of the chain: its length and head.
type Checkpoint struct {
	Sequence  int64
	Head      []byte
	At        time.Time
	KeyID     string
	Signature []byte
}

// EventFilter narrows ListEvents. Zero fields do not narrow.
type EventFilter struct {
	PersonID      string
	ClientID      string
	AuthRequestID string
	GrantID       string
	ChallengeID   string
	JTI           string
	CorrelationID string
	SessionID     string
	// Kind matches exactly, or as a prefix when it ends in a dot.
	Kind     string
	Since    time.Time
	Until    time.Time
	AfterID  string
	Limit    int // 1 to 10000; 0 means 100
	Backward bool
}

// Events keeps the audit log.
type Events interface {
	// AppendEvents stores unsealed events in the caller's transaction. The events of one transaction are written
	// together when it commits; if they cannot be, nothing of it is (LOG-01).
	AppendEvents(ctx context.Context, events ...Event) error
	// ListEvents returns events in time order (ID order).
	ListEvents(ctx context.Context, f EventFilter) ([]Event, error)
	// UnsealedEvents returns unsealed events in ID order, at most limit (1 to 10000; 0 means 100).
	UnsealedEvents(ctx context.Context, limit int) ([]Event, error)
	// SealEvents gives unsealed events their place: Sequence, PrevHash and Hash. A sequence that exists already, or an event
	// that is sealed already, is ErrConflict.
	SealEvents(ctx context.Context, events []Event) error
	// SealedEvents returns sealed events in sequence order, after the given sequence, at most limit.
	SealedEvents(ctx context.Context, afterSequence int64, limit int) ([]Event, error)
	// SealedEventsOf returns the sealed events of several challenges up to a sequence, in sequence order.
	SealedEventsOf(ctx context.Context, challengeIDs []string, upTo int64) ([]Event, error)
	// LastSeal returns the highest sealed sequence and its hash; 0 and nil on an empty chain.
	LastSeal(ctx context.Context) (sequence int64, hash []byte, err error)
	InsertCheckpoint(ctx context.Context, c Checkpoint) error
	// Checkpoints returns checkpoints in sequence order, after the given sequence, at most limit.
	Checkpoints(ctx context.Context, afterSequence int64, limit int) ([]Checkpoint, error)
	// LastCheckpoint returns the newest checkpoint; ErrNotFound when there is none.
	LastCheckpoint(ctx context.Context) (Checkpoint, error)
}
