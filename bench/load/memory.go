package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parola-id/parola/bench/rig"
)

// state is something that was measured of the server as a whole.
type state struct {
	Name     string  `json:"name"`
	Database string  `json:"database"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Limit    float64 `json:"limit"`
	Note     string  `json:"note,omitempty"`
}

func (s state) over() bool { return s.Value > s.Limit }

const (
	starts     = 5
	idleAfter  = 5 * time.Second
	mostReady  = 150               // ms
	mostIdle   = 35e6 / (1 << 20)  // MiB
	mostPeak   = 150e6 / (1 << 20) // MiB
	mostSlower = 5
)

// starting starts the server several times on a database that is up to date, and lets the last one run. It tells how long
// they took to be ready, and what the last one holds when nothing happens.
func starting(ctx context.Context, o *ownTarget) ([]state, error) {
	if _, err := o.start(ctx); err != nil { // makes keys
		return nil, err
	}
	times := make([]time.Duration, starts)
	for i := range times {
		if err := o.stop(); err != nil {
			return nil, err
		}
		server, ready, err := o.in.StartTimed(ctx)
		if err != nil {
			return nil, err
		}
		o.server, o.nodes, times[i] = server, []int{server.PID()}, ready
	}
	slices.Sort(times)
	pause(ctx, idleAfter)
	idle, err := memory(o.nodes)
	return []state{
		{Name: "ready after", Database: o.database, Value: ms(times[len(times)/2]), Unit: "ms", Limit: mostReady, Note: fmt.Sprintf("median of %d starts", starts)},
		{Name: "idle memory", Database: o.database, Value: idle.Now, Unit: "MiB", Limit: mostIdle,
			Note: fmt.Sprintf("%s after a start; %.1f of it are pages of files", idleAfter, idle.File)},
	}, err
}

// The cheap request that is asked at a steady pace while people sign in.
const (
	probes   = 4
	perProbe = 50 // a second
)

// storm asks for userinfo at a steady pace, first alone and then while many people want to sign in at once.
func storm(ctx context.Context, t *target, database string, seconds int) ([]state, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := time.Duration(seconds) * time.Second
	probe, err := prepareAll(ctx, t, operation{prepare: prepareUserInfo}, probes, 0)
	if err != nil {
		return nil, err
	}
	paced(ctx, probe, d/5)
	alone := paced(ctx, probe, d)
	if err := forgetPeak(t.nodes); err != nil {
		return nil, err
	}
	work, err := prepareAll(ctx, t, operation{prepare: prepareStormLogin}, atOnce, 0)
	if err != nil {
		return nil, err
	}
	var logins, among lap
	var all sync.WaitGroup
	all.Go(func() { logins = drive(ctx, work, d+d/5, 0) })
	pause(ctx, d/10) // until all of them wait
	among = paced(ctx, probe, d)
	all.Wait()
	for _, l := range []lap{alone, logins, among} {
		if len(l.errs) > 0 {
			return nil, l.errs[0]
		}
	}
	held, err := memory(t.nodes)
	if err != nil {
		return nil, err
	}
	if err := t.carrier.failure(); err != nil {
		return nil, err
	}
	ratio := float64(among.at(0.99)) / float64(alone.at(0.99))
	return []state{
		{Name: fmt.Sprintf("peak memory, %d logins at once", atOnce), Database: database, Value: held.Peak, Unit: "MiB", Limit: mostPeak,
			Note: fmt.Sprintf("%.1f logins a second", float64(len(logins.times))/logins.took.Seconds())},
		{Name: "p99 of userinfo among them ÷ alone", Database: database, Value: ratio, Unit: "×", Limit: mostSlower,
			Note: fmt.Sprintf("%.2f ms ÷ %.2f ms", ms(among.at(0.99)), ms(alone.at(0.99)))},
	}, t.settle(ctx)
}

// prepareStormLogin is a login that waits where it is put off, as a browser with a patient person does.
func prepareStormLogin(ctx context.Context, t *target, people []rig.Person, _ int) (func(context.Context) error, error) {
	w, err := newWire(ctx, t.issuer)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := t.signIn(ctx, w, people[0], true)
		return err
	}, nil
}

// paced does each work perProbe times a second. One whose turn came while the answer before was still awaited is timed
// from its turn, so that a slow answer does not hide that those after it were late as well.
func paced(ctx context.Context, work []func(context.Context) error, d time.Duration) lap {
	laps := make([]lap, len(work))
	began := time.Now()
	var all sync.WaitGroup
	for i, one := range work {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				due := began.Add(time.Duration(n*len(work)+i) * time.Second / perProbe / time.Duration(len(work)))
				if due.Sub(began) >= d {
					return
				}
				at := due
				if wait := time.Until(due); wait > 0 {
					pause(ctx, wait)
					at = time.Now() // the timer's own lateness is not the server's
				}
				if err := one(ctx); err != nil {
					laps[i].errs = append(laps[i].errs, err)
					return
				}
				laps[i].times = append(laps[i].times, time.Since(at))
			}
		})
	}
	all.Wait()
	return sum(laps, time.Since(began))
}
