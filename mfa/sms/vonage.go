package sms

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/gsm7"
	"github.com/parola-id/parola/mfa"
)

const (
	vonageBaseURL = "https://rest.nexmo.com"
	// Vonage takes a validity between these.
	leastVonageValidity = 20 * time.Second
	mostVonageValidity  = 7 * 24 * time.Hour
)

// VonageConfig says which Vonage account sends, and as whom.
type VonageConfig struct {
	Config
	APIKey string
	// APISecret authenticates sends. Where it is empty they are signed with the first of SignatureSecrets, as accounts want
	// that have "signed requests only".
	APISecret string
	// SignatureSecrets sign receipts: one, or two while a rotation lasts. Vonage signs only when it is asked to.
	SignatureSecrets []string
	// SignatureMethod is the account's: md5hash, md5, sha1, sha256 or sha512.
	SignatureMethod string
	// From is a number of the account, or up to 11 letters and digits.
	From  string
	Clock clock.Clock
}

// Vonage sends passcodes through Vonage's SMS API. It implements mfa.Channel.
type Vonage struct {
	carrier
	account VonageConfig
	sign    vonageSignature
}

var _ mfa.Channel = (*Vonage)(nil)

// NewVonage returns a channel through Vonage, or says what is missing in the configuration.
func NewVonage(c VonageConfig) (*Vonage, error) {
	if c.BaseURL == "" {
		c.BaseURL = vonageBaseURL
	}
	sign, known := vonageSignatures[c.SignatureMethod]
	var w wants
	c.Config.check(&w)
	w.that(c.APIKey != "", "set the API key")
	w.that(filled(c.SignatureSecrets), "set the signature secret: without it no receipt can be trusted")
	w.that(known, "the signature method is md5hash, md5, sha1, sha256 or sha512")
	w.that(c.From != "", "set the sender")
	w.that(c.Clock != nil, "a clock is required")
	if err := w.err("vonage"); err != nil {
		return nil, err
	}
	return &Vonage{carrier: newCarrier("vonage", c.Config, VonageCodes()), account: c, sign: sign}, nil
}

// Send implements mfa.Channel.
func (v *Vonage) Send(ctx context.Context, m mfa.Message) (mfa.Sent, error) {
	text, err := v.text(m)
	if err != nil {
		return mfa.Sent{}, err
	}
	form := url.Values{
		"to": {digits(m.To)}, "from": {strings.TrimPrefix(v.account.From, "+")}, "text": {text},
		"client-ref": {m.DeliveryID}, "callback": {v.cfg.CallbackURL},
		"ttl": {strconv.Itoa(validity(m.ValidFor, time.Millisecond, leastVonageValidity, mostVonageValidity))},
	}
	if !gsm7.Fits(text) {
		form.Set("type", "unicode") // Vonage does not look by itself: it would send question marks
	}
	if v.account.APISecret == "" {
		form.Set("api_key", v.account.APIKey)
		form.Set("timestamp", strconv.FormatInt(v.account.Clock.Now().Unix(), 10))
		form.Set("sig", v.sign.of(form, v.account.SignatureSecrets[0]))
	}
	req, err := http.NewRequest(http.MethodPost, v.cfg.BaseURL+"/sms/json", strings.NewReader(form.Encode()))
	if err != nil {
		return mfa.Sent{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if v.account.APISecret != "" {
		req.SetBasicAuth(v.account.APIKey, v.account.APISecret)
	}
	answer, err := mfa.Call(ctx, v.httpClient, req)
	if err != nil {
		return mfa.Sent{}, err
	}
	return v.read(answer)
}

// read tells from an answer whether the message was taken. Vonage answers 200 to a refusal too: what counts is the status
// of each part. A message of which some parts went out and some did not has an unknown outcome: the passcode may well be in
// what went out, so it must not go out again by itself, and it cannot be counted on either.
func (v *Vonage) read(a mfa.Answer) (mfa.Sent, error) {
	var parsed struct {
		Messages []struct {
			Status string `json:"status"`
			ID     string `json:"message-id"`
		} `json:"messages"`
	}
	if json.Unmarshal(a.Body, &parsed) != nil || len(parsed.Messages) == 0 {
		return mfa.Sent{}, notInTheBook(a)
	}
	taken, first, refusal := 0, "", ""
	for _, part := range parsed.Messages {
		switch {
		case part.Status != "0":
			refusal = numberOrNone(part.Status)
		case part.ID != "":
			taken++
			if first == "" {
				first = part.ID
			}
		}
	}
	switch {
	case taken == len(parsed.Messages):
		return mfa.Sent{MessageID: first}, nil
	case taken == 0 && refusal == vonageInternal:
		return mfa.Sent{}, fmt.Errorf("carrier answered with its internal error %s", refusal)
	case taken == 0 && refusal != "":
		return mfa.Sent{}, v.refused(refusal)
	default:
		return mfa.Sent{}, fmt.Errorf("carrier took %d of %d parts", taken, len(parsed.Messages))
	}
}
