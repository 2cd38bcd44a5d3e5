package main

import (
	"context"
	"strings"

	"github.com/parola-id/parola/internal/app"
)

type deliveryCommands struct {
	Report deliveryReport `cmd:"" help:"What messages cost and what arrived, per day, country, channel, carrier and language."`
}

type deliveryReport struct {
	Since   string   `placeholder:"DAY" help:"First day (UTC), like 2026-11-01; 30 days ago when absent."`
	Until   string   `placeholder:"DAY" help:"Last day (UTC); today when absent."`
	By      []string `default:"day,channel" help:"What to group by, of day, country, channel, carrier, language; \"none\" for one line."`
	Country string   `placeholder:"CC" help:"Only this country (ISO 3166-1)."`
	Channel string   `enum:",whatsapp,sms" default:"" placeholder:"CHANNEL" help:"Only whatsapp or sms."`
	Carrier string   `placeholder:"NAME" help:"Only this carrier."`
	Format  string   `enum:"table,csv,json" default:"table" placeholder:"FORMAT" help:"table (when absent), csv or json."`
	asJSON
}

// Help teaches.
func (deliveryReport) Help() string {
	return `Counts come from the audit log, a few seconds after what they count. A day is that of a message's acceptance. Sent is what a carrier took; failed also what it refused. Verified is the newest message before a right passcode. Spent is reckoned by the rate cards (parola rates); saved is what logins by WhatsApp alone would have cost more by SMS. Times are from acceptance, to about 8 %.

Examples:

    parola delivery report
    parola delivery report --by country --by carrier --since 2026-11-01
    parola delivery report --by day --by language --format csv > november.csv

Next: a low conversion in one country is looked at with parola fraud list.`
}

// Run reports.
func (cmd deliveryReport) Run(c *invocation) error {
	by := cmd.By
	if len(by) == 1 && by[0] == "none" {
		by = nil
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		r, err := b.DeliveryReport(ctx, app.ReportQuery{Since: cmd.Since, Until: cmd.Until, By: by,
			Country: strings.ToUpper(cmd.Country), Channel: cmd.Channel, Carrier: cmd.Carrier})
		switch {
		case err != nil:
			return err
		case cmd.JSON, cmd.Format == "json":
			return r.WriteJSON(c.stdout)
		case cmd.Format == "csv":
			return r.WriteCSV(c.stdout)
		case len(r.Rows) == 0:
			c.printf("no message was sent from %s to %s\n", r.Since, r.Until)
			return nil
		default:
			return r.WriteTable(c.stdout)
		}
	})
}
