package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// Events returns events of the audit log, those of one person when user (a name or id) is not empty. That somebody read
// them is an event too, and without it nothing is returned (LOG-08).
func (b *Base) Events(ctx context.Context, user string, f storage.EventFilter) ([]storage.Event, error) {
	if user != "" {
		f.PersonID = user // the events of somebody who is gone are still there
		if p, _, err := b.person(ctx, user); err == nil {
			f.PersonID = p.ID
		} else if !isRefusal(err) {
			return nil, err
		}
	}
	events, err := b.store.ListEvents(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	read := storage.Event{
		Kind: audit.AdminAuditRead, ActorID: actor, PersonID: f.PersonID, ClientID: f.ClientID,
		Data: map[string]string{"events": strconv.Itoa(len(events))},
	}
	for name, value := range map[string]string{
		"kind": f.Kind, "auth_request": f.AuthRequestID, "jti": f.JTI, "correlation": f.CorrelationID,
		"since": stamp(f.Since), "until": stamp(f.Until),
	} {
		if value != "" {
			read.Data[name] = shortened(value)
		}
	}
	return events, b.noteRead(ctx, read)
}

// stamp is a time as text; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// shortened keeps what an operator typed from filling an event.
func shortened(s string) string {
	if len(s) > 100 {
		return s[:100]
	}
	return s
}

func (b *Base) noteRead(ctx context.Context, e storage.Event) error {
	err := b.store.InTx(ctx, func(ctx context.Context) error { return b.write(ctx, e) })
	if err != nil {
		return fmt.Errorf("note that the audit log was read: %w", err)
	}
	return nil
}

// LoginEvents returns the events of one login in time order, from the authorization request over every message and
// receipt to its tokens and their refreshes. id is that of an AuthRequest, challenge, session or grant, a jti, or a
// correlation id. That somebody read them is an event too (LOG-08).
func (b *Base) LoginEvents(ctx context.Context, id string) ([]storage.Event, error) {
	events, err := audit.Trail(ctx, b.store, id)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	if len(events) == 0 {
		return nil, refuse("no event names %q: give the id of an AuthRequest, challenge, session or grant, a jti, or a correlation id, as `parola audit list` shows them", shortened(id))
	}
	return events, b.noteRead(ctx, storage.Event{
		Kind: audit.AdminAuditRead, ActorID: actor, PersonID: events[0].PersonID,
		Data: map[string]string{"events": strconv.Itoa(len(events)), "login": shortened(id)},
	})
}
