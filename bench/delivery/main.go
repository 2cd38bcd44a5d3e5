// Delivery measures how quickly a passcode gets out, on this machine, against the handset on loopback:
//
//	go run ./bench/delivery                  # everything, on SQLite
//	go run ./bench/delivery --dsn postgres://…   # on an empty PostgreSQL database
//	go run ./bench/delivery --only socket    # one of socket, receipt, stepup, deadline, webhook
//
// It reports medians and 99th percentiles beside what docs/performance.md promises, and judges nothing: another machine
// has other figures.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/parola-id/parola/bench/rig"
)

type options struct {
	dsn, only, profile string
	seconds            int
	asJSON             bool
}

// figure is one line of the report.
type figure struct {
	Name string `json:"name"`
	N    int    `json:"n"`
	// PerSecond is what was sustained, where that is the question.
	PerSecond float64       `json:"per_second,omitempty"`
	P50       time.Duration `json:"p50_ns"`
	P95       time.Duration `json:"p95_ns"`
	P99       time.Duration `json:"p99_ns"`
	Max       time.Duration `json:"max_ns"`
	Note      string        `json:"note,omitempty"`
}

func main() {
	rig.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.StringVar(&o.dsn, "dsn", "", "PostgreSQL database `URL` instead of a new SQLite file; it must be empty")
	flag.StringVar(&o.only, "only", "", "measure only this: socket, receipt, stepup, deadline or webhook")
	flag.IntVar(&o.seconds, "seconds", 30, "how long each measurement takes")
	flag.StringVar(&o.profile, "cpuprofile", "", "write the server's CPU profile to this `file` (with --only socket, receipt or webhook)")
	flag.BoolVar(&o.asJSON, "json", false, "report in JSON")
	flag.Parse()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "delivery:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	var figures []figure
	for _, m := range []struct {
		names   []string
		measure func(context.Context, options) ([]figure, error)
	}{
		{[]string{"socket", "receipt"}, logins},
		{[]string{"webhook"}, webhooks},
		{[]string{"stepup"}, stepUps},
		{[]string{"deadline"}, deadlines},
	} {
		if o.only != "" && !slices.Contains(m.names, o.only) {
			continue
		}
		measured, err := m.measure(ctx, o)
		if err != nil {
			return fmt.Errorf("measure %s: %w", m.names[0], err)
		}
		figures = append(figures, measured...)
	}
	if o.asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(figures)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tN\tPER SECOND\tP50\tP95\tP99\tMAX\tNOTE")
	for _, f := range figures {
		rate := "-"
		if f.PerSecond > 0 {
			rate = fmt.Sprintf("%.0f", f.PerSecond)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, f.N, rate, short(f.P50), short(f.P95), short(f.P99), short(f.Max), f.Note)
	}
	return w.Flush()
}

func short(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

// figureOf sums up times.
func figureOf(name string, times []time.Duration) figure {
	f := figure{Name: name, N: len(times)}
	if len(times) == 0 {
		return f
	}
	slices.Sort(times)
	at := func(q float64) time.Duration { return times[min(len(times)-1, int(q*float64(len(times))))] }
	f.P50, f.P95, f.P99, f.Max = at(0.50), at(0.95), at(0.99), times[len(times)-1]
	return f
}
