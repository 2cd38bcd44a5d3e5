package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parola-id/parola/internal/app"
)

type databaseCommands struct {
	Dump databaseDump `cmd:"" help:"Write everything into one file."`
	Load databaseLoad `cmd:"" help:"Fill an empty database with such a file, and verify it."`
}

type databaseDump struct {
	File string `arg:"" help:"The file to write; it must not exist."`
	asJSON
}

// Help teaches.
func (databaseDump) Help() string {
	return `The file holds every table but the leases, as one snapshot, in a form that loads into SQLite and PostgreSQL alike; it is how an installation moves from one to the other. It can be written while parola serve runs; what happens afterwards is not in it: to move, stop all nodes first. What is sealed stays sealed, so the file is worth nothing without the root secret; it names people and clients all the same, and only its owner may read it.

Example:

    parola database dump parola.dump

Next: set database.driver and database.dsn to the new database, and run parola database load parola.dump.`
}

// Run dumps.
func (cmd databaseDump) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		file, err := os.OpenFile(cmd.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("write dump: %w", err)
		}
		tables, err := b.Dump(ctx, file)
		if err == nil {
			err = file.Sync()
		}
		if err = errors.Join(err, file.Close()); err != nil {
			os.Remove(cmd.File) // half a dump is none
			return err
		}
		if cmd.JSON {
			return c.printJSON(tables)
		}
		return c.printTables(tables)
	})
}

type databaseLoad struct {
	File string `arg:"" help:"A file that parola database dump wrote."`
	asJSON
}

// Help teaches.
func (databaseLoad) Help() string {
	return `The configured database must be empty; its schema is made first when database.migrate is set. Everything is stored in one transaction, read back, and compared with the counts and hashes in the file before it counts: a refusal leaves the database empty. Then the audit log is verified. The root secret must be the one of the installation that the dump is of.

Example:

    parola database load parola.dump

Exit code 1 also when the audit log does not verify: it is then as broken as it was. Next: parola serve; never again on the old database.`
}

// Run loads.
func (cmd databaseLoad) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		loaded, err := b.LoadDump(ctx, func() (io.ReadCloser, error) { return os.Open(cmd.File) })
		if err != nil {
			return err
		}
		if cmd.JSON {
			err = c.printJSON(loaded)
		} else {
			if err = c.printTables(loaded.Tables); err == nil {
				c.printf("everything was read back and is the same\n")
				err = c.printVerification(loaded.Audit)
			}
		}
		if err == nil && !loaded.Audit.OK() {
			err = errors.New("the audit log is broken, as it was where the dump comes from")
		}
		return err
	})
}

func (c *invocation) printTables(tables []app.TableCount) error {
	rows := [][]string{{"TABLE", "ROWS", "SHA-256 SUM"}}
	for _, t := range tables {
		rows = append(rows, []string{t.Table, fmt.Sprint(t.Rows), t.Digest})
	}
	return c.table(rows)
}
