package sms

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

const (
	// maxInfobipReports bounds a call: 1000 results of about 800 bytes. Infobip sends 100 unless it is asked for more.
	maxInfobipReports = 1 << 20
	infobipTime       = "2006-01-02T15:04:05.000-0700"
)

// infobipResult is a delivery report. Nothing else of it is read.
type infobipResult struct {
	MessageID    string        `json:"messageId"`
	CallbackData string        `json:"callbackData"`
	DoneAt       string        `json:"doneAt"`
	Status       infobipStatus `json:"status"`
	Error        struct {
		Name string `json:"name"`
	} `json:"error"`
}

// Handler is the URL of Infobip's delivery reports. Reports go to receive, whose error means that they could not be stored
// and should come again.
func (i *Infobip) Handler(receive receiver) http.Handler {
	return i.handler(receive, i.report, maxInfobipReports, http.MethodPost)
}

// report reads a call with reports of several messages. Each proves itself by the token in its callback data: one without
// does not take the others along (WH-08), and a call without any right one is refused.
func (i *Infobip) report(r *http.Request, body []byte) ([]mfa.Report, *rejection) {
	var call struct {
		Results infobipResults `json:"results"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		return nil, &rejection{http.StatusForbidden, "malformed"}
	}
	if len(call.Results) > mfa.MaxReports {
		return nil, &rejection{http.StatusRequestEntityTooLarge, "too_many"}
	}
	var reports []mfa.Report
	proved := 0
	for _, raw := range call.Results {
		var result infobipResult
		if json.Unmarshal(raw, &result) != nil {
			continue
		}
		deliveryID, token, _ := strings.Cut(result.CallbackData, ".")
		if !i.tokenFits(i.account.CallbackSecrets, deliveryID, token) {
			continue
		}
		proved++
		if report, worth := i.readResult(deliveryID, result); worth {
			reports = append(reports, report)
		}
	}
	switch {
	case proved == 0:
		return nil, &rejection{http.StatusForbidden, "token_wrong"}
	case proved < len(call.Results):
		i.cfg.Rejected(r.Context(), "token_wrong")
	}
	return reports, nil
}

// infobipResults are reports that nothing has proved yet. One more than may come is read and no further: half a million
// empty ones fit into a call that anybody can make, and would take seventy times its size (DOS-04).
type infobipResults []json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (r *infobipResults) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('[') {
		return errors.New("results are no list")
	}
	for d.More() && len(*r) <= mfa.MaxReports {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		*r = append(*r, raw)
	}
	return nil
}

// readResult turns a report into one of ours; one that changes nothing is not worth one.
func (i *Infobip) readResult(deliveryID string, result infobipResult) (mfa.Report, bool) {
	r := mfa.Report{DeliveryID: deliveryID, MessageID: result.MessageID}
	if at, err := time.Parse(infobipTime, result.DoneAt); err == nil {
		r.At = at
	}
	switch result.Status.GroupName {
	case "PENDING":
		if result.Status.Name != "PENDING_ENROUTE" {
			return mfa.Report{}, false
		}
		r.Status = mfa.StatusSent
	case "DELIVERED":
		r.Status = mfa.StatusDelivered
		if result.Status.Name == "DELIVERED_TO_OPERATOR" {
			r.Status = mfa.StatusSent
		}
	case "UNDELIVERABLE", "EXPIRED", "REJECTED":
		r.Status, r.Failure = mfa.StatusFailed, i.failure(infobipCause(result), mfa.ClassFallback)
	default:
		return mfa.Report{}, false
	}
	return r, true
}

// infobipCause is the error where there is one, for it tells more, and else the status.
func infobipCause(result infobipResult) string {
	if name := result.Error.Name; name != "" && name != "NO_ERROR" {
		return wordOrNone(name)
	}
	return wordOrNone(result.Status.Name)
}
