package app

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/fraud"
	"github.com/parola-id/parola/internal/ledger"
	"github.com/parola-id/parola/internal/rates"
	"github.com/parola-id/parola/mfa/whatsapp"
	"github.com/parola-id/parola/storage"
)

// DeliveryReport is what messages cost and what became of them.
type DeliveryReport = ledger.Report

// ReportQuery says what a delivery report is about.
type ReportQuery struct {
	// Since and Until are days, as 2026-11-25; the last 30 when empty.
	Since, Until string
	// By are some of day, country, channel, carrier, language.
	By                        []string
	Country, Channel, Carrier string
}

const reportDays = 30

var countryForm = regexp.MustCompile(`^[A-Z]{2}$`)

// allCarriers are the names a carrier can have.
func allCarriers() []string { return append([]string{whatsapp.Carrier}, smsCarriers...) }

// DeliveryReport reads the ledger.
func (b *Base) DeliveryReport(ctx context.Context, q ReportQuery) (DeliveryReport, error) {
	for _, column := range q.By {
		if !slices.Contains(ledger.Columns, column) {
			return DeliveryReport{}, refuse("cannot group by %q: the columns are %s", column, strings.Join(ledger.Columns, ", "))
		}
	}
	now := b.clock.Now().UTC()
	if q.Since == "" {
		q.Since = now.AddDate(0, 0, 1-reportDays).Format(time.DateOnly)
	}
	if q.Until == "" {
		q.Until = now.Format(time.DateOnly)
	}
	for _, day := range []string{q.Since, q.Until} {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return DeliveryReport{}, refuse("%q is no day: write it like 2026-11-25", day)
		}
	}
	switch {
	case q.Since > q.Until:
		return DeliveryReport{}, refuse("the first day, %s, is after the last, %s", q.Since, q.Until)
	case q.Country != "" && !countryForm.MatchString(q.Country):
		return DeliveryReport{}, refuse("%q is no country: write it as ISO 3166-1 does, like IT", q.Country)
	case q.Carrier != "" && !slices.Contains(allCarriers(), q.Carrier):
		return DeliveryReport{}, refuse("there is no carrier %q: they are %s", q.Carrier, strings.Join(allCarriers(), ", "))
	}
	r, err := ledger.Read(ctx, b.store, ledger.Query{GroupBy: q.By, Currency: b.config.MFA.Currency, Filter: storage.DayFilter{
		Since: q.Since, Until: q.Until, Country: q.Country, Channel: storage.Channel(q.Channel), Carrier: q.Carrier}})
	if err != nil {
		return r, fmt.Errorf("read the ledger: %w", err)
	}
	return r, nil
}

// RateCard is a rate card as an operator sees it.
type RateCard struct {
	Carrier   string                   `json:"carrier"`
	ValidFrom string                   `json:"valid_from"`
	Currency  string                   `json:"currency"`
	Prices    map[string]storage.Money `json:"prices"`
	LoadedAt  time.Time                `json:"loaded_at,omitzero"`
	// Planned says that these are the figures that come with the program, not anybody's prices.
	Planned bool `json:"planned,omitempty"`
}

// RateCards are all that prices are taken from: those that were loaded, then the planning figures.
func (b *Base) RateCards(ctx context.Context) ([]RateCard, error) {
	book, err := b.book()
	if err != nil {
		return nil, err
	}
	if err := book.Load(ctx); err != nil {
		return nil, fmt.Errorf("read rate cards: %w", err)
	}
	stored, planned := book.Cards()
	var list []RateCard
	for i, c := range slices.Concat(stored, planned) {
		list = append(list, RateCard{Carrier: c.Carrier, ValidFrom: c.ValidFrom, Currency: c.Currency, Prices: c.Prices, LoadedAt: c.LoadedAt,
			Planned: i >= len(stored)})
	}
	return list, nil
}

// ReplaceRates stores the rate cards of a file in the place of those with the same carrier and first day.
func (b *Base) ReplaceRates(ctx context.Context, text []byte) ([]RateCard, error) {
	cards, err := rates.Parse(text)
	if err != nil {
		return nil, refuse("%v", err)
	}
	book, err := b.book()
	if err != nil {
		return nil, err
	}
	for _, c := range cards {
		switch known := append(allCarriers(), rates.AnySMS); {
		case !slices.Contains(known, c.Carrier):
			return nil, refuse("there is no carrier %q: write %s", c.Carrier, strings.Join(known, ", "))
		case c.Currency != b.config.MFA.Currency:
			return nil, refuse("the card of %s is in %s, this installation counts in %s (mfa.currency)", c.Carrier, c.Currency, b.config.MFA.Currency)
		}
	}
	if err := book.Replace(ctx, cards, actor); err != nil {
		return nil, fmt.Errorf("replace rate cards: %w", err)
	}
	var list []RateCard
	for _, c := range cards {
		list = append(list, RateCard{Carrier: c.Carrier, ValidFrom: c.ValidFrom, Currency: c.Currency, Prices: c.Prices})
	}
	return list, nil
}

// RemoveRates takes a loaded card away.
func (b *Base) RemoveRates(ctx context.Context, carrier, validFrom string) error {
	book, err := b.book()
	if err != nil {
		return err
	}
	removed, err := book.Remove(ctx, carrier, validFrom, actor)
	if err == nil && !removed {
		return refuse("there is no loaded card of %s from %s: `parola rates show` lists them", carrier, validFrom)
	}
	return err
}

// Verdict is what the defence against SMS pumping thinks of a prefix, as an operator sees it.
type Verdict struct {
	Subject  string    `json:"subject"`
	Country  string    `json:"country,omitempty"`
	Edge     string    `json:"edge"`
	State    string    `json:"state,omitempty"`
	Override string    `json:"override,omitempty"`
	Sent     int       `json:"sent"`
	Verified int       `json:"verified"`
	Since    time.Time `json:"since,omitzero"`
}

// Verdicts lists them.
func (b *Base) Verdicts(ctx context.Context) ([]Verdict, error) {
	stored, err := b.store.Verdicts(ctx)
	if err != nil {
		return nil, fmt.Errorf("read verdicts: %w", err)
	}
	list := make([]Verdict, len(stored))
	for i, v := range stored {
		list[i] = Verdict{Subject: v.Prefix, Country: v.Country, Edge: v.Edge, State: string(v.State), Override: string(v.Override),
			Sent: v.Sent, Verified: v.Verified, Since: v.Since}
	}
	return list, nil
}

// Overrule says what stands over the numbers about a prefix (+393331, all of a number but its last six digits), the prefix of a
// whole number, or a country (country:AZ), on one edge or, with an empty one, on both: allow, block, or an empty word to
// withdraw. It returns the subject as it is stored.
func (b *Base) Overrule(ctx context.Context, subject, edge, word string) (string, error) {
	subject = prefixOf(subject)
	edges := []string{edge}
	if edge == "" {
		edges = []string{fraud.EdgeSMS, fraud.EdgeInstant}
	}
	overrides := fraud.Overrides{Store: b.store, Audit: b.audit, Clock: b.clock}
	err := b.store.InTx(ctx, func(ctx context.Context) error {
		if word == "" {
			if err := b.overruled(ctx, subject, edges); err != nil {
				return err
			}
		}
		for _, e := range edges {
			if err := overrides.Set(ctx, subject, e, storage.Override(word), actor); err != nil {
				return err
			}
		}
		return nil
	})
	return subject, err
}

// overruled refuses to withdraw what was never said.
func (b *Base) overruled(ctx context.Context, subject string, edges []string) error {
	verdicts, err := b.store.Verdicts(ctx)
	if err != nil {
		return fmt.Errorf("read verdicts: %w", err)
	}
	if !slices.ContainsFunc(verdicts, func(v storage.Verdict) bool {
		return v.Prefix == subject && v.Override != "" && slices.Contains(edges, v.Edge)
	}) {
		return refuse("you said nothing about %s: `parola fraud list` shows what you said", subject)
	}
	return nil
}

// prefixOf cuts a whole number. A prefix has nine digits at most.
func prefixOf(subject string) string {
	digits, isNumber := strings.CutPrefix(subject, "+")
	digits = strings.NewReplacer(" ", "", "-", "").Replace(digits)
	if !isNumber || strings.Trim(digits, "0123456789") != "" {
		return subject
	}
	if len(digits) > 9 && len(digits) <= 15 {
		digits = digits[:len(digits)-6]
	}
	return "+" + digits
}
