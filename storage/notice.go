package storage

import (
	"context"
	"time"
)

// NoticeKind says what a person is told.
type NoticeKind string

// The kinds answer "I didn't request a code": somebody knows the password.
const (
	NoticeNotRequested NoticeKind = "not_requested" // the login goes no further
	NoticeSignedIn     NoticeKind = "signed_in"     // the passcode had been entered before: somebody is in
)

// Notice is a message to a person's phone that carries no passcode. Like a delivery it is a row that is claimed, so that a
// killed process loses none; unlike one it is never repeated on another channel. States are those of deliveries: queued,
// sending, accepted, failed, unknown.
type Notice struct {
	ID          string
	ChallengeID string
	PersonID    string
	PhoneID     string
	Channel     Channel
	Carrier     string
	Kind        NoticeKind
	Locale      string
	State       DeliveryState
	Calls       int
	CreatedAt   time.Time
	DueAt       time.Time
	SendingAt   time.Time
	LeaseUntil  time.Time
	FailureCode string
}

// Notices keeps notices. They go when their challenge is swept.
type Notices interface {
	InsertNotice(ctx context.Context, n Notice) error
	// ClaimNotices moves queued notices that are due to "sending", adds one to Calls, and returns them. Those left in
	// "sending" past their lease become "unknown" and are not returned: they may have gone out.
	ClaimNotices(ctx context.Context, now, leaseUntil time.Time, limit int) ([]Notice, error)
	// SettleNotice stores state, DueAt and FailureCode of one that is "sending"; any other stays as it is.
	SettleNotice(ctx context.Context, n Notice) error
}
