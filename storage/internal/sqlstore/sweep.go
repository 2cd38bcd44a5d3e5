package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

// failureMemory is how long a failure counter outlives its last failure. One that has shut its key stays: time alone does
// not open it again (PW-14).
const failureMemory = 30 * 24 * time.Hour

// ended selects by key what has ended before $1; each condition is served by an index of its own.
type ended struct{ table, key, where string }

// An authorization that ended with an unused code never had a token. A grant without a refresh chain ends with its last
// token, which is swept first.
var sweeps = map[storage.Sweepable][]ended{
	storage.SweepAuthRequests: {{"auth_requests", "id", "expires_at < $1"}},
	storage.SweepChallenges:   {{"challenges", "id", "expires_at < $1"}},
	storage.SweepSessions:     {{"sessions", "id", "COALESCE(ended_at, expires_at) < $1"}},
	storage.SweepGrants: {
		{"grants", "id", "refresh_until < $1"},
		{"grants", "id", "auth_code_used_at IS NULL AND auth_code_expires_at < $1"},
		{"grants", "id", "refresh_until IS NULL AND created_at < $1 AND COALESCE(auth_code_expires_at, created_at) < $1 " +
			"AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.grant_id = grants.id)"},
	},
	storage.SweepTokens:       {{"tokens", "hash", "expires_at < $1"}},
	storage.SweepAssertions:   {{"assertions", "id", "expires_at < $1"}},
	storage.SweepThrottles:    {{"buckets", "id", "full_at < $1"}, {"failures", "id", "counted_at < $1 AND (shut_at = 0 OR failures < shut_at)"}},
	storage.SweepConversions:  {{"conversions", "prefix, country, channel, instant, hour", "hour < $1"}},
	storage.SweepDeliveryDays: {{"delivery_days", "day, country, channel, carrier, language", "day < $1"}},
	storage.SweepConsents:     {{"consents", "person_id, client_id", "expires_at < $1"}},
	storage.SweepSigningKeys:  {{"signing_keys", "kid", "state = 'retired' AND retired_at < $1"}},
	storage.SweepLeases:       {{"leases", "name", "expires_at < $1"}},
}

// Sweep implements storage.Sweeper.
func (s *Store) Sweep(ctx context.Context, kind storage.Sweepable, before time.Time, limit int) (int, error) {
	if s.txOf(ctx) == nil {
		return 0, storage.ErrNoTransaction
	}
	parts, known := sweeps[kind]
	if !known {
		return 0, fmt.Errorf("sweep %q: nothing of that kind ends", kind)
	}
	removed := 0
	for _, part := range parts {
		if removed >= limit {
			break
		}
		bound := any(before.UnixMilli())
		switch part.table {
		case "buckets":
			bound = before.UnixMicro()
		case "failures":
			bound = before.Add(-failureMemory).UnixMilli()
		case "delivery_days":
			bound = before.UTC().Format(time.DateOnly)
		}
		among := "(" + part.key + ") IN (SELECT " + part.key + " FROM over)"
		if !strings.Contains(part.key, ",") {
			among = part.key + " " + s.dialect.in("SELECT "+part.key+" FROM over")
		}
		n, err := s.exec(ctx, `WITH over AS MATERIALIZED (SELECT `+part.key+` FROM `+part.table+` WHERE `+part.where+
			` LIMIT $2`+s.dialect.SkipLocked+`)
			DELETE FROM `+part.table+` WHERE `+among, bound, limit-removed)
		if err != nil {
			return removed, err
		}
		removed += int(n)
	}
	return removed, nil
}
