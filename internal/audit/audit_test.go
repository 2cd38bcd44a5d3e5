package audit

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestLOG01_AnEventNeedsTheTransactionOfItsChange(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	err := b.writer.Write(context.Background(), storage.Event{Kind: PasswordSuccess})
	if !errors.Is(err, storage.ErrNoTransaction) {
		t.Errorf("got %v", err)
	}
}

func TestLOG02_EveryEventSaysWhenWhereAndHowGrave(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	err := b.store.InTx(context.Background(), func(ctx context.Context) error {
		return b.writer.Write(ctx, storage.Event{Kind: TokenReuse, Outcome: Failure}, storage.Event{Kind: TokenIssued})
	})
	if err != nil {
		t.Fatal(err)
	}
	events := b.unsealed(t)
	for i, want := range []struct{ kind, outcome, severity string }{{TokenReuse, Failure, High}, {TokenIssued, Success, Info}} {
		e := events[i]
		if e.Kind != want.kind || e.Outcome != want.outcome || e.Severity != want.severity || e.Node != "n" ||
			e.Release != "dev" || e.Version != SchemaVersion || !e.At.Equal(noon) {
			t.Errorf("got %+v", e)
		}
	}
}

func TestAnUndocumentedKindIsRefused(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	err := b.store.InTx(context.Background(), func(ctx context.Context) error {
		return b.writer.Write(ctx, storage.Event{Kind: "authn.surprise"})
	})
	if err == nil || len(b.unsealed(t)) != 0 {
		t.Errorf("got %v", err)
	}
}

func TestEventsOfOneMillisecondKeepTheirOrder(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	for i := range 40 {
		err := b.store.InTx(context.Background(), func(ctx context.Context) error {
			return b.writer.Write(ctx, storage.Event{Kind: PasscodeSent, Reason: fmt.Sprint(2 * i)},
				storage.Event{Kind: PasscodeSent, Reason: fmt.Sprint(2*i + 1)})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range b.unsealed(t) {
		if e.Reason != fmt.Sprint(i) {
			t.Fatalf("event %d is number %s", i, e.Reason)
		}
	}
}

func TestEveryKindHasASeverity(t *testing.T) {
	for kind, severity := range severities {
		if severity != Info && severity != Warning && severity != High {
			t.Errorf("%s is %q", kind, severity)
		}
	}
}
