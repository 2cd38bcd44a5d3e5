package main

import (
	"context"

	"github.com/parola-id/parola/internal/app"
)

type userExport struct {
	User   string `arg:"" help:"User name or sub."`
	Reason string `required:"" placeholder:"TEXT" help:"Why it is exported; written to the audit log."`
}

// Help teaches.
func (userExport) Help() string {
	return `JSON on standard output: profile and claims, the whole phone number, sessions, grants, consents, challenges with their messages, and events. Secrets are not in it: passwords, tokens and passcodes are kept as hashes or not at all. It is for the person that it is about; keep it from everybody else.

Example:

    parola user export ada --reason "request of 2026-03-14, ticket 4711" > ada.json

Next: hand it over by a way that only the person can read.`
}

// Run exports.
func (cmd userExport) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		export, err := b.ExportUser(ctx, cmd.User, cmd.Reason)
		if err != nil {
			return err
		}
		return c.printJSON(export)
	})
}

type userErase struct {
	User   string `arg:"" help:"User name or sub."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; written to the audit log for as long as that is kept: do not name the person."`
	asJSON
}

// Help teaches.
func (userErase) Help() string {
	return `Removes the person with name, claims, number, password, sessions, consents, grants, tokens, challenges and counters, in one transaction; there is no way back but a backup. Events stay, and the log still verifies: they name the person by a sub that leads to nobody any more. docs/operations.md lists what stays, for how long, and why.

Example:

    parola user erase ada --reason "request of 2026-03-14, ticket 4711"

Next: backups hold the person until they are overwritten; erase again after restoring one.`
}

// Run erases.
func (cmd userErase) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		erased, err := b.EraseUser(ctx, cmd.User, cmd.Reason)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(erased)
		}
		c.printf("erased sub %s; %s\n", erased.PersonID, endedWords(erased.Ended))
		return nil
	})
}
