package sqlstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrSchema says that the database's schema is not the one this release serves.
var ErrSchema = errors.New("database schema does not fit this release")

// Migration is one step of the schema. AppliedAt is zero while it is pending.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt time.Time
}

func (s *Store) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	dialect := goose.DialectSQLite3
	if s.dialect.Name == "postgres" {
		dialect = goose.DialectPostgres
		// 60 tries a second apart: as long as another node may take to migrate.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(dialect, s.writer, files, options...)
}

// Migrate brings the schema up to this release and returns the versions it applied. Several nodes may call it at once:
// on PostgreSQL they take turns by a session lock; on SQLite, where goose has none, the one that comes too late finds
// its statement refused and looks again.
func (s *Store) Migrate(ctx context.Context) ([]int64, error) { return s.MigrateTo(ctx, math.MaxInt64) }

// MigrateTo is Migrate up to a version: the schema of an earlier release, to see the steps after it work on its rows.
func (s *Store) MigrateTo(ctx context.Context, version int64) ([]int64, error) {
	for try := 1; ; try++ {
		p, err := s.provider()
		if err != nil {
			return nil, fmt.Errorf("migrate: %w", err)
		}
		results, err := p.UpTo(ctx, version)
		if err == nil {
			var applied []int64
			for _, r := range results {
				applied = append(applied, r.Source.Version)
			}
			return applied, nil
		}
		if s.dialect.Name != "sqlite" || try == mostTries || ctx.Err() != nil {
			return nil, fmt.Errorf("migrate: %w", err)
		}
		if s.CheckSchema(ctx) == nil { // another process was faster
			return nil, nil
		}
	}
}

// MigrationStatus lists every step that this release knows, oldest first.
func (s *Store) MigrationStatus(ctx context.Context) ([]Migration, error) {
	p, err := s.provider()
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	steps, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var list []Migration
	for _, step := range steps {
		list = append(list, Migration{Version: step.Source.Version, Name: step.Source.Path, AppliedAt: step.AppliedAt})
	}
	return list, nil
}

// CheckSchema says whether this release can serve the database: ErrSchema when the schema is older or newer.
func (s *Store) CheckSchema(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("check schema: %w", err)
	case current < target:
		return fmt.Errorf("%w: it is at version %d and this release needs %d; run `parola migrate`", ErrSchema, current, target)
	case current > target:
		return fmt.Errorf("%w: it is at version %d, made by a newer release; this one knows %d", ErrSchema, current, target)
	}
	return nil
}
