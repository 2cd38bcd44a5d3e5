package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parola-id/parola/internal/app"
)

// importFlags are what both imports take.
type importFlags struct {
	File   string `arg:"" help:"JSON file, or - for standard input."`
	DryRun bool   `help:"Do everything and keep nothing: the report says what would happen."`
	Update bool   `help:"Lay entries over records that exist; otherwise those are skipped."`
	asJSON
}

// maxImport bounds what is read; internal/app says the same in its own words.
const maxImport = 65 << 20

type importer func(ctx context.Context, data []byte, o app.ImportOptions) (app.ImportReport, error)

func (f importFlags) run(c *invocation, what string, importerOf func(*app.Base) importer) error {
	data, err := c.readInput(f.File)
	if err != nil {
		return err
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		report, failed := importerOf(b)(ctx, data, app.ImportOptions{DryRun: f.DryRun, Update: f.Update})
		if failed != nil && len(report.Entries) == 0 {
			return failed
		}
		if f.JSON {
			err = c.printJSON(report)
		} else {
			err = c.printReport(report, what)
		}
		refused := report.Count(app.ImportRefused)
		switch {
		case err != nil || failed != nil:
			return errors.Join(failed, err)
		case refused > 0:
			return fmt.Errorf("%d of %d %s refused", refused, len(report.Entries), plural(len(report.Entries), "entry was", "entries were"))
		}
		return nil
	})
}

// readInput reads a file, or standard input for "-".
func (c *invocation) readInput(path string) ([]byte, error) {
	in := c.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxImport))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

func (c *invocation) printReport(r app.ImportReport, what string) error {
	rows := [][]string{{"ENTRY", what, "RESULT", "WHY"}}
	for _, e := range r.Entries {
		why := append([]string{}, e.Notes...)
		if e.Reason != "" {
			why = append([]string{e.Reason}, why...)
		}
		if e.ClientSecret != "" {
			why = append(why, "client_secret "+e.ClientSecret+" (shown once)")
		}
		result := e.Result
		if result == "" {
			result = "not done"
		}
		rows = append(rows, []string{fmt.Sprint(e.Index), e.Name, result, strings.Join(why, "; ")})
	}
	if err := c.table(rows); err != nil {
		return err
	}
	var counts []string
	for _, result := range []string{app.ImportAdded, app.ImportUpdated, app.ImportUnchanged, app.ImportSkipped, app.ImportRefused} {
		if n := r.Count(result); n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, result))
		}
	}
	if len(counts) == 0 {
		counts = []string{"nothing to do"}
	}
	c.printf("%s\n", strings.Join(counts, ", "))
	if r.DryRun {
		c.printf("this was a dry run: nothing was kept\n")
	}
	return nil
}

type userImport struct{ importFlags }

// Help teaches.
func (userImport) Help() string {
	return `The file is a JSON array. Each entry has username, password or password_hash (argon2, scrypt or PBKDF2 as a PHC string, or bcrypt; it is replaced by argon2id at the first login), OpenID claims by their own names (phone_number, phone_number_verified, email, email_verified, name, given_name, family_name, locale, zoneinfo, birthdate, address, …), and perhaps sub, which is kept, disabled, and parola_sms_forbidden. Unknown members are refused.

Importing a file again does nothing: who exists is skipped. With --update claims, phone and disabled are taken from the file; a password that somebody has signed in with here never is.

Examples:

    parola user import people.json --dry-run
    echo '[{"username":"ada","password_hash":"$2b$12$…","phone_number":"+393471234567","phone_number_verified":true}]' | parola user import -

Exit code 1 when an entry was refused; the others are stored. Next: delete the file; it holds passwords.`
}

// Run imports.
func (cmd userImport) Run(c *invocation) error {
	return cmd.run(c, "USERNAME", func(b *app.Base) importer { return b.ImportUsers })
}

type clientImport struct{ importFlags }

// Help teaches.
func (clientImport) Help() string {
	return `The file is a JSON array of client metadata in the terms of RFC 7591 and OpenID Connect Dynamic Client Registration, as other providers export it. Given client ids, secrets and keys stay, so that an application changes nothing but its issuer. Members of Parola's own: parola_pkce (required, optional), parola_first_party, parola_always_refresh, parola_access_token (opaque, jwt), parola_audience, parola_introspects, parola_fallback (allow, ask, deny), parola_required_acr, parola_response_modes, parola_form_origins, parola_cors_origins, parola_colour. Members that mean nothing here are told; those that ask for a protection that Parola does not have are refused.

Importing a file again does nothing: what exists is skipped. With --update the metadata are replaced, and the secret when the file has another one.

Examples:

    parola client import clients.json --dry-run
    parola client import clients.json --update

Exit code 1 when an entry was refused; the others are stored. Next: delete the file; it holds secrets.`
}

// Run imports.
func (cmd clientImport) Run(c *invocation) error {
	return cmd.run(c, "CLIENT", func(b *app.Base) importer { return b.ImportClients })
}
