package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/parola-id/parola/storage/storagetest"
)

// grown is what an operation costs on a database of some size.
type grown struct {
	size
	figure
	// Slower is the median latency compared with the smallest size, Dearer the processor time, without the hash of a login.
	Slower float64 `json:"p50_times_first"`
	Dearer float64 `json:"cpu_times_first"`
	// Seeded is how long it took to come to this size.
	Seeded float64 `json:"seeded_s"`
}

// mostGrowth is how much slower the largest size may be.
const mostGrowth = 1.3

const (
	// grownPeople sign in by turns: enough to be spread over all others, in whose pages of the database they are.
	grownPeople = 512
	// grownWorkers are few: latency is the question, and of a queue it would be the queue's.
	grownWorkers = 2
)

// sizes are those of docs/performance.md, the last one as large as the options say.
func sizes(o options) []size {
	all := []size{{1_000, 10_000, 100}, {100_000, 1_000_000, 10_000}, {1_000_000, 10_000_000, 100_000}}
	for i := range all {
		all[i].Users, all[i].Events, all[i].Sessions = min(all[i].Users, o.users), min(all[i].Events, 10*o.users), min(all[i].Sessions, max(1, o.users/10))
	}
	return slices.Compact(all)
}

// growth measures login and refresh on a database that grows.
func growth(ctx context.Context, o options, out io.Writer) error {
	r := report{Machine: machine(os.TempDir())}
	databases := []string{"sqlite", "postgres"}
	if o.database != "" {
		databases = []string{o.database}
	}
	var err error
	for _, database := range databases {
		var all []grown
		all, err = growOne(ctx, o, database)
		r.Growth = append(r.Growth, all...)
		if err != nil {
			err = fmt.Errorf("%s: %w", database, err)
			break
		}
	}
	return errors.Join(err, r.write(out, o.asJSON), r.verdict(o.check))
}

func growOne(ctx context.Context, o options, database string) ([]grown, error) {
	dsn, source, others := "", "", []int(nil)
	if database == "postgres" {
		cluster, err := storagetest.StartCluster(durable...)
		if err != nil {
			return nil, fmt.Errorf("start PostgreSQL: %w", err)
		}
		defer cluster.Close()
		if dsn, err = cluster.CreateDatabase(ctx, "parola_load"); err != nil {
			return nil, err
		}
		pid, err := cluster.PID()
		if err != nil {
			return nil, err
		}
		source, others = dsn, []int{pid}
	}
	t, err := install(ctx, database, dsn, others, grownPeople)
	if err != nil {
		return nil, err
	}
	defer t.close()
	if database == "sqlite" {
		source = t.in.Config().Database.Path
	}
	if _, err := t.start(ctx); err != nil { // makes the keys, whose events are the first of the log
		return nil, err
	}
	var all []grown
	var has size
	for _, want := range sizes(o) {
		measured, err := growTo(ctx, o, t, source, has, want)
		if err != nil {
			return all, err
		}
		has = want
		for i := range measured {
			first := measured[i]
			if len(all) >= len(measured) {
				first = all[i]
			}
			measured[i].Slower, measured[i].Dearer = measured[i].P50/first.P50, measured[i].judged()/first.judged()
		}
		all = append(all, measured...)
	}
	return all, t.stop()
}

// growTo grows the database while the server is away, and measures.
func growTo(ctx context.Context, o options, t *ownTarget, source string, has, want size) ([]grown, error) {
	if err := t.stop(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := grow(ctx, t.database, source, has, want); err != nil {
		return nil, err
	}
	seeded := time.Since(began)
	if _, err := t.start(ctx); err != nil {
		return nil, err
	}
	var all []grown
	for _, op := range operations() {
		if op.name != "login" && op.name != "refresh" {
			continue
		}
		f, err := measure(ctx, &t.target, op, shape{workers: grownWorkers, seconds: o.seconds})
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, t.in.LogTail(5))
		}
		f.Database = t.database
		all = append(all, grown{size: want, figure: f, Seeded: seeded.Seconds()})
	}
	return all, nil
}

func writeGrowth(w io.Writer, all []grown) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w, "\nusers\tevents\topen sessions\tdatabase\toperation\tn\tp50 ms\tp95 ms\tp99 ms\t× first\t\tCPU-ms\tless argon2id\t× first\tseeded in s\t")
	for _, g := range all {
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t%.3f\t%s\t%.2f\t%.0f\t\n", g.Users, g.Events, g.Sessions, g.Database, g.Operation,
			g.N, g.P50, g.P95, g.P99, g.Slower, word(g.Slower > mostGrowth), g.CPU, g.less(), g.Dearer, g.Seeded)
	}
}
