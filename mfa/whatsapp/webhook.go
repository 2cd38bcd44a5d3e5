package whatsapp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

const (
	// maxWebhook is what Meta sends at most.
	maxWebhook = 3 << 20
	// smallWebhook is more than a usual one has. Larger ones must be read before their signature can be checked, so that
	// anybody can make us hold them: only a few are, and the others are asked to come again (DOS-08).
	smallWebhook = 64 << 10
	largeAtOnce  = 8
	// answerWithin is how long Meta is kept waiting; a batch that is not stored by then is sent again and goes on from
	// there, because what was stored is a duplicate (WH-04).
	answerWithin = time.Second
	// maxHandshake bounds the challenge of the handshake, which is repeated to the caller.
	maxHandshake = 256
)

// Handler is Meta's callback URL: the handshake by GET, notifications by POST (WH-01). Reports go to receive, whose
// error means that they could not be stored and should come again.
func (c *Channel) Handler(receive func(context.Context, []mfa.Report) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		switch r.Method {
		case http.MethodGet:
			c.handshake(w, r)
		case http.MethodPost:
			c.notification(w, r, receive)
		default:
			w.Header().Set("Allow", "GET, POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

func (c *Channel) handshake(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	token, challenge := query.Get("hub.verify_token"), query.Get("hub.challenge")
	if query.Get("hub.mode") != "subscribe" || !sameSecret(token, c.cfg.VerifyToken) || len(challenge) > maxHandshake {
		c.cfg.Rejected(r.Context(), "handshake")
		w.WriteHeader(http.StatusForbidden)
		return
	}
	// As plain text and never sniffed: it repeats what the caller sent.
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, challenge)
}

// sameSecret compares hashes, so that not even the length shows.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func (c *Channel) notification(w http.ResponseWriter, r *http.Request, receive func(context.Context, []mfa.Report) error) {
	refuse := func(status int, reason string) {
		c.cfg.Rejected(r.Context(), reason)
		w.WriteHeader(status)
	}
	signature, given := strings.CutPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256=")
	if !given {
		refuse(http.StatusUnauthorized, "signature_missing") // before the body is read: it costs the sender more than us
		return
	}
	if r.ContentLength < 0 || r.ContentLength > smallWebhook {
		select {
		case c.large <- struct{}{}:
			defer func() { <-c.large }()
		default:
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
	body, ok := mfa.ReadCallback(w, r, maxWebhook, refuse)
	if !ok {
		return
	}
	if !c.signed(body, signature) {
		refuse(http.StatusForbidden, "signature_wrong")
		return
	}
	reports, err := c.parse(body)
	if err != nil {
		// Meta signed something that cannot be read. Sending it again for seven days would not help: take it and tell.
		refuse(http.StatusOK, "unreadable")
		return
	}
	if len(reports) > mfa.MaxReports {
		refuse(http.StatusRequestEntityTooLarge, "too_many_updates")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	if err := receive(ctx, reports); err != nil {
		c.cfg.Log.Error("store webhook", "reports", len(reports), "err", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// signed says whether one of the app secrets made the signature over the raw bytes. All secrets are tried, so that the
// time does not tell which one is in use.
func (c *Channel) signed(body []byte, signature string) bool {
	given, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	ok := 0
	for _, secret := range c.cfg.AppSecrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		ok |= subtle.ConstantTimeCompare(mac.Sum(nil), given)
	}
	return ok == 1
}

// The notification, as far as it matters here. Everything that repeats is raw, so that one part that cannot be read
// does not lose the others (WH-08); unknown members and fields are no error, and none is required.
type (
	notification struct {
		Entry []json.RawMessage `json:"entry"`
	}
	entry struct {
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

// parse turns a notification into reports; an error says that it is no notification at all.
func (c *Channel) parse(body []byte) ([]mfa.Report, error) {
	var n notification
	if err := json.Unmarshal(body, &n); err != nil {
		return nil, err
	}
	var reports []mfa.Report
	for e := range each[entry](n.Entry) {
		for ch := range each[change](e.Changes) {
			if ch.Field != "messages" {
				// Templates, quality, account: for an operator to look at in WhatsApp Manager.
				c.cfg.Log.Info("webhook of a field that is not acted on", "field", cut(ch.Field))
				continue
			}
			reports = append(reports, c.messages(ch.Value)...)
		}
	}
	return reports, nil
}

func (c *Channel) messages(raw json.RawMessage) []mfa.Report {
	var v value
	if json.Unmarshal(raw, &v) != nil || v.Metadata.PhoneNumberID != "" && v.Metadata.PhoneNumberID != c.cfg.PhoneNumberID {
		return nil // unreadable, or about another number of the same app
	}
	for e := range each[statusError](v.Errors) {
		c.cfg.Log.Warn("webhook reports an error of the account", "code", e.Code)
	}
	var reports []mfa.Report
	for s := range each[status](v.Statuses) {
		reports = append(reports, report(s))
	}
	for m := range each[incoming](v.Messages) {
		if m.Type == "button" && m.Button.Payload == "DID_NOT_REQUEST_CODE" {
			reports = append(reports, mfa.Report{
				Channel: mfa.WhatsApp, MessageID: m.Context.ID, At: unixTime(m.Timestamp), NotRequested: true,
			})
		}
	}
	return reports
}

func report(s status) mfa.Report {
	r := mfa.Report{Channel: mfa.WhatsApp, DeliveryID: s.Callback, MessageID: s.ID, At: unixTime(s.Timestamp)}
	switch s.Status {
	case "sent":
		r.Status = mfa.StatusSent
	case "delivered":
		r.Status = mfa.StatusDelivered
	case "read":
		r.Status = mfa.StatusRead
	case "failed":
		r.Status = mfa.StatusFailed
		r.Failure = mfa.Failure{Class: mfa.ClassFallback, Code: "none"}
		if len(s.Errors) > 0 {
			r.Failure = failure(s.Errors[0].Code, false)
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

// unixTime reads seconds, which Meta writes as a string; the zero time when they cannot be read.
func unixTime(raw json.RawMessage) time.Time {
	seconds, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

func cut(s string) string { return s[:min(len(s), 64)] }
