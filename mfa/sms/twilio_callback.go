package sms

import (
	"crypto/hmac"
	"crypto/sha1" // what Twilio signs with
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/parola-id/parola/mfa"
)

// maxTwilioCallback is far above what a status has: about 400 bytes.
const maxTwilioCallback = 64 << 10

// Handler is the URL of Twilio's status callbacks (WH-02). Reports go to receive, whose error means that they could not
// be stored and should come again.
func (t *Twilio) Handler(receive receiver) http.Handler {
	return t.handler(receive, t.callback, maxTwilioCallback, http.MethodPost)
}

func (t *Twilio) callback(r *http.Request, body []byte) ([]mfa.Report, *rejection) {
	signature := r.Header.Get("X-Twilio-Signature")
	if signature == "" {
		return nil, &rejection{http.StatusUnauthorized, "signature_missing"}
	}
	// The signature covers the parsed fields, so parsing comes first here; nothing else does.
	form, err := readForm(r, body)
	if err != nil {
		return nil, &rejection{http.StatusForbidden, "not_a_form"}
	}
	if !t.signed(r.URL.RawQuery, form, signature) {
		return nil, &rejection{http.StatusForbidden, "signature_wrong"}
	}
	if form.Get("AccountSid") != t.account.AccountSID {
		return nil, &rejection{http.StatusForbidden, "other_account"}
	}
	if report, worth := t.readStatus(r.URL.Query().Get(deliveryParameter), form); worth {
		return []mfa.Report{report}, nil
	}
	return nil, nil
}

// signed says whether one of the auth tokens made the signature over the public URL and the sorted fields. Twilio may
// write a default port into the URL or leave it out: both are tried, as its own validators do. All combinations are
// computed, so that the time does not tell which one fits.
func (t *Twilio) signed(rawQuery string, form url.Values, signature string) bool {
	given, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	fits := 0
	for _, address := range spellings(t.cfg.CallbackURL, rawQuery) {
		for _, token := range t.account.AuthTokens {
			fits |= subtle.ConstantTimeCompare(twilioSignature(token, address, form), given)
		}
	}
	return fits == 1
}

func twilioSignature(token, address string, form url.Values) []byte {
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
func (t *Twilio) readStatus(deliveryID string, form url.Values) (mfa.Report, bool) {
	r := mfa.Report{DeliveryID: deliveryID, MessageID: form.Get("MessageSid")}
	switch form.Get("MessageStatus") {
	case "sent":
		r.Status = mfa.StatusSent
	case "delivered":
		r.Status = mfa.StatusDelivered
	case "read":
		r.Status = mfa.StatusRead
	case "failed", "undelivered", "canceled":
		r.Status, r.Failure = mfa.StatusFailed, t.failure(numberOrNone(form.Get("ErrorCode")), mfa.ClassFallback)
	default: // queued, accepted, sending, scheduled: our own state says as much
		return mfa.Report{}, false
	}
	return r, true
}
