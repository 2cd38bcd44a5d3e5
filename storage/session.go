package storage

import (
	"context"
	"time"
)

// Session is a signed-in browser. It exists only after a complete login; a right password alone lives in the
// AuthRequest (SES-03). The cookie's token is replaced at step-up while ID stays, as the `sid` that tokens name.
type Session struct {
	ID string
	// TokenHash is the hash of the cookie's value.
	TokenHash string
	PersonID  string
	// AuthTime, ACR, AMR and Channel describe the login event (OA-44).
	AuthTime time.Time
	ACR      string
	AMR      []string
	Channel  string

	CreatedAt time.Time
	// LastSeenAt moves the idle limit, which idp/session knows.
	LastSeenAt time.Time
	// ExpiresAt is the overall end, fixed at the login.
	ExpiresAt time.Time
	EndedAt   time.Time
	// EndReason is logout, replaced, disabled, administrator, password_changed or expired.
	EndReason  string
	UserAgent  string
	SourceAddr string
}

// Sessions keeps sessions.
type Sessions interface {
	InsertSession(ctx context.Context, s Session) error
	// SessionByToken returns the session of a cookie, ended ones too, so that use after the end can be noticed;
	// ErrNotFound. Barred says that the person is disabled or a phone factor of theirs is (OTP-23).
	SessionByToken(ctx context.Context, tokenHash string) (s Session, barred bool, err error)
	// Session returns a session by ID; ErrNotFound.
	Session(ctx context.Context, id string) (Session, error)
	// RenewSession replaces token, login facts and limits of a session that has not ended; the old token is dead.
	// ErrNotFound when it has ended.
	RenewSession(ctx context.Context, s Session) error
	// TouchSession moves LastSeenAt forward.
	TouchSession(ctx context.Context, id string, now time.Time) error
	// EndSession ends one session and says whether this call did.
	EndSession(ctx context.Context, id, reason string, now time.Time) (ended bool, err error)
	// EndSessionsOf ends all sessions of a person and returns their IDs.
	EndSessionsOf(ctx context.Context, personID, reason string, now time.Time) ([]string, error)
	// ListSessions returns a person's sessions, newest first, or everyone's for an empty ID; at most limit.
	ListSessions(ctx context.Context, personID string, openOnly bool, now time.Time, limit int) ([]Session, error)
}
