package ledger

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the report as one JSON object.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteCSV writes the rows, without the total, for a spreadsheet: times in seconds, money as decimal numbers in the
// currency that the header names. No cell of text can be taken for a formula.
func (r Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	header := append(slices.Clone(r.GroupBy), "sent", "delivered", "read", "failed", "verified", "conversion",
		"fell_back", "fell_back_why", "to_delivered_p50", "to_delivered_p95", "to_verified_p50", "to_verified_p95")
	if err := out.Write(append(header, "spent_"+strings.ToLower(r.Currency), "saved_"+strings.ToLower(r.Currency))); err != nil {
		return err
	}
	for _, row := range r.Rows {
		cells := r.names(row)
		for i := range cells {
			cells[i] = neutral(cells[i])
		}
		number, why := fellBack(row)
		for _, n := range []int{row.Sent, row.Delivered, row.Read, row.Failed, row.Verified} {
			cells = append(cells, strconv.Itoa(n))
		}
		cells = append(cells, strconv.FormatFloat(row.Conversion, 'f', 4, 64), strconv.Itoa(number), neutral(why))
		for _, t := range []*Times{row.ToDelivered, row.ToVerified} {
			p50, p95 := "", ""
			if t != nil {
				p50, p95 = strconv.FormatFloat(t.P50, 'f', 3, 64), strconv.FormatFloat(t.P95, 'f', 3, 64)
			}
			cells = append(cells, p50, p95)
		}
		if err := out.Write(append(cells, row.Spent.String(), row.Saved.String())); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// neutral keeps a spreadsheet from running a text as a formula.
func neutral(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// WriteTable writes the report for a terminal, with the total as its last line.
func (r Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	header := make([]string, 0, len(r.GroupBy)+10)
	for _, name := range r.GroupBy {
		header = append(header, strings.ToUpper(name))
	}
	header = append(header, "SENT", "DELIVERED", "READ", "FAILED", "VERIFIED", "TO DELIVERED p50/p95", "TO VERIFIED p50/p95",
		"SPENT "+r.Currency, "SAVED "+r.Currency, "FELL BACK")
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for _, row := range r.Rows {
		fmt.Fprintln(t, strings.Join(append(r.names(row), figures(row)...), "\t"))
	}
	if len(r.GroupBy) > 0 {
		names := make([]string, len(r.GroupBy))
		names[0] = "total"
		fmt.Fprintln(t, strings.Join(append(names, figures(r.Total)...), "\t"))
	}
	return t.Flush()
}

// names are a row's values of the columns that the report is grouped by.
func (r Report) names(row Row) (names []string) {
	values := map[string]string{
		"day": row.Day, "country": row.Country, "channel": string(row.Channel), "carrier": row.Carrier, "language": row.Language,
	}
	for _, name := range r.GroupBy {
		names = append(names, values[name])
	}
	return names
}

// figures of a row; those that are a part of the messages sent tell which part. Failed is none: a carrier that refuses a
// message has not sent it.
func figures(row Row) []string {
	share := func(n int) string {
		if row.Sent == 0 {
			return strconv.Itoa(n)
		}
		return fmt.Sprintf("%d (%.0f %%)", n, 100*float64(n)/float64(row.Sent))
	}
	fell := "-"
	if number, why := fellBack(row); number > 0 {
		fell = fmt.Sprintf("%d (%s)", number, why)
	}
	return []string{
		strconv.Itoa(row.Sent), share(row.Delivered), share(row.Read), strconv.Itoa(row.Failed), share(row.Verified),
		seconds(row.ToDelivered), seconds(row.ToVerified), row.Spent.String(), row.Saved.String(), fell,
	}
}

func seconds(t *Times) string {
	if t == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f s / %.1f s", t.P50, t.P95)
}

// fellBack is how many messages were followed by an SMS, and why.
func fellBack(row Row) (number int, why string) {
	var parts []string
	for _, trigger := range slices.Sorted(maps.Keys(row.FellBack)) {
		number += row.FellBack[trigger]
		parts = append(parts, fmt.Sprintf("%s %d", trigger, row.FellBack[trigger]))
	}
	return number, strings.Join(parts, ", ")
}
