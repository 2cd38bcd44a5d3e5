package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/internal/app"
)

// templateTTL is how long WhatsApp keeps trying, here and in the handset's template. Meta's least is 30 s; the demo is
// quicker so that nobody waits long for the SMS.
const templateTTL = 10 * time.Second

// templateLanguages are those of Parola's pages in Meta's spelling, in which `parola whatsapp template create` makes the template.
var templateLanguages = []string{"en_US", "ar", "de", "es", "fr", "hi", "id", "it", "pt_BR"}

// carriers are the accounts with Meta and Twilio that the demo and its handset agree on.
type carriers struct {
	accountID, phoneNumberID, accessToken, appSecret, verifyToken string
	accountSID, authToken, smsFrom                                string
}

func deriveCarriers(root []byte) carriers {
	derive := func(what string) []byte {
		h := hmac.New(sha256.New, root)
		h.Write([]byte("demo carrier " + what))
		return h.Sum(nil)
	}
	text := func(what string) string { return base64.RawURLEncoding.EncodeToString(derive(what)) }
	return carriers{
		accountID: "102000000000001", phoneNumberID: "106000000000001",
		accessToken: text("access token"), appSecret: hex.EncodeToString(derive("app secret")[:16]), verifyToken: text("verify token"),
		accountSID: "AC" + hex.EncodeToString(derive("account sid")[:16]), authToken: hex.EncodeToString(derive("auth token")[:16]),
		smsFrom: "+12025550123",
	}
}

// configure is the demo's configuration, with the file of --config on top. It is written into the data directory, so
// that the parola command finds the same installation.
func (d *demo) configure(o options, root []byte, c carriers, issuer, listen, handsetURL string) (app.Config, error) {
	secret := base64.StdEncoding.EncodeToString(root)
	document := fmt.Sprintf(`# Written by the demo: the same installation for the parola command.
issuer: %s
service_name: Parola Demo
server: {listen: "%s", internal_listen: ""}
database: {driver: sqlite, path: %q}
secrets: {root: %q}
whatsapp:
  base_url: %s
  account_id: "%s"
  phone_number_id: "%s"
  access_token: %q
  app_secret: %q
  verify_token: %q
sms:
  carriers: [twilio]
  twilio: {base_url: %s, account_sid: %s, auth_token: %q, from: "%s"}
# Quicker than Meta allows, so that nobody waits long for the SMS; a switch that is off again shows soon.
mfa: {countries: [all], template_ttl: %s, offer_sms_after: 5s, remember_no_whatsapp: 1m}
# People play with the demo; tests hammer it.
limits: {sends_per_number_hour: 1000, sends_per_number_day: 5000, sends_per_source_hour: 20000, sends_per_client_hour: 50000,
  sends_per_prefix_hour: 20000, spend_per_prefix_day: 10000, spend_per_country_day: 10000, spend_per_source_day: 10000, spend_per_day: 10000,
  passwords_per_source_hour: 100000, requests_per_source_minute: 100000}
outbound: {allow_loopback: true}
log: {format: text}
`, issuer, listen, filepath.Join(d.facts.DataDir, "parola.db"), secret, handsetURL, c.accountID, c.phoneNumberID,
		c.accessToken, c.appSecret, c.verifyToken, handsetURL, c.accountSID, c.authToken, c.smsFrom, templateTTL)
	d.facts.ConfigFile = filepath.Join(d.facts.DataDir, "parola.yaml")
	if err := os.WriteFile(d.facts.ConfigFile, []byte(document), 0o600); err != nil {
		return app.Config{}, fmt.Errorf("write the demo's configuration: %w", err)
	}
	config, err := app.Load(app.Defaults(), []byte(document), app.Source{})
	if err != nil || o.config == "" {
		return config, err
	}
	overlay, err := os.ReadFile(o.config)
	if err != nil {
		return config, fmt.Errorf("read --config: %w", err)
	}
	before := config.Issuer
	config, err = app.Load(config, overlay, app.Source{ReadSecret: func(path string) (string, error) {
		text, err := os.ReadFile(path)
		return string(text), err
	}})
	if err != nil {
		return config, fmt.Errorf("--config: %w", err)
	}
	if config.Server.TLSCertFile != "" && config.Issuer == before {
		config.Issuer = "https" + before[len("http"):]
	}
	if config.Issuer != before && len(config.Issuer) > 5 && config.Issuer[:5] == "https" {
		config.Outbound.AllowLoopback = false // refused with an https issuer, as in earnest
	}
	return config, nil
}

// handset is the phone on the screen, holding the other end of both accounts.
func (c carriers) handset(users []user, config app.Config, httpClient *http.Client, log *slog.Logger) (*handset.Handset, error) {
	var phones []handset.Phone
	for _, u := range users {
		if u.Phone != "" {
			phones = append(phones, handset.Phone{Number: u.Phone, Name: u.Name})
		}
	}
	template := handset.DefaultTemplate
	template.TTL = config.MFA.TemplateTTL
	template.Languages = templateLanguages
	return handset.New(handset.Config{
		WABA: c.accountID, PhoneNumberID: c.phoneNumberID, AccessToken: c.accessToken, AppSecret: c.appSecret, BusinessName: config.ServiceName,
		WebhookURL: config.Issuer + "/webhooks/whatsapp", Templates: []handset.Template{template}, PairRateOff: true,
		AccountSID: c.accountSID, AuthToken: c.authToken, SMSFrom: c.smsFrom,
		Phones: phones, HTTPClient: httpClient, Log: log,
	})
}
