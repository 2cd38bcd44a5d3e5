// Package app is the wiring: a Config in, a running provider out. It is used by cmd/parola, by the demo and by the
// end-to-end tests, and is the only place that chooses SQLite or PostgreSQL and which carriers stand behind a channel.
// It reads no flag, file or environment variable: those who call it do.
package app
