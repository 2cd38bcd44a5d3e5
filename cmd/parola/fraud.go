package main

import (
	"context"
	"fmt"

	"github.com/parola-id/parola/internal/app"
)

type fraudCommands struct {
	List  fraudList  `cmd:"" help:"List what the defence against SMS pumping thinks of number prefixes."`
	Allow fraudAllow `cmd:"" help:"Send SMS to a prefix or country whatever the numbers say."`
	Block fraudBlock `cmd:"" help:"Send no SMS to a prefix or country whatever the numbers say."`
	Clear fraudClear `cmd:"" help:"Withdraw what you said: the numbers decide again."`
}

type fraudList struct{ asJSON }

// Help teaches.
func (fraudList) Help() string {
	return `A prefix is a number without its last six digits. It is accused when many SMS to it were followed by no right passcode; the edge "instant" is SMS that went out at once because the number has no WhatsApp. docs/sms-pumping.md explains the numbers.

Example:

    parola fraud list

Next: parola fraud allow +393331, or parola fraud block country:AZ.`
}

// Run lists.
func (cmd fraudList) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		list, err := b.Verdicts(ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(list)
		}
		if len(list) == 0 {
			c.printf("no prefix stands out\n")
			return nil
		}
		rows := [][]string{{"PREFIX", "COUNTRY", "EDGE", "VERDICT", "OVERRIDE", "SENT", "VERIFIED", "SINCE"}}
		for _, v := range list {
			rows = append(rows, []string{v.Subject, v.Country, v.Edge, v.State, v.Override, fmt.Sprint(v.Sent), fmt.Sprint(v.Verified), when(v.Since)})
		}
		return c.table(rows)
	})
}

type fraudSubject struct {
	Subject string `arg:"" help:"A prefix (a number without its last six digits, like +393331), a whole number, or a country like country:AZ."`
	Edge    string `enum:",sms,instant" default:"" placeholder:"EDGE" help:"Only sms (every SMS) or instant (SMS at once, to numbers without WhatsApp); both when absent."`
	asJSON
}

// overrule says word about the subject; done tells what this means, for the subject and which SMS are meant.
func (s fraudSubject) overrule(c *invocation, word, done string) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		subject, err := b.Overrule(ctx, s.Subject, s.Edge, word)
		if err != nil {
			return err
		}
		if s.JSON {
			return c.printJSON(map[string]string{"subject": subject, "edge": s.Edge, "override": word})
		}
		which := map[string]string{"": "SMS", "sms": "SMS on the edge sms", "instant": "SMS at once, to numbers without WhatsApp,"}[s.Edge]
		c.printf(done, which, printable(subject))
		return nil
	})
}

type fraudAllow struct{ fraudSubject }

// Help teaches.
func (fraudAllow) Help() string {
	return `Your word for a prefix stands over your word for its country. It is about exactly this prefix, +393331 for +39 333 123 4567; of a whole number the last six digits are cut off. Budgets in money (limits.spend_*) still hold.

Examples:

    parola fraud allow +393331
    parola fraud allow "+39 333 123 4567" --edge instant

Next: parola fraud clear +393331, when the numbers may decide again.`
}

// Run allows.
func (cmd fraudAllow) Run(c *invocation) error {
	return cmd.overrule(c, "allow", "%s to %s are sent whatever the numbers say\n")
}

type fraudBlock struct{ fraudSubject }

// Help teaches.
func (fraudBlock) Help() string {
	return `WhatsApp still works there. A country that you do not serve at all is left out of mfa.countries instead. A prefix is meant exactly, +393331 for +39 333 123 4567.

Examples:

    parola fraud block +994501
    parola fraud block country:AZ --edge instant

Next: parola fraud clear +994501, when the numbers may decide again.`
}

// Run blocks.
func (cmd fraudBlock) Run(c *invocation) error {
	return cmd.overrule(c, "block", "%s to %s are not sent\n")
}

type fraudClear struct{ fraudSubject }

// Help teaches.
func (fraudClear) Help() string {
	return `Example:

    parola fraud clear +393331

Next: parola fraud list shows what the numbers say.`
}

// Run clears.
func (cmd fraudClear) Run(c *invocation) error {
	return cmd.overrule(c, "", "%s to %s: the numbers decide\n")
}
