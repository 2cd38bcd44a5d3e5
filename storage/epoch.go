package storage

import (
	"context"
	"time"
)

// Issued names a kind of record that could have been used since a backup was made: after the backup was restored, none of
// them may count again (REL-13).
type Issued string

// What ends with an epoch, and how.
const (
	IssuedSessions     Issued = "sessions"      // end
	IssuedAuthRequests Issued = "auth_requests" // end
	IssuedChallenges   Issued = "challenges"    // end as cancelled
	IssuedGrants       Issued = "grants"        // are revoked, with unused AuthCodes and all tokens
	IssuedDeliveries   Issued = "deliveries"    // queued and sending ones become unknown: they may have gone out
	IssuedNotices      Issued = "notices"       // the same
)

// Epochs keeps the number of the database's present epoch. It goes up each time an older copy of the database is restored.
type Epochs interface {
	// Epoch returns the present one; 0 at first.
	Epoch(ctx context.Context) (int64, error)
	// RaiseEpoch moves it, and says whether this call did.
	RaiseEpoch(ctx context.Context, from, to int64) (bool, error)
	// EndIssued ends at most limit records of a kind, in the order of their ids after the given one. It returns how many it
	// ended and the last id; an empty id means that there was none left.
	EndIssued(ctx context.Context, kind Issued, after string, now time.Time, limit int) (ended int, last string, err error)
}
