package app

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/sms"
	"github.com/parola-id/parola/mfa/whatsapp"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// The paths that carriers call, below the issuer's.
const (
	whatsAppPath = "/webhooks/whatsapp"
	twilioPath   = "/webhooks/sms/twilio"
)

// carriers are the channels of this installation and the companies behind them. Here, and nowhere else, it is chosen
// who sends.
type carriers struct {
	channels map[storage.Channel]mfa.Channel
	names    map[storage.Channel]string
	handlers map[string]func(receive func(context.Context, []mfa.Report) error) http.Handler
}

func (a *App) carriers(pages *templates.Templates, issuer *url.URL) (carriers, error) {
	c := carriers{
		channels: make(map[storage.Channel]mfa.Channel), names: make(map[storage.Channel]string),
		handlers: make(map[string]func(func(context.Context, []mfa.Report) error) http.Handler),
	}
	// mfa is made after its channels; by the time a carrier calls, it is there.
	rejected := func(ch storage.Channel) func(context.Context, string) {
		return func(ctx context.Context, reason string) { a.mfa.CallbackRejected(ctx, ch, reason) }
	}
	if w := a.config.WhatsApp; w.Enabled {
		channel, err := whatsapp.New(whatsapp.Config{
			BaseURL: w.BaseURL, Version: w.Version, PhoneNumberID: w.PhoneNumberID, AccessToken: w.AccessToken.Reveal(),
			AppSecrets: set(w.AppSecret, w.AppSecretPrevious), VerifyToken: w.VerifyToken.Reveal(), Template: w.Template,
			Languages: templateLanguages(w.Languages, pages), Log: a.log, Rejected: rejected(storage.WhatsApp),
		})
		if err != nil {
			return c, fmt.Errorf("whatsapp: %w", err)
		}
		c.channels[storage.WhatsApp], c.names[storage.WhatsApp] = channel, "meta"
		c.handlers[whatsAppPath] = channel.Handler
	}
	if t := a.config.SMS.Twilio; a.config.SMS.Carrier == "twilio" {
		service, host := a.config.ServiceName, issuer.Hostname()
		channel, err := sms.NewTwilio(sms.Config{
			BaseURL: t.BaseURL, AccountSID: t.AccountSID, AuthTokens: set(t.AuthToken, t.AuthTokenPrevious),
			APIKeySID: t.APIKeySID, APIKeySecret: t.APIKeySecret.Reveal(), From: t.From, MessagingServiceSID: t.MessagingServiceSID,
			CallbackURL: a.config.Issuer + twilioPath, Log: a.log, Rejected: rejected(storage.SMS),
			Text: func(locale, passcode string) (string, error) { return pages.SMS(locale, service, passcode, host) },
		})
		if err != nil {
			return c, fmt.Errorf("sms.twilio: %w", err)
		}
		c.channels[storage.SMS], c.names[storage.SMS] = channel, "twilio"
		c.handlers[twilioPath] = channel.Handler
	}
	return c, nil
}

func (c carriers) webhooks(service *mfa.Service) map[string]http.Handler {
	handlers := make(map[string]http.Handler)
	for path, make := range c.handlers {
		handlers[path] = make(service.Receive)
	}
	return handlers
}

// templateLanguages are those the operator lists, or those of our pages in Meta's spelling.
func templateLanguages(configured []string, pages *templates.Templates) []string {
	if len(configured) > 0 {
		return configured
	}
	var all []string
	for _, lang := range pages.Languages() {
		all = append(all, pages.WhatsAppLanguage(lang))
	}
	return all
}

// set reveals the secrets that are there.
func set(secrets ...Secret) []string {
	var values []string
	for _, s := range secrets {
		if s.Set() {
			values = append(values, s.Reveal())
		}
	}
	return values
}
