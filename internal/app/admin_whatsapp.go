package app

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/mfa/whatsapp"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// What Meta says to the commands of `parola whatsapp`.
type (
	WhatsAppTemplate = whatsapp.Template
	WhatsAppCreation = whatsapp.Creation
	WhatsAppPreview  = whatsapp.TemplatePreview
	WhatsAppNumber   = whatsapp.Number
	WhatsAppHealth   = whatsapp.Health
	WhatsAppApp      = whatsapp.Subscription
)

// TemplateWish is what `parola whatsapp template create` asks for. Zero fields take what the configuration says.
type TemplateWish struct {
	Name      string
	Languages []string
	TTL       time.Duration
	// Expiry is told under the text, in whole minutes.
	Expiry time.Duration
	// NoSecurityRecommendation leaves out "do not share this code".
	NoSecurityRecommendation bool
	ButtonText               string
	// Update also changes templates that exist.
	Update bool
}

// manager looks after our account with Meta.
func (b *Base) manager() (*whatsapp.Manager, error) {
	w := b.config.WhatsApp
	switch {
	case !w.Enabled:
		return nil, refuse("whatsapp.enabled is false in the configuration")
	case w.AccountID == "":
		return nil, refuse("whatsapp.account_id is empty: it is the id of the WhatsApp Business Account, in WhatsApp Manager under account tools")
	}
	m, err := whatsapp.NewManager(whatsapp.ManagerConfig{BaseURL: w.BaseURL, Version: w.Version, AccessToken: w.AccessToken.Reveal(),
		AccountID: w.AccountID, PhoneNumberID: w.PhoneNumberID, Clock: b.clock})
	if err != nil {
		return nil, refuse("%v", err)
	}
	return m, nil
}

// languages are those that the configuration wants the template in.
func (b *Base) languages() ([]string, error) {
	issuer, err := url.Parse(b.config.Issuer)
	if err != nil {
		return nil, err
	}
	pages, err := templates.New(templates.Config{BasePath: issuer.Path})
	if err != nil {
		return nil, err
	}
	return templateLanguages(b.config.WhatsApp.Languages, pages), nil
}

// spec is a wish with its gaps filled.
func (b *Base) spec(w TemplateWish) (whatsapp.TemplateSpec, error) {
	s := whatsapp.TemplateSpec{Name: w.Name, Languages: w.Languages, TTL: w.TTL, SecurityRecommendation: !w.NoSecurityRecommendation, ButtonText: w.ButtonText}
	if s.Name == "" {
		s.Name = b.config.WhatsApp.Template
	}
	if s.TTL == 0 {
		s.TTL = b.config.MFA.TemplateTTL
	}
	expiry := w.Expiry
	if expiry == 0 {
		expiry = b.config.MFA.PasscodeLife
	}
	s.ExpiryMinutes = max(1, int(expiry/time.Minute))
	if len(s.Languages) > 0 {
		return s, nil
	}
	all, err := b.languages()
	s.Languages = all
	return s, err
}

// CreateTemplate creates the passcode's template at Meta, in each language. What Meta refuses in one language is in the result.
func (b *Base) CreateTemplate(ctx context.Context, w TemplateWish) ([]WhatsAppCreation, error) {
	s, err := b.spec(w)
	if err != nil {
		return nil, err
	}
	var created []WhatsAppCreation
	err = b.atMeta(ctx, "template", s.Name, func(m *whatsapp.Manager) (err error) {
		if w.Update {
			created, err = m.UpsertTemplate(ctx, s)
		} else {
			created, err = m.CreateTemplate(ctx, s)
		}
		return err
	})
	return created, err
}

// PreviewTemplate shows what Meta will write.
func (b *Base) PreviewTemplate(ctx context.Context, w TemplateWish) ([]WhatsAppPreview, error) {
	s, err := b.spec(w)
	if err != nil {
		return nil, err
	}
	m, err := b.manager()
	if err != nil {
		return nil, err
	}
	shown, err := m.Preview(ctx, s)
	return shown, plainly(err)
}

// Templates lists templates at Meta: those of the configured name, or all of the account.
func (b *Base) Templates(ctx context.Context, all bool) ([]WhatsAppTemplate, error) {
	m, err := b.manager()
	if err != nil {
		return nil, err
	}
	name := b.config.WhatsApp.Template
	if all {
		name = ""
	}
	list, err := m.Templates(ctx, name)
	return list, plainly(err)
}

// NumberStatus is the business number and whether messages can be sent from it.
func (b *Base) NumberStatus(ctx context.Context) (WhatsAppNumber, WhatsAppHealth, error) {
	m, err := b.manager()
	if err != nil {
		return WhatsAppNumber{}, WhatsAppHealth{}, err
	}
	n, err := m.Number(ctx)
	if err != nil {
		return n, WhatsAppHealth{}, plainly(err)
	}
	h, err := m.Health(ctx, "")
	return n, h, plainly(err)
}

// RegisterNumber registers the business number for the Cloud API with its two-step verification PIN.
func (b *Base) RegisterNumber(ctx context.Context, pin, region string) error {
	return b.atMeta(ctx, "number_registered", "", func(m *whatsapp.Manager) error { return m.Register(ctx, pin, region) })
}

// SetNumberPIN sets or changes the two-step verification PIN of the business number.
func (b *Base) SetNumberPIN(ctx context.Context, pin string) error {
	return b.atMeta(ctx, "number_pin_set", "", func(m *whatsapp.Manager) error { return m.SetPIN(ctx, pin) })
}

// RequestNumberCode makes Meta send a verification code to the business number, by sms or voice.
func (b *Base) RequestNumberCode(ctx context.Context, method, language string) error {
	return b.atMeta(ctx, "number_code_requested", "", func(m *whatsapp.Manager) error { return m.RequestCode(ctx, method, language) })
}

// VerifyNumberCode proves with that code that the number is ours.
func (b *Base) VerifyNumberCode(ctx context.Context, code string) error {
	return b.atMeta(ctx, "number_verified", "", func(m *whatsapp.Manager) error { return m.VerifyCode(ctx, code) })
}

// SetIdentityCheck switches on or off that Meta tells which account a message went to, which mfa.bind_identity needs.
func (b *Base) SetIdentityCheck(ctx context.Context, on bool) error {
	what := "identity_check_off"
	if on {
		what = "identity_check_on"
	}
	return b.atMeta(ctx, what, "", func(m *whatsapp.Manager) error { return m.SetIdentityCheck(ctx, on) })
}

// SubscribeWebhook makes Meta send the account's webhooks to our app; with override set to our own URL, whatever the app says.
func (b *Base) SubscribeWebhook(ctx context.Context, override bool) ([]WhatsAppApp, error) {
	callback := ""
	if override {
		callback = b.config.Issuer + whatsAppPath
	}
	var apps []WhatsAppApp
	err := b.atMeta(ctx, "webhook_subscribed", "", func(m *whatsapp.Manager) (err error) {
		if err = m.Subscribe(ctx, callback, b.config.WhatsApp.VerifyToken.Reveal()); err == nil {
			apps, err = m.Subscriptions(ctx)
		}
		return err
	})
	return apps, err
}

// atMeta changes something at Meta, with its event before it: what an operator tried is known even if the answer is lost.
func (b *Base) atMeta(ctx context.Context, what, subject string, change func(*whatsapp.Manager) error) error {
	m, err := b.manager()
	if err != nil {
		return err
	}
	e := storage.Event{Kind: audit.AdminCarrier, ActorID: actor, Reason: what, Channel: string(storage.WhatsApp), Data: map[string]string{"carrier": whatsapp.Carrier}}
	if subject != "" {
		e.Data["subject"] = shortened(subject)
	}
	if err := b.store.InTx(ctx, func(ctx context.Context) error { return b.write(ctx, e) }); err != nil {
		return err
	}
	return plainly(change(m))
}

// plainly makes what Meta says, and what a call lacks, sentences for the operator.
func plainly(err error) error {
	var graph *whatsapp.GraphError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &graph) && graph.Advice != "":
		return refuse("Meta refuses (%d): %s\n%s", graph.Code, graph.Message, graph.Advice)
	case errors.As(err, &graph):
		return refuse("Meta refuses (%d): %s", graph.Code, graph.Message)
	default:
		return err
	}
}
