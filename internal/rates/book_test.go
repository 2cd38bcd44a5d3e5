package rates

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func newBook(t *testing.T, store storage.Store) *Book {
	t.Helper()
	c := clock.NewManual(noon)
	b, err := New(Config{
		Store: store, Clock: c, Audit: audit.NewWriter(audit.Config{Events: store, Clock: c, Node: "n", Release: "dev"}),
		Currency: "EUR", Every: time.Millisecond, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func card(t *testing.T, rows string) []storage.RateCard {
	t.Helper()
	cards, err := Parse([]byte(header + strings.TrimSpace(rows)))
	if err != nil {
		t.Fatal(err)
	}
	return cards
}

func TestPrice(t *testing.T) {
	book := newBook(t, storagetest.New(t))
	ctx := context.Background()
	if err := book.Replace(ctx, card(t, `
twilio,*,0.50,EUR,2026-01-01
twilio,IT,0.30,EUR,2026-01-01
twilio,*,0.40,EUR,2026-12-01
sms,*,0.90,EUR,2026-06-01`), "cli"); err != nil {
		t.Fatal(err)
	}
	december := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	cases := []struct {
		name, carrier, country string
		at                     time.Time
		want                   string
	}{
		{"a country that the card names", "twilio", "IT", noon, "0.30"},
		{"one that it does not name", "twilio", "FR", noon, "0.50"},
		{"no country at all", "twilio", "", noon, "0.50"},
		{"the newer card from its first day on, as a whole", "twilio", "IT", december, "0.40"},
		{"the older one until the day before", "twilio", "IT", december.Add(-time.Millisecond), "0.30"},
		{"days are those of UTC", "twilio", "IT", december.Add(-time.Hour).In(time.FixedZone("east", 3*3600)), "0.30"},
		{"before its first card, a carrier is any SMS carrier", "twilio", "IT", time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), "0.10"},
		{"a carrier without a card, by the stored card for SMS", "kannel", "IT", noon, "0.90"},
		{"a carrier nobody knows", "pigeon", "IT", noon, "0.90"},
		{"before every stored card, the planning figures", "kannel", "IT", time.Date(2026, 5, 31, 0, 0, 0, 0, time.UTC), "0.10"},
		{"WhatsApp, by the planning figures", "meta", "IT", noon, "0.05"},
		{"WhatsApp where they name no country", "meta", "KZ", noon, "0.07"},
		{"WhatsApp in a year that a wrong clock tells", "meta", "IT", time.Time{}, "0.05"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := book.Price(c.carrier, c.country, c.at); got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if got := book.Planned("meta", "twilio", "kannel"); len(got) != 1 || got[0] != "meta" {
		t.Errorf("priced by planning figures: %v, want meta alone", got)
	}
}

func TestPlanningFiguresAreCautious(t *testing.T) {
	book := newBook(t, storagetest.New(t))
	_, planned := book.Cards()
	for _, c := range planned {
		for country, price := range c.Prices {
			if price < 100 {
				t.Errorf("%s to %s costs %s: less than any carrier asks", c.Carrier, country, price)
			}
		}
	}
	if got := book.Planned("meta", "twilio"); len(got) != 2 {
		t.Errorf("priced by planning figures: %v", got)
	}
}

func TestReplaceStoresCardsWithAnEventEach(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		book, ctx := newBook(t, store), context.Background()
		events := func() (told []string) {
			list, err := store.ListEvents(ctx, storage.EventFilter{Kind: audit.RatesReplaced})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				told = append(told, strings.Join([]string{e.ActorID, e.Data["carrier"], e.Data["valid_from"], e.Data["rows"]}, " "))
			}
			return told
		}
		if err := book.Replace(ctx, card(t, "meta,*,1,EUR,2026-01-01\nmeta,IT,2,EUR,2026-01-01\naws,*,3,EUR,2026-01-01"), "cli"); err != nil {
			t.Fatal(err)
		}
		if err := book.Replace(ctx, card(t, "meta,*,4,EUR,2026-01-01"), "cli"); err != nil {
			t.Fatal(err)
		}
		if got := book.Price("meta", "IT", noon); got != 4*storage.MoneyUnit {
			t.Errorf("after a replacement the old card still says %s", got)
		}
		if removed, err := book.Remove(ctx, "aws", "2026-01-01", "cli"); err != nil || !removed {
			t.Errorf("remove: %v, %v", removed, err)
		}
		if removed, err := book.Remove(ctx, "aws", "2026-01-01", "cli"); err != nil || removed {
			t.Errorf("remove again: %v, %v", removed, err)
		}
		want := "cli meta 2026-01-01 2, cli aws 2026-01-01 1, cli meta 2026-01-01 1, cli aws 2026-01-01 0"
		if got := strings.Join(events(), ", "); got != want {
			t.Errorf("events: %s\nwant: %s", got, want)
		}
		stored, _ := book.Cards()
		if len(stored) != 1 || !stored[0].LoadedAt.Equal(noon) {
			t.Errorf("stored: %+v", stored)
		}
	})
}

func TestReplaceRefusesAnotherCurrencyAndStoresNothing(t *testing.T) {
	store := storagetest.New(t)
	book := newBook(t, store)
	err := book.Replace(context.Background(), card(t, "meta,*,1,EUR,2026-01-01\naws,*,1,USD,2026-01-01"), "cli")
	if err == nil || !strings.Contains(err.Error(), "aws from 2026-01-01 is in USD, and this installation counts in EUR") {
		t.Errorf("error: %v", err)
	}
	if stored, err := store.RateCards(context.Background()); err != nil || len(stored) != 0 {
		t.Errorf("stored: %v, %v", stored, err)
	}
}

func TestCardsFromBeforeAChangeOfCurrencyDoNotCount(t *testing.T) {
	store := storagetest.New(t)
	ctx := context.Background()
	book := newBook(t, store)
	if err := book.Replace(ctx, card(t, "meta,*,9,EUR,2026-01-01"), "cli"); err != nil {
		t.Fatal(err)
	}
	later := newBook(t, store)
	later.Currency = "USD"
	if err := later.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if got := later.Price("meta", "IT", noon); got.String() != "0.05" {
		t.Errorf("price %s is in euros", got)
	}
}

// failing is a store that cannot be read.
type failing struct{ storage.Store }

func (failing) RateCards(context.Context) ([]storage.RateCard, error) { return nil, errors.New("down") }

func TestKnownPricesStandWhileStorageIsDown(t *testing.T) {
	store := storagetest.New(t)
	book := newBook(t, store)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if err := book.Replace(ctx, card(t, "meta,*,9,EUR,2026-01-01"), "cli"); err != nil {
		t.Fatal(err)
	}
	book.Store = failing{store}
	if err := book.Load(ctx); err == nil {
		t.Error("no error")
	}
	if got := book.Price("meta", "IT", noon); got.String() != "9.00" {
		t.Errorf("price %s", got)
	}
}

func TestRunSeesWhatAnotherProcessReplaced(t *testing.T) {
	store := storagetest.New(t)
	book, other := newBook(t, store), newBook(t, store)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); book.Run(ctx) }()
	defer func() { stop(); <-done }()
	if err := other.Replace(ctx, card(t, "meta,*,9,EUR,2026-01-01"), "cli"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); book.Price("meta", "IT", noon).String() != "9.00"; {
		if time.Now().After(deadline) {
			t.Fatal("the new card was not seen")
		}
		time.Sleep(time.Millisecond)
	}
}
