package sqlstore

import (
	"context"

	"github.com/parola-id/parola/storage"
)

// PutRateCard implements storage.RateCards.
func (s *Store) PutRateCard(ctx context.Context, c storage.RateCard) error {
	_, err := s.exec(ctx, `INSERT INTO rate_cards (carrier, valid_from, currency, prices, loaded_at)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (carrier, valid_from) DO UPDATE SET currency = excluded.currency, prices = excluded.prices,
			loaded_at = excluded.loaded_at`,
		c.Carrier, c.ValidFrom, c.Currency, jsonText(c.Prices), ms(c.LoadedAt))
	return err
}

// RemoveRateCard implements storage.RateCards.
func (s *Store) RemoveRateCard(ctx context.Context, carrier, validFrom string) (bool, error) {
	return s.once(ctx, `DELETE FROM rate_cards WHERE carrier = $1 AND valid_from = $2`, carrier, validFrom)
}

// RateCards implements storage.RateCards.
func (s *Store) RateCards(ctx context.Context) ([]storage.RateCard, error) {
	scan := func(r row) (c storage.RateCard, err error) {
		return c, r.Scan(&c.Carrier, &c.ValidFrom, &c.Currency, jsonOf(&c.Prices), timeOf(&c.LoadedAt))
	}
	return reading(scan).all(ctx, s, `SELECT carrier, valid_from, currency, prices, loaded_at FROM rate_cards
		ORDER BY carrier, valid_from`)
}
