package main

import (
	"context"
	"maps"
	"slices"

	"github.com/parola-id/parola/internal/app"
)

type ratesCommands struct {
	Show    ratesShow    `cmd:"" help:"Show what messages cost, by carrier and country."`
	Replace ratesReplace `cmd:"" help:"Load rate cards from a file."`
	Remove  ratesRemove  `cmd:"" help:"Take a loaded rate card away."`
}

type ratesShow struct {
	Carrier string `placeholder:"NAME" help:"Only this carrier."`
	asJSON
}

// Help teaches.
func (ratesShow) Help() string {
	return `Until a carrier's card is loaded, the planning figures that come with the program are used. They are high rather than low, and nobody's prices.

Example:

    parola rates show --carrier twilio

Next: parola rates replace FILE.`
}

// Run shows.
func (cmd ratesShow) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		list, err := b.RateCards(ctx)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(r app.RateCard) bool { return cmd.Carrier != "" && r.Carrier != cmd.Carrier })
		if cmd.JSON {
			return c.printJSON(list)
		}
		if len(list) == 0 {
			c.printf("there is no card of %s; the one of \"sms\" stands for SMS carriers without their own\n", printable(cmd.Carrier))
			return nil
		}
		rows := [][]string{{"CARRIER", "VALID FROM", "COUNTRY", "PRICE", "CURRENCY", "SOURCE"}}
		for _, r := range list {
			source := "loaded " + when(r.LoadedAt)
			if r.Planned {
				source = "planning figure"
			}
			for _, country := range slices.Sorted(maps.Keys(r.Prices)) {
				rows = append(rows, []string{r.Carrier, r.ValidFrom, country, r.Prices[country].String(), r.Currency, source})
			}
		}
		return c.table(rows)
	})
}

type ratesReplace struct {
	File string `arg:"" help:"CSV or JSON; - is standard input."`
	asJSON
}

// Help teaches.
func (ratesReplace) Help() string {
	return `A card is what one carrier charges per message from a day on. The file has one line for each country, "*" for all that are not named:

    carrier,country,price,currency,valid_from
    twilio,*,0.12,EUR,2026-12-01
    twilio,IT,0.0927,EUR,2026-12-01

A card takes the place of the one with the same carrier and first day; others stay, so that past days keep their prices. All nodes use it within a minute. The carrier "sms" stands for every SMS carrier without a card of its own.

Example:

    parola rates replace december.csv

Next: parola rates show.`
}

// Run replaces.
func (cmd ratesReplace) Run(c *invocation) error {
	text, err := c.readInput(cmd.File)
	if err != nil {
		return err
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		cards, err := b.ReplaceRates(ctx, text)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(cards)
		}
		for _, r := range cards {
			c.printf("%s: %d %s from %s\n", r.Carrier, len(r.Prices), plural(len(r.Prices), "price", "prices"), r.ValidFrom)
		}
		return nil
	})
}

type ratesRemove struct {
	Carrier   string `arg:"" help:"The carrier's name."`
	ValidFrom string `arg:"" help:"The card's first day."`
	asJSON
}

// Help teaches.
func (ratesRemove) Help() string {
	return `The card before it holds again, or the planning figures.

Example:

    parola rates remove twilio 2026-12-01`
}

// Run removes.
func (cmd ratesRemove) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		if err := b.RemoveRates(ctx, cmd.Carrier, cmd.ValidFrom); err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(map[string]string{"carrier": cmd.Carrier, "valid_from": cmd.ValidFrom, "state": "removed"})
		}
		c.printf("the card of %s from %s is removed; what it priced keeps its price\n", printable(cmd.Carrier), printable(cmd.ValidFrom))
		return nil
	})
}
