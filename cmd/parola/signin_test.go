package main

import (
	"context"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/sqlite"
)

// signIn gives a person an open session, and a client a grant from it with a refresh token, as a login would.
func (s *script) signIn(username string) (sid, grant string) {
	s.t.Helper()
	ctx := s.t.Context()
	store, err := sqlite.Open(ctx, sqlite.Config{Path: s.env["PAROLA_DATABASE_PATH"], Synchronous: "OFF"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	p, _, err := store.PersonByUsername(ctx, username)
	if err != nil {
		s.t.Fatal(err)
	}
	now := clock.System{}.Now()
	sid, grant = storage.NewID(), storage.NewID()
	client := storage.Client{ID: "c-" + storage.NewID(), AuthMethod: "none", IDTokenAlg: "ES256", CreatedAt: now, UpdatedAt: now}
	err = store.InTx(ctx, func(ctx context.Context) error {
		if err := store.InsertClient(ctx, client); err != nil {
			return err
		}
		if err := store.InsertSession(ctx, storage.Session{
			ID: sid, TokenHash: storage.NewID(), PersonID: p.ID, AuthTime: now, ACR: "urn:parola:acr:phone",
			AMR: []string{"pwd", "otp"}, Channel: "whatsapp", CreatedAt: now, LastSeenAt: now,
			ExpiresAt: now.Add(time.Hour), SourceAddr: "192.0.2.7",
		}); err != nil {
			return err
		}
		return store.InsertGrant(ctx, storage.Grant{
			ID: grant, ClientID: client.ID, PersonID: p.ID, SessionID: sid, Scopes: []string{"openid"}, CreatedAt: now,
			RefreshUntil: now.Add(time.Hour),
		})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return sid, grant
}
