package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/parola-id/parola/storage"
)

// Lister is what Trail needs of storage.
type Lister interface {
	ListEvents(ctx context.Context, f storage.EventFilter) ([]storage.Event, error)
}

// mostTrailEvents bounds one page of one key; a login has some dozens of events.
const mostTrailEvents = 5000

// Trail returns the events of one login in time order: its AuthRequest, every challenge, delivery and receipt, the
// session, the grant and its tokens, and the refreshes of that grant. login is the ID of an AuthRequest, challenge,
// session or grant, the jti of a token or a correlation id. Empty when no event names it.
//
// A session that served several logins brings only its own events along (its end, a use after it), not the other logins;
// named as login itself, it brings everything. Reads of the log are no part of a login.
func Trail(ctx context.Context, events Lister, login string) ([]storage.Event, error) {
	if login == "" {
		return nil, nil
	}
	t := trail{events: events, found: make(map[string]storage.Event), asked: make(map[storage.EventFilter]bool)}
	for _, f := range []storage.EventFilter{
		{AuthRequestID: login}, {ChallengeID: login}, {SessionID: login}, {GrantID: login}, {JTI: login}, {CorrelationID: login},
	} {
		if err := t.follow(ctx, f, everything); err != nil {
			return nil, fmt.Errorf("read events of login: %w", err)
		}
	}
	return slices.SortedFunc(maps.Values(t.found), func(a, b storage.Event) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID))
	}), nil
}

type trail struct {
	events Lister
	found  map[string]storage.Event
	asked  map[storage.EventFilter]bool
}

func everything(storage.Event) bool { return true }

// ofSession tells a session's own events from those of the logins that used it.
func ofSession(e storage.Event) bool {
	return strings.HasPrefix(e.Kind, "session.") && e.AuthRequestID == "" && e.GrantID == ""
}

// follow adds the events that f finds and belongs wants, and then those that they lead to.
func (t *trail) follow(ctx context.Context, f storage.EventFilter, belongs func(storage.Event) bool) error {
	if t.asked[f] {
		return nil
	}
	t.asked[f] = true
	f.Limit = mostTrailEvents
	events, err := t.events.ListEvents(ctx, f)
	if err != nil {
		return err
	}
	for _, e := range events {
		if _, known := t.found[e.ID]; known || e.Kind == AdminAuditRead || !belongs(e) {
			continue
		}
		t.found[e.ID] = e
		if err := t.from(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// from follows the ids that an event names. Correlation ids are not followed: one HTTP request may serve two logins.
func (t *trail) from(ctx context.Context, e storage.Event) error {
	for _, next := range []struct {
		id      string
		filter  storage.EventFilter
		belongs func(storage.Event) bool
	}{
		{e.AuthRequestID, storage.EventFilter{AuthRequestID: e.AuthRequestID}, everything},
		{e.ChallengeID, storage.EventFilter{ChallengeID: e.ChallengeID}, everything},
		{e.GrantID, storage.EventFilter{GrantID: e.GrantID}, everything},
		{e.SessionID, storage.EventFilter{SessionID: e.SessionID}, ofSession},
	} {
		if next.id == "" {
			continue
		}
		if err := t.follow(ctx, next.filter, next.belongs); err != nil {
			return err
		}
	}
	return nil
}
