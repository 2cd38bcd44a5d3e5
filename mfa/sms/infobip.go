package sms

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

// mostInfobipValidity is the longest that Infobip takes.
const mostInfobipValidity = 48 * time.Hour

// InfobipConfig says which Infobip account sends, and as whom. BaseURL is the account's own, such as
// https://xyz.api.infobip.com.
type InfobipConfig struct {
	Config
	APIKey string
	// From is a number or sender id of the account.
	From string
	// CallbackSecrets authenticate reports, which Infobip does not sign: one, or two while a rotation lasts.
	CallbackSecrets []string
}

// Infobip sends passcodes through Infobip's SMS API, version 3. It implements mfa.Channel.
type Infobip struct {
	carrier
	account InfobipConfig
}

var _ mfa.Channel = (*Infobip)(nil)

// NewInfobip returns a channel through Infobip, or says what is missing in the configuration.
func NewInfobip(c InfobipConfig) (*Infobip, error) {
	var w wants
	c.Config.check(&w)
	w.that(c.APIKey != "", "set the API key")
	w.that(c.From != "", "set the sender")
	w.that(filled(c.CallbackSecrets), "set a callback secret: without it no report can be trusted")
	if err := w.err("infobip"); err != nil {
		return nil, err
	}
	return &Infobip{carrier: newCarrier("infobip", c.Config, InfobipCodes()), account: c}, nil
}

// mark is our own mark in a message's callback data, which comes back with every report: the delivery, and a token
// that proves that we sent it. There and not in the URL, because reports of many messages come in one call, and because
// proxies log URLs.
func (i *Infobip) mark(deliveryID string) string {
	return deliveryID + "." + i.token(i.account.CallbackSecrets[0], deliveryID)
}

// Send implements mfa.Channel.
func (i *Infobip) Send(ctx context.Context, m mfa.Message) (mfa.Sent, error) {
	text, err := i.text(m)
	if err != nil {
		return mfa.Sent{}, err
	}
	type object = map[string]any
	body, err := json.Marshal(object{"messages": []object{{
		"sender":       strings.TrimPrefix(i.account.From, "+"),
		"destinations": []object{{"to": digits(m.To)}},
		"content":      object{"text": text},
		"options": object{"validityPeriod": object{
			"amount": validity(m.ValidFor, time.Second, time.Second, mostInfobipValidity), "timeUnit": "SECONDS",
		}},
		"webhooks": object{
			"delivery":    object{"url": i.cfg.CallbackURL, "intermediateReport": true, "notify": true},
			"contentType": "application/json", "callbackData": i.mark(m.DeliveryID),
		},
	}}})
	if err != nil {
		return mfa.Sent{}, fmt.Errorf("write message: %w", err)
	}
	req, err := http.NewRequest(http.MethodPost, i.cfg.BaseURL+"/sms/3/messages", bytes.NewReader(body))
	if err != nil {
		return mfa.Sent{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	i.authenticate(req)
	answer, err := mfa.Call(ctx, i.httpClient, req)
	if err != nil {
		return mfa.Sent{}, err
	}
	return i.read(answer)
}

func (i *Infobip) authenticate(req *http.Request) {
	req.Header.Set("Authorization", "App "+i.account.APIKey)
	req.Header.Set("Accept", "application/json")
}

// infobipStatus is what became of a message. The numbers of groups mean other things in other products; the names do not.
type infobipStatus struct {
	GroupName string `json:"groupName"`
	Name      string `json:"name"`
}

// read tells from an answer whether the message was taken. A refused message comes with HTTP 200 too, and a status of the
// group REJECTED.
func (i *Infobip) read(a mfa.Answer) (mfa.Sent, error) {
	var parsed struct {
		Messages []struct {
			ID     string        `json:"messageId"`
			Status infobipStatus `json:"status"`
		} `json:"messages"`
		ErrorCode    string `json:"errorCode"`
		RequestError struct {
			ServiceException struct {
				ID string `json:"messageId"`
			} `json:"serviceException"`
		} `json:"requestError"`
	}
	if json.Unmarshal(a.Body, &parsed) != nil {
		return mfa.Sent{}, notInTheBook(a)
	}
	code := cmp.Or(parsed.RequestError.ServiceException.ID, parsed.ErrorCode)
	switch {
	case a.Status == http.StatusOK && len(parsed.Messages) == 1:
		return i.readMessage(parsed.Messages[0].ID, parsed.Messages[0].Status)
	case a.Status >= 400 && a.Status <= 499 && i.codes[code].Code != "":
		return mfa.Sent{}, i.refused(code)
	default:
		return mfa.Sent{}, notInTheBook(a)
	}
}

func (i *Infobip) readMessage(id string, s infobipStatus) (mfa.Sent, error) {
	switch s.GroupName {
	case "REJECTED", "UNDELIVERABLE", "EXPIRED":
		return mfa.Sent{}, i.refused(wordOrNone(s.Name))
	case "ACCEPTED", "PENDING", "DELIVERED":
		if id != "" {
			return mfa.Sent{MessageID: id}, nil
		}
	}
	return mfa.Sent{}, fmt.Errorf("carrier answered with a status of the group %q", word(s.GroupName))
}
