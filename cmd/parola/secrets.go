package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/parola-id/parola/internal/app"
)

type secretsCommands struct {
	Status secretsStatus `cmd:"" help:"Say which root secrets the database needs, and for what."`
	Reseal secretsReseal `cmd:"" help:"Seal anew what the previous root secret had sealed."`
	Retire secretsRetire `cmd:"" help:"Note that a root secret is not needed any more."`
}

// withAnyRoot is withBase for a database that needs a root secret which the configuration does not have.
func (c *invocation) withAnyRoot(fn func(ctx context.Context, b *app.Base) error) error {
	config, err := c.loadConfig()
	if err != nil {
		return err
	}
	options := c.options(config)
	options.AnyRoot = true
	b, err := app.Open(c.ctx, config, options)
	if err != nil {
		return err
	}
	return errors.Join(fn(c.ctx, b), b.Close())
}

type secretsStatus struct{ asJSON }

// Help teaches.
func (secretsStatus) Help() string {
	return `A root secret is named by an id that says nothing of it. What still needs one that is replaced is counted; what ends by itself is told with its last moment. Running nodes are listed with the root secret that they make things with and those that they read.

Replacing the root secret, on all nodes and without a pause:

    1. secrets.next: the new one        restart each node: all of them read it
    2. secrets.root: the new one        restart each node: things are made with it
       secrets.previous: the old one
    3. parola secrets reseal            phones, claims, passwords and keys
    4. parola secrets retire ID         when status shows no need, two weeks later as a rule; then remove secrets.previous

Example:

    parola secrets status

Next: parola secrets reseal.`
}

// Run tells.
func (cmd secretsStatus) Run(c *invocation) error {
	return c.withAnyRoot(func(ctx context.Context, b *app.Base) error {
		all, err := b.Roots(ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(all)
		}
		rows := [][]string{{"ROOT SECRET", "CONFIGURED AS", "FIRST USED", "LAST USED", "RETIRED", "NODES"}}
		for _, r := range all.Roots {
			rows = append(rows, []string{r.ID, r.Part, when(r.FirstUsedAt), when(r.LastUsedAt), when(r.RetiredAt), fmt.Sprint(len(r.MadeBy))})
		}
		if err := c.table(rows); err != nil {
			return err
		}
		for _, r := range all.Roots {
			c.printNeeds(r)
		}
		for _, n := range all.Nodes {
			c.printf("node %s makes things with %s and reads %s\n", printable(n.Name), printable(n.Makes), printable(strings.Join(n.Reads, ", ")))
		}
		return nil
	})
}

func (c *invocation) printNeeds(r app.Root) {
	if r.Part == "root" || !r.RetiredAt.IsZero() || r.FirstUsedAt.IsZero() {
		return
	}
	if len(r.Needs) == 0 {
		c.printf("nothing needs %s: parola secrets retire %s, and take it out of the configuration\n", r.ID, r.ID)
	}
	for _, n := range r.Needs {
		c.printf("%s is needed for %d %s", r.ID, n.Count, strings.ReplaceAll(n.Kind, "_", " "))
		switch {
		case !n.Until.IsZero():
			c.printf(", until %s at the latest\n", when(n.Until))
		case n.Kind == "client_secrets":
			c.printf(": hashed anew when the client comes, or parola client rotate-secret: %s\n", strings.Join(n.IDs, " "))
		default:
			c.printf(": parola secrets reseal\n")
		}
	}
}

type secretsReseal struct{ asJSON }

// Help teaches.
func (secretsReseal) Help() string {
	return `Phone numbers with their keyed hashes, claims, identities, password hashes and the private halves of signing keys are sealed anew with secrets.root, a hundred at a time, while servers run. It can be stopped at any moment and run again. Generated client secrets are hashed anew when their clients come; tokens and sessions end.

Example:

    parola secrets reseal

Next: parola secrets status.`
}

// Run reseals.
func (cmd secretsReseal) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		done, err := b.ResealSecrets(ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			if err := c.printJSON(done); err != nil {
				return err
			}
		} else {
			for _, kind := range slices.Sorted(maps.Keys(done.Counts)) {
				c.printf("%d %s are sealed anew\n", done.Counts[kind], strings.ReplaceAll(kind, "_", " "))
			}
			if len(done.Counts) == 0 {
				c.printf("nothing was sealed with secrets.previous\n")
			}
		}
		if n := len(done.Damaged); n > 0 {
			return fmt.Errorf("%d %s cannot be opened with the root secret that is written on them: %s", n, plural(n, "record", "records"), strings.Join(done.Damaged[:min(n, 20)], ", "))
		}
		return nil
	})
}

type secretsRetire struct {
	ID     string `arg:"" help:"As parola secrets status shows it."`
	GiveUp bool   `help:"Even if something needs it, which cannot be read from then on. Needs --reason."`
	Reason string `placeholder:"TEXT" help:"Why; it is written to the audit log."`
	asJSON
}

// Help teaches.
func (secretsRetire) Help() string {
	return `A node does not start without a root secret that the database needs, so this comes before secrets.previous is removed. It is refused while something needs it. With --give-up that is lost: people whose passwords and phones are not sealed anew cannot sign in, tokens and sessions end, client secrets fail. That is for a root secret that somebody else has, or that nobody has any more.

Examples:

    parola secrets retire 3f9a01bc
    parola secrets retire 3f9a01bc --give-up --reason "the old root was in a stolen backup, ticket 4711"

Next: remove secrets.previous, and restart each node.`
}

// Run retires.
func (cmd secretsRetire) Run(c *invocation) error {
	if cmd.GiveUp && cmd.Reason == "" {
		return misuse("--give-up needs --reason")
	}
	return c.withAnyRoot(func(ctx context.Context, b *app.Base) error {
		r, err := b.RetireRoot(ctx, cmd.ID, cmd.Reason, cmd.GiveUp)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(r)
		}
		c.printf("%s is retired: take it out of the configuration and restart each node\n", r.ID)
		return nil
	})
}
