package app

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// crew are workers that stop together. One that fails ends the whole run.
type crew struct {
	app  *App
	ctx  context.Context
	end  context.CancelFunc
	fail context.CancelCauseFunc
	all  sync.WaitGroup
}

// crew outlives ctx, until it is stopped.
func (a *App) crew(ctx context.Context, fail context.CancelCauseFunc) *crew {
	c := &crew{app: a, fail: fail}
	c.ctx, c.end = context.WithCancel(context.WithoutCancel(ctx))
	return c
}

func (c *crew) start(name string, f func(context.Context) error) {
	c.all.Go(func() {
		if err := c.app.survive(c.ctx, name, f); err != nil && c.ctx.Err() == nil {
			c.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// stop lets them finish what they are doing and waits for that.
func (c *crew) stop() {
	c.end()
	c.all.Wait()
}

// survive runs a worker and starts it again after a panic, ever more slowly (REL-06). The value of the panic is not
// logged: it may hold what must not be.
func (a *App) survive(ctx context.Context, name string, f func(context.Context) error) (err error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 30*time.Second) {
		panicked := true
		func() {
			defer func() {
				if panicked {
					a.notePanic(name, recover())
				}
			}()
			err = f(ctx)
			panicked = false
		}()
		if !panicked {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (a *App) notePanic(worker string, value any) {
	a.metrics.panicked(worker)
	a.log.Error("worker panicked", "worker", worker, "type", fmt.Sprintf("%T", value), "stack", string(debug.Stack()))
	err := a.store.InTx(context.Background(), func(ctx context.Context) error {
		return a.audit.Write(ctx, storage.Event{Kind: audit.SystemPanic, Outcome: audit.Failure, Reason: worker, ActorID: "system"})
	})
	if err != nil {
		a.log.Error("record panic", "err", err)
	}
}
