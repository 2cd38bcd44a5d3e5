package mfa

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/parola-id/parola/storage"
)

const (
	// pollEvery bounds how late a wake-up that another node made, or that was lost, is noticed.
	pollEvery = time.Second
	// sendLease is how long a delivery may be in "sending": the call's 5 s, the writing of its result, and a margin.
	sendLease = 15 * time.Second
	// lookLease is how long a node has a due challenge to itself.
	lookLease = 15 * time.Second
	// drainTime bounds a graceful stop (REL-12).
	drainTime = 20 * time.Second
	// resisting is how long the dispatcher leaves alone what is due and cannot be done.
	resisting = 250 * time.Millisecond
	// dueAtOnce bounds how many challenges one transaction looks at: on SQLite, logins wait for it.
	dueAtOnce = 16
	// lookers is how many transactions look at challenges side by side when more are due than one takes.
	lookers = 4
)

// Run dispatches until ctx ends: it claims due deliveries and hands them to their carriers, gives up on those whose
// process died, lets the escalation look at due challenges, and shares circuits with the other nodes. Then it waits for
// the calls in progress, at most 20 s. Any number of nodes may run it on one database.
func (s *Service) Run(ctx context.Context) error {
	var calls, keeper sync.WaitGroup
	keeper.Go(func() { s.supervise(ctx, "circuits", func() { s.watchCircuits(ctx) }) })
	s.supervise(ctx, "dispatch", func() { s.loop(ctx, &calls) })
	keeper.Wait()
	done := make(chan struct{})
	go func() { calls.Wait(); close(done) }()
	timeout := time.NewTimer(drainTime)
	defer timeout.Stop()
	select {
	case <-done:
		return nil
	case <-timeout.C:
		return errors.New("dispatcher: calls to carriers were still in progress after 20 s; their deliveries become unknown")
	}
}

// supervise restarts a loop after a panic, ever more slowly (REL-06).
func (s *Service) supervise(ctx context.Context, worker string, loop func()) {
	for backoff := 100 * time.Millisecond; ctx.Err() == nil; backoff = min(2*backoff, 30*time.Second) {
		if s.guard(worker, loop) {
			return
		}
		sleep(ctx, backoff)
	}
}

// guard runs f and says whether it returned; a panic is logged and told.
func (s *Service) guard(worker string, f func()) (returned bool) {
	defer func() {
		if !returned {
			s.panicked(worker, recover())
		}
	}()
	f()
	return true
}

func (s *Service) loop(ctx context.Context, calls *sync.WaitGroup) {
	woken := true // what is due at the start was due before
	var look time.Time
	for ctx.Err() == nil {
		next, err := s.pass(ctx, calls, woken, look)
		if err != nil && ctx.Err() == nil {
			s.log.Error("dispatch", "err", err)
		}
		look = s.clock.Now().Add(next)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			woken = false
		case <-s.wake:
			woken = true
		case <-timer.C:
			woken = false
		}
		timer.Stop()
	}
}

// pass does what is due and returns how long there is nothing to do. A wake-up means a fresh delivery, which is claimed
// without asking what else is due: that is asked at look, as planned before, and what the delivery itself will need comes
// due no sooner than a poll later.
func (s *Service) pass(ctx context.Context, calls *sync.WaitGroup, woken bool, look time.Time) (time.Duration, error) {
	if woken {
		claimed, err := s.claimQueued(ctx, calls)
		if err != nil {
			return s.poll, err
		}
		if wait := look.Sub(s.clock.Now()); claimed > 0 && wait > 0 {
			return min(wait, s.poll), nil
		}
	}
	for {
		busy, _ := s.room()
		due, err := s.store.NextDue(ctx, busy...)
		if err != nil {
			return s.poll, err
		}
		if due.IsZero() {
			return s.poll, nil
		}
		if wait := due.Sub(s.clock.Now()); wait > 0 {
			return min(wait, s.poll), nil
		}
		done, err := s.doDue(ctx, calls)
		if err != nil {
			return s.poll, err
		}
		if done == 0 {
			// Something stays due that cannot be done now: every lane is taken, or a row resists. Do not spin on it.
			return min(resisting, s.poll), nil
		}
	}
}

// doDue does some of what is due and says how much. While it looks at challenges, the messages that come of it, and those
// of people who sign in meanwhile, go out already.
func (s *Service) doDue(ctx context.Context, calls *sync.WaitGroup) (done int, err error) {
	looked, lookErr := 0, errors.New("the look panicked")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.guard("look", func() { looked, lookErr = s.lookAtDue(ctx) })
	}()
	claimed, err := s.claimUntil(ctx, calls, ended)
	<-ended
	if err = errors.Join(err, lookErr); err != nil {
		return 0, err
	}
	given, err := s.giveUpAbandoned(ctx)
	if err != nil {
		return 0, err
	}
	warned, err := s.claimNotices(ctx, calls)
	return claimed + looked + given + warned, err
}

// claimUntil claims what is queued, and what is queued meanwhile, until ended.
func (s *Service) claimUntil(ctx context.Context, calls *sync.WaitGroup, ended <-chan struct{}) (claimed int, err error) {
	for {
		n, err := s.claimQueued(ctx, calls)
		claimed += n
		switch {
		case err != nil:
			return claimed, err
		case n > 0:
			continue
		}
		select {
		case <-ended:
			return claimed, nil
		case <-s.wake:
		}
	}
}

// giveUpAbandoned turns deliveries whose process died while sending into unknown ones: they may have gone out, and are
// never sent again by themselves.
func (s *Service) giveUpAbandoned(ctx context.Context) (given int, err error) {
	err = s.store.InTx(ctx, func(ctx context.Context) error {
		ds, err := s.store.ClaimAbandoned(ctx, s.clock.Now(), dueAtOnce)
		if err != nil {
			return err
		}
		given = len(ds)
		for _, d := range ds {
			if err := s.tellUnknown(ctx, d); err != nil {
				return err
			}
		}
		return nil
	})
	return given, err
}

// lookAtDue ends what has expired and escalates what has waited long enough. When many deadlines fall together it looks
// at several lots side by side; on SQLite they take turns.
func (s *Service) lookAtDue(ctx context.Context) (looked int, err error) {
	looked, err = s.lookAtSome(ctx)
	if err != nil || looked < dueAtOnce {
		return looked, err
	}
	var (
		lots sync.WaitGroup
		mu   sync.Mutex
	)
	for range lookers {
		lots.Go(func() {
			n, failed := 0, errors.New("the look panicked")
			s.guard("look", func() { n, failed = s.lookAtSome(ctx) })
			mu.Lock()
			defer mu.Unlock()
			looked, err = looked+n, errors.Join(err, failed)
		})
	}
	lots.Wait()
	return looked, err
}

// lookAtSome looks at some due challenges in one transaction, which share its cost.
func (s *Service) lookAtSome(ctx context.Context) (looked int, err error) {
	var due []storage.Challenge
	err = s.store.InTx(ctx, func(ctx context.Context) (err error) {
		if due, err = s.claimDue(ctx); err != nil {
			return err
		}
		return s.look(ctx, due...)
	})
	if err == nil || len(due) == 0 || ctx.Err() != nil {
		return len(due), err
	}
	return s.lookOneByOne(ctx)
}

// lookOneByOne gives each challenge a transaction of its own, so that one that resists, or that a limit refuses, keeps
// nobody else waiting; its lease makes it due again later.
func (s *Service) lookOneByOne(ctx context.Context) (looked int, err error) {
	var due []storage.Challenge
	err = s.store.InTx(ctx, func(ctx context.Context) (err error) {
		due, err = s.claimDue(ctx)
		return err
	})
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, c := range due {
		errs = append(errs, s.store.InTx(ctx, func(ctx context.Context) error {
			if !isOpen(c, s.clock.Now()) {
				return s.expire(ctx, c)
			}
			return s.escalate(ctx, c)
		}))
	}
	return len(due), errors.Join(errs...)
}

func (s *Service) claimDue(ctx context.Context) ([]storage.Challenge, error) {
	now := s.clock.Now()
	return s.store.ClaimDueChallenges(ctx, now, now.Add(lookLease), dueAtOnce)
}

// look does what is due for challenges that this transaction has claimed, which locks them.
func (s *Service) look(ctx context.Context, claimed ...storage.Challenge) error {
	ids := make([]string, len(claimed))
	for i, c := range claimed {
		ids[i] = c.ID
	}
	all, err := s.store.DeliveriesOfAll(ctx, ids)
	if err != nil {
		return err
	}
	of := make(map[string][]storage.Delivery, len(claimed))
	for _, d := range all {
		of[d.ChallengeID] = append(of[d.ChallengeID], d)
	}
	drawn := &tab{buckets: map[string]storage.Throttle{}}
	for _, c := range claimed {
		if isOpen(c, s.clock.Now()) {
			err = s.escalateWith(ctx, c, of[c.ID], drawn)
		} else {
			err = s.expire(ctx, c)
		}
		if err != nil {
			return err
		}
	}
	return s.pay(ctx, drawn)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
