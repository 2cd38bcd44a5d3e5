package sms

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

const (
	twilioBaseURL = "https://api.twilio.com"
	// maxTwilioValidity is the longest that Twilio takes.
	maxTwilioValidity = 36_000 * time.Second
	// deliveryParameter carries our own mark in the callback URL: Twilio has no idempotency key, and this is the only way
	// to recognise a message whose answer was lost.
	deliveryParameter = "delivery"
)

// TwilioConfig says which Twilio account sends, and as whom.
type TwilioConfig struct {
	Config
	// AccountSID is AC and 32 hexadecimal digits.
	AccountSID string
	// AuthTokens sign callbacks: one, or two while a rotation lasts. The first one also authenticates sends, unless an
	// API key is set.
	AuthTokens []string
	// APIKeySID and APIKeySecret authenticate sends with a key that can be revoked on its own. Both or none.
	APIKeySID    string
	APIKeySecret string
	// From is a number or sender id of the account; MessagingServiceSID chooses one. Exactly one of them.
	From                string
	MessagingServiceSID string
}

// Twilio sends passcodes through Twilio's Messages API. It implements mfa.Channel.
type Twilio struct {
	carrier
	account  TwilioConfig
	resource string // the account's URL, without ".json"
}

var _ mfa.Channel = (*Twilio)(nil)

var (
	twilioAccount = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	twilioService = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
)

// NewTwilio returns a channel through Twilio, or says what is missing in the configuration.
func NewTwilio(c TwilioConfig) (*Twilio, error) {
	if c.BaseURL == "" {
		c.BaseURL = twilioBaseURL
	}
	var w wants
	c.check(&w)
	if err := w.err("twilio"); err != nil {
		return nil, err
	}
	t := &Twilio{carrier: newCarrier("twilio", c.Config, TwilioCodes()), account: c}
	t.resource = t.cfg.BaseURL + "/2010-04-01/Accounts/" + c.AccountSID
	return t, nil
}

func (c TwilioConfig) check(w *wants) {
	c.Config.check(w)
	callback, err := url.Parse(c.CallbackURL)
	w.that(err != nil || !strings.Contains(callback.Host, "_"), "Twilio calls no host with an underscore in its name")
	w.that(twilioAccount.MatchString(c.AccountSID), "set the account SID: AC and 32 hexadecimal digits")
	w.that(filled(c.AuthTokens), "set the auth token: without it no callback can be trusted")
	w.that((c.APIKeySID == "") == (c.APIKeySecret == ""), "set both parts of the API key, or none")
	w.that((c.From == "") != (c.MessagingServiceSID == ""), "set either the sender or the messaging service SID")
	w.that(c.MessagingServiceSID == "" || twilioService.MatchString(c.MessagingServiceSID),
		"the messaging service SID is MG and 32 hexadecimal digits")
}

// Send implements mfa.Channel.
func (t *Twilio) Send(ctx context.Context, m mfa.Message) (mfa.Sent, error) {
	text, err := t.text(m)
	if err != nil {
		return mfa.Sent{}, err
	}
	form := url.Values{
		"To":             {m.To.Reveal()},
		"Body":           {text},
		"StatusCallback": {t.cfg.CallbackURL + "?" + deliveryParameter + "=" + url.QueryEscape(m.DeliveryID)},
		"ValidityPeriod": {strconv.Itoa(validity(m.ValidFor, time.Second, time.Second, maxTwilioValidity))},
	}
	if t.account.MessagingServiceSID != "" {
		form.Set("MessagingServiceSid", t.account.MessagingServiceSID)
	} else {
		form.Set("From", t.account.From)
	}
	req, err := http.NewRequest(http.MethodPost, t.resource+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		return mfa.Sent{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	t.authenticate(req)
	answer, err := mfa.Call(ctx, t.httpClient, req)
	if err != nil {
		return mfa.Sent{}, err
	}
	return t.read(answer)
}

func (t *Twilio) authenticate(req *http.Request) {
	if t.account.APIKeySID != "" {
		req.SetBasicAuth(t.account.APIKeySID, t.account.APIKeySecret)
	} else {
		req.SetBasicAuth(t.account.AccountSID, t.account.AuthTokens[0])
	}
}

// read tells from an answer whether the message was taken.
func (t *Twilio) read(a mfa.Answer) (mfa.Sent, error) {
	var parsed struct {
		SID  string `json:"sid"`
		Code *int   `json:"code"`
	}
	isJSON := json.Unmarshal(a.Body, &parsed) == nil
	switch {
	case a.Status >= 200 && a.Status <= 299 && isJSON && parsed.SID != "":
		return mfa.Sent{MessageID: parsed.SID}, nil
	case a.Status >= 400 && isJSON && parsed.Code != nil:
		code := strconv.Itoa(*parsed.Code)
		if _, documented := t.codes[code]; a.Status >= 500 && !documented {
			return mfa.Sent{}, fmt.Errorf("carrier answered %d with code %s", a.Status, code)
		}
		refused := t.refused(code)
		if a.Status >= 500 {
			refused.Scope = mfa.ScopeCarrier
		}
		return mfa.Sent{}, refused
	default:
		return mfa.Sent{}, notInTheBook(a)
	}
}
