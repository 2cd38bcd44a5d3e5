package sms

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parola-id/parola/mfa"
)

const (
	// maxVonageReceipt is far above what a receipt has: about 400 bytes.
	maxVonageReceipt = 64 << 10
	// vonageFresh is how far a receipt's signed time may be from ours, so that a captured one is soon worth nothing.
	vonageFresh = 5 * time.Minute
)

// Handler is the URL of Vonage's delivery receipts: by GET, or by POST as a form or JSON, as the account is set. Reports go
// to receive, whose error means that they could not be stored and should come again.
func (v *Vonage) Handler(receive receiver) http.Handler {
	return v.handler(receive, v.receipt, maxVonageReceipt, http.MethodPost, http.MethodGet)
}

func (v *Vonage) receipt(r *http.Request, body []byte) ([]mfa.Report, *rejection) {
	// The signature covers the parsed parameters, so parsing comes first here; nothing else does.
	parameters, err := vonageParameters(r, body)
	if err != nil {
		return nil, &rejection{http.StatusForbidden, "malformed"}
	}
	sig := parameters.Get("sig")
	if sig == "" {
		return nil, &rejection{http.StatusUnauthorized, "signature_missing"}
	}
	if !v.sign.fits(parameters, v.account.SignatureSecrets, sig) {
		return nil, &rejection{http.StatusForbidden, "signature_wrong"}
	}
	signedAt, err := strconv.ParseInt(parameters.Get("timestamp"), 10, 64)
	if err != nil || v.account.Clock.Now().Sub(time.Unix(signedAt, 0)).Abs() > vonageFresh {
		return nil, &rejection{http.StatusForbidden, "stale"}
	}
	if key := parameters.Get("api-key"); key != "" && key != v.account.APIKey {
		return nil, &rejection{http.StatusForbidden, "other_account"}
	}
	if report, worth := v.readReceipt(parameters); worth {
		return []mfa.Report{report}, nil
	}
	return nil, nil
}

var errParameters = errors.New("these are no parameters that can be signed")

// vonageParameters reads the parameters of a receipt from the place where they are. One that comes twice has no meaning
// that both ends would agree on, so such a receipt is none.
func vonageParameters(r *http.Request, body []byte) (url.Values, error) {
	var parameters url.Values
	var err error
	switch {
	case r.Method == http.MethodGet:
		parameters, err = url.ParseQuery(r.URL.RawQuery)
	case isType(r, "application/json"):
		parameters, err = flatJSON(body)
	default:
		parameters, err = readForm(r, body)
	}
	for _, values := range parameters {
		if len(values) != 1 {
			return nil, errParameters
		}
	}
	return parameters, err
}

// flatJSON reads a JSON object of texts and numbers.
func flatJSON(body []byte) (url.Values, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errParameters
	}
	parameters := url.Values{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		value, err := dec.Token()
		if err != nil {
			return nil, err
		}
		switch value := value.(type) {
		case string:
			parameters.Add(name.(string), value)
		case json.Number:
			parameters.Add(name.(string), value.String())
		default:
			return nil, errParameters
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errParameters
	}
	return parameters, nil
}

// readReceipt turns a receipt into a report; one that changes nothing is not worth one. client-ref is our own mark. A
// message of several parts has a receipt for each: those of the first speak for it, because mfa knows its id.
func (v *Vonage) readReceipt(parameters url.Values) (mfa.Report, bool) {
	r := mfa.Report{DeliveryID: parameters.Get("client-ref"), MessageID: parameters.Get("messageId")}
	if at, err := time.Parse(time.DateTime, parameters.Get("message-timestamp")); err == nil {
		r.At = at
	}
	switch parameters.Get("status") {
	case "accepted", "buffered":
		r.Status = mfa.StatusSent
	case "delivered":
		r.Status = mfa.StatusDelivered
	case "expired":
		r.Status, r.Failure = mfa.StatusFailed, v.failure(vonageReceipt+"expired", mfa.ClassFallback)
	case "failed", "rejected":
		r.Status, r.Failure = mfa.StatusFailed, v.failure(vonageReceipt+numberOrNone(parameters.Get("err-code")), mfa.ClassFallback)
	default: // unknown: it may come or not, and saying so helps nobody
		return mfa.Report{}, false
	}
	return r, true
}
