package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/parola-id/parola/internal/app"
)

type doctorCommand struct {
	Strict bool `help:"Fail on warnings too."`
	asJSON
}

// Help teaches.
func (doctorCommand) Help() string {
	return `Looks at everything that makes passcodes not arrive, without sending one: the token and its scopes, the business number and its quality, the template in each language, the webhook with a signed round trip to our own address, the SMS carriers' credentials, senders and callback URLs, the clocks, the fallback, open circuits. It says what to do about each fault, and changes nothing but the audit log, where the server notes a forged webhook that it must refuse. Run it where parola serve runs, with the same configuration, while the server runs.

The exit status is 0 when nothing failed, 1 when something did (with --strict also when there is a warning), 2 when it could not look.

Examples:

    parola doctor
    parola doctor --json --strict

Next: docs/operations.md says more about each fault.`
}

// errUnwell says that the findings, which have been printed, are not all good.
var errUnwell = errors.New("not everything is well")

// Run looks.
func (cmd doctorCommand) Run(c *invocation) error {
	return c.look(cmd.JSON, cmd.Strict, func(ctx context.Context, b *app.Base, tell func(app.Finding)) error { return b.Doctor(ctx, tell) })
}

// diagnosis is what a program is told.
type diagnosis struct {
	Findings []app.Finding `json:"findings"`
	Failed   int           `json:"failed"`
	Warnings int           `json:"warnings"`
}

// look prints findings as they are made, and fails when one of them is bad.
func (c *invocation) look(asJSON, strict bool, look func(context.Context, *app.Base, func(app.Finding)) error) error {
	counts := map[app.FindingStatus]int{}
	findings := []app.Finding{}
	err := c.withBase(func(ctx context.Context, b *app.Base) error {
		return look(ctx, b, func(f app.Finding) {
			counts[f.Status]++
			findings = append(findings, f)
			if !asJSON {
				c.finding(f)
			}
		})
	})
	if err != nil {
		return &couldNotLook{err}
	}
	failed, warnings := counts[app.FindingFailed], counts[app.FindingWarning]
	if asJSON {
		if err := c.printJSON(diagnosis{findings, failed, warnings}); err != nil {
			return err
		}
	} else {
		c.printf("\n%d well, %d %s, %d failed\n", counts[app.FindingOK], warnings, plural(warnings, "warning", "warnings"), failed)
	}
	if failed > 0 || strict && warnings > 0 {
		return errUnwell
	}
	return nil
}

func (c *invocation) finding(f app.Finding) {
	mark := map[app.FindingStatus]string{app.FindingOK: "ok    ", app.FindingWarning: "warn  ", app.FindingFailed: "FAILED"}[f.Status]
	c.printf("%s  %s: %s\n", mark, printable(f.Name), printable(f.Detail))
	if f.Advice != "" {
		c.printf("        → %s\n", printable(f.Advice))
	}
}

// couldNotLook says that the doctor saw nothing: exit status 2.
type couldNotLook struct{ err error }

func (e *couldNotLook) Error() string { return fmt.Sprintf("could not look: %v", e.err) }
func (e *couldNotLook) Unwrap() error { return e.err }
