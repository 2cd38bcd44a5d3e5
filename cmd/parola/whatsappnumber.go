package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parola-id/parola/internal/app"
)

type whatsAppNumber struct {
	Status        numberStatus        `cmd:"" help:"Show the number, its quality and limits, and whether it can send."`
	Register      numberRegister      `cmd:"" help:"Register the number for the Cloud API."`
	SetPin        numberSetPIN        `cmd:"" help:"Set or change the PIN of two-step verification."`
	RequestCode   numberRequestCode   `cmd:"" help:"Have Meta send a verification code to the number."`
	VerifyCode    numberVerifyCode    `cmd:"" help:"Prove with that code that the number is yours."`
	IdentityCheck numberIdentityCheck `cmd:"" help:"Have Meta tell which account a message went to."`
}

type numberStatus struct{ asJSON }

// Help teaches.
func (numberStatus) Help() string {
	return `Shows what Meta says of the number. It can send when its status is CONNECTED and "can send" says AVAILABLE. The limit is how many people it may write to in 24 hours.

Example:

    parola whatsapp number status

Next: a number that is not CONNECTED is registered with parola whatsapp number register --pin.`
}

// Run shows.
func (cmd numberStatus) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		n, h, err := b.NumberStatus(ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(map[string]any{"number": n, "health": h})
		}
		rows := [][]string{
			{"Number", n.DisplayNumber}, {"Name", n.VerifiedName + " (" + n.NameStatus + ")"}, {"Status", n.Status},
			{"Verified", n.VerificationStatus}, {"Quality", n.Quality}, {"Limit in 24 h", n.MessagingLimit},
			{"Throughput", n.Throughput.Level}, {"Can send", h.CanSend},
		}
		for _, e := range h.Entities {
			for _, info := range e.AdditionalInfo {
				rows = append(rows, []string{e.Type, info})
			}
			for _, bad := range e.Errors {
				rows = append(rows, []string{e.Type, bad.Description + " → " + bad.Solution})
			}
		}
		return c.table(rows)
	})
}

// pinNote is what every command about the PIN says.
const pinNote = `The PIN is six digits. Whoever knows it can register the number somewhere else: keep it with the other secrets. It is read from standard input when --pin is absent. Two-step verification cannot be switched off from here: that is only possible in WhatsApp Manager, under Account tools, Phone numbers, the number's settings, Two-step verification; Meta then sends an e-mail to confirm it. Every change of the PIN comes back as a webhook and is an event of high severity.`

type pinFlag struct {
	PIN string `name:"pin" placeholder:"DIGITS" help:"Six digits; read from standard input when absent."`
}

// read takes one line, so that somebody who types it need not end the input.
func (f pinFlag) read(c *invocation) (string, error) {
	if f.PIN != "" {
		return f.PIN, nil
	}
	fmt.Fprint(c.stderr, "PIN of six digits: ")
	line, err := bufio.NewReader(io.LimitReader(c.stdin, maxPasswordInput)).ReadString('\n')
	fmt.Fprintln(c.stderr)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read PIN: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", misuse("no PIN: give --pin, or the PIN on standard input")
	}
	return line, nil
}

// switchOff says what no command can do.
const switchOff = "two-step verification is on with this PIN; it can be switched off in WhatsApp Manager only: Account tools, Phone numbers, the number's settings, Two-step verification"

type numberRegister struct {
	pinFlag
	Region string `placeholder:"COUNTRY" help:"Keep the messages' data in this country (ISO 3166-1), where Meta offers it."`
	asJSON
}

// Help teaches.
func (numberRegister) Help() string {
	return `Makes the number send through the Cloud API. Its PIN is asked for when two-step verification is on, and becomes the PIN when it is not. Meta allows ten registrations of a number in 72 hours.

` + pinNote + `

Examples:

    parola whatsapp number register --pin 482913
    pass show whatsapp-pin | parola whatsapp number register

Next: parola whatsapp number status.`
}

// Run registers.
func (cmd numberRegister) Run(c *invocation) error {
	pin, err := cmd.read(c)
	if err != nil {
		return err
	}
	return c.atMeta(cmd.JSON, "the number is registered; "+switchOff, func(ctx context.Context, b *app.Base) error { return b.RegisterNumber(ctx, pin, cmd.Region) })
}

type numberSetPIN struct {
	pinFlag
	asJSON
}

// Help teaches.
func (numberSetPIN) Help() string {
	return pinNote + `

Example:

    parola whatsapp number set-pin < pin.txt`
}

// Run sets.
func (cmd numberSetPIN) Run(c *invocation) error {
	pin, err := cmd.read(c)
	if err != nil {
		return err
	}
	return c.atMeta(cmd.JSON, "the PIN is set; "+switchOff, func(ctx context.Context, b *app.Base) error { return b.SetNumberPIN(ctx, pin) })
}

type numberRequestCode struct {
	Method   string `enum:"sms,voice" default:"sms" help:"How it comes: sms or voice."`
	Language string `default:"en_US" help:"Its language, in Meta's spelling."`
	asJSON
}

// Help teaches.
func (numberRequestCode) Help() string {
	return `For a number that Meta has not verified yet. It has nothing to do with the codes people sign in with.

Example:

    parola whatsapp number request-code --method voice

Next: parola whatsapp number verify-code CODE.`
}

// Run requests.
func (cmd numberRequestCode) Run(c *invocation) error {
	return c.atMeta(cmd.JSON, "Meta sends the code", func(ctx context.Context, b *app.Base) error {
		return b.RequestNumberCode(ctx, cmd.Method, cmd.Language)
	})
}

type numberVerifyCode struct {
	Code string `arg:"" help:"The six digits that came."`
	asJSON
}

// Help teaches.
func (numberVerifyCode) Help() string {
	return `Ends what request-code began.

Example:

    parola whatsapp number verify-code 123456

Next: parola whatsapp number register --pin.`
}

// Run verifies.
func (cmd numberVerifyCode) Run(c *invocation) error {
	return c.atMeta(cmd.JSON, "the number is verified", func(ctx context.Context, b *app.Base) error { return b.VerifyNumberCode(ctx, cmd.Code) })
}

type numberIdentityCheck struct {
	State string `arg:"" enum:"on,off" help:"on or off."`
	asJSON
}

// Help teaches.
func (numberIdentityCheck) Help() string {
	return `mfa.bind_identity needs it: passcodes then go to the WhatsApp account that proved receipt of the first one, and to no other.

Example:

    parola whatsapp number identity-check on

Next: set mfa.bind_identity to true.`
}

// Run switches.
func (cmd numberIdentityCheck) Run(c *invocation) error {
	return c.atMeta(cmd.JSON, "the identity check is "+cmd.State, func(ctx context.Context, b *app.Base) error {
		return b.SetIdentityCheck(ctx, cmd.State == "on")
	})
}

// atMeta does something that answers yes or no.
func (c *invocation) atMeta(asJSON bool, done string, do func(context.Context, *app.Base) error) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		if err := do(ctx, b); err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(map[string]bool{"success": true})
		}
		c.printf("%s\n", done)
		return nil
	})
}
