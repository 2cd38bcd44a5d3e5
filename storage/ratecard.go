package storage

import (
	"context"
	"time"
)

// RateCard is what one carrier charges per message from a day on, by country; "*" is every country that is not named.
type RateCard struct {
	Carrier string
	// ValidFrom is the first day (UTC), as 2026-11-25.
	ValidFrom string
	// Currency is ISO 4217 and must be the one the installation counts in.
	Currency string
	Prices   map[string]Money
	LoadedAt time.Time
}

// RateCards keeps rate cards, unique by carrier and first day.
type RateCards interface {
	PutRateCard(ctx context.Context, c RateCard) error
	RemoveRateCard(ctx context.Context, carrier, validFrom string) (removed bool, err error)
	// RateCards returns all by carrier and first day.
	RateCards(ctx context.Context) ([]RateCard, error)
}
