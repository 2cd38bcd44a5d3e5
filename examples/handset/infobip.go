package handset

import (
	"cmp"
	"crypto/hmac"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// InfobipAccount is an account with Infobip. Without a Key there is none.
type InfobipAccount struct{ Key string }

// infobipStatus is what became of a message.
type infobipStatus struct {
	GroupID     int    `json:"groupId"`
	GroupName   string `json:"groupName"`
	ID          int    `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

var infobipStatuses = map[string]infobipStatus{
	stateAccepted:    {1, "PENDING", 26, "PENDING_ACCEPTED", "Message accepted, pending for delivery"},
	stateSent:        {1, "PENDING", 7, "PENDING_ENROUTE", "Message sent to next instance"},
	stateDelivered:   {3, "DELIVERED", 5, "DELIVERED_TO_HANDSET", "Message delivered to handset"},
	stateUndelivered: {2, "UNDELIVERABLE", 9, "UNDELIVERABLE_NOT_DELIVERED", "Message sent not delivered"},
	stateFailed:      {2, "UNDELIVERABLE", 4, "UNDELIVERABLE_REJECTED_OPERATOR", "Message rejected by operator"},

	"REJECTED_NETWORK":            {5, "REJECTED", 6, "REJECTED_NETWORK", "Network is forbidden"},
	"REJECTED_NOT_ENOUGH_CREDITS": {5, "REJECTED", 12, "REJECTED_NOT_ENOUGH_CREDITS", "Not enough credits"},
	"REJECTED_SENDER":             {5, "REJECTED", 13, "REJECTED_SENDER", "Invalid sender"},
	"REJECTED_DESTINATION":        {5, "REJECTED", 14, "REJECTED_DESTINATION", "Invalid destination address"},
}

type infobipError struct {
	GroupID     int    `json:"groupId"`
	GroupName   string `json:"groupName"`
	ID          int    `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Permanent   bool   `json:"permanent"`
}

var infobipErrors = map[int]infobipError{
	0:     {0, "OK", 0, "NO_ERROR", "No Error", false},
	30003: {1, "HANDSET_ERRORS", 27, "EC_ABSENT_SUBSCRIBER", "Absent Subscriber", false},
	30005: {1, "HANDSET_ERRORS", 1, "EC_UNKNOWN_SUBSCRIBER", "Unknown Subscriber", true},
	30007: {3, "OPERATOR_ERRORS", 51, "EC_UNEXPECTED_DATA_VALUE", "Unexpected Data Value", true},
	30008: {3, "OPERATOR_ERRORS", 32, "EC_SM_DELIVERY_FAILURE", "SM Delivery Failure", false},
}

// infobipSend is the part of a send that the handset reads.
type infobipSend struct {
	Messages []struct {
		Sender       string `json:"sender"`
		Destinations []struct {
			To        string `json:"to"`
			MessageID string `json:"messageId"`
		} `json:"destinations"`
		Content struct {
			Text string `json:"text"`
		} `json:"content"`
		Options struct {
			ValidityPeriod *struct {
				Amount   int    `json:"amount"`
				TimeUnit string `json:"timeUnit"`
			} `json:"validityPeriod"`
		} `json:"options"`
		Webhooks struct {
			Delivery struct {
				URL                string `json:"url"`
				IntermediateReport bool   `json:"intermediateReport"`
			} `json:"delivery"`
			ContentType  string `json:"contentType"`
			CallbackData string `json:"callbackData"`
		} `json:"webhooks"`
	} `json:"messages"`
}

// infobipFault answers in Infobip's older form, which is what most of its errors still have.
func infobipFault(w http.ResponseWriter, status int, id, text string) {
	writeJSON(w, status, map[string]any{
		"requestError": map[string]any{"serviceException": map[string]string{"messageId": id, "text": text}},
	})
}

func (h *Handset) infobipKnows(w http.ResponseWriter, r *http.Request) bool {
	right := h.cfg.Infobip.Key != "" && hmac.Equal([]byte(r.Header.Get("Authorization")), []byte("App "+h.cfg.Infobip.Key))
	if !right {
		infobipFault(w, http.StatusUnauthorized, "UNAUTHORIZED", "Invalid login details")
	}
	return right
}

// infobipMessages is POST /sms/3/messages, for one message to one phone.
func (h *Handset) infobipMessages(w http.ResponseWriter, r *http.Request) {
	if !h.infobipKnows(w, r) {
		return
	}
	var in infobipSend
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil || !in.complete() {
		infobipFault(w, http.StatusBadRequest, "BAD_REQUEST", "Bad Request")
		return
	}
	to := "+" + in.Messages[0].Destinations[0].To
	switch position := h.effective(to).Infobip; position {
	case "", answerLost:
		h.takeInfobip(w, in, position)
	case answerTimeout:
		h.hold(r)
	case "500":
		http.Error(w, "<html>Internal Server Error</html>", http.StatusInternalServerError)
	case "TOO_MANY_REQUESTS":
		infobipFault(w, http.StatusTooManyRequests, position, "Too many requests")
	default:
		h.answerInfobip(w, in, newUUID(), infobipStatuses[position])
	}
}

func (in infobipSend) complete() bool {
	if len(in.Messages) != 1 || len(in.Messages[0].Destinations) != 1 {
		return false
	}
	m := in.Messages[0]
	if v := m.Options.ValidityPeriod; v != nil {
		unit, known := map[string]time.Duration{"SECONDS": time.Second, "MINUTES": time.Minute, "HOURS": time.Hour}[v.TimeUnit]
		if !known || v.Amount < 1 || time.Duration(v.Amount)*unit > 48*time.Hour {
			return false
		}
	}
	return m.Content.Text != "" && (m.Webhooks.Delivery.URL == "" || checkURL(m.Webhooks.Delivery.URL) == nil)
}

func (h *Handset) answerInfobip(w http.ResponseWriter, in infobipSend, id string, status infobipStatus) {
	m := in.Messages[0]
	writeJSON(w, http.StatusOK, map[string]any{"bulkId": newUUID(), "messages": []any{map[string]any{
		"messageId": id, "status": status, "destination": m.Destinations[0].To,
		"details": map[string]int{"messageCount": segments(m.Content.Text)},
	}}})
}

// takeInfobip takes a message, unless the number or the sender is impossible: that is refused with HTTP 200 too.
func (h *Handset) takeInfobip(w http.ResponseWriter, in infobipSend, position string) {
	send := in.Messages[0]
	to, id := send.Destinations[0].To, cmp.Or(send.Destinations[0].MessageID, newUUID())
	switch {
	case !digitsForm.MatchString(to):
		h.answerInfobip(w, in, id, infobipStatuses["REJECTED_DESTINATION"])
		return
	case send.Sender != strings.TrimPrefix(h.cfg.SMSFrom, "+"):
		h.answerInfobip(w, in, id, infobipStatuses["REJECTED_SENDER"])
		return
	}
	m := &message{
		id: id, carrier: "infobip", to: "+" + to, from: send.Sender, text: send.Content.Text, callback: send.Webhooks.Delivery.URL,
		mark: send.Webhooks.CallbackData,
		tell: func(m *message, i int) *report {
			if m.steps[i].State == stateSent && !send.Webhooks.Delivery.IntermediateReport {
				return nil
			}
			return h.infobipReport(m, i)
		},
	}
	sent := h.acceptSMS(m, h.effective(m.to))
	h.answerSMS(w, position, sent, func() { h.answerInfobip(w, in, id, infobipStatuses[stateAccepted]) })
}

// infobipReport is the delivery report about the i-th state of a message. Infobip signs none.
func (h *Handset) infobipReport(m *message, i int) *report {
	if m.callback == "" {
		return nil
	}
	s := m.steps[i]
	const stamp = "2006-01-02T15:04:05.000-0700"
	result := map[string]any{
		"bulkId": "bulk", "messageId": m.id, "to": m.to[1:], "sender": m.from, "sentAt": m.steps[0].At.UTC().Format(stamp),
		"doneAt": s.At.UTC().Format(stamp), "messageCount": segments(m.text), "mccMnc": "22210",
		"price":  map[string]any{"pricePerMessage": 0.05, "currency": "EUR"},
		"status": infobipStatuses[s.State], "error": infobipErrors[s.Code],
	}
	if m.mark != "" {
		result["callbackData"] = m.mark
	}
	body, _ := json.Marshal(map[string]any{"results": []any{result}})
	return h.receipt(m, i, "application/json", body)
}

// infobipBalance is GET /account/1/balance.
func (h *Handset) infobipBalance(w http.ResponseWriter, r *http.Request) {
	if h.infobipKnows(w, r) {
		writeJSON(w, http.StatusOK, map[string]any{"balance": 12.34, "currency": "EUR"})
	}
}

// newUUID makes ids in the form that Infobip and AWS give them.
func newUUID() string {
	id := newMessageSID()[2:]
	return strings.Join([]string{id[:8], id[8:12], "4" + id[13:16], "8" + id[17:20], id[20:]}, "-")
}
