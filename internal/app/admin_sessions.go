package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// Session is a signed-in browser as an operator sees it: without its cookie's hash.
type Session struct {
	ID         string    `json:"sid"`
	PersonID   string    `json:"sub"`
	Username   string    `json:"username"`
	AuthTime   time.Time `json:"auth_time"`
	ACR        string    `json:"acr"`
	AMR        []string  `json:"amr"`
	Channel    string    `json:"mfa_channel,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	EndedAt    time.Time `json:"ended_at,omitzero"`
	EndReason  string    `json:"end_reason,omitempty"`
	UserAgent  string    `json:"user_agent,omitempty"`
	SourceAddr string    `json:"source_addr,omitempty"`
}

// Sessions lists the sessions of a person, or everyone's for an empty name, newest first; ended ones only when all is
// set. limit is at most 1000.
func (b *Base) Sessions(ctx context.Context, nameOrID string, all bool, limit int) ([]Session, error) {
	personID := ""
	if nameOrID != "" {
		p, _, err := b.person(ctx, nameOrID)
		if err != nil {
			return nil, err
		}
		personID = p.ID
	}
	stored, err := b.store.ListSessions(ctx, personID, !all, b.clock.Now(), limit)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	names, err := b.usernames(ctx, stored)
	if err != nil {
		return nil, err
	}
	list := make([]Session, len(stored))
	for i, s := range stored {
		list[i] = sessionView(s, names[s.PersonID])
	}
	return list, nil
}

func sessionView(s storage.Session, username string) Session {
	return Session{
		ID: s.ID, PersonID: s.PersonID, Username: username, AuthTime: s.AuthTime, ACR: s.ACR, AMR: s.AMR, Channel: s.Channel,
		CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt, EndedAt: s.EndedAt,
		EndReason: s.EndReason, UserAgent: s.UserAgent, SourceAddr: s.SourceAddr,
	}
}

// usernames finds the user names of those who hold the sessions.
func (b *Base) usernames(ctx context.Context, sessions []storage.Session) (map[string]string, error) {
	names := make(map[string]string)
	for _, s := range sessions {
		if _, known := names[s.PersonID]; known {
			continue
		}
		p, err := b.store.Person(ctx, s.PersonID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, fmt.Errorf("find user: %w", err)
		}
		names[s.PersonID] = p.Username
	}
	return names, nil
}

// EndSession signs a browser out and revokes what its login granted, except grants with offline_access, which outlive a
// session (OA-57).
func (b *Base) EndSession(ctx context.Context, id string) (Ended, error) {
	var ended Ended
	err := b.store.InTx(ctx, func(ctx context.Context) error {
		s, err := b.store.Session(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			return refuse("there is no session %q: `parola session list` shows them", id)
		}
		if err != nil {
			return err
		}
		now := b.clock.Now()
		did, err := b.store.EndSession(ctx, id, "administrator", now)
		if err != nil {
			return err
		}
		if !did {
			return refuse("session %q has ended already", id)
		}
		grants, err := b.store.RevokeGrantsOf(ctx, s.PersonID, "", id, true, "administrator", now)
		if err != nil {
			return err
		}
		events := []storage.Event{{Kind: audit.AdminSessionEnded, PersonID: s.PersonID, ActorID: actor, SessionID: id}}
		for _, grant := range grants {
			events = append(events, storage.Event{
				Kind: audit.TokenRevoked, PersonID: s.PersonID, ActorID: actor, SessionID: id, GrantID: grant,
				Reason: "administrator",
			})
		}
		ended = Ended{Sessions: 1, Grants: len(grants)}
		return b.write(ctx, events...)
	})
	if err != nil {
		return Ended{}, fmt.Errorf("end session: %w", err)
	}
	return ended, nil
}

// EndSessionsOf signs a person out everywhere and revokes all their grants.
func (b *Base) EndSessionsOf(ctx context.Context, nameOrID string) (Ended, error) {
	p, _, err := b.person(ctx, nameOrID)
	if err != nil {
		return Ended{}, err
	}
	var ended Ended
	err = b.store.InTx(ctx, func(ctx context.Context) (err error) {
		ended, err = b.endAll(ctx, p.ID, "administrator")
		return err
	})
	if err != nil {
		return Ended{}, fmt.Errorf("end sessions: %w", err)
	}
	return ended, nil
}
