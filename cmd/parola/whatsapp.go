package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/app"
)

type whatsAppCommands struct {
	Template whatsAppTemplate `cmd:"" help:"The template that carries the passcode."`
	Number   whatsAppNumber   `cmd:"" help:"The business number that sends it."`
	Webhook  whatsAppWebhook  `cmd:"" help:"Where Meta tells what became of it."`
}

type whatsAppTemplate struct {
	Create  templateCreate  `cmd:"" help:"Create the template at Meta in every language."`
	List    templateList    `cmd:"" help:"List the account's templates."`
	Status  templateStatus  `cmd:"" help:"Compare the template with what the configuration needs."`
	Preview templatePreview `cmd:"" help:"Show what Meta will write."`
}

// templateFlags say what differs from the configuration.
type templateFlags struct {
	Name                     string        `placeholder:"NAME" help:"Its name; whatsapp.template when absent."`
	Language                 []string      `placeholder:"LANG" help:"A language in Meta's spelling, like pt_BR; may be repeated. When absent, whatsapp.languages, or all that the pages speak."`
	Expiry                   time.Duration `placeholder:"DURATION" help:"How long the text says that the code is good; mfa.passcode_life when absent."`
	NoSecurityRecommendation bool          `help:"Leave out \"do not share this code\"."`
}

func (f templateFlags) wish() app.TemplateWish {
	return app.TemplateWish{Name: f.Name, Languages: f.Language, Expiry: f.Expiry, NoSecurityRecommendation: f.NoSecurityRecommendation}
}

type templateCreate struct {
	templateFlags
	TTL    time.Duration `name:"ttl" placeholder:"DURATION" help:"How long WhatsApp keeps trying, 30s to 15m; mfa.template_ttl when absent."`
	Button string        `placeholder:"TEXT" help:"The button's text, in every language; Meta's own words when absent."`
	Update bool          `help:"Change templates that exist already, too. Meta looks at them again."`
	asJSON
}

// Help teaches.
func (templateCreate) Help() string {
	return `Creates an authentication template with a copy-code button, in every language that the pages speak. Its text is Meta's; it recommends not to share the code and says how long it is good. Its time to live is mfa.template_ttl: what WhatsApp could not deliver by then it drops, and the SMS follows 5 s later.

Examples:

    parola whatsapp template create
    parola whatsapp template create --language it --language pt_BR --update

Next: parola whatsapp template status, until all are APPROVED (often at once).`
}

// Run creates.
func (cmd templateCreate) Run(c *invocation) error {
	w := cmd.wish()
	w.TTL, w.ButtonText, w.Update = cmd.TTL, cmd.Button, cmd.Update
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		created, failed := b.CreateTemplate(ctx, w)
		if failed != nil && len(created) == 0 {
			return failed
		}
		var err error
		if cmd.JSON {
			err = c.printJSON(created)
		} else {
			err = c.printCreated(created)
		}
		refused := 0
		for _, t := range created {
			if t.Refused != nil {
				refused++
			}
		}
		if err = errors.Join(failed, err); err == nil && refused > 0 {
			err = fmt.Errorf("%d of %d languages were refused by Meta", refused, len(created))
		}
		return err
	})
}

// printCreated prints what came of each language, and each reason for a refusal once.
func (c *invocation) printCreated(created []app.WhatsAppCreation) error {
	rows := [][]string{{"LANGUAGE", "STATUS", "CATEGORY", "ID"}}
	var reasons []string
	languages := map[string][]string{}
	for _, t := range created {
		if t.Refused == nil {
			rows = append(rows, []string{t.Language, t.Status, t.Category, t.ID})
			continue
		}
		rows = append(rows, []string{t.Language, "refused", "", ""})
		reason := printable(fmt.Sprintf("(%d) %s", t.Refused.Code, t.Refused.Message))
		if t.Refused.Advice != "" {
			reason += "\n        → " + printable(t.Refused.Advice)
		}
		if languages[reason] == nil {
			reasons = append(reasons, reason)
		}
		languages[reason] = append(languages[reason], t.Language)
	}
	err := c.table(rows)
	for _, reason := range reasons {
		c.printf("\nrefused in %s: %s\n", strings.Join(languages[reason], ", "), reason)
	}
	return err
}

type templateList struct {
	All bool `help:"Those of other names too."`
	asJSON
}

// Help teaches.
func (templateList) Help() string {
	return `Example:

    parola whatsapp template list --all

Next: parola whatsapp template status.`
}

// Run lists.
func (cmd templateList) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		list, err := b.Templates(ctx, cmd.All)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(list)
		}
		rows := [][]string{{"NAME", "LANGUAGE", "STATUS", "CATEGORY", "TTL", "EXPIRY", "QUALITY"}}
		for _, t := range list {
			ttl, expiry := "Meta's default", ""
			if t.TTLSeconds > 0 {
				ttl = (time.Duration(t.TTLSeconds) * time.Second).String()
			}
			if t.ExpiryMinutes > 0 {
				expiry = fmt.Sprintf("%d min", t.ExpiryMinutes)
			}
			rows = append(rows, []string{t.Name, t.Language, t.Status, t.Category, ttl, expiry, t.Quality})
		}
		return c.table(rows)
	})
}

type templateStatus struct{ asJSON }

// Help teaches.
func (templateStatus) Help() string {
	return `Looks at the template in each language that is needed: approved, in the category AUTHENTICATION, with a time to live that equals mfa.template_ttl and an expiry that fits mfa.passcode_life. The exit status is 1 when something is wrong.

Example:

    parola whatsapp template status

Next: parola whatsapp template create --update mends most of it.`
}

// Run compares.
func (cmd templateStatus) Run(c *invocation) error {
	return c.look(cmd.JSON, false, func(ctx context.Context, b *app.Base, tell func(app.Finding)) error {
		return b.TemplateStatus(ctx, tell)
	})
}

type templatePreview struct {
	templateFlags
	asJSON
}

// Help teaches.
func (templatePreview) Help() string {
	return `Asks Meta for the text in each language. Nothing is created.

Example:

    parola whatsapp template preview --language it`
}

// Run shows.
func (cmd templatePreview) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		list, err := b.PreviewTemplate(ctx, cmd.wish())
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(list)
		}
		rows := [][]string{{"LANGUAGE", "TEXT", "FOOTER", "BUTTON"}}
		for _, t := range list {
			rows = append(rows, []string{t.Language, t.Body, t.Footer, t.Button})
		}
		return c.table(rows)
	})
}

type whatsAppWebhook struct {
	Subscribe webhookSubscribe `cmd:"" help:"Make Meta send the account's webhooks to our app."`
}

type webhookSubscribe struct {
	Here bool `help:"Send them to this installation's URL, whatever URL the app has."`
	asJSON
}

// Help teaches.
func (webhookSubscribe) Help() string {
	return `Without a subscription Meta sends nothing: no receipt, no news of the account. It is needed once per WhatsApp Business Account. With --here Meta asks our address for the handshake at once, so that the server must run.

Which webhooks Meta sends is chosen on the app's page, WhatsApp, Configuration, Webhook fields: messages, and those that become events and alarms here: message_template_status_update, message_template_quality_update, template_category_update, phone_number_quality_update, account_update, account_review_update, account_alerts, security.

Examples:

    parola whatsapp webhook subscribe
    parola whatsapp webhook subscribe --here

Next: parola doctor.`
}

// Run subscribes.
func (cmd webhookSubscribe) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		apps, err := b.SubscribeWebhook(ctx, cmd.Here)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(apps)
		}
		rows := [][]string{{"APP", "NAME", "CALLBACK"}}
		for _, a := range apps {
			callback := a.CallbackURL
			if callback == "" {
				callback = "the app's own"
			}
			rows = append(rows, []string{a.AppID, a.AppName, callback})
		}
		return c.table(rows)
	})
}
