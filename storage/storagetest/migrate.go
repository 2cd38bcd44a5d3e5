package storagetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/parola-id/parola/storage/internal/sqlstore"
)

// RunMigrations holds a backend to what is asked of a schema. open returns another node on one empty database, exec runs
// a statement there behind the store's back.
func RunMigrations(t *testing.T, open func(t testing.TB) *sqlstore.Store, exec func(t testing.TB, statement string, args ...any)) {
	ctx := context.Background()
	var nodes []*sqlstore.Store
	for range 5 {
		nodes = append(nodes, open(t))
	}
	first, second := nodes[0], nodes[1]
	isError(t, first.CheckSchema(ctx), sqlstore.ErrSchema)

	// All start at once: together they apply each step once.
	applied := make(chan []int64, len(nodes))
	for _, node := range nodes {
		go func() {
			versions, err := node.Migrate(ctx)
			if err != nil {
				t.Error(err)
			}
			applied <- versions
		}()
	}
	var all []int64
	for range nodes {
		all = append(all, <-applied...)
	}
	slices.Sort(all)
	for i, version := range all {
		if version != int64(i+1) {
			t.Fatalf("the nodes applied %v", all)
		}
	}
	again, err := first.Migrate(ctx)
	if err != nil || len(again) != 0 {
		t.Errorf("a second run applied %v: %v", again, err)
	}
	for _, node := range nodes {
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

	// A newer release was here, which only added something: this one goes on, and starts too. One that took away what this
	// one needs says so.
	exec(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)`)
	exec(t, `CREATE TABLE of_a_newer_release (id TEXT PRIMARY KEY)`)
	if applied, err := second.Migrate(ctx); err != nil || len(applied) != 0 {
		t.Errorf("applied %v on a newer schema: %v", applied, err)
	}
	if err := second.CheckSchema(ctx); err != nil {
		t.Errorf("a newer schema that serves this release: %v", err)
	}
	exec(t, `UPDATE installation SET value = 99999 WHERE name = 'serves_from'`)
	if err := second.CheckSchema(ctx); !errors.Is(err, sqlstore.ErrSchema) {
		t.Errorf("a newer schema that does not serve this release: got %v", err)
	}
}
