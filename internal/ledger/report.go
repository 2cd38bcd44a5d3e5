package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

// Columns are what a report can be grouped by, in the order of its columns.
var Columns = []string{"day", "country", "channel", "carrier", "language"}

// Query says what a report is about.
type Query struct {
	Filter storage.DayFilter
	// GroupBy are some of Columns; one row for everything when empty.
	GroupBy []string
	// Currency is the one that the installation counts in.
	Currency string
}

// Report is what messages cost and what became of them.
type Report struct {
	Since    string   `json:"since,omitempty"`
	Until    string   `json:"until,omitempty"`
	Currency string   `json:"currency"`
	GroupBy  []string `json:"group_by"`
	Rows     []Row    `json:"rows"`
	Total    Row      `json:"total"`
}

// Row is one group. What it is not grouped by is empty.
type Row struct {
	Day      string          `json:"day,omitempty"`
	Country  string          `json:"country,omitempty"`
	Channel  storage.Channel `json:"channel,omitempty"`
	Carrier  string          `json:"carrier,omitempty"`
	Language string          `json:"language,omitempty"`

	Sent      int `json:"sent"`
	Delivered int `json:"delivered"`
	Read      int `json:"read"`
	Failed    int `json:"failed"`
	Verified  int `json:"verified"`
	// Conversion is the part of the sent messages that were followed by a right passcode; 0 when none was sent.
	Conversion float64 `json:"conversion"`
	// FellBack are messages after which an SMS followed by itself, by trigger.
	FellBack map[string]int `json:"fell_back,omitempty"`
	// ToDelivered and ToVerified are times since acceptance; nil when nothing was delivered or verified.
	ToDelivered *Times `json:"to_delivered,omitempty"`
	ToVerified  *Times `json:"to_verified,omitempty"`

	Spent storage.Money `json:"spent"`
	// Saved is what verified logins by WhatsApp alone would have cost more by SMS; below zero where SMS is the cheaper one.
	Saved storage.Money `json:"saved"`
}

// Times are the median and the 95th percentile, in seconds; see Quantile for how exact they are.
type Times struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

// Days is what a report reads.
type Days interface {
	DeliveryDays(ctx context.Context, f storage.DayFilter) ([]storage.DeliveryDay, error)
}

// Read makes the report that q asks for.
func Read(ctx context.Context, store Days, q Query) (Report, error) {
	for _, name := range q.GroupBy {
		if !slices.Contains(Columns, name) {
			return Report{}, fmt.Errorf("group by %q: choose from %s", name, strings.Join(Columns, ", "))
		}
	}
	for _, date := range []string{q.Filter.Since, q.Filter.Until} {
		if _, err := time.Parse(time.DateOnly, date); date != "" && err != nil {
			return Report{}, fmt.Errorf("%q is no day: write it like 2026-11-25", date)
		}
	}
	days, err := store.DeliveryDays(ctx, q.Filter)
	if err != nil {
		return Report{}, fmt.Errorf("read ledger: %w", err)
	}
	r := Report{
		Since: q.Filter.Since, Until: q.Filter.Until, Currency: q.Currency, Rows: []Row{},
		GroupBy: slices.DeleteFunc(slices.Clone(Columns), func(name string) bool { return !slices.Contains(q.GroupBy, name) }),
	}
	for _, d := range group(days, r.GroupBy) {
		r.Rows = append(r.Rows, rowOf(d))
	}
	r.Total = rowOf(sum(days))
	return r, nil
}

// Totals are the rows by country, channel and carrier: few enough to be labels of metrics.
func Totals(days []storage.DeliveryDay) []storage.DeliveryDay {
	return group(days, []string{"country", "channel", "carrier"})
}

// group adds up the rows that agree in the named columns, and sorts them by these.
func group(days []storage.DeliveryDay, by []string) []storage.DeliveryDay {
	keep := func(name, value string) string {
		if slices.Contains(by, name) {
			return value
		}
		return ""
	}
	groups := make(map[dayKey][]storage.DeliveryDay)
	for _, d := range days {
		k := dayKey{
			keep("day", d.Day), keep("country", d.Country), storage.Channel(keep("channel", string(d.Channel))),
			keep("carrier", d.Carrier), keep("language", d.Language),
		}
		groups[k] = append(groups[k], d)
	}
	var rows []storage.DeliveryDay
	for k, members := range groups {
		row := sum(members)
		row.Day, row.Country, row.Channel, row.Carrier, row.Language = k.day, k.country, k.channel, k.carrier, k.language
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b storage.DeliveryDay) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Country, b.Country), cmp.Compare(a.Channel, b.Channel),
			cmp.Compare(a.Carrier, b.Carrier), cmp.Compare(a.Language, b.Language))
	})
	return rows
}

// sum adds rows up, whatever they are rows of.
func sum(days []storage.DeliveryDay) storage.DeliveryDay {
	all := storage.DeliveryDay{FellBack: make(map[string]int), ToDelivered: make(map[int]int), ToVerified: make(map[int]int)}
	for _, d := range days {
		all.Sent += d.Sent
		all.Delivered += d.Delivered
		all.Read += d.Read
		all.Failed += d.Failed
		all.Verified += d.Verified
		all.Spent += d.Spent
		all.Saved += d.Saved
		addTo(all.FellBack, d.FellBack)
		addTo(all.ToDelivered, d.ToDelivered)
		addTo(all.ToVerified, d.ToVerified)
	}
	return all
}

func addTo[K comparable](all, more map[K]int) {
	for k, n := range more {
		all[k] += n
	}
}

func rowOf(d storage.DeliveryDay) Row {
	r := Row{
		Day: d.Day, Country: d.Country, Channel: d.Channel, Carrier: d.Carrier, Language: d.Language,
		Sent: d.Sent, Delivered: d.Delivered, Read: d.Read, Failed: d.Failed, Verified: d.Verified,
		FellBack: d.FellBack, ToDelivered: timesOf(d.ToDelivered), ToVerified: timesOf(d.ToVerified),
		Spent: d.Spent, Saved: d.Saved,
	}
	if d.Sent > 0 {
		r.Conversion = float64(d.Verified) / float64(d.Sent)
	}
	return r
}

func timesOf(counts map[int]int) *Times {
	p50, counted := Quantile(counts, 0.5)
	if !counted {
		return nil
	}
	p95, _ := Quantile(counts, 0.95)
	return &Times{P50: p50.Round(time.Millisecond).Seconds(), P95: p95.Round(time.Millisecond).Seconds()}
}
