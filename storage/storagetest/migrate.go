package storagetest

import (
	"context"
	"errors"
	"testing"

	"github.com/parola-id/parola/storage/internal/sqlstore"
)

// RunMigrations holds a backend to what is asked of a schema. open returns another node on one empty database, exec runs
// a statement there behind the store's back.
func RunMigrations(t *testing.T, open func(t testing.TB) *sqlstore.Store, exec func(t testing.TB, statement string, args ...any)) {
	ctx := context.Background()
	first, second := open(t), open(t)
	isError(t, first.CheckSchema(ctx), sqlstore.ErrSchema)

	applied := make(chan int, 2)
	for _, node := range []*sqlstore.Store{first, second} {
		go func() {
			versions, err := node.Migrate(ctx)
			if err != nil {
				t.Error(err)
			}
			applied <- len(versions)
		}()
	}
	if a, b := <-applied, <-applied; a != 0 && b != 0 {
		t.Errorf("both nodes applied migrations: %d and %d", a, b)
	}
	again, err := first.Migrate(ctx)
	if err != nil || len(again) != 0 {
		t.Errorf("a second run applied %v: %v", again, err)
	}
	for _, node := range []*sqlstore.Store{first, second} {
		if err := node.CheckSchema(ctx); err != nil {
			t.Error(err)
		}
	}
	steps, err := second.MigrationStatus(ctx)
	if err != nil || len(steps) == 0 {
		t.Fatal(steps, err)
	}
	for _, step := range steps {
		if step.AppliedAt.IsZero() {
			t.Errorf("%s is pending", step.Name)
		}
	}
	seedPerson(t, first)

	// A newer release was here.
	exec(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)`)
	if err := second.CheckSchema(ctx); !errors.Is(err, sqlstore.ErrSchema) {
		t.Errorf("a newer schema: got %v", err)
	}
}
