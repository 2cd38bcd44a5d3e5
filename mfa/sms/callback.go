package sms

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" // what Twilio signs with
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

const (
	// maxCallback is far above what a status has: about 400 bytes.
	maxCallback = 64 << 10
	// answerWithin is how long Twilio is kept waiting (WH-04).
	answerWithin = time.Second
)

// Handler is the URL of Twilio's status callbacks (WH-02). Reports go to receive, whose error means that they could not
// be stored and should come again.
func (t *Twilio) Handler(receive func(context.Context, []mfa.Report) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		t.callback(w, r, receive)
	})
}

func (t *Twilio) callback(w http.ResponseWriter, r *http.Request, receive func(context.Context, []mfa.Report) error) {
	refuse := func(status int, reason string) {
		t.cfg.Rejected(r.Context(), reason)
		w.WriteHeader(status)
	}
	signature := r.Header.Get("X-Twilio-Signature")
	if signature == "" {
		refuse(http.StatusUnauthorized, "signature_missing")
		return
	}
	body, ok := mfa.ReadCallback(w, r, maxCallback, refuse)
	if !ok {
		return
	}
	// The signature covers the parsed fields, so parsing comes first here; nothing else does.
	form, err := parseForm(r.Header.Get("Content-Type"), body)
	if err != nil {
		refuse(http.StatusForbidden, "not_a_form")
		return
	}
	if !t.signed(r.URL.RawQuery, form, signature) {
		refuse(http.StatusForbidden, "signature_wrong")
		return
	}
	if form.Get("AccountSid") != t.cfg.AccountSID {
		refuse(http.StatusForbidden, "other_account")
		return
	}
	reports := []mfa.Report{}
	if report, worth := readStatus(r.URL.Query().Get(deliveryParameter), form); worth {
		reports = append(reports, report)
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	if err := receive(ctx, reports); err != nil {
		t.cfg.Log.Error("store status callback", "err", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func parseForm(contentType string, body []byte) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errors.New("not a form")
	}
	return url.ParseQuery(string(body))
}

// signed says whether one of the auth tokens made the signature over the public URL and the sorted fields. Twilio may
// write a default port into the URL or leave it out: both are tried, as its own validators do. All combinations are
// computed, so that the time does not tell which one fits.
func (t *Twilio) signed(rawQuery string, form url.Values, signature string) bool {
	given, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	ok := 0
	for _, address := range spellings(t.cfg.CallbackURL, rawQuery) {
		for _, token := range t.cfg.AuthTokens {
			ok |= subtle.ConstantTimeCompare(sign(token, address, form), given)
		}
	}
	return ok == 1
}

func sign(token, address string, form url.Values) []byte {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(address))
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Sorted(slices.Values(form[name]))
		for _, value := range values {
			mac.Write([]byte(name + value))
		}
	}
	return mac.Sum(nil)
}

// spellings returns the public URL with the query as it came, and the same with the default port added or left out.
func spellings(callbackURL, rawQuery string) []string {
	u, err := url.Parse(callbackURL)
	if err != nil {
		return nil // New has checked it
	}
	defaultPort := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	hosts := []string{u.Host}
	switch u.Port() {
	case "":
		hosts = append(hosts, u.Host+":"+defaultPort)
	case defaultPort:
		hosts = append(hosts, strings.TrimSuffix(u.Host, ":"+defaultPort))
	}
	addresses := make([]string, len(hosts))
	for i, host := range hosts {
		u.Host, u.RawQuery = host, rawQuery
		addresses[i] = u.String()
	}
	return addresses
}

// readStatus turns one status into a report; a status that changes nothing is not worth one. The carrier's own time has no
// seconds and is not used.
func readStatus(deliveryID string, form url.Values) (mfa.Report, bool) {
	r := mfa.Report{Channel: mfa.SMS, DeliveryID: deliveryID, MessageID: form.Get("MessageSid")}
	switch form.Get("MessageStatus") {
	case "sent":
		r.Status = mfa.StatusSent
	case "delivered":
		r.Status = mfa.StatusDelivered
	case "read":
		r.Status = mfa.StatusRead
	case "failed", "undelivered", "canceled":
		r.Status = mfa.StatusFailed
		r.Failure = failure(form.Get("ErrorCode"))
	default: // queued, accepted, sending, scheduled: our own state says as much
		return mfa.Report{}, false
	}
	return r, true
}

// failure classifies a reported code. What is not in the table, or comes without a code, failed for this message.
func failure(errorCode string) mfa.Failure {
	code, err := strconv.Atoi(errorCode)
	if err != nil {
		return mfa.Failure{Class: mfa.ClassFallback, Code: "none"}
	}
	f := mfa.Failure{Class: mfa.ClassFallback, Code: strconv.Itoa(code)}
	if class, documented := classOf[code]; documented {
		f.Class = class
	}
	return f
}
