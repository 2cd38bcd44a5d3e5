// Passwordtiming measures whether the time of an answer tells who exists (PW-12). It types wrong passwords for people of
// several kinds, in random order so that a busy machine disturbs all of them alike, and compares the times of each kind
// with those of an ordinary person by a rank test.
//
//	go run ./bench/passwordtiming -tries 500
//
// It starts a provider of its own on a new SQLite file, with limits raised as far as they go. With -issuer it measures
// another one, whose limits must be raised likewise; then it needs a client and people of each kind to be measured:
//
//	go run ./bench/passwordtiming -issuer https://login.test -client-id c -redirect-uri https://rp.test/cb \
//		-wrong anna,bert -disabled carl -no-password dora
//
// It exits with 1 when a kind can be told apart, and with 2 when it could not measure.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"
)

type options struct {
	tries                       int
	threshold                   float64
	issuer, client, redirectURI string
	wrong, disabled, noPassword string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.IntVar(&o.tries, "tries", 500, "wrong passwords for each kind of person")
	flag.Float64Var(&o.threshold, "z", 4, "the |z| of the rank test beyond which two kinds count as told apart")
	flag.StringVar(&o.issuer, "issuer", "", "measure the provider at this `URL` instead of one of our own")
	flag.StringVar(&o.client, "client-id", "", "with -issuer: a public client of it")
	flag.StringVar(&o.redirectURI, "redirect-uri", "", "with -issuer: that client's redirect URI")
	flag.StringVar(&o.wrong, "wrong", "", "with -issuer: user names of ordinary people, separated by commas")
	flag.StringVar(&o.disabled, "disabled", "", "with -issuer: user names of disabled people")
	flag.StringVar(&o.noPassword, "no-password", "", "with -issuer: user names of people without a password")
	flag.Parse()
	told, err := run(ctx, o, os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "passwordtiming:", err)
		os.Exit(2)
	case told:
		os.Exit(1)
	}
}

// kind is one kind of person. visitor names who the n-th try is for, and the cookie their browser brings along, or none.
type kind struct {
	name    string
	visitor func(n int) visitor
}

type visitor struct{ username, cookie string }

// reference is the kind that the others are compared with.
const reference = "wrong"

func run(ctx context.Context, o options, out io.Writer) (told bool, err error) {
	if o.tries < 20 {
		return false, fmt.Errorf("-tries %d: a rank test needs at least 20", o.tries)
	}
	t, kinds, closeTarget, err := prepare(ctx, o)
	if err != nil {
		return false, err
	}
	defer closeTarget()
	times, err := measure(ctx, t, kinds, o.tries)
	if err != nil {
		return false, err
	}
	return report(out, kinds, times, o.threshold), nil
}

func prepare(ctx context.Context, o options) (target, []kind, func(), error) {
	if o.issuer == "" {
		return ownProvider(ctx, o.tries)
	}
	if o.client == "" || o.redirectURI == "" || o.wrong == "" {
		return target{}, nil, nil, fmt.Errorf("-issuer needs -client-id, -redirect-uri and -wrong")
	}
	kinds := []kind{{"unknown", unknownVisitor}}
	for _, k := range []struct{ name, list string }{{reference, o.wrong}, {"disabled", o.disabled}, {"no password", o.noPassword}} {
		if names := strings.Split(k.list, ","); k.list != "" {
			kinds = append(kinds, kind{k.name, func(n int) visitor { return visitor{username: names[n%len(names)]} }})
		}
	}
	return target{strings.TrimSuffix(o.issuer, "/"), o.client, o.redirectURI}, kinds, func() {}, nil
}

// unknownVisitor has a new name now and then, as a stranger who looks for names would.
func unknownVisitor(n int) visitor {
	return visitor{username: fmt.Sprintf("nobody-%d-%d", runID, n/triesPerPerson)}
}

// runID keeps the unknown names of two runs apart, which a limit may remember.
var runID = rand.Uint32()

// measure takes one time of every kind in each round, in random order; the first rounds warm up and are not counted.
func measure(ctx context.Context, t target, kinds []kind, tries int) (map[string][]time.Duration, error) {
	const warmUp = 5
	times := make(map[string][]time.Duration)
	var p *passwordPage
	for round := range warmUp + tries {
		if round%100 == 0 {
			var err error
			if p, err = t.open(ctx); err != nil {
				return nil, err
			}
		}
		for _, i := range rand.Perm(len(kinds)) {
			took, err := p.try(ctx, kinds[i].visitor(round))
			if err != nil {
				return nil, fmt.Errorf("%s, try %d: %w", kinds[i].name, round, err)
			}
			if round >= warmUp {
				times[kinds[i].name] = append(times[kinds[i].name], took)
			}
		}
	}
	return times, nil
}

// report prints the comparison and says whether a kind can be told apart.
func report(out io.Writer, kinds []kind, times map[string][]time.Duration, threshold float64) (told bool) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "kind\ttries\tmedian\tp95\tz\t")
	for _, k := range kinds {
		list := times[k.name]
		z := "–"
		if k.name != reference {
			score := mannWhitney(list, times[reference])
			z = fmt.Sprintf("%+.2f", score)
			if score > threshold || score < -threshold {
				told, z = true, z+" !"
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t\n", k.name, len(list), round(quantile(list, 0.5)), round(quantile(list, 0.95)), z)
	}
	w.Flush()
	if told {
		fmt.Fprintf(out, "A kind can be told from %q by time: |z| beyond %g.\n", reference, threshold)
	} else {
		fmt.Fprintf(out, "No kind can be told from %q by time: every |z| within %g.\n", reference, threshold)
	}
	return told
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
