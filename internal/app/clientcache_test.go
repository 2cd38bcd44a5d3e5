package app

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

func TestChangedClientIsSeenAndAnUnknownOneIsNotRemembered(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	c := complete()
	c.Database.Path = filepath.Join(t.TempDir(), "parola.db")
	statements := 0
	b, err := Open(t.Context(), c, Options{Clock: now, Observe: func(op string) {
		if op == "select" {
			statements++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cached := newCachedStore(b.store, now)
	if _, err := cached.Client(t.Context(), "shop"); !errors.Is(err, storage.ErrNotFound) {
		t.Fatalf("before it exists: %v", err)
	}
	shop := storage.Client{ID: "shop", Name: "before", CreatedAt: now.Now(), UpdatedAt: now.Now()}
	write := func(fn func(context.Context) error) {
		t.Helper()
		if err := b.store.InTx(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	name := func() string {
		t.Helper()
		got, err := cached.Client(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		return got.Name
	}
	write(func(ctx context.Context) error { return b.store.InsertClient(ctx, shop) })
	if name() != "before" {
		t.Error("a client that was unknown a moment ago is still unknown")
	}
	statements = 0
	for range 10 {
		name()
	}
	if statements != 0 {
		t.Errorf("%d statements for a client read a moment ago", statements)
	}
	shop.Name = "after"
	write(func(ctx context.Context) error { return b.store.UpdateClient(ctx, shop, now.Now()) })
	if name() != "after" {
		t.Error("a change by this node is not seen at once")
	}
	// Behind the store's back, as by a node whose wake-up was lost.
	shop.Name, shop.UpdatedAt = "lost", now.Now()
	cached.mu.Lock()
	cached.clients["shop"] = cachedClient{client: shop, read: now.Now()}
	cached.mu.Unlock()
	if name() != "lost" {
		t.Error("a client read a moment ago is read again")
	}
	now.Advance(clientAge)
	if name() != "after" {
		t.Error("a second later the change is not seen")
	}
	write(func(ctx context.Context) error { return b.store.DeleteClient(ctx, "shop") })
	if _, err := cached.Client(t.Context(), "shop"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("after its removal: %v", err)
	}
}
