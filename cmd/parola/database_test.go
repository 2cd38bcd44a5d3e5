package main

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"log/slog"
	"os"
	"regexp"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/sqlite"
)

// withStore opens the script's database beside the commands, as a server does.
func (s *script) withStore(fn func(ctx context.Context, store *sqlite.Store) error) {
	s.t.Helper()
	ctx := s.t.Context()
	store, err := sqlite.Open(ctx, sqlite.Config{Path: s.env["PAROLA_DATABASE_PATH"], Synchronous: "OFF"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	if err := fn(ctx, store); err != nil {
		s.t.Fatal(err)
	}
}

// signIn gives a person an open session, and a client a grant from it, as a login would.
func (s *script) signIn(username string) (sid, grant string) {
	s.t.Helper()
	sid, grant = storage.NewID(), storage.NewID()
	s.withStore(func(ctx context.Context, store *sqlite.Store) error {
		p, _, err := store.PersonByUsername(ctx, username)
		if err != nil {
			return err
		}
		now := clock.System{}.Now()
		client := storage.Client{ID: "c-" + storage.NewID(), AuthMethod: "none", IDTokenAlg: "ES256", CreatedAt: now, UpdatedAt: now}
		return store.InTx(ctx, func(ctx context.Context) error {
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
	})
	return sid, grant
}

var rootSetting = regexp.MustCompile(`(?m)^  root: (\S+)`)

// seal seals what is there and signs a checkpoint with the key of the script's root secret.
func (s *script) seal() {
	s.t.Helper()
	config, err := os.ReadFile(s.env["PAROLA_CONFIG"])
	if err != nil {
		s.t.Fatal(err)
	}
	root, err := base64.StdEncoding.DecodeString(string(rootSetting.FindSubmatch(config)[1]))
	if err != nil {
		s.t.Fatal(err)
	}
	keys, err := secret.New(root)
	if err != nil {
		s.t.Fatal(err)
	}
	s.withStore(func(ctx context.Context, store *sqlite.Store) error {
		return audit.NewSealer(audit.SealerConfig{
			Store: store, Clock: clock.System{}, Holder: "script", Log: slog.New(slog.DiscardHandler),
			Audit: audit.NewWriter(audit.Config{Events: store, Clock: clock.System{}}),
			Key:   ed25519.NewKeyFromSeed(keys.Bytes(secret.Audit)),
		}).Seal(ctx)
	})
}

// tamper changes the database without a trace in the log.
func (s *script) tamper(statement string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.env["PAROLA_DATABASE_PATH"])
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	result, err := db.ExecContext(s.t.Context(), statement)
	if err != nil {
		s.t.Fatal(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		s.t.Fatalf("%s changed nothing: %v", statement, err)
	}
}
