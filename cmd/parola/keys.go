package main

import (
	"context"

	"github.com/parola-id/parola/internal/app"
)

type keysCommands struct {
	List     keysList     `cmd:"" help:"List the keys that sign tokens, newest first."`
	Rotate   keysRotate   `cmd:"" help:"Put fresh keys in the place of those that sign."`
	Withdraw keysWithdraw `cmd:"" help:"In an emergency: accept nothing more that a key signed."`
}

type keysList struct{ asJSON }

// Help teaches.
func (keysList) Help() string {
	return `Only public facts are shown. A key is made when the first client needs its algorithm. It is published as "next", signs as "current", stays published as "previous" until nothing that it signed is of use, and is then "retired".

Example:

    parola keys list

Next: the public halves are at ISSUER/jwks, as discovery says.`
}

// Run lists.
func (cmd keysList) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		keys, err := b.SigningKeys(ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(keys)
		}
		rows := [][]string{{"KID", "ALG", "STATE", "CREATED", "SIGNS SINCE", "RETIRED"}}
		for _, k := range keys {
			since := when(k.ActivatedAt)
			if !k.SignsAt.IsZero() {
				since = "from " + when(k.SignsAt)
			}
			rows = append(rows, []string{k.KID, k.Alg, k.State, when(k.CreatedAt), since, when(k.RetiredAt)})
		}
		return c.table(rows)
	})
}

type keysRotate struct {
	Alg string `placeholder:"ALG" help:"Only the key of this algorithm: ES256, RS256 or EdDSA."`
	Now bool   `help:"Let the new key sign at once. Relying parties that have not read the keys again refuse its tokens for some minutes."`
	asJSON
}

// Help teaches.
func (keysRotate) Help() string {
	return `A running server does this by itself every keys.rotate_every. A fresh key is published at once and signs after keys.publish_ahead, when every relying party has read it; a running server sees to that. The one before stays published until the last token that it signed has ended. Nobody is signed out.

Examples:

    parola keys rotate
    parola keys rotate --alg RS256

Next: parola keys list. If somebody may have a private key, rotating is not enough: parola keys withdraw.`
}

// Run rotates.
func (cmd keysRotate) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		done, err := b.RotateKeys(ctx, cmd.Alg, cmd.Now)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(done)
		}
		for _, r := range done {
			if r.SignsAt.IsZero() {
				c.printf("%s: %s signs from now on\n", r.Alg, r.KID)
			} else {
				c.printf("%s: %s is published, and signs from %s\n", r.Alg, r.KID, when(r.SignsAt))
			}
		}
		if cmd.Now {
			c.printf("note: relying parties that keep the keys may refuse its tokens for up to five minutes, or until they read them again\n")
		}
		return nil
	})
}

type keysWithdraw struct {
	KID    []string `arg:"" name:"kid" help:"As parola keys list shows it; several are withdrawn together."`
	Reason string   `required:"" placeholder:"TEXT" help:"Why; it is written to the audit log."`
	asJSON
}

// Help teaches.
func (keysWithdraw) Help() string {
	return `For a private key that somebody else may have. Within a second every node has stopped publishing and accepting it: JWT access tokens that it signed are dead at userinfo and introspection, and ID tokens that it signed are no hint any more. Opaque tokens, refresh tokens and sessions go on. Where it signed, another key takes over in the same moment: the next one if relying parties know it already, else a fresh one. There is no way back.

Relying parties that verify tokens by themselves go on believing the key until they read the keys again, five minutes at most if they keep to the header. Access tokens end after lifetimes.access_token.

If a whole node or the root secret is lost, withdraw every key that is not retired, in one command, and replace the root secret (parola secrets --help).

Example:

    parola keys withdraw NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs --reason "laptop with a backup stolen, ticket 4711"

Next: parola keys list; parola audit list --kind key.`
}

// Run withdraws.
func (cmd keysWithdraw) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		done, err := b.WithdrawKeys(ctx, cmd.Reason, cmd.KID...)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(done)
		}
		for _, w := range done {
			c.printf("%s (%s, %s) is withdrawn: nothing that it signed is accepted\n", w.KID, w.Alg, w.State)
			if w.Successor != "" {
				c.printf("%s signs %s in its place\n", w.Successor, w.Alg)
			}
		}
		return nil
	})
}
