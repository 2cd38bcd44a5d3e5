package main

import (
	"context"
	"strings"

	"github.com/parola-id/parola/internal/app"
)

type sessionCommands struct {
	List sessionList `cmd:"" help:"List signed-in browsers, newest first."`
	End  sessionEnd  `cmd:"" help:"Sign a browser, or a person everywhere, out."`
}

type sessionList struct {
	User  string `arg:"" optional:"" help:"User name or sub; everyone's when absent."`
	All   bool   `help:"Ended ones too."`
	Limit int    `default:"100" help:"At most so many, up to 1000."`
	asJSON
}

// Help teaches.
func (sessionList) Help() string {
	return `Example:

    parola session list ada

Next: parola session end SID.`
}

// Run lists.
func (cmd sessionList) Run(c *invocation) error {
	if err := within("--limit", cmd.Limit, 1000); err != nil {
		return err
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		list, err := b.Sessions(ctx, cmd.User, cmd.All, cmd.Limit)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(list)
		}
		rows := [][]string{{"SID", "USER", "SINCE", "LAST SEEN", "LOGIN", "FROM", "STATE"}}
		for _, s := range list {
			state := "open"
			if !s.EndedAt.IsZero() {
				state = "ended " + when(s.EndedAt) + " (" + s.EndReason + ")"
			}
			rows = append(rows, []string{s.ID, s.Username, when(s.CreatedAt), when(s.LastSeenAt),
				strings.TrimPrefix(s.ACR, "urn:parola:acr:") + " by " + s.Channel, s.SourceAddr, state})
		}
		return c.table(rows)
	})
}

type sessionEnd struct {
	SID  string `arg:"" optional:"" name:"sid" help:"Session id, as parola session list shows it."`
	User string `placeholder:"NAME" help:"End all sessions of this person and revoke all their grants instead."`
	asJSON
}

// Help teaches.
func (sessionEnd) Help() string {
	return `Ending one session revokes the grants that came from it, except those with offline_access. With --user everything ends.

Examples:

    parola session end 0123456789abcdefghjkmnpqrs
    parola session end --user ada

Next: the person has to sign in again; parola user disable keeps them out.`
}

// Run ends.
func (cmd sessionEnd) Run(c *invocation) error {
	if (cmd.SID == "") == (cmd.User == "") {
		return misuse("name a session id, or a person with --user")
	}
	return c.withBase(func(ctx context.Context, b *app.Base) (err error) {
		var ended app.Ended
		if cmd.User != "" {
			ended, err = b.EndSessionsOf(ctx, cmd.User)
		} else {
			ended, err = b.EndSession(ctx, cmd.SID)
		}
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(ended)
		}
		c.printf("%s\n", endedWords(ended))
		return nil
	})
}
