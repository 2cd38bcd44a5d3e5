package handset

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// twilioReport is the status callback for the i-th state of a message, nil when none was asked for.
func (h *Handset) twilioReport(m *message, i int) *report {
	if m.callback == "" {
		return nil
	}
	s := m.steps[i]
	params := url.Values{
		"MessageSid": {m.id}, "SmsSid": {m.id}, "MessageStatus": {s.State}, "SmsStatus": {s.State},
		"AccountSid": {h.cfg.AccountSID}, "From": {m.from}, "To": {m.to}, "ApiVersion": {"2010-04-01"},
	}
	if m.service != "" {
		params.Set("MessagingServiceSid", m.service)
	}
	if s.Code != 0 {
		params.Set("ErrorCode", strconv.Itoa(s.Code))
	}
	if s.State == stateDelivered || s.State == stateUndelivered {
		params.Set("RawDlrDoneDate", s.At.UTC().Format("0601021504"))
	}
	r := h.receipt(m, i, "application/x-www-form-urlencoded; charset=UTF-8", []byte(params.Encode()))
	r.sign = func(url string, header http.Header) {
		header.Set("X-Twilio-Signature", twilioSignature(h.cfg.AuthToken, url, params))
	}
	return r
}

// twilioSignature is X-Twilio-Signature: HMAC-SHA1 over the URL as called and the parameters in the order of their names.
func twilioSignature(authToken, url string, params url.Values) string {
	mac := hmac.New(sha1.New, []byte(authToken))
	mac.Write([]byte(url))
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range params[name] {
			mac.Write([]byte(name + value))
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
