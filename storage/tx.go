package storage

import "context"

// Transactor runs a function in one transaction.
type Transactor interface {
	// InTx begins a transaction, calls fn with a context that carries it, and commits when fn returns nil. Any error
	// rolls everything back and is returned. Called with a context that already carries a transaction, it joins that
	// one: fn runs at once and the outer call commits.
	//
	// On SQLite there is one writer. InTx waits for it a bounded time; a second InTx opened inside fn with the outer
	// context fails after that wait instead of hanging. On PostgreSQL a serialisation failure or deadlock runs fn again,
	// a few times: fn must have no effect outside the transaction before it returns.
	InTx(ctx context.Context, fn func(ctx context.Context) error) error

	// AfterCommit calls fn once the transaction that ctx carries has committed, in the order given; not at all when it
	// rolls back. Without a transaction fn is called at once. Wake-ups for other nodes go by Wakeups.
	AfterCommit(ctx context.Context, fn func())
}
