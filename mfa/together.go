package mfa

import (
	"context"
	"slices"
	"sync"
)

// together lets those who write at the same moment share a transaction. Whoever finds nobody writing writes; those that
// come meanwhile wait and share the next one, so that a rush costs few commits and a single one waits for nothing.
type together[T any] struct {
	mu      sync.Mutex
	writing bool
	waiting []*share[T]
}

type share[T any] struct {
	what T
	// turn receives false when what is written, or could not be (err), and true when it is this one's turn to write.
	turn chan bool
	err  error
}

// do returns once what is on disk, or could not be written together with others. fits says whether one more has room beside
// those that share already. write runs even if the one who waits for it has gone: others wait with it.
func (q *together[T]) do(ctx context.Context, what T, fits func(batch []T, next T) bool, write func(context.Context, []T) error) error {
	a := &share[T]{what: what, turn: make(chan bool, 1)}
	q.mu.Lock()
	q.waiting = append(q.waiting, a)
	mine := !q.writing
	q.writing = true
	q.mu.Unlock()
	if !mine {
		if err, over := q.wait(ctx, a); over {
			return err
		}
	}
	shares, batch := q.take(fits)
	err := write(context.WithoutCancel(ctx), batch)
	for _, other := range shares[1:] { // the first is a itself
		other.err = err
		other.turn <- false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writing = len(q.waiting) > 0; q.writing {
		q.waiting[0].turn <- true
	}
	return err
}

// wait returns when somebody else has written a, with over set, or when it is a's turn to write. Whoever gives up leaves the
// queue, unless it is being written at this moment.
func (q *together[T]) wait(ctx context.Context, a *share[T]) (err error, over bool) {
	select {
	case mine := <-a.turn:
		return a.err, !mine
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiting, a)
	if gone := i > 0; gone { // the first has the turn, or is about to
		q.waiting = slices.Delete(q.waiting, i, i+1)
		q.mu.Unlock()
		return ctx.Err(), true
	}
	q.mu.Unlock()
	mine := <-a.turn
	return a.err, !mine
}

// take removes the first of the queue, whose turn it is, and as many after it as fit.
func (q *together[T]) take(fits func([]T, T) bool) (shares []*share[T], batch []T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) > 0 && (len(batch) == 0 || fits(batch, q.waiting[0].what)) {
		shares, batch = append(shares, q.waiting[0]), append(batch, q.waiting[0].what)
		q.waiting = q.waiting[1:]
	}
	return shares, batch
}
