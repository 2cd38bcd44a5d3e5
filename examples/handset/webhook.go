package handset

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// The wire form of a webhook of field "messages".
type (
	hookBody struct {
		Object string      `json:"object"`
		Entry  []hookEntry `json:"entry"`
	}
	hookEntry struct {
		ID      string       `json:"id"`
		Changes []hookChange `json:"changes"`
	}
	hookChange struct {
		Value hookValue `json:"value"`
		Field string    `json:"field"`
	}
	hookValue struct {
		Product  string        `json:"messaging_product"`
		Metadata hookMetadata  `json:"metadata"`
		Contacts []hookContact `json:"contacts,omitempty"`
		Statuses []hookStatus  `json:"statuses,omitempty"`
		Messages []hookMessage `json:"messages,omitempty"`
	}
	hookMetadata struct {
		DisplayNumber string `json:"display_phone_number"`
		PhoneNumberID string `json:"phone_number_id"`
	}
	hookContact struct {
		Profile struct {
			Name string `json:"name"`
		} `json:"profile"`
		WaID   string `json:"wa_id"`
		UserID string `json:"user_id"`
	}
	hookStatus struct {
		ID           string       `json:"id"`
		Status       string       `json:"status"`
		Timestamp    string       `json:"timestamp"` // Unix seconds
		RecipientID  string       `json:"recipient_id"`
		Opaque       string       `json:"biz_opaque_callback_data,omitempty"`
		IdentityHash string       `json:"recipient_identity_key_hash,omitempty"`
		UserID       string       `json:"recipient_user_id,omitempty"`
		Pricing      *hookPricing `json:"pricing,omitempty"`
		Errors       []hookError  `json:"errors,omitempty"`
	}
	hookPricing struct {
		Billable bool   `json:"billable"`
		Model    string `json:"pricing_model"`
		Type     string `json:"type"`
		Category string `json:"category"`
	}
	hookError struct {
		Code      int    `json:"code"`
		Title     string `json:"title"`
		Message   string `json:"message"`
		ErrorData struct {
			Details string `json:"details"`
		} `json:"error_data"`
		Href string `json:"href"`
	}
	hookMessage struct {
		Context struct {
			From string `json:"from"`
			ID   string `json:"id"`
		} `json:"context"`
		From       string `json:"from"`
		FromUserID string `json:"from_user_id"`
		ID         string `json:"id"`
		Timestamp  string `json:"timestamp"`
		Type       string `json:"type"`
		Button     struct {
			Payload string `json:"payload"`
			Text    string `json:"text"`
		} `json:"button"`
	}
)

func hookFailure(code int) hookError {
	title, details := "Something went wrong", "Message failed to send due to an unknown error."
	switch code {
	case 131026:
		title, details = "Message undeliverable", "Message undeliverable."
	case 131047:
		title, details = "Re-engagement message", "Message failed to send because more than 24 hours have passed since the customer last replied to this number."
	case 131049:
		title = "This message was not delivered to maintain healthy ecosystem engagement."
		details = "In order to maintain a healthy ecosystem engagement, the message failed to be delivered."
	case 137000:
		title = "Recipient identity key hash mismatch"
		details = "The identity key hash sent with the message is not the recipient's current one."
	}
	e := hookError{Code: code, Title: title, Message: title, Href: "/documentation/business-messaging/whatsapp/support/error-codes"}
	e.ErrorData.Details = details
	return e
}

// statusReport is the webhook for the i-th state of a message. contacts, recipient_user_id and pricing are left out of failed,
// and the price is told with sent and with delivered.
func (h *Handset) statusReport(m *message, i int) *report {
	s := m.steps[i]
	status := hookStatus{
		ID: m.id, Status: s.State, Timestamp: strconv.FormatInt(s.At.Unix(), 10), RecipientID: m.to[1:], Opaque: m.opaque,
	}
	var value hookValue
	if s.State == stateFailed {
		status.Errors = []hookError{hookFailure(s.Code)}
	} else {
		value.Contacts = []hookContact{h.contact(m.to)}
		status.UserID = userID(m.to)
		if h.meta.IdentityCheck && s.State == stateSent {
			status.IdentityHash = h.identityLocked(m.to)
		}
		if s.State != stateRead && m.passcode != "" { // texts within 24 hours are free
			status.Pricing = &hookPricing{Billable: true, Model: "PMP", Type: "regular", Category: "authentication"}
		}
	}
	value.Statuses = []hookStatus{status}
	return h.hookReport(value, h.effectiveLocked(m.to).WebhooksTwice, h.answeredStep(m, i))
}

// buttonReport is the webhook for a tap on "I didn't request a code". For 24 hours the person may now be written to freely.
func (h *Handset) buttonReport(m *message) *report {
	h.meta.windows[m.to] = h.clock.Now()
	in := hookMessage{
		From: m.to[1:], FromUserID: userID(m.to), ID: newWamid(m.to[1:], false),
		Timestamp: strconv.FormatInt(h.clock.Now().Unix(), 10), Type: "button",
	}
	in.Context.From, in.Context.ID = h.cfg.DisplayNumber, m.id
	in.Button.Payload, in.Button.Text = "DID_NOT_REQUEST_CODE", m.wording.deny
	value := hookValue{Contacts: []hookContact{h.contact(m.to)}, Messages: []hookMessage{in}}
	return h.hookReport(value, h.effectiveLocked(m.to).WebhooksTwice, func(int) {})
}

func (h *Handset) contact(number string) hookContact {
	c := hookContact{WaID: number[1:], UserID: userID(number)}
	c.Profile.Name = h.cfg.profileName(number)
	return c
}

// userID is a business-scoped user id: a country, a dot, and digits that say nothing of the number.
func userID(number string) string {
	country := "ZZ"
	for prefix, c := range map[string]string{"+1": "US", "+39": "IT", "+44": "GB", "+49": "DE", "+33": "FR", "+34": "ES", "+55": "BR", "+91": "IN", "+62": "ID"} {
		if len(number) > len(prefix) && number[:len(prefix)] == prefix {
			country = c
		}
	}
	sum := sha256.Sum256([]byte("user id of " + number))
	id := []byte(country + ".")
	for _, b := range sum[:20] {
		id = append(id, '0'+b%10)
	}
	return string(id)
}

func (h *Handset) hookReport(value hookValue, twice bool, answered func(int)) *report {
	value.Product = "whatsapp"
	value.Metadata = hookMetadata{DisplayNumber: h.cfg.DisplayNumber, PhoneNumberID: h.cfg.PhoneNumberID}
	return h.signedReport(hookBody{
		Object: "whatsapp_business_account",
		Entry:  []hookEntry{{ID: h.cfg.WABA, Changes: []hookChange{{Value: value, Field: "messages"}}}},
	}, twice, answered)
}

// signedReport is nil when the app does not get the account's webhooks.
func (h *Handset) signedReport(hook any, twice bool, answered func(int)) *report {
	if !h.meta.Subscribed {
		return nil
	}
	body, err := asciiJSON(hook)
	if err != nil {
		h.cfg.Log.Error("encode webhook", "err", err)
		return nil
	}
	return &report{
		url: h.webhook, contentType: "application/json", body: body, twice: twice, again: metaAgain, answered: answered,
		sign: func(_ string, header http.Header) {
			header.Set("X-Hub-Signature-256", hubSignature(h.cfg.AppSecret, body))
		},
	}
}

// metaAgain repeats everything that is not answered with 200, ever more slowly. Meta goes on for days; this gives up after
// about half an hour.
func metaAgain(attempt, status int) (time.Duration, bool) {
	if status == http.StatusOK || attempt >= 12 {
		return 0, false
	}
	return min(time.Second<<(attempt-1), 5*time.Minute), true
}

// hubSignature is the value of X-Hub-Signature-256 over the raw body.
func hubSignature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// asciiJSON writes JSON in the form that Meta signs and sends: everything beyond ASCII as \u and lower-case hexadecimal.
func asciiJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var out []byte
	for _, r := range string(bytes.TrimRight(buf.Bytes(), "\n")) {
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out, nil
}

// Handshake does what Meta does when a callback URL is entered: it asks for a random challenge to be repeated.
func (h *Handset) Handshake(ctx context.Context, verifyToken string) error {
	return h.handshake(ctx, h.webhook(), verifyToken)
}

func (h *Handset) handshake(ctx context.Context, callbackURL, verifyToken string) error {
	challenge := rand.Text()
	query := url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {challenge}, "hub.verify_token": {verifyToken}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, callbackURL+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("webhook handshake: %w", err)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return fmt.Errorf("webhook handshake: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	switch {
	case err != nil:
		return fmt.Errorf("webhook handshake: %w", err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("webhook handshake: answered %d", resp.StatusCode)
	case string(body) != challenge:
		return errors.New("webhook handshake: the answer is not the challenge")
	}
	return nil
}
