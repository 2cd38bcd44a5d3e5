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

Next: parola fraud allow +39333, or parola fraud block country:AZ.`
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
	Subject string `arg:"" help:"A prefix like +39333, or country:CC."`
	Edge    string `enum:",sms,instant" default:"" help:"Only sms or instant; both when absent."`
}

func (s fraudSubject) overrule(c *invocation, word, done string) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		if err := b.Overrule(ctx, s.Subject, s.Edge, word); err != nil {
			return err
		}
		c.printf(done, printable(s.Subject))
		return nil
	})
}

type fraudAllow struct{ fraudSubject }

// Help teaches.
func (fraudAllow) Help() string {
	return `Budgets in money (limits.spend_*) still hold.

Example:

    parola fraud allow +39333`
}

// Run allows.
func (cmd fraudAllow) Run(c *invocation) error {
	return cmd.overrule(c, "allow", "SMS to %s are sent whatever the numbers say\n")
}

type fraudBlock struct{ fraudSubject }

// Help teaches.
func (fraudBlock) Help() string {
	return `WhatsApp still works there. A country that you do not serve at all is left out of mfa.countries instead.

Examples:

    parola fraud block +99450
    parola fraud block country:AZ --edge instant`
}

// Run blocks.
func (cmd fraudBlock) Run(c *invocation) error {
	return cmd.overrule(c, "block", "no SMS is sent to %s\n")
}

type fraudClear struct{ fraudSubject }

// Help teaches.
func (fraudClear) Help() string {
	return `Example:

    parola fraud clear +39333`
}

// Run clears.
func (cmd fraudClear) Run(c *invocation) error {
	return cmd.overrule(c, "", "the numbers decide about %s\n")
}
