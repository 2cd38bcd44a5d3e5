package app

import (
	"context"
	"fmt"

	"github.com/parola-id/parola/internal/fraud"
	"github.com/parola-id/parola/internal/ledger"
	"github.com/parola-id/parola/internal/rates"
	"github.com/parola-id/parola/storage/sqlite"
)

// money is what reckons with messages: what they cost, what became of them, and which are not worth sending.
type money struct {
	prices *rates.Book
	guard  *fraud.Guard
	ledger *ledger.Worker
	judge  *fraud.Worker
}

// book knows what messages cost.
func (b *Base) book() (*rates.Book, error) {
	return rates.New(rates.Config{Store: b.store, Audit: b.audit, Clock: b.clock, Currency: b.config.MFA.Currency, Log: b.log})
}

// reckon makes the parts and reads what they knew before. Their housekeeping goes to quiet, which no count of a login's
// statements hears of.
func (a *App) reckon(ctx context.Context, quiet *sqlite.Store) (m money, err error) {
	if m.prices, err = rates.New(rates.Config{Store: quiet, Clock: a.clock, Currency: a.config.MFA.Currency, Log: a.log}); err != nil {
		return m, fmt.Errorf("rate cards: %w", err)
	}
	if err := m.prices.Load(ctx); err != nil {
		return m, fmt.Errorf("read rate cards: %w", err)
	}
	m.guard = fraud.NewGuard(fraud.GuardConfig{Store: quiet, Log: a.log})
	if err := m.guard.Load(ctx); err != nil {
		return m, fmt.Errorf("read verdicts: %w", err)
	}
	m.ledger = ledger.New(ledger.Config{Store: quiet, Prices: m.prices, SMSCarrier: a.smsCarrierOf, Clock: a.clock,
		Holder: a.node, Counted: a.metrics.counted, Log: a.log})
	m.judge = fraud.New(fraud.Config{Store: quiet, Audit: a.quietAudit(quiet), Clock: a.clock, Settings: a.config.Fraud, Holder: a.node, Log: a.log})
	return m, nil
}

// smsCarrierOf is the carrier that a country's SMS go to first.
func (b *Base) smsCarrierOf(country string) string {
	if names := b.config.SMS.Routes[country]; len(names) > 0 {
		return names[0]
	}
	if len(b.config.SMS.Carriers) > 0 {
		return b.config.SMS.Carriers[0]
	}
	return ""
}
