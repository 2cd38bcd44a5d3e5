package sqlstore

import (
	"context"
	"time"
)

// longest is what a transaction, or a read outside one, may take that has no deadline of its own.
const longest = 30 * time.Second

// within gives a context a deadline (DOS-03). Requests bring one; workers do not, and a network that swallows packets would
// keep them waiting for a quarter of an hour. A database inside the process cannot be out of reach.
func (s *Store) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded || s.dialect.Inside {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, longest)
}
