// Storm sends thousands of people through a login at once while everything goes wrong that can: carriers refuse, answer
// late or not at all, phones are off, receipts come twice and out of order, and the server is killed in the middle. Then
// bench/check reads the database, the audit log and what the carriers saw, and holds them against what Parola promises.
//
// Run it with
//
//	go run ./bench/storm --challenges 10000 --seed 1
//
// It prints what happened and "invariants held" and exits with 0; with 1 when an invariant is broken, with 2 when it could
// not run. With --dsn it uses a PostgreSQL database, which must be empty.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/bench/check"
	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/internal/app"
)

type options struct {
	challenges, kills, workers int
	seed                       uint64
	dsn                        string
	// passcodeLife is short, so that the end of the run is not long in coming.
	passcodeLife time.Duration
}

func main() {
	rig.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o := options{passcodeLife: 40 * time.Second}
	flag.IntVar(&o.challenges, "challenges", 10_000, "how many logins")
	flag.IntVar(&o.kills, "kills", 3, "how often the server is killed")
	flag.IntVar(&o.workers, "workers", 160, "logins at a time")
	flag.Uint64Var(&o.seed, "seed", 1, "chooses what goes wrong where")
	flag.StringVar(&o.dsn, "dsn", "", "PostgreSQL database `URL` instead of a new SQLite file")
	flag.Parse()
	figures, found, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(2)
	}
	if !check.Report(os.Stdout, figures, found) {
		os.Exit(1)
	}
}

// peopleOfOne is how many people a worker carries through logins in turn.
func (o options) peopleOfOne() int { return min(3, (o.challenges+o.workers-1)/o.workers) }

func run(ctx context.Context, o options, out io.Writer) (figures map[string]int, found []check.Finding, err error) {
	in, err := rig.Install(ctx, rig.Options{
		DSN: o.dsn, People: o.workers * o.peopleOfOne(), TemplateTTL: time.Second, NotEntered: 8 * time.Second, PasscodeLife: o.passcodeLife,
		CallTimeout: time.Second, DeliverAfter: 30 * time.Millisecond,
	})
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	server, err := in.StartServer(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { server.Kill() }()
	operator, err := in.OpenBase(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer operator.Close()
	s := &storm{options: o, operator: operator, in: in, witness: check.NewWitness(), outcomes: make([]outcome, o.challenges)}
	kills := make(chan error, 1)
	done := make(chan struct{})
	go func() { kills <- s.kill(ctx, done, &server, out) }()
	began := time.Now()
	err = s.people(ctx)
	close(done)
	if killErr := <-kills; err == nil {
		err = killErr
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w\n%s", err, in.LogTail(5))
	}
	fmt.Fprintf(out, "%d logins in %s; waiting for the last deadlines\n", o.challenges, time.Since(began).Round(time.Second))
	if err := in.Settle(ctx, lateness(o.passcodeLife)); err != nil {
		return nil, nil, err
	}
	if err := server.Stop(); err != nil {
		return nil, nil, fmt.Errorf("stop the server: %w\n%s", err, in.LogTail(5))
	}
	return s.findings(ctx)
}

// storm is one run.
type storm struct {
	options
	// operator lets people in again whose WhatsApp account has changed, as `parola user forget-whatsapp` does.
	operator *app.Base
	in       *rig.Installation
	witness  *check.Witness
	outcomes []outcome
	next     atomic.Int64
}

// people lets every worker carry its own people through one login after the other: a phone has one login at a time, so that
// it is plain which passcode belongs to which.
func (s *storm) people(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for w := range s.workers {
		all.Go(func() {
			for turn := 0; ctx.Err() == nil; turn++ {
				n := int(s.next.Add(1)) - 1
				if n >= s.challenges {
					return
				}
				p := s.in.People[w+s.workers*(turn%s.peopleOfOne())]
				plan := planOf(s.seed, n)
				got, err := live(ctx, s.in, p, plan)
				if err != nil {
					cancel(describe(n, plan, err))
					return
				}
				s.outcomes[n] = got.outcome
				for _, code := range got.authCodes {
					s.witness.AuthCode(p.ID, code)
				}
				if plan.switches.IdentityChanged {
					// Refused where the message did not get so far: then nothing is barred.
					_, _ = s.operator.ForgetWhatsApp(ctx, p.Username)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// kill kills the server when a part of the logins has begun, at a moment that the seed chooses, and starts it again.
func (s *storm) kill(ctx context.Context, done <-chan struct{}, server **rig.Server, out io.Writer) error {
	r := rand.New(rand.NewPCG(s.seed, 0x6b696c6c))
	for k := range s.kills {
		at := int64(s.challenges) * int64(k+1) / int64(s.kills+1)
		for s.next.Load() < at {
			select {
			case <-done:
				return nil
			case <-ctx.Done():
				return nil
			case <-time.After(time.Millisecond):
			}
		}
		pause(ctx, time.Duration(r.Int64N(int64(200*time.Millisecond))))
		(*server).Kill()
		pause(ctx, time.Duration(r.Int64N(int64(500*time.Millisecond))))
		again, err := s.in.StartServer(ctx)
		if err != nil {
			return fmt.Errorf("start again after kill %d: %w", k+1, err)
		}
		*server = again
		fmt.Fprintf(out, "killed at about login %d, and started again\n", at)
	}
	return nil
}

func (s *storm) findings(ctx context.Context) (map[string]int, []check.Finding, error) {
	r, err := s.in.Record(ctx, s.witness)
	if err != nil {
		return nil, nil, err
	}
	if err := s.in.Verify(ctx, r); err != nil {
		return nil, nil, err
	}
	figures, found := r.Count(), r.Over()
	figures["kills of the server"] = s.kills
	for _, o := range s.outcomes {
		figures["people: "+string(o)]++
	}
	if figures["people: "+string(signedIn)] == 0 {
		found = append(found, check.Finding{Invariant: "people get in", Detail: "nobody did"})
	}
	return figures, found, nil
}

// lateness is how far the last deadline lies behind the end of a run.
func lateness(life time.Duration) time.Duration { return life + 20*time.Second }
