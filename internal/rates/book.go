package rates

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

//go:embed default.csv
var defaultCSV []byte

// AnySMS is the name of the card for SMS carriers that have none of their own.
const AnySMS = "sms"

// Store is what the Book needs of storage.
type Store interface {
	storage.Transactor
	storage.RateCards
}

// Config is what a Book needs.
type Config struct {
	Store Store
	// Audit writes the event of a replaced card; needed for Replace and Remove alone.
	Audit *audit.Writer
	Clock clock.Clock
	// Currency is the one that the installation counts in (mfa.currency). The planning figures are euros and taken as they
	// stand in any other currency, as the default budgets are: until cards are loaded, only their ratio means something.
	Currency string
	// Every is how often Run looks for cards that another process replaced; 30 s when zero.
	Every time.Duration
	Log   *slog.Logger
}

// Book answers what a message costs, from memory. It is safe for concurrent use.
type Book struct {
	Config
	planned []storage.RateCard
	stored  atomic.Pointer[[]storage.RateCard]
}

// New returns a Book that knows the planning figures alone until Load or Run has read the stored cards.
func New(c Config) (*Book, error) {
	if c.Every == 0 {
		c.Every = 30 * time.Second
	}
	planned, err := Parse(defaultCSV)
	if err != nil {
		return nil, fmt.Errorf("built-in rate cards: %w", err)
	}
	b := &Book{Config: c, planned: planned}
	b.stored.Store(new([]storage.RateCard))
	return b, nil
}

// Load reads the stored cards. Those in another currency, from before the installation changed its own, are left out.
func (b *Book) Load(ctx context.Context) error {
	all, err := b.Store.RateCards(ctx)
	if err != nil {
		return fmt.Errorf("load rate cards: %w", err)
	}
	all = slices.DeleteFunc(all, func(c storage.RateCard) bool { return c.Currency != b.Currency })
	b.stored.Store(&all)
	return nil
}

// Run loads the stored cards again and again until ctx ends. While storage is down the last known ones stand.
func (b *Book) Run(ctx context.Context) {
	tick := time.NewTicker(b.Every)
	defer tick.Stop()
	for {
		if err := b.Load(ctx); err != nil && ctx.Err() == nil {
			b.Log.WarnContext(ctx, "load rate cards", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Price is what one message of the carrier to the country costs at a time: by the carrier's newest stored card that is
// valid by then, or the stored card for any SMS, or the planning figures.
func (b *Book) Price(carrier, country string, at time.Time) storage.Money {
	date, stored := at.UTC().Format(day), *b.stored.Load()
	names := []string{carrier, AnySMS}
	if carrier == whatsApp {
		names = names[:1] // a card for SMS says nothing of WhatsApp
	}
	for _, name := range names {
		if card, found := newest(stored, name, date); found {
			return on(card, country)
		}
	}
	for _, name := range names {
		if card, found := newest(b.planned, name, lastDay); found {
			return on(card, country)
		}
	}
	return maxPrice // out of reach: the planning figures hold a card for WhatsApp and one for any SMS
}

// whatsApp is the carrier whose messages are no SMS.
const whatsApp = "meta"

// lastDay makes the planning figures valid at all times: a clock that is wrong must not make messages free of charge.
const lastDay = "9999-12-31"

// Planned are those of the carriers that have no stored card valid now, so that their prices are planning figures.
func (b *Book) Planned(carriers ...string) []string {
	date, stored := b.Clock.Now().Format(day), *b.stored.Load()
	return slices.DeleteFunc(slices.Clone(carriers), func(name string) bool {
		_, own := newest(stored, name, date)
		_, anySMS := newest(stored, AnySMS, date)
		return own || anySMS && name != whatsApp
	})
}

// Cards are all that prices are taken from: the stored ones, then the planning figures.
func (b *Book) Cards() (stored, planned []storage.RateCard) {
	return slices.Clone(*b.stored.Load()), slices.Clone(b.planned)
}

// newest is the carrier's card with the latest first day that is not after date.
func newest(list []storage.RateCard, carrier, date string) (card storage.RateCard, found bool) {
	for _, c := range list {
		if c.Carrier == carrier && c.ValidFrom <= date && (!found || strings.Compare(c.ValidFrom, card.ValidFrom) > 0) {
			card, found = c, true
		}
	}
	return card, found
}

func on(card storage.RateCard, country string) storage.Money {
	if price, named := card.Prices[country]; named {
		return price
	}
	return card.Prices[everywhere]
}
