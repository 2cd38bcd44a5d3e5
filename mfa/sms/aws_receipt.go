package sms

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

// maxAWSEvent is far above what a notification has: about 2 KiB. SNS takes messages of 256 KiB.
const maxAWSEvent = 300 << 10

// Handler is the URL to which the SNS topic pushes the events of our messages. It also confirms the subscription. Reports
// go to receive, whose error means that they could not be stored and should come again.
func (a *AWS) Handler(receive receiver) http.Handler {
	return a.handler(receive, a.notification, maxAWSEvent, http.MethodPost)
}

func (a *AWS) notification(r *http.Request, body []byte) ([]mfa.Report, *rejection) {
	if a.topic == nil {
		return nil, &rejection{http.StatusForbidden, "no_topic"}
	}
	// The signature covers members of the parsed message, so parsing comes first here; nothing else does.
	var m snsMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, &rejection{http.StatusForbidden, "malformed"}
	}
	if m.Signature == "" || m.SigningCertURL == "" {
		return nil, &rejection{http.StatusUnauthorized, "signature_missing"}
	}
	if rejected := a.notTaken(a.topic.verify(r.Context(), m)); rejected != nil {
		return nil, rejected
	}
	switch m.Type {
	case snsConfirmation:
		return nil, a.confirm(r.Context(), m)
	case snsNotification:
		if report, worth := a.readEvent([]byte(m.Message)); worth {
			return []mfa.Report{report}, nil
		}
	}
	return nil, nil // UnsubscribeConfirmation: whoever ended it knows
}

// notTaken is what an error of the topic comes to: a certificate that could not be had is no proof of a forgery, so SNS is
// asked to send again.
func (a *AWS) notTaken(err error) *rejection {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errForged):
		return &rejection{http.StatusForbidden, "signature_wrong"}
	case errors.Is(err, errStale):
		return &rejection{http.StatusForbidden, "stale"}
	case errors.Is(err, errNowhere):
		return &rejection{http.StatusForbidden, "address_unknown"}
	default:
		a.cfg.Log.Warn("check sns notification", "err", err)
		return &rejection{http.StatusServiceUnavailable, "sns_unreachable"}
	}
}

func (a *AWS) confirm(ctx context.Context, m snsMessage) *rejection {
	rejected := a.notTaken(a.topic.confirm(ctx, m))
	if rejected == nil {
		a.cfg.Log.Info("sns subscription confirmed", "topic", a.account.TopicARN)
	}
	return rejected
}

// awsEvent is what End User Messaging says of a message.
type awsEvent struct {
	Type      string            `json:"eventType"`
	Timestamp int64             `json:"eventTimestamp"` // ms
	MessageID string            `json:"messageId"`
	Context   map[string]string `json:"context"`
}

// readEvent turns an event into a report; one that changes nothing is not worth one.
func (a *AWS) readEvent(message []byte) (mfa.Report, bool) {
	var e awsEvent
	if err := json.Unmarshal(message, &e); err != nil {
		return mfa.Report{}, false // the topic carries other messages too
	}
	r := mfa.Report{DeliveryID: e.Context[awsContext], MessageID: e.MessageID}
	if e.Timestamp > 0 {
		r.At = time.UnixMilli(e.Timestamp)
	}
	switch e.Type {
	case "TEXT_SENT":
		r.Status = mfa.StatusSent
	case "TEXT_SUCCESSFUL", "TEXT_DELIVERED": // which of the two is said depends on the country
		r.Status = mfa.StatusDelivered
	default: // TEXT_QUEUED, TEXT_PENDING, TEXT_UNKNOWN and events of other products
		if _, documented := a.codes[e.Type]; !documented || !strings.HasPrefix(e.Type, "TEXT_") {
			return mfa.Report{}, false
		}
		r.Status, r.Failure = mfa.StatusFailed, a.failure(e.Type, mfa.ClassFallback)
	}
	return r, true
}
