package sms

import (
	"context"
	"net/http"
	"net/url"

	"github.com/parola-id/parola/mfa"
)

// The events of a receipt, which are bits because dlr-mask is their sum.
const (
	kannelDelivered      = 1
	kannelFailed         = 2
	kannelAcceptedBySMSC = 8
	kannelRejectedBySMSC = 16
)

// receiptURL is where Kannel reports on a message. Only %d is asked for: the message centre's answer (%A) may repeat the
// text, with the passcode, and the number (%P) has no place in an address that is logged.
func (k *Kannel) receiptURL(deliveryID string) string {
	query := url.Values{deliveryParameter: {deliveryID}, tokenParameter: {k.token(k.account.CallbackSecrets[0], deliveryID)}}
	return k.cfg.CallbackURL + "?" + query.Encode() + "&d=%d"
}

// Handler is the URL of Kannel's receipts (WH-02): smsbox calls it by GET.
func (k *Kannel) Handler(receive func(context.Context, []mfa.Report) error) http.Handler {
	return with200(k.handler(receive, k.receipt, maxKannelReceipt, http.MethodGet))
}

// tokenParameter carries carrier.token in the address of a receipt.
const tokenParameter = "token"

// maxKannelReceipt bounds a body that no receipt of Kannel has.
const maxKannelReceipt = 1 << 10

func (k *Kannel) receipt(r *http.Request, _ []byte) ([]mfa.Report, *rejection) {
	query := r.URL.Query()
	id := query.Get(deliveryParameter)
	if !k.tokenFits(k.account.CallbackSecrets, id, query.Get(tokenParameter)) {
		return nil, &rejection{http.StatusForbidden, "token_wrong"}
	}
	report := mfa.Report{DeliveryID: id}
	switch query.Get("d") {
	case "1":
		report.Status = mfa.StatusDelivered
	case "8":
		report.Status = mfa.StatusSent
	case "2":
		report.Status, report.Failure = mfa.StatusFailed, k.failure(kannelUndelivered, classS)
	case "16":
		report.Status, report.Failure = mfa.StatusFailed, k.failure(kannelRejected, classS)
	default: // 4, buffered at the message centre: our own state says as much
		return nil, nil
	}
	return []mfa.Report{report}, nil
}

// with200 answers 200 where the frame answers 204. Kannel takes any other success than 200 and 202 for a failure, and
// calls again as often as its http-request-retry says; other gateways are as particular.
func with200(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(plainSuccess{w}, r) })
}

type plainSuccess struct{ http.ResponseWriter }

func (w plainSuccess) WriteHeader(status int) {
	if status == http.StatusNoContent {
		status = http.StatusOK
	}
	w.ResponseWriter.WriteHeader(status)
}
