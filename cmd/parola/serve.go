package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/parola-id/parola/internal/app"
)

type serveCommand struct{}

// Help teaches.
func (serveCommand) Help() string {
	return `Opens the database, brings its schema up to date when database.migrate is set, listens, and sends passcodes until it is told to stop by SIGTERM or Ctrl-C. Running requests may then finish. A process that is killed loses nothing: whatever was due is done after the next start.

Example:

    parola serve --config /etc/parola/parola.yaml

Next: parola client add registers the first application. Liveness, readiness and metrics are on server.internal_listen.`
}

// Run serves until the context ends.
func (serveCommand) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		a, err := app.New(ctx, b)
		if err != nil {
			return err
		}
		if err := a.Listen(ctx); err != nil {
			return err
		}
		c.printf("parola %s serves %s\n", c.Release, b.Issuer())
		return a.Run(ctx)
	})
}

type migrateCommand struct {
	Up     migrateUp     `cmd:"" default:"1" hidden:"" help:"Apply what is pending."`
	Status migrateStatus `cmd:"" help:"List the steps of the schema and which are applied."`
}

// Help teaches.
func (migrateCommand) Help() string {
	return `Applies the pending steps of the schema. parola serve does it by itself unless database.migrate is false. Several nodes may run it at once. Old and new release can serve the same database while nodes are replaced one by one.

Examples:

    parola migrate
    parola migrate status

Next: parola serve.`
}

type migrateUp struct{}

// Run migrates.
func (migrateUp) Run(c *invocation) error {
	config, err := c.loadConfig()
	if err != nil {
		return err
	}
	applied, err := app.Migrate(c.ctx, config, c.options(config))
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		c.printf("the schema is up to date\n")
	}
	for _, version := range applied {
		c.printf("applied %d\n", version)
	}
	return nil
}

type migrateStatus struct{ asJSON }

// Help teaches.
func (migrateStatus) Help() string {
	return `Changes nothing.

Example:

    parola migrate status

Next: parola migrate applies what is pending.`
}

// Run lists.
func (cmd migrateStatus) Run(c *invocation) error {
	config, err := c.loadConfig()
	if err != nil {
		return err
	}
	steps, err := app.MigrationStatus(c.ctx, config, c.options(config))
	if err != nil {
		return err
	}
	if cmd.JSON {
		return c.printJSON(steps)
	}
	rows := [][]string{{"VERSION", "STEP", "APPLIED"}}
	for _, s := range steps {
		applied := when(s.AppliedAt)
		if applied == "" {
			applied = "pending"
		}
		rows = append(rows, []string{fmt.Sprint(s.Version), s.Name, applied})
	}
	return c.table(rows)
}

type versionCommand struct{ asJSON }

// Help teaches.
func (versionCommand) Help() string {
	return `Every event of the audit log names the release that wrote it in the same words.

Example:

    parola version --json`
}

// Run prints.
func (cmd versionCommand) Run(c *invocation) error {
	if cmd.JSON {
		return c.printJSON(map[string]string{
			"release": c.Release, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		})
	}
	c.printf("parola %s (%s, %s/%s)\n", c.Release, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// release is the version of this build: the module's, or the commit that it was built from.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
