package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// asJSON is embedded by commands that can answer programs.
type asJSON struct {
	JSON bool `name:"json" help:"Answer in JSON."`
}

func (c *invocation) printf(format string, args ...any) { fmt.Fprintf(c.stdout, format, args...) }

func (c *invocation) printJSON(v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	for _, r := range text.String() { // what would steer a terminal is escaped, as JSON may have it
		if r != '\n' && unfit(r) && r <= 0xffff {
			c.printf("\\u%04x", r)
		} else {
			c.printf("%c", r)
		}
	}
	return nil
}

// table prints rows in columns, the first being the heading. Cells are made printable: they may hold what a stranger
// sent.
func (c *invocation) table(rows [][]string) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = printable(cell); cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}

func unfit(r rune) bool { return !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r) }

// printable replaces what would steer a terminal or hide text: control and direction characters.
func printable(s string) string {
	if !strings.ContainsFunc(s, unfit) {
		return s
	}
	quoted := strconv.QuoteToGraphic(s)
	return quoted[1 : len(quoted)-1]
}

func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// when is a time for people; empty for none.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// instant is a time to the millisecond.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
