package e2e_test

import (
	"testing"

	"github.com/parola-id/parola/storage/storagetest"
)

// postgresDSN is a fresh, migrated PostgreSQL database; without PostgreSQL the test is skipped.
func postgresDSN(t testing.TB) string {
	t.Helper()
	return storagetest.PostgresDSN(t)
}
