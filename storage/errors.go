package storage

import "errors"

// Errors that every implementation returns, possibly wrapped. Anything else means that the database could not answer:
// an outage, never a refusal.
var (
	// ErrNotFound says that no such record exists.
	ErrNotFound = errors.New("storage: not found")
	// ErrConflict says that the record exists already, or was changed by someone else since it was read.
	ErrConflict = errors.New("storage: conflict")
	// ErrNoTransaction says that a write was tried with a context that carries no transaction.
	ErrNoTransaction = errors.New("storage: write outside a transaction")
)
