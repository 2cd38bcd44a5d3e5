package whatsapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/parola-id/parola/mfa"
)

// pairRateWait is what Meta's pair rate asks for: one message per 6 s to one person.
const pairRateWait = 6 * time.Second

const (
	codePairRate        = 131056
	codeTemplateMissing = 132001
)

// The request, as the Cloud API documents it for copy-code templates: the passcode stands in the body and again in the
// button, which the API calls a url button whatever it was created as.
type (
	sendRequest struct {
		Product       string `json:"messaging_product"`
		RecipientType string `json:"recipient_type"`
		// To begins with "+": without it Meta puts the business's own country code in front, and a stranger gets the passcode.
		To       string        `json:"to"`
		Type     string        `json:"type"`
		Template *sendTemplate `json:"template,omitempty"`
		Text     *sendText     `json:"text,omitempty"`
		// Identity makes Meta deliver only while the account still has this key.
		Identity string `json:"recipient_identity_key_hash,omitempty"`
		// Callback comes back with every status. The API has no idempotency key: this is the only way to recognise a
		// message whose answer was lost.
		Callback string `json:"biz_opaque_callback_data,omitempty"`
	}
	sendText struct {
		PreviewURL bool   `json:"preview_url"`
		Body       string `json:"body"`
	}
	sendTemplate struct {
		Name       string          `json:"name"`
		Language   sendLanguage    `json:"language"`
		Components []sendComponent `json:"components"`
	}
	sendLanguage struct {
		Code string `json:"code"`
	}
	sendComponent struct {
		Type       string          `json:"type"`
		SubType    string          `json:"sub_type,omitempty"`
		Index      string          `json:"index,omitempty"`
		Parameters []sendParameter `json:"parameters"`
	}
	sendParameter struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
)

// sendAnswer is the part of both kinds of answer that matters.
type sendAnswer struct {
	Messages []struct {
		ID     string `json:"id"`
		Status string `json:"message_status"`
	} `json:"messages"`
	Error *struct {
		Code      *int `json:"code"`
		Transient bool `json:"is_transient"`
	} `json:"error"`
}

// codeNoTemplate is our word for a message that was not tried because no language of the template may be sent.
const codeNoTemplate = "template_held"

// Send implements mfa.Channel. A template that is missing in the person's language was not sent and is tried once in
// the default language; nothing else is ever repeated here.
func (c *Channel) Send(ctx context.Context, m mfa.Message) (mfa.Sent, error) {
	usable := c.languages.only(c.cfg.Usable)
	if len(usable.codes) == 0 {
		return mfa.Sent{}, &mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassFallback, Code: codeNoTemplate}, NotSent: true}
	}
	lang := usable.forLocale(m.Locale)
	sent, err := c.sendTemplate(ctx, m, lang)
	var refused *mfa.Refused
	if fallback := usable.codes[0]; lang != fallback && errors.As(err, &refused) && refused.Code == strconv.Itoa(codeTemplateMissing) {
		c.cfg.Log.Warn("template is not approved in a configured language", "template", c.cfg.Template, "language", lang)
		return c.sendTemplate(ctx, m, fallback)
	}
	return sent, err
}

func (c *Channel) sendTemplate(ctx context.Context, m mfa.Message, lang string) (mfa.Sent, error) {
	passcode := []sendParameter{{Type: "text", Text: m.Passcode.Reveal()}}
	return c.send(ctx, sendRequest{
		Type: "template", To: m.To.Reveal(), Identity: m.Identity, Callback: m.DeliveryID,
		Template: &sendTemplate{
			Name: c.cfg.Template, Language: sendLanguage{Code: lang},
			Components: []sendComponent{
				{Type: "body", Parameters: passcode},
				{Type: "button", SubType: "url", Index: "0", Parameters: passcode},
			},
		},
	})
}

func (c *Channel) send(ctx context.Context, m sendRequest) (mfa.Sent, error) {
	m.Product, m.RecipientType = "whatsapp", "individual"
	body, err := json.Marshal(m)
	if err != nil {
		return mfa.Sent{}, fmt.Errorf("encode message: %w", err)
	}
	req, err := http.NewRequest(http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return mfa.Sent{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.AccessToken)
	req.Header.Set("Content-Type", "application/json")
	answer, err := mfa.Call(ctx, c.httpClient, req)
	if err != nil {
		return mfa.Sent{}, err
	}
	return read(answer)
}

// read tells from an answer whether the message was taken.
func read(a mfa.Answer) (mfa.Sent, error) {
	var parsed sendAnswer
	isJSON := json.Unmarshal(a.Body, &parsed) == nil
	switch {
	case isJSON && parsed.Error != nil && parsed.Error.Code != nil:
		return mfa.Sent{}, refusal(*parsed.Error.Code, a.Status, parsed.Error.Transient)
	case a.Status >= 500:
		// A page from somewhere in front of the API. It does not say that nothing was sent, so nothing is repeated here.
		return mfa.Sent{}, &mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassRetry, Code: httpCode(a.Status), Scope: mfa.ScopeCarrier}}
	case a.Status >= 300:
		return mfa.Sent{}, &mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: httpCode(a.Status), Scope: mfa.ScopeCarrier}, NotSent: true}
	case isJSON && len(parsed.Messages) > 0 && parsed.Messages[0].Status == "paused":
		return mfa.Sent{}, &mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: "message_paused", Scope: mfa.ScopeCarrier}, NotSent: true}
	case isJSON && len(parsed.Messages) > 0 && parsed.Messages[0].ID != "":
		return mfa.Sent{MessageID: parsed.Messages[0].ID}, nil
	default:
		return mfa.Sent{}, fmt.Errorf("carrier answered %d without a message id", a.Status)
	}
}

func refusal(code, status int, transient bool) *mfa.Refused {
	r := &mfa.Refused{Failure: failure(code, status >= 500, transient), NotSent: true}
	if code == codePairRate {
		r.RetryAfter = pairRateWait
	}
	return r
}

func httpCode(status int) string { return "http_" + strconv.Itoa(status) }
