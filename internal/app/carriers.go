package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/sms"
	"github.com/parola-id/parola/mfa/whatsapp"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// The paths that carriers call, below the issuer's.
const (
	whatsAppPath = "/webhooks/whatsapp"
	smsPath      = "/webhooks/sms/" // and the carrier's name
)

// listener is who takes what carriers tell. It is made after them; by the time a carrier calls, it is there.
type listener interface {
	Receive(ctx context.Context, reports []mfa.Report) error
	Hear(ctx context.Context, bulletins []mfa.Bulletin) error
	CallbackRejected(ctx context.Context, ch storage.Channel, reason string)
	TemplateUsable(language string) bool
}

// carriers are the companies behind the channels of this installation. Here, and nowhere else, it is chosen who sends.
type carriers struct {
	meta *whatsapp.Channel // nil without WhatsApp
	sms  map[string]smsCarrier
	list []mfa.Carrier
}

// smsCarrier is what every SMS carrier's package offers.
type smsCarrier interface {
	mfa.Channel
	Handler(receive func(context.Context, []mfa.Report) error) http.Handler
	// Check looks at everything that makes its messages not arrive, for `parola doctor`.
	Check(ctx context.Context) []mfa.Finding
}

// carriers makes the carriers of the configuration. later returns who listens to them.
func (b *Base) carriers(pages *templates.Templates, issuer *url.URL, later func() listener) (carriers, error) {
	c := carriers{sms: map[string]smsCarrier{}}
	rejected := func(ch storage.Channel) func(context.Context, string) {
		return func(ctx context.Context, reason string) { later().CallbackRejected(ctx, ch, reason) }
	}
	service, host := b.config.ServiceName, issuer.Hostname()
	if w := b.config.WhatsApp; w.Enabled {
		meta, err := whatsapp.New(whatsapp.Config{
			BaseURL: w.BaseURL, Version: w.Version, PhoneNumberID: w.PhoneNumberID, AccessToken: w.AccessToken.Reveal(),
			AppSecrets: set(w.AppSecret, w.AppSecretPrevious), VerifyToken: w.VerifyToken.Reveal(), Template: w.Template,
			Languages: templateLanguages(w.Languages, pages), Usable: func(language string) bool { return later().TemplateUsable(language) },
			WarnText:  func(locale, kind string) (string, error) { return pages.Notice(locale, kind, service) },
			AccountID: w.AccountID,
			Log:       b.log, Rejected: rejected(storage.WhatsApp),
		})
		if err != nil {
			return c, fmt.Errorf("whatsapp: %w", err)
		}
		c.meta = meta
		c.list = append(c.list, mfa.Carrier{Name: whatsapp.Carrier, Channel: storage.WhatsApp, Sender: meta})
	}
	for _, name := range b.config.SMS.Carriers {
		carrier, err := b.smsCarrier(name, sms.Config{
			CallbackURL: b.config.Issuer + smsPath + name, Log: b.log, Rejected: rejected(storage.SMS),
			Text: func(locale, passcode string) (string, error) { return pages.SMS(locale, service, passcode, host) },
		})
		if err != nil {
			return c, fmt.Errorf("sms.%s: %w", name, err)
		}
		c.sms[name] = carrier
		c.list = append(c.list, mfa.Carrier{Name: name, Channel: storage.SMS, Sender: carrier})
	}
	return c, nil
}

func (b *Base) smsCarrier(name string, common sms.Config) (smsCarrier, error) {
	switch s := b.config.SMS; name {
	case "twilio":
		common.BaseURL = s.Twilio.BaseURL
		return sms.NewTwilio(sms.TwilioConfig{Config: common, AccountSID: s.Twilio.AccountSID,
			AuthTokens: set(s.Twilio.AuthToken, s.Twilio.AuthTokenPrevious), APIKeySID: s.Twilio.APIKeySID,
			APIKeySecret: s.Twilio.APIKeySecret.Reveal(), From: s.Twilio.From, MessagingServiceSID: s.Twilio.MessagingServiceSID})
	case "vonage":
		common.BaseURL = s.Vonage.BaseURL
		return sms.NewVonage(sms.VonageConfig{Config: common, APIKey: s.Vonage.APIKey, APISecret: s.Vonage.APISecret.Reveal(),
			SignatureSecrets: set(s.Vonage.SignatureSecret, s.Vonage.SignatureSecretPrevious), SignatureMethod: s.Vonage.SignatureMethod,
			From: s.Vonage.From, Clock: b.clock})
	case "infobip":
		common.BaseURL = s.Infobip.BaseURL
		return sms.NewInfobip(sms.InfobipConfig{Config: common, APIKey: s.Infobip.APIKey.Reveal(), From: s.Infobip.From,
			CallbackSecrets: b.callbackSecrets(name)})
	case "aws":
		common.BaseURL = s.AWS.BaseURL
		return sms.NewAWS(sms.AWSConfig{Config: common, Region: s.AWS.Region, AccessKeyID: s.AWS.AccessKeyID,
			SecretAccessKey: s.AWS.SecretAccessKey.Reveal(), OriginationIdentity: s.AWS.OriginationIdentity,
			ConfigurationSet: s.AWS.ConfigurationSet, TopicARN: s.AWS.TopicARN, CertHosts: standIn(s.AWS.BaseURL), Clock: b.clock})
	case "kannel":
		common.BaseURL = s.Kannel.URL
		return sms.NewKannel(sms.KannelConfig{Config: common, Username: s.Kannel.Username, Password: s.Kannel.Password.Reveal(),
			From: s.Kannel.From, SMSC: s.Kannel.SMSC, CallbackSecrets: b.callbackSecrets(name)})
	case "gateway":
		gateway := s.Gateway.GatewayConfig
		gateway.Config, gateway.CallbackSecrets = common, set(s.Gateway.CallbackSecret, s.Gateway.CallbackSecretPrevious)
		if len(gateway.CallbackSecrets) == 0 {
			gateway.CallbackSecrets = b.callbackSecrets(name)
		}
		gateway.Password, gateway.Token = s.Gateway.Secret.Reveal(), s.Gateway.Secret.Reveal()
		return sms.NewGateway(gateway)
	default:
		return nil, fmt.Errorf("no such carrier") // Check has said so
	}
}

// standIn is the host of an address on loopback: what plays AWS there plays its SNS as well.
func standIn(address string) []string {
	u, err := url.Parse(address)
	if err != nil || !loopback(u.Hostname()) {
		return nil
	}
	return []string{u.Host}
}

// callbackSecrets are what receipts of a carrier that signs nothing are known by: from the root secret, so that nobody has
// to make one up, and from the one before while it is being replaced.
func (b *Base) callbackSecrets(carrier string) []string {
	var secrets []string
	for _, key := range append([][]byte{b.keys.Bytes(secret.Callback)}, b.keys.OtherBytes(secret.Callback)...) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(carrier))
		secrets = append(secrets, hex.EncodeToString(mac.Sum(nil)))
	}
	return secrets
}

// webhooks are the handlers by path.
func (c carriers) webhooks(l listener) map[string]http.Handler {
	handlers := make(map[string]http.Handler)
	if c.meta != nil {
		handlers[whatsAppPath] = c.meta.Handler(l.Receive, l.Hear)
	}
	for name, carrier := range c.sms {
		handlers[smsPath+name] = carrier.Handler(l.Receive)
	}
	return handlers
}

// warner is who can tell people something that is no passcode; nil when nobody can.
func (c carriers) warner() mfa.Warner {
	if c.meta == nil {
		return nil
	}
	return c.meta
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
