package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

type auditCommands struct {
	List      auditList      `cmd:"" help:"List events, newest first."`
	Show      auditShow      `cmd:"" help:"Show everything that belongs to one login, in order."`
	Verify    auditVerify    `cmd:"" help:"Say whether the log was changed."`
	PublicKey auditPublicKey `cmd:"" help:"Print the public key that verifies the log."`
}

type auditList struct {
	User        string `placeholder:"NAME" help:"Only events of this person; the sub finds those of somebody who is gone."`
	Client      string `placeholder:"ID" help:"Only events of this client."`
	Kind        string `placeholder:"KIND" help:"Only this kind, or all below it: authn.otp.fail, authn.otp, account."`
	Since       string `placeholder:"TIME" help:"Not before: 24h ago is 24h; or 2026-03-14; or 2026-03-14T09:30:00Z."`
	Until       string `placeholder:"TIME" help:"Before; written like --since."`
	AuthRequest string `placeholder:"ID" help:"Only events of this authorization request."`
	JTI         string `name:"jti" help:"Only events of this token."`
	Correlation string `placeholder:"ID" help:"Only events with this correlation id, which error pages show."`
	Limit       int    `default:"100" help:"At most so many, up to 10000."`
	Oldest      bool   `help:"Oldest first."`
	asJSON
}

// Help teaches.
func (auditList) Help() string {
	return `Filters narrow each other. Numbers are masked; secrets are never in the log. Each reading of the log is an event of its own.

Examples:

    parola audit list --user ada --since 24h
    parola audit list --kind authn.otp.fallback --since 2026-03-14 --json
    parola audit list --correlation 0123456789abcdef

Next: parola audit show LOGIN with any of the ids.`
}

func (cmd auditList) filter(now time.Time) (storage.EventFilter, error) {
	f := storage.EventFilter{
		ClientID: cmd.Client, Kind: kindFilter(cmd.Kind), AuthRequestID: cmd.AuthRequest, JTI: cmd.JTI,
		CorrelationID: cmd.Correlation, Limit: cmd.Limit, Backward: !cmd.Oldest,
	}
	if !knownKind(cmd.Kind) {
		return f, fmt.Errorf("--kind %s: there are no events of this kind; docs/security-requirements.md, Appendix B, lists them", cmd.Kind)
	}
	var err error
	if f.Since, err = parseTime("--since", cmd.Since, now); err != nil {
		return f, err
	}
	if f.Until, err = parseTime("--until", cmd.Until, now); err != nil {
		return f, err
	}
	return f, within("--limit", cmd.Limit, 10000)
}

// knownKind says whether some kind is this one or lies below it.
func knownKind(kind string) bool {
	return kind == "" || audit.Known(kind) || audit.KnownPrefix(kindFilter(kind))
}

// kindFilter makes a prefix of a kind that has parts below it. All kinds have at least two parts, most have three.
func kindFilter(kind string) string {
	if audit.Known(kind) || kind == "" || strings.HasSuffix(kind, ".") {
		return kind
	}
	return kind + "."
}

// parseTime reads a moment: a duration before now, a day, or a time.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, misuse("%s is %q: write 24h, 2026-03-14 or 2026-03-14T09:30:00Z", flag, text)
}

// Run lists.
func (cmd auditList) Run(c *invocation) error {
	f, err := cmd.filter(time.Now())
	if err != nil {
		return err
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		events, err := b.Events(ctx, cmd.User, f)
		if err != nil {
			return err
		}
		return c.printEvents(events, cmd.JSON)
	})
}

type auditShow struct {
	Login string `arg:"" help:"Id of an authorization request, challenge, session or grant, a jti, or a correlation id."`
	asJSON
}

// Help teaches.
func (auditShow) Help() string {
	return `One login from the authorization request over the password, every message with its receipts, and the passcode, to its tokens and their refreshes. Any id that belongs to it will do: the correlation id of an error page, the jti of a token at hand.

Example:

    parola audit show 0123456789abcdefghjkmnpqrs

Next: parola audit verify says whether the log is whole.`
}

// Run shows.
func (cmd auditShow) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		events, err := b.LoginEvents(ctx, cmd.Login)
		if err != nil {
			return err
		}
		return c.printEvents(events, cmd.JSON)
	})
}

func (c *invocation) printEvents(events []storage.Event, asJSON bool) error {
	if asJSON {
		views := make([]app.EventView, len(events))
		for i, e := range events {
			views[i] = app.ViewEvent(e)
		}
		return c.printJSON(views)
	}
	rows := [][]string{{"TIME", "KIND", "WHAT AND IDS"}}
	for _, e := range events {
		rows = append(rows, []string{instant(e.At), e.Kind, strings.TrimSpace(what(e) + "  " + ids(e))})
	}
	return c.table(rows)
}

// what tells an event in a few words: outcome when it is a failure, channel, and the facts by name.
func what(e storage.Event) string {
	var words []string
	if e.Outcome == "failure" {
		words = append(words, "failed")
	}
	if e.Reason != "" {
		words = append(words, e.Reason)
	}
	if e.Channel != "" {
		words = append(words, e.Channel)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Data)) {
		words = append(words, name+"="+e.Data[name])
	}
	if e.ActorID != "" {
		words = append(words, "by="+e.ActorID)
	}
	return strings.Join(words, " ")
}

// ids are everything by which an event belongs to others.
func ids(e storage.Event) string {
	var words []string
	for _, id := range []struct{ name, value string }{
		{"auth_request", e.AuthRequestID}, {"user", e.PersonID}, {"client", e.ClientID}, {"challenge", e.ChallengeID},
		{"delivery", e.DeliveryID}, {"session", e.SessionID}, {"grant", e.GrantID}, {"jti", e.JTI},
		{"correlation", e.CorrelationID},
	} {
		if id.value != "" {
			words = append(words, id.name+"="+id.value)
		}
	}
	return strings.Join(words, " ")
}
