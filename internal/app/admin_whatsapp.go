package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/mfa/whatsapp"
	"github.com/parola-id/parola/storage"
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

// metaCall bounds one call that looks after our account with Meta.
const metaCall = 20 * time.Second

// manager looks after our account with Meta; a nil transport is the usual one.
func (b *Base) manager(transport http.RoundTripper) (*whatsapp.Manager, error) {
	w := b.config.WhatsApp
	switch {
	case !w.Enabled:
		return nil, refuse("whatsapp.enabled is false in the configuration")
	case w.AccountID == "":
		return nil, refuse("whatsapp.account_id is empty: set it to the id of the WhatsApp Business Account, which WhatsApp Manager shows under Account tools")
	}
	m, err := whatsapp.NewManager(whatsapp.ManagerConfig{BaseURL: w.BaseURL, Version: w.Version, AccessToken: w.AccessToken.Reveal(),
		AccountID: w.AccountID, PhoneNumberID: w.PhoneNumberID, HTTPClient: &http.Client{Timeout: metaCall, Transport: transport}, Clock: b.clock})
	if err != nil {
		return nil, refuse("%v", err)
	}
	return m, nil
}

// languages are those that the configuration wants the template in.
func (b *Base) languages() ([]string, error) {
	pages, _, err := b.pages()
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

// CreateTemplate creates the passcode's template at Meta, in each language. What Meta refuses in one language is in the result;
// with an error, the result is what was done before it.
func (b *Base) CreateTemplate(ctx context.Context, w TemplateWish) ([]WhatsAppCreation, error) {
	s, err := b.spec(w)
	if err != nil {
		return nil, err
	}
	change := carrierChange{what: "create_template", data: map[string]string{"template": shortened(s.Name), "languages": shortened(strings.Join(s.Languages, " "))}}
	if w.Update {
		change.what = "change_template"
	}
	var created []WhatsAppCreation
	err = b.atMeta(ctx, change, func(m *whatsapp.Manager) (err error) {
		if w.Update {
			created, err = m.UpsertTemplate(ctx, s)
		} else {
			created, err = m.CreateTemplate(ctx, s)
		}
		return err
	})
	var refused []string
	for _, c := range created {
		if c.Refused != nil {
			refused = append(refused, c.Language)
		}
	}
	if len(refused) > 0 {
		change.data = map[string]string{"template": shortened(s.Name), "languages": shortened(strings.Join(refused, " "))}
		err = errors.Join(err, b.noteChange(ctx, change, audit.Failure))
	}
	return created, err
}

// PreviewTemplate shows what Meta will write.
func (b *Base) PreviewTemplate(ctx context.Context, w TemplateWish) ([]WhatsAppPreview, error) {
	s, err := b.spec(w)
	if err != nil {
		return nil, err
	}
	m, err := b.manager(nil)
	if err != nil {
		return nil, err
	}
	shown, err := m.Preview(ctx, s)
	return shown, b.plainly(err)
}

// Templates lists templates at Meta: those of the configured name, or all of the account.
func (b *Base) Templates(ctx context.Context, all bool) ([]WhatsAppTemplate, error) {
	m, err := b.manager(nil)
	if err != nil {
		return nil, err
	}
	name := b.config.WhatsApp.Template
	if all {
		name = ""
	}
	list, err := m.Templates(ctx, name)
	return list, b.plainly(err)
}

// NumberStatus is the business number and whether messages can be sent from it.
func (b *Base) NumberStatus(ctx context.Context) (WhatsAppNumber, WhatsAppHealth, error) {
	m, err := b.manager(nil)
	if err != nil {
		return WhatsAppNumber{}, WhatsAppHealth{}, err
	}
	n, err := m.Number(ctx)
	if err != nil {
		return n, WhatsAppHealth{}, b.plainly(err)
	}
	h, err := m.Health(ctx, "")
	return n, h, b.plainly(err)
}

// RegisterNumber registers the business number for the Cloud API with its two-step verification PIN.
func (b *Base) RegisterNumber(ctx context.Context, pin, region string) error {
	return b.atMeta(ctx, carrierChange{what: "register_number"}, func(m *whatsapp.Manager) error { return m.Register(ctx, pin, region) })
}

// SetNumberPIN sets or changes the two-step verification PIN of the business number.
func (b *Base) SetNumberPIN(ctx context.Context, pin string) error {
	return b.atMeta(ctx, carrierChange{what: "set_number_pin"}, func(m *whatsapp.Manager) error { return m.SetPIN(ctx, pin) })
}

// RequestNumberCode makes Meta send a verification code to the business number, by sms or voice.
func (b *Base) RequestNumberCode(ctx context.Context, method, language string) error {
	return b.atMeta(ctx, carrierChange{what: "request_number_code"}, func(m *whatsapp.Manager) error { return m.RequestCode(ctx, method, language) })
}

// VerifyNumberCode proves with that code that the number is ours.
func (b *Base) VerifyNumberCode(ctx context.Context, code string) error {
	return b.atMeta(ctx, carrierChange{what: "verify_number_code"}, func(m *whatsapp.Manager) error { return m.VerifyCode(ctx, code) })
}

// SetIdentityCheck switches on or off that Meta tells which account a message went to, which mfa.bind_identity needs.
func (b *Base) SetIdentityCheck(ctx context.Context, on bool) error {
	what := "identity_check_off"
	if on {
		what = "identity_check_on"
	}
	return b.atMeta(ctx, carrierChange{what: what}, func(m *whatsapp.Manager) error { return m.SetIdentityCheck(ctx, on) })
}

// SubscribeWebhook makes Meta send the account's webhooks to our app; with override set to our own URL, whatever the app says.
func (b *Base) SubscribeWebhook(ctx context.Context, override bool) ([]WhatsAppApp, error) {
	callback := ""
	if override {
		callback = b.config.Issuer + whatsAppPath
	}
	var apps []WhatsAppApp
	err := b.atMeta(ctx, carrierChange{what: "subscribe_webhook"}, func(m *whatsapp.Manager) (err error) {
		if err = m.Subscribe(ctx, callback, b.config.WhatsApp.VerifyToken.Reveal()); err == nil {
			apps, err = m.Subscriptions(ctx)
		}
		return err
	})
	if isRefusal(err) && override {
		err = refuse("%v\nMeta asks %s while this command waits: let `parola serve` run with this configuration, and be reached from the internet there", err, callback)
	}
	return apps, err
}

// carrierChange is something that a command changes at a carrier, as its events tell it.
type carrierChange struct {
	what string // in the imperative: it may not come about
	data map[string]string
}

func (b *Base) noteChange(ctx context.Context, c carrierChange, outcome string) error {
	e := storage.Event{Kind: audit.AdminCarrier, ActorID: actor, Outcome: outcome, Reason: c.what, Channel: string(storage.WhatsApp),
		Data: map[string]string{"carrier": whatsapp.Carrier}}
	maps.Copy(e.Data, c.data)
	return b.store.InTx(ctx, func(ctx context.Context) error { return b.write(ctx, e) })
}

// atMeta changes something at Meta, with an event before it and another one if Meta refuses.
func (b *Base) atMeta(ctx context.Context, c carrierChange, change func(*whatsapp.Manager) error) error {
	announced := &announcer{announce: func() error { return b.noteChange(ctx, c, audit.Success) }}
	m, err := b.manager(announced)
	if err != nil {
		return err
	}
	if err = change(m); err == nil || !announced.done {
		return b.plainly(err)
	}
	c.data = maps.Clone(c.data)
	if c.data == nil {
		c.data = map[string]string{}
	}
	c.data["code"] = "no_answer"
	var graph *whatsapp.GraphError
	if errors.As(err, &graph) {
		c.data["code"] = strconv.Itoa(graph.Code)
	}
	// Ctrl-C during a call is the operator's right, and no reason to forget the call.
	return errors.Join(b.plainly(err), b.noteChange(context.WithoutCancel(ctx), c, audit.Failure))
}

// announcer is the way of a changing command to Meta. The event is written just before the first change leaves: what our own
// checks refused leaves none, and what an operator tried is known even if the answer is lost. Calls come one after another.
type announcer struct {
	announce func() error
	done     bool
}

// RoundTrip implements http.RoundTripper.
func (a *announcer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet && !a.done {
		if err := a.announce(); err != nil {
			return nil, errors.Join(fmt.Errorf("write event: %w", err), req.Body.Close())
		}
		a.done = true
	}
	return http.DefaultTransport.RoundTrip(req)
}

// plainly makes what Meta says a sentence for the operator.
func (b *Base) plainly(err error) error {
	var graph *whatsapp.GraphError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &graph):
		text := fmt.Sprintf("Meta refuses (%d): %s", graph.Code, graph.Message)
		if graph.Advice != "" {
			text += "\n" + graph.Advice
		}
		return refuse("%s", b.discreet(text))
	default:
		return err
	}
}

// discreet hides our secrets and whole numbers in what a carrier wrote: it may quote what it was sent, also escaped in a URL.
func (b *Base) discreet(text string) string {
	for _, secret := range b.config.allSecrets() {
		for _, form := range []string{secret.Reveal(), url.QueryEscape(secret.Reveal())} {
			if form != "" {
				text = strings.ReplaceAll(text, form, masked)
			}
		}
	}
	return wholeNumber.ReplaceAllString(text, "(a number)")
}

var wholeNumber = regexp.MustCompile(`\+[1-9][0-9 ()-]{6,20}[0-9]`)
