package rates

import (
	"context"
	"fmt"
	"strconv"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// Replace stores cards, each in the place of the one with the same carrier and first day, all or none, with an event for
// each. actor is who does it. Cards in another currency than the installation's are refused.
func (b *Book) Replace(ctx context.Context, cards []storage.RateCard, actor string) error {
	for _, c := range cards {
		if c.Currency != b.Currency {
			return fmt.Errorf("the card of %s from %s is in %s, and this installation counts in %s (mfa.currency)",
				c.Carrier, c.ValidFrom, c.Currency, b.Currency)
		}
		if _, ok := c.Prices[everywhere]; !ok {
			return fmt.Errorf("the card of %s from %s lacks the country *", c.Carrier, c.ValidFrom)
		}
		for country, price := range c.Prices {
			if err := check(c.Carrier, c.ValidFrom, c.Currency, country, price); err != nil {
				return err
			}
		}
	}
	err := b.Store.InTx(ctx, func(ctx context.Context) error {
		for _, c := range cards {
			c.LoadedAt = b.Clock.Now()
			if err := b.Store.PutRateCard(ctx, c); err != nil {
				return err
			}
			if err := b.Audit.Write(ctx, replaced(c.Carrier, c.ValidFrom, len(c.Prices), actor)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("replace rate cards: %w", err)
	}
	return b.Load(ctx)
}

// Remove takes a card away and says whether it was there.
func (b *Book) Remove(ctx context.Context, carrier, validFrom, actor string) (removed bool, err error) {
	err = b.Store.InTx(ctx, func(ctx context.Context) error {
		removed, err = b.Store.RemoveRateCard(ctx, carrier, validFrom)
		if err != nil || !removed {
			return err
		}
		return b.Audit.Write(ctx, replaced(carrier, validFrom, 0, actor))
	})
	if err != nil {
		return false, fmt.Errorf("remove rate card: %w", err)
	}
	return removed, b.Load(ctx)
}

// replaced is the event; a card that was removed has no rows.
func replaced(carrier, validFrom string, rows int, actor string) storage.Event {
	return storage.Event{Kind: audit.RatesReplaced, ActorID: actor, Data: map[string]string{
		"carrier": carrier, "valid_from": validFrom, "rows": strconv.Itoa(rows),
	}}
}
