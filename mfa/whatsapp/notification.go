package whatsapp

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

// The notification, as far as it matters here. Everything that repeats is raw, so that one part that cannot be read
// does not lose the others (WH-08); unknown members and fields are no error, and none is required.
type (
	notification struct {
		Entry []json.RawMessage `json:"entry"`
	}
	entry struct {
		ID      string            `json:"id"`
		Time    json.RawMessage   `json:"time"`
		Changes []json.RawMessage `json:"changes"`
	}
	change struct {
		Field string          `json:"field"`
		Value json.RawMessage `json:"value"`
	}
	value struct {
		Metadata struct {
			PhoneNumberID string `json:"phone_number_id"`
		} `json:"metadata"`
		Statuses []json.RawMessage `json:"statuses"`
		Messages []json.RawMessage `json:"messages"`
		Errors   []json.RawMessage `json:"errors"`
	}
	status struct {
		ID        string          `json:"id"`
		Status    string          `json:"status"`
		Timestamp json.RawMessage `json:"timestamp"`
		Callback  string          `json:"biz_opaque_callback_data"`
		Identity  string          `json:"recipient_identity_key_hash"`
		Errors    []statusError   `json:"errors"`
	}
	statusError struct {
		Code int `json:"code"`
	}
	incoming struct {
		Timestamp json.RawMessage `json:"timestamp"`
		Type      string          `json:"type"`
		Context   struct {
			ID string `json:"id"`
		} `json:"context"`
		Button struct {
			Payload string `json:"payload"`
		} `json:"button"`
	}
)

// maxIdentity bounds an identity key hash, which has about 12 characters: it is stored and goes back to Meta.
const maxIdentity = 128

// said is what one notification says.
type said struct {
	reports   []mfa.Report
	bulletins []mfa.Bulletin
}

func (s said) tell(ctx context.Context, receive func(context.Context, []mfa.Report) error, hear func(context.Context, []mfa.Bulletin) error) error {
	if len(s.reports) > 0 {
		if err := receive(ctx, s.reports); err != nil {
			return err
		}
	}
	if len(s.bulletins) > 0 {
		return hear(ctx, s.bulletins)
	}
	return nil
}

// parse reads a notification; an error says that it is none at all.
func (c *Channel) parse(body []byte) (said, error) {
	var n notification
	if err := json.Unmarshal(body, &n); err != nil {
		return said{}, err
	}
	var s said
	for e := range each[entry](n.Entry) {
		for ch := range each[change](e.Changes) {
			if ch.Field == "messages" {
				reports, bulletins := c.messages(ch.Value)
				s.reports, s.bulletins = append(s.reports, reports...), append(s.bulletins, bulletins...)
			} else if c.cfg.AccountID == "" || e.ID == c.cfg.AccountID {
				s.bulletins = append(s.bulletins, c.heard(c.account(ch, unixTime(e.Time)))...)
			}
		}
	}
	return s, nil
}

func (c *Channel) messages(raw json.RawMessage) ([]mfa.Report, []mfa.Bulletin) {
	var v value
	if json.Unmarshal(raw, &v) != nil || v.Metadata.PhoneNumberID != "" && v.Metadata.PhoneNumberID != c.cfg.PhoneNumberID {
		return nil, nil // unreadable, or about another number of the same app
	}
	var bulletins []mfa.Bulletin
	for e := range each[statusError](v.Errors) {
		bulletins = append(bulletins, accountError(e.Code))
	}
	var reports []mfa.Report
	for s := range each[status](v.Statuses) {
		reports = append(reports, report(s))
	}
	for m := range each[incoming](v.Messages) {
		if m.Type == "button" && m.Button.Payload == "DID_NOT_REQUEST_CODE" {
			reports = append(reports, mfa.Report{
				Channel: mfa.WhatsApp, Carrier: Carrier, MessageID: m.Context.ID, At: unixTime(m.Timestamp), NotRequested: true,
			})
		}
	}
	return reports, bulletins
}

func report(s status) mfa.Report {
	r := mfa.Report{Channel: mfa.WhatsApp, Carrier: Carrier, DeliveryID: s.Callback, MessageID: s.ID, At: unixTime(s.Timestamp)}
	if len(s.Identity) <= maxIdentity {
		r.Identity = s.Identity
	}
	switch s.Status {
	case "sent":
		r.Status = mfa.StatusSent
	case "delivered":
		r.Status = mfa.StatusDelivered
	case "read":
		r.Status = mfa.StatusRead
	case "failed":
		r.Status = mfa.StatusFailed
		r.Failure = mfa.Failure{Class: mfa.ClassFallback, Code: "none", Scope: mfa.ScopeMessage}
		if len(s.Errors) > 0 {
			r.Failure = failure(s.Errors[0].Code, false, false)
		}
	}
	return r
}

// each yields the parts that can be read.
func each[T any](raw []json.RawMessage) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for _, part := range raw {
			var v T
			if json.Unmarshal(part, &v) == nil && !yield(v) {
				return
			}
		}
	}
}

// unixTime reads seconds, which Meta writes as a string or as a number; the zero time when they cannot be read.
func unixTime(raw json.RawMessage) time.Time {
	seconds, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// heard keeps another account of the same app from shutting ours: where nobody has told us which account is ours, what is said
// of one is told and moves nothing.
func (c *Channel) heard(bulletins []mfa.Bulletin) []mfa.Bulletin {
	if c.cfg.AccountID != "" {
		return bulletins
	}
	ours := mfa.CarrierCircuit(Carrier)
	for i := range bulletins {
		if b := &bulletins[i]; !strings.HasPrefix(b.Kind, "template_") && (b.Hold == ours || b.Release == ours) {
			b.Hold, b.Release = "", ""
		}
	}
	return bulletins
}
