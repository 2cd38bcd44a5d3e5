package sqlstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
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
	if s.dialect.Name == "postgres" {
		return goose.NewProvider(goose.DialectPostgres, s.writer, files, append(options, goose.WithSessionLocker(advisory{}))...)
	}
	versions, err := database.NewStore(goose.DialectSQLite3, goose.DefaultTablename)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectCustom, s.writer, files, append(options, goose.WithStore(onceEach{versions}))...)
}

// Migrate brings the schema up to this release and returns the versions it applied. Several nodes may call it at once:
// on PostgreSQL they take turns by a session lock; on SQLite, where there is none, the one that comes too late undoes its
// step and looks again.
func (s *Store) Migrate(ctx context.Context) ([]int64, error) { return s.MigrateTo(ctx, math.MaxInt64) }

// MigrateTo is Migrate up to a version: the schema of an earlier release, to see the steps after it work on its rows.
func (s *Store) MigrateTo(ctx context.Context, version int64) ([]int64, error) {
	var applied []int64
	for failures := 0; ; {
		did, err := s.migrateOnce(ctx, version)
		applied = append(applied, did...)
		if err == nil {
			return applied, nil
		}
		if len(did) > 0 {
			failures = 0
		}
		failures++
		if s.dialect.Name != "sqlite" || failures == mostTries {
			return applied, fmt.Errorf("migrate: %w", err)
		}
		pause := time.NewTimer(time.Duration(failures*(50+rand.IntN(50))) * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
			return applied, fmt.Errorf("migrate: %w", err)
		case <-pause.C:
		}
	}
}

func (s *Store) migrateOnce(ctx context.Context, version int64) (applied []int64, err error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	results, err := p.UpTo(ctx, version)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	for _, r := range results {
		applied = append(applied, r.Source.Version)
	}
	return applied, err
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

// CheckSchema says whether this release can serve the database: ErrSchema when the schema is older, or so much newer that
// something this release needs is gone.
func (s *Store) CheckSchema(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	current, known, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("check schema: %w", err)
	case current < known:
		return fmt.Errorf("%w: it is at version %d and this release needs %d; run `parola migrate up`", ErrSchema, current, known)
	case current == known:
		return nil
	}
	from, err := s.number(ctx, servesFrom)
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	if known < from {
		return fmt.Errorf("%w: it is at version %d, made by a newer release, and serves releases from version %d on; this one knows %d",
			ErrSchema, current, from, known)
	}
	return nil
}
