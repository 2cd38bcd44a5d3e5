package main

import (
	"context"
	"fmt"

	"github.com/parola-id/parola/internal/app"
)

type userSetPassword struct {
	User string `arg:"" help:"User name or sub."`
	passwordSource
	asJSON
}

// Help teaches.
func (userSetPassword) Help() string {
	return `Without --password-stdin a password is generated and shown once. All sessions of the person end and all their grants are revoked: applications have to ask for a login again.

Examples:

    parola user set-password ada
    parola user set-password ada --password-stdin < new-password.txt

Next: give the person the password by a way that you trust.`
}

// Run sets.
func (cmd userSetPassword) Run(c *invocation) error {
	clear, generated, err := cmd.password(c)
	if err != nil {
		return err
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		ended, err := b.SetPassword(ctx, cmd.User, clear)
		if err != nil {
			return err
		}
		if cmd.JSON {
			out := map[string]any{"ended": ended}
			if generated {
				out["password"] = clear
			}
			return c.printJSON(out)
		}
		c.printf("the password of %s is changed; %s\n", printable(cmd.User), endedWords(ended))
		if generated {
			c.printf("password: %s   (shown once)\n", clear)
		}
		return nil
	})
}

func endedWords(e app.Ended) string {
	return fmt.Sprintf("%d %s ended, %d %s revoked",
		e.Sessions, plural(e.Sessions, "session", "sessions"), e.Grants, plural(e.Grants, "grant", "grants"))
}

type userSetPhone struct {
	User     string `arg:"" help:"User name or sub."`
	Number   string `arg:"" help:"Mobile number with its country code."`
	Verified bool   `help:"You vouch that the number is this person's. No passcode goes to a number that nobody has proved."`
	asJSON
}

// Help teaches.
func (userSetPhone) Help() string {
	return `Whoever holds the number passes the second factor: make sure who is asking. Another number than before ends the person's sessions and revokes their grants. A phone that too many wrong passcodes disabled is bound afresh.

Example:

    parola user set-phone ada "+39 347 123 4567" --verified

Next: the person signs in; the passcode goes to the new number.`
}

// Run sets.
func (cmd userSetPhone) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		phone, ended, err := b.SetPhone(ctx, cmd.User, cmd.Number, cmd.Verified)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(map[string]any{"phone": phone, "ended": ended})
		}
		c.printf("the phone of %s is %s; %s\n", printable(cmd.User), phoneWords(&phone), endedWords(ended))
		if !cmd.Verified {
			c.printf("next: no passcode goes there until you repeat this with --verified\n")
		}
		return nil
	})
}

type userUnlock struct {
	User string `arg:"" help:"User name or sub."`
	asJSON
}

// Help teaches.
func (userUnlock) Help() string {
	return `Wrong passwords from strangers never lock a person out of a browser that they have used before; elsewhere they do, after a while. This forgets them, forgets wrong passcodes, and enables a phone that was disabled by them. Sending limits stay.

Example:

    parola user unlock ada

Next: look at who tried: parola audit list --user ada --kind authn.`
}

// Run unlocks.
func (cmd userUnlock) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		u, err := b.Unlock(ctx, cmd.User)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(u)
		}
		c.printf("%s can try again: forgot %d wrong %s and %d wrong %s\n", printable(cmd.User),
			u.PasswordFailures, plural(u.PasswordFailures, "password", "passwords"),
			u.PasscodeFailures, plural(u.PasscodeFailures, "passcode", "passcodes"))
		if u.PhoneEnabled {
			c.printf("the phone is enabled again\n")
		}
		return nil
	})
}

type userForgetWA struct {
	User string `arg:"" help:"User name or sub."`
	asJSON
}

// Help teaches.
func (userForgetWA) Help() string {
	return `With mfa.bind_identity, the WhatsApp account that proved receipt of the first passcode is bound to the phone, and passcodes go to that account only. A new phone or a new owner of the number changes it: then nothing is sent, neither on WhatsApp nor by SMS. Make sure by another way that it is still this person, then run this: the next passcode that is entered binds the account anew.

A number that had no WhatsApp is not tried there again for mfa.remember_no_whatsapp (parola user show). This forgets that too, for somebody who has it now.

Example:

    parola user forget-whatsapp ada

Next: the person signs in again.`
}

// Run forgets.
func (cmd userForgetWA) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		forgotten, err := b.ForgetWhatsApp(ctx, cmd.User)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(forgotten)
		}
		if forgotten.NoWhatsApp {
			c.printf("the next passcode of %s goes to WhatsApp again\n", printable(cmd.User))
		}
		if forgotten.Account {
			c.printf("the next passcode that %s enters binds their WhatsApp account anew\n", printable(cmd.User))
		}
		return nil
	})
}

type userDisable struct {
	User string `arg:"" help:"User name or sub."`
	asJSON
}

// Help teaches.
func (userDisable) Help() string {
	return `In one transaction the person can no longer sign in, all sessions end and all grants are revoked, on every node. Nothing is deleted.

Example:

    parola user disable ada

Next: parola user enable ada lets the person sign in again.`
}

// Run disables.
func (cmd userDisable) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		ended, err := b.Disable(ctx, cmd.User)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(map[string]any{"state": "disabled", "ended": ended})
		}
		c.printf("%s is disabled; %s\n", printable(cmd.User), endedWords(ended))
		return nil
	})
}

type userEnable struct {
	User string `arg:"" help:"User name or sub."`
	asJSON
}

// Help teaches.
func (userEnable) Help() string {
	return `What disabling ended stays ended: the person signs in afresh.

Example:

    parola user enable ada

Next: parola user unlock ada, if wrong tries were counted too.`
}

// Run enables.
func (cmd userEnable) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		if err := b.Enable(ctx, cmd.User); err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(map[string]any{"state": "active"})
		}
		c.printf("%s is enabled\n", printable(cmd.User))
		return nil
	})
}
