package main

import (
	"github.com/parola-id/parola/internal/app"
)

type healthCommand struct {
	Live bool `help:"Ask whether the process answers (/livez), not whether it can serve (/readyz)."`
}

// Help teaches.
func (healthCommand) Help() string {
	return `Asks the server on this machine, at server.internal_listen, whether it is ready: whether its database answers and it is not stopping. The exit status is 0 when it is and 1 when not. It is the health check of a container that holds nothing but this program, and needs the configuration but none of the secrets.

Examples:

    parola health
    parola health --live

Next: parola doctor looks at what a health check cannot see.`
}

// Run asks.
func (cmd healthCommand) Run(c *invocation) error {
	config, err := c.loadWithout()
	if err != nil {
		return err
	}
	question, answer := app.Ready, "ready"
	if cmd.Live {
		question, answer = app.Live, "live"
	}
	if err := app.Health(c.ctx, config, question); err != nil {
		return err
	}
	c.printf("%s\n", answer)
	return nil
}
