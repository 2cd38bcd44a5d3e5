package storagetest

import (
	"context"
	"testing"

	"github.com/parola-id/parola/storage"
)

func testRateCards(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	put := func(t *testing.T, c storage.RateCard) {
		t.Helper()
		write(t, s, func(ctx context.Context) error { return s.PutRateCard(ctx, c) })
	}
	old := storage.RateCard{
		Carrier: "meta", ValidFrom: "2026-01-01", Currency: "EUR", LoadedAt: noon,
		Prices: map[string]storage.Money{"*": 700, "IT": 623, "IN": 1},
	}
	next, twilio := old, old
	next.ValidFrom, next.Prices = "2026-04-01", map[string]storage.Money{"*": 999_999_999_999}
	twilio.Carrier = "twilio"

	t.Run("rate cards come by carrier and first day, as they were stored", func(t *testing.T) {
		same(t, must(s.RateCards(ctx))(t), []storage.RateCard{})
		for _, c := range []storage.RateCard{twilio, next, old} {
			put(t, c)
		}
		same(t, must(s.RateCards(ctx))(t), []storage.RateCard{old, next, twilio})
	})
	t.Run("there is one per carrier and first day", func(t *testing.T) {
		old.Currency, old.Prices = "USD", map[string]storage.Money{"*": 5}
		put(t, old)
		same(t, must(s.RateCards(ctx))(t), []storage.RateCard{old, next, twilio})
	})
	t.Run("of eight who remove one exactly one did", func(t *testing.T) {
		same(t, race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.RemoveRateCard(ctx, old.Carrier, old.ValidFrom)
		}), 1)
		same(t, must(s.RateCards(ctx))(t), []storage.RateCard{next, twilio})
	})
}
