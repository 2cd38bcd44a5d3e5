package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/sqlite"
)

// TableCount is what a dump holds of one table.
type TableCount = sqlite.Count

// Dump writes everything in the database as one snapshot, in a form that LoadDump takes on SQLite and PostgreSQL alike.
// What is sealed stays sealed: the file is worth nothing without the root secret. That somebody takes it is an event, which
// is in the dump too.
func (b *Base) Dump(ctx context.Context, w io.Writer) ([]TableCount, error) {
	err := b.store.InTx(ctx, func(ctx context.Context) error {
		return b.write(ctx, storage.Event{Kind: audit.AdminDumped, ActorID: actor})
	})
	if err != nil {
		return nil, fmt.Errorf("note that the database is dumped: %w", err)
	}
	return b.store.Dump(ctx, w, sqlite.Origin{Release: b.release, KeyID: b.keys.ID(), At: b.clock.Now()})
}

// Loaded tells what LoadDump stored.
type Loaded struct {
	// From is the database that the dump was made of, sqlite or postgres; At is when.
	From   string       `json:"from"`
	At     string       `json:"at"`
	Tables []TableCount `json:"tables"`
	// Audit is the verification of the log that was loaded.
	Audit AuditReport `json:"audit"`
}

// LoadDump fills an empty database with what Dump wrote, in one transaction, and compares counts and digests with what it
// reads back before it commits: after a refusal the database is empty still. Then it verifies the audit log. open opens the
// file; it is called again when the database wants the transaction repeated.
func (b *Base) LoadDump(ctx context.Context, open func() (io.ReadCloser, error)) (Loaded, error) {
	var l Loaded
	accept := func(o sqlite.Origin) error {
		if _, err := b.keys.MAC(secret.Names, o.KeyID); err != nil {
			return refuse("the dump belongs to another root secret (%s): configure the one of the installation that it was made of", shortened(o.KeyID))
		}
		l.From, l.At = o.Database, stamp(o.At)
		return nil
	}
	err := b.store.InTx(ctx, func(ctx context.Context) (err error) {
		file, err := open()
		if err != nil {
			return err
		}
		defer file.Close()
		if l.Tables, err = b.store.Load(ctx, file, accept); err != nil {
			return err
		}
		rows := int64(0)
		for _, t := range l.Tables {
			rows += t.Rows
		}
		return b.write(ctx, storage.Event{Kind: audit.AdminLoaded, ActorID: actor,
			Data: map[string]string{"from": shortened(l.From), "made": l.At, "rows": strconv.FormatInt(rows, 10)}})
	})
	if errors.Is(err, sqlite.ErrDump) {
		return Loaded{}, refuse("%v", err)
	}
	if err != nil {
		return Loaded{}, err
	}
	if l.Audit, err = b.VerifyAudit(ctx, nil, nil); err != nil {
		return l, fmt.Errorf("the dump is loaded, but its audit log could not be verified: %w", err)
	}
	return l, nil
}
