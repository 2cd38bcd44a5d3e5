package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// figure is what was measured of one operation on one database. Times are in milliseconds.
type figure struct {
	Operation string  `json:"operation"`
	Database  string  `json:"database"`
	N         int     `json:"n"`
	Workers   int     `json:"workers"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P95       float64 `json:"p95_ms"`
	P99       float64 `json:"p99_ms"`
	// CPU is the processor time of all server processes per operation. Of an operation that hashes, Hash is one argon2id
	// beside busy cores, measured just before and just after, and Less what remains without it.
	CPU float64 `json:"cpu_ms"`
	// Nodes is what of it Parola's own processes took; the rest is PostgreSQL's.
	Nodes float64  `json:"nodes_cpu_ms"`
	Hash  float64  `json:"argon2id_cpu_ms,omitempty"`
	Less  *float64 `json:"cpu_ms_less_argon2id,omitempty"`
	// Limit is the most that CPU, or Less where there is one, may be.
	Limit float64 `json:"limit_cpu_ms"`
	Peak  float64 `json:"peak_mib"`
	// Errors are operations that failed.
	Errors int    `json:"errors"`
	Error  string `json:"error,omitempty"`
}

// judged is what the limit is about.
func (f figure) judged() float64 {
	if f.Less != nil {
		return *f.Less
	}
	return f.CPU
}

func (f figure) over() bool { return f.judged() > f.Limit }

// shape is how an operation is driven: a closed loop of workers, each with one operation in progress at any time.
type shape struct {
	workers int
	seconds int
	// profile is a file for the server's CPU profile; empty for none.
	profile string
}

// measure measures an operation, and the hash that its limit leaves out.
func measure(ctx context.Context, t *target, o operation, s shape) (figure, error) {
	if !o.hashes {
		return measureWhole(ctx, t, o, s)
	}
	_, before, err := argon2id(ctx)
	if err != nil {
		return figure{}, err
	}
	f, err := measureWhole(ctx, t, o, s)
	if err != nil {
		return f, err
	}
	_, after, err := argon2id(ctx)
	f.Hash = (before.CPU + after.CPU) / 2
	less := f.CPU - f.Hash
	f.Less = &less
	return f, err
}

// measureWhole drives one operation, after a warm-up, and reads what the server took for it: for what it does later on account
// of it too.
func measureWhole(ctx context.Context, t *target, o operation, s shape) (figure, error) {
	f := figure{Operation: o.name, Workers: s.workers}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the workers' connections
	warm, run := time.Duration(s.seconds)*time.Second/5, time.Duration(s.seconds)*time.Second
	each, warmEach := 0, 0
	if o.stock > 0 {
		each, warmEach = max(1, o.stock*s.seconds/s.workers), 1
	}
	work, err := prepareAll(ctx, t, o, s.workers, each+warmEach)
	if err != nil {
		return f, fmt.Errorf("prepare %s: %w", o.name, err)
	}
	if l := drive(ctx, work, warm, warmEach); len(l.errs) > 0 {
		return f, fmt.Errorf("warm up %s: %w", o.name, l.errs[0])
	}
	if err := t.settle(ctx); err != nil {
		return f, err
	}
	if err := forgetPeak(t.nodes); err != nil {
		return f, err
	}
	if s.profile != "" {
		if err := t.server.StartProfile(s.profile); err != nil {
			return f, err
		}
	}
	before, err := readCPU(t)
	if err != nil {
		return f, err
	}
	l := drive(ctx, work, run, each)
	if err := t.settle(ctx); err != nil {
		return f, err
	}
	after, err := readCPU(t)
	if err != nil {
		return f, err
	}
	if s.profile != "" {
		if err := t.server.EndProfile(); err != nil {
			return f, err
		}
	}
	if t.carrier != nil {
		if err := t.carrier.failure(); err != nil {
			l.errs = append(l.errs, err)
		}
	}
	held, err := memory(t.nodes)
	if err != nil {
		return f, err
	}
	f.Peak = held.Peak
	f.fill(l, after.all-before.all, after.nodes-before.nodes)
	return f, ctx.Err()
}

// taken is processor time: of all processes, and of Parola's alone.
type taken struct{ all, nodes time.Duration }

func readCPU(t *target) (at taken, err error) {
	if at.all, err = cpu(t.processes()); err != nil {
		return at, err
	}
	at.nodes, err = cpu(t.nodes)
	return at, err
}

func (f *figure) fill(l lap, all, nodes time.Duration) {
	f.N, f.Errors = len(l.times), len(l.errs)
	if f.Errors > 0 {
		f.Error = l.errs[0].Error()
	}
	if f.N == 0 {
		return
	}
	f.PerSecond = float64(f.N) / l.took.Seconds()
	f.P50, f.P95, f.P99 = ms(l.at(0.50)), ms(l.at(0.95)), ms(l.at(0.99))
	f.CPU, f.Nodes = ms(all)/float64(f.N), ms(nodes)/float64(f.N)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// prepareAll prepares the workers side by side.
func prepareAll(ctx context.Context, t *target, o operation, workers, n int) ([]func(context.Context) error, error) {
	work, errs := make([]func(context.Context) error, workers), make([]error, workers)
	var all sync.WaitGroup
	for i := range work {
		all.Go(func() { work[i], errs[i] = o.prepare(ctx, t, t.share(i, workers), n) })
	}
	all.Wait()
	return work, errors.Join(errs...)
}

// lap is one run of a loop.
type lap struct {
	times []time.Duration // sorted
	errs  []error
	took  time.Duration
}

// at is the time that a part q of the operations did not exceed.
func (l lap) at(q float64) time.Duration {
	if len(l.times) == 0 {
		return 0
	}
	return l.times[min(len(l.times)-1, int(q*float64(len(l.times))))]
}

// mostErrors ends the loop of a worker: a server that fails at everything is not measured to the end.
const mostErrors = 10

// drive lets every worker do its work again and again: each times, or until the time is over where each is 0.
func drive(ctx context.Context, work []func(context.Context) error, d time.Duration, each int) lap {
	laps := make([]lap, len(work))
	began := time.Now()
	var all sync.WaitGroup
	for i, one := range work {
		all.Go(func() {
			for n := 0; ctx.Err() == nil && len(laps[i].errs) < mostErrors; n++ {
				at := time.Now()
				if each > 0 && n == each || each == 0 && at.Sub(began) >= d {
					return
				}
				if err := one(ctx); err != nil {
					laps[i].errs = append(laps[i].errs, err)
					continue
				}
				laps[i].times = append(laps[i].times, time.Since(at))
			}
		})
	}
	all.Wait()
	return sum(laps, time.Since(began))
}

// sum is the laps of several workers as one.
func sum(laps []lap, took time.Duration) lap {
	all := lap{took: took}
	for _, l := range laps {
		all.times, all.errs = append(all.times, l.times...), append(all.errs, l.errs...)
	}
	slices.Sort(all.times)
	return all
}
