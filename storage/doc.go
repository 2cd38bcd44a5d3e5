// Package storage holds Parola's nouns: every record that survives a restart, one file each, with the small interface
// that keeps it and the errors that interface may return. It is the shared vocabulary of the rooms above and imports
// nothing but the standard library.
//
// The SQL lives in storage/internal/sqlstore; storage/sqlite and storage/postgres open a database and return it as a
// Store. Rooms ask for the narrow interface they need (Challenges, Sessions, …), never for the whole Store.
//
// # Rules of every implementation
//
// Times are UTC with millisecond precision; the zero time is stored as NULL. "now" is always a parameter, so that a
// test owns the clock and nodes agree on one.
//
// Writes happen inside Transactor.InTx and use the context that InTx hands to its function. A write with any other
// context fails at once with ErrNoTransaction, so that a forgotten transaction is a failing test and never a hanging
// process. Reads work with or without a transaction.
//
// Whatever may happen only once is decided by one conditional statement whose row count is the answer.
package storage
