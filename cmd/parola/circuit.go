package main

import (
	"context"

	"github.com/parola-id/parola/internal/app"
)

type circuitCommands struct {
	List  circuitList  `cmd:"" help:"List what messages are kept from at the moment, and why."`
	Hold  circuitHold  `cmd:"" help:"Keep messages from a carrier, a country or a template."`
	Close circuitClose `cmd:"" help:"Let messages through again."`
}

type circuitList struct{ asJSON }

// Help teaches.
func (circuitList) Help() string {
	return `A circuit opens by itself after failures in a row and is probed by the next message after a rest. A held one stays until it is closed: by the carrier's word (an account or a template that works again) or by you. All nodes see the same within a second.

Example:

    parola circuit list

Next: parola doctor says why; parola circuit close NAME overrules.`
}

// Run lists.
func (cmd circuitList) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		list, err := b.Circuits(ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(list)
		}
		if len(list) == 0 {
			c.printf("every circuit is closed: nothing keeps messages from getting out\n")
			return nil
		}
		rows := [][]string{{"CIRCUIT", "STATE", "REASON", "SINCE", "NEXT PROBE"}}
		for _, s := range list {
			rows = append(rows, []string{s.Name, s.State, s.Reason, when(s.OpenedAt), when(s.ProbedAt)})
		}
		return c.table(rows)
	})
}

type circuitHold struct {
	Name string `arg:"" help:"carrier/NAME, country/CHANNEL/COUNTRY or template/LANGUAGE."`
	asJSON
}

// Help teaches.
func (circuitHold) Help() string {
	return `With WhatsApp's carrier (meta) held, passcodes go by SMS at once; with an SMS carrier held, the next one of the route is used; with a template's language held, people get another language. It stays until you close it: no probe and no carrier's word ends it.

Examples:

    parola circuit hold carrier/meta
    parola circuit hold country/whatsapp/CN

Next: parola circuit close NAME.`
}

// Run holds.
func (cmd circuitHold) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		if err := b.HoldCircuit(ctx, cmd.Name); err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(map[string]string{"circuit": cmd.Name, "state": "held"})
		}
		c.printf("%s is held: no message is sent there until it is closed\n", cmd.Name)
		return nil
	})
}

type circuitClose struct {
	Name string `arg:"" help:"As parola circuit list shows it."`
	asJSON
}

// Help teaches.
func (circuitClose) Help() string {
	return `The next message is sent there. If the fault is still there, the circuit opens again.

Example:

    parola circuit close carrier/meta`
}

// Run closes.
func (cmd circuitClose) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		if err := b.CloseCircuit(ctx, cmd.Name); err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(map[string]string{"circuit": cmd.Name, "state": "closed"})
		}
		c.printf("%s is closed: messages are sent there again\n", cmd.Name)
		return nil
	})
}
