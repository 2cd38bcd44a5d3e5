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

	"github.com/parola-id/parola/mfa"
)

// maxValidity is the longest that Twilio takes.
const maxValidity = 36_000 * time.Second

// deliveryParameter carries our own mark in the callback URL: Twilio has no idempotency key, and this is the only way
// to recognise a message whose answer was lost.
const deliveryParameter = "delivery"

// Send implements mfa.Channel.
func (t *Twilio) Send(ctx context.Context, m mfa.Message) (mfa.Sent, error) {
	text, err := t.cfg.Text(m.Locale, m.Passcode.Reveal())
	if err != nil {
		t.cfg.Log.Error("write sms text", "err", err)
		return mfa.Sent{}, &mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: "text"}, NotSent: true}
	}
	form := url.Values{
		"To":             {m.To.Reveal()},
		"Body":           {text},
		"StatusCallback": {t.cfg.CallbackURL + "?" + deliveryParameter + "=" + url.QueryEscape(m.DeliveryID)},
		// Rounded down: Twilio must not hold a passcode in its queue beyond its end.
		"ValidityPeriod": {strconv.Itoa(int(min(max(m.ValidFor, time.Second), maxValidity) / time.Second))},
	}
	if t.cfg.MessagingServiceSID != "" {
		form.Set("MessagingServiceSid", t.cfg.MessagingServiceSID)
	} else {
		form.Set("From", t.cfg.From)
	}
	req, err := http.NewRequest(http.MethodPost, t.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return mfa.Sent{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if t.cfg.APIKeySID != "" {
		req.SetBasicAuth(t.cfg.APIKeySID, t.cfg.APIKeySecret)
	} else {
		req.SetBasicAuth(t.cfg.AccountSID, t.cfg.AuthTokens[0])
	}
	answer, err := mfa.Call(ctx, t.httpClient, req)
	if err != nil {
		return mfa.Sent{}, err
	}
	return read(answer)
}

// read tells from an answer whether the message was taken. What is neither a message nor a documented refusal leaves
// the outcome unknown: an SMS that may have gone out must not be taken for one that did not.
func read(a mfa.Answer) (mfa.Sent, error) {
	var parsed struct {
		SID  string `json:"sid"`
		Code *int   `json:"code"`
	}
	isJSON := json.Unmarshal(a.Body, &parsed) == nil
	switch {
	case a.Status >= 200 && a.Status <= 299 && isJSON && parsed.SID != "":
		return mfa.Sent{MessageID: parsed.SID}, nil
	case a.Status >= 400 && isJSON && parsed.Code != nil:
		class, documented := classOf[*parsed.Code]
		if !documented && a.Status >= 500 {
			return mfa.Sent{}, fmt.Errorf("carrier answered %d with code %d", a.Status, *parsed.Code)
		}
		if !documented {
			class = mfa.ClassConfig // an operator must look at what is not in the table
		}
		refused := &mfa.Refused{Failure: mfa.Failure{Class: class, Code: strconv.Itoa(*parsed.Code)}, NotSent: true}
		if a.Status >= 500 {
			refused.Scope = mfa.ScopeCarrier
		}
		return mfa.Sent{}, refused
	case a.Status >= 300 && a.Status <= 499:
		return mfa.Sent{}, &mfa.Refused{
			Failure: mfa.Failure{Class: classOfStatus(a.Status), Code: "http_" + strconv.Itoa(a.Status)}, NotSent: true,
		}
	default:
		return mfa.Sent{}, fmt.Errorf("carrier answered %d without a message id", a.Status)
	}
}

func classOfStatus(status int) mfa.Class {
	if status == http.StatusTooManyRequests {
		return mfa.ClassRetry
	}
	return mfa.ClassConfig
}
