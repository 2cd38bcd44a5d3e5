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
		c.tellManager("READY=1") // connections wait in the listener's queue from now on
		context.AfterFunc(ctx, func() { c.tellManager("STOPPING=1") })
		return a.Run(ctx)
	})
}

type migrateCommand struct {
	Up     migrateUp     `cmd:"" default:"1" help:"Apply what is pending; also without the word."`
	Status migrateStatus `cmd:"" help:"List the steps of the schema and which are applied."`
}

// Help teaches.
func (migrateCommand) Help() string {
	return `Applies the pending steps of the schema. parola serve does it by itself unless database.migrate is false. Several nodes may run it at once. Old and new release can serve the same database while nodes are replaced one by one.

Examples:

    parola migrate
    parola migrate up
    parola migrate status

Next: parola serve.`
}

type migrateUp struct{}

// Help teaches.
func (migrateUp) Help() string {
	return `Steps only add at first: nodes of the release before go on working, and may be started again, until a later release takes away what they need. That release says so instead of starting.

Example:

    parola migrate up

Next: parola migrate status; replace the nodes one by one.`
}

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

Next: parola migrate up applies what is pending.`
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

// version is set by the linker (-X main.version=…) where a build knows its release better than the module does: in a
// container image, which is built without the repository.
var version string

// release is the version of this build: the linker's, the module's, or the commit that it was built from.
func release() string {
	if version != "" {
		return version
	}
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
