package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/bench/check"
	"github.com/parola-id/parola/bench/rig"
)

const (
	// steps and upFor bound how long a server lives before it is killed: until people have come so many steps further, so
	// that kills fall among logins on any machine, or until so long has passed.
	steps = 60
	upFor = 3 * time.Second
	// more is what an instant lies behind that.
	more = 50 * time.Millisecond
	// downFor bounds how long it stays away.
	downFor = 100 * time.Millisecond
	// startTakes bounds the instant of a kill during the start.
	startTakes = 150 * time.Millisecond
)

// killer is one run.
type killer struct {
	options
	in      *rig.Installation
	nodes   []*rig.Node
	out     io.Writer
	witness *check.Witness

	// looking keeps new logins waiting while the database is read, so that a run does not outgrow its checks.
	looking sync.RWMutex

	// heads are the heads of the chain after each kill.
	heads  map[int64][]byte
	starts []time.Duration
	early  int // kills during a start

	mu       sync.Mutex
	outcomes map[string]int
	wrong    []check.Finding
	stopping atomic.Bool
	// killed counts the begin and the end of every kill: it is odd in the middle of one.
	killed atomic.Int64
	// walked counts steps of people: pages, passcodes, tokens.
	walked atomic.Int64
}

func (k *killer) killAll() {
	for _, n := range k.nodes {
		n.Kill()
	}
}

func (k *killer) run(ctx context.Context) (map[string]int, []check.Finding, error) {
	for _, n := range k.nodes {
		if _, err := n.Start(ctx); err != nil {
			return nil, nil, err
		}
	}
	k.outcomes = map[string]int{}
	living, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var people sync.WaitGroup
	for i, p := range k.in.People {
		people.Go(func() {
			if err := k.lives(living, i, p); err != nil {
				giveUp(err)
			}
		})
	}
	found, err := k.kill(living)
	k.stopping.Store(true)
	if len(found) > 0 || err != nil {
		giveUp(err)
		people.Wait()
		return k.figures(nil), found, err
	}
	people.Wait()
	if err := context.Cause(living); err != nil {
		return nil, nil, err
	}
	return k.end(ctx)
}

// kill kills and looks, as often as asked or until something is broken.
func (k *killer) kill(ctx context.Context) ([]check.Finding, error) {
	r := rand.New(rand.NewPCG(k.seed, 0x6b696c6c))
	for n := 1; n <= k.kills; n++ {
		node := k.nodes[r.IntN(len(k.nodes))]
		k.wait(ctx, r)
		k.killed.Add(1)
		node.Kill()
		k.killed.Add(1)
		pause(ctx, time.Duration(r.Int64N(int64(downFor))))
		if r.IntN(6) == 0 && n < k.kills { // the next one comes before it is up again
			if err := node.Launch(); err != nil {
				return nil, err
			}
			pause(ctx, time.Duration(r.Int64N(int64(startTakes))))
			k.killed.Add(1)
			node.Kill()
			k.killed.Add(1)
			n++
			k.early++
		}
		took, err := node.Start(ctx)
		if err != nil {
			return nil, fmt.Errorf("start again after kill %d: %w", n, err)
		}
		k.starts = append(k.starts, took)
		record, err := k.look(ctx)
		if err != nil {
			return nil, fmt.Errorf("look after kill %d: %w", n, err)
		}
		if found := slices.Concat(record.AtOnce(), k.findings()); len(found) > 0 {
			fmt.Fprintf(k.out, "broken after kill %d\n", n)
			return found, nil
		}
		if n%20 == 0 {
			fmt.Fprintf(k.out, "%d kills, %d events, started again in %s\n", n, len(record.Events), took.Round(time.Millisecond))
		}
	}
	return nil, ctx.Err()
}

// wait lets a random time pass, measured by what people do in it.
func (k *killer) wait(ctx context.Context, r *rand.Rand) {
	until, enough := k.walked.Load()+r.Int64N(steps), time.Now().Add(upFor)
	for k.walked.Load() < until && time.Now().Before(enough) && ctx.Err() == nil {
		pause(ctx, time.Millisecond)
	}
	pause(ctx, time.Duration(r.Int64N(int64(more))))
}

// look reads what there is, and remembers the head of the chain.
func (k *killer) look(ctx context.Context) (*check.Record, error) {
	k.looking.Lock()
	defer k.looking.Unlock()
	r, err := k.in.Record(ctx, k.witness)
	if err != nil {
		return nil, err
	}
	r.Heads = maps.Clone(k.heads)
	if sequence, hash := r.Head(); sequence > 0 {
		k.heads[sequence] = hash
	}
	return r, nil
}

// end waits for the last deadlines, stops the servers and holds everything against everything.
func (k *killer) end(ctx context.Context) (map[string]int, []check.Finding, error) {
	fmt.Fprintln(k.out, "waiting for the last deadlines")
	if err := k.in.Settle(ctx, lateness); err != nil {
		return nil, nil, err
	}
	for _, n := range k.nodes {
		if err := n.Stop(); err != nil {
			return nil, nil, fmt.Errorf("stop the server: %w", err)
		}
	}
	r, err := k.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := k.in.Verify(ctx, r); err != nil {
		return nil, nil, err
	}
	return k.figures(r), slices.Concat(r.Over(), k.findings()), nil
}

func (k *killer) figures(r *check.Record) map[string]int {
	figures := map[string]int{}
	if r != nil {
		figures = r.Count()
	}
	figures["kills"], figures["kills during a start"] = len(k.starts)+k.early, k.early
	if slices.Sort(k.starts); len(k.starts) > 0 {
		figures["ms to start again, median"] = int(k.starts[len(k.starts)/2].Milliseconds())
		figures["ms to start again, longest"] = int(k.starts[len(k.starts)-1].Milliseconds())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for outcome, n := range k.outcomes {
		figures["people: "+outcome] = n
	}
	return figures
}

// findings are what people and clients found wrong from outside.
func (k *killer) findings() []check.Finding {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.wrong)
}

func (k *killer) finds(invariant, format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrong = append(k.wrong, check.Finding{Invariant: invariant, Detail: fmt.Sprintf(format, args...)})
}

// calm returns what says later whether there was no kill since: an answer may have been lost in one, which nobody notices
// where the client repeats a GET by itself.
func (k *killer) calm() func() bool {
	before := k.killed.Load()
	return func() bool { return before%2 == 0 && k.killed.Load() == before }
}

func (k *killer) came(outcome string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.outcomes[outcome]++
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
