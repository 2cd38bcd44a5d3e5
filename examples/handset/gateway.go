package handset

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
)

// gatewaySend is what the small gateway takes: one of the many local companies whose interface is like nobody else's. All
// its answers have status 200, the refusals too, except to a wrong key.
type gatewaySend struct {
	To        string `json:"to"` // digits
	From      string `json:"from"`
	Text      string `json:"text"`
	Encoding  string `json:"encoding"` // text or unicode
	Reference string `json:"reference"`
	NotifyURL string `json:"notify_url"`
	TTL       int    `json:"ttl"` // seconds
}

// gatewayResult is what it answers.
type gatewayResult struct {
	Code int    `json:"code"`
	Text string `json:"text"`
	ID   string `json:"id,omitempty"`
}

// gatewayRefusals by code.
var gatewayRefusals = map[string]gatewayResult{
	"12": {Code: 12, Text: "unknown subscriber"},
	"20": {Code: 20, Text: "insufficient credit"},
	"30": {Code: 30, Text: "blocked by operator"},
	"40": {Code: 40, Text: "busy, try again"},
	"50": {Code: 50, Text: "country not enabled"},
}

func sayGateway(w http.ResponseWriter, status int, r gatewayResult) {
	writeJSON(w, status, map[string]gatewayResult{"result": r})
}

func (h *Handset) gatewayKnows(w http.ResponseWriter, r *http.Request) bool {
	key := r.Header.Get("X-Api-Key")
	if h.cfg.GatewayKey != "" && hmac.Equal([]byte(key), []byte(h.cfg.GatewayKey)) {
		return true
	}
	sayGateway(w, http.StatusUnauthorized, gatewayResult{Code: 1, Text: "unknown key"})
	return false
}

// gatewayBalance is GET /gateway/balance.
func (h *Handset) gatewayBalance(w http.ResponseWriter, r *http.Request) {
	if h.gatewayKnows(w, r) {
		writeJSON(w, http.StatusOK, map[string]string{"balance": "12.34"})
	}
}

// gatewayMessages is POST /gateway/messages.
func (h *Handset) gatewayMessages(w http.ResponseWriter, r *http.Request) {
	if !h.gatewayKnows(w, r) {
		return
	}
	var in gatewaySend
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in)
	if err != nil || !digitsForm.MatchString(in.To) || in.Text == "" || in.TTL < 1 || !callable(in.NotifyURL) ||
		(in.Encoding == "text") != isGSM(in.Text) {
		sayGateway(w, http.StatusOK, gatewayResult{Code: 2, Text: "bad request"})
		return
	}
	sw := h.effective("+" + in.To)
	refusal, refused := gatewayRefusals[sw.Gateway]
	switch {
	case refused:
		sayGateway(w, http.StatusOK, refusal)
		return
	case sw.Gateway == answerTimeout:
		h.hold(r)
		return
	case sw.Gateway == "500":
		http.Error(w, "<html><h1>500 Internal Server Error</h1></html>", http.StatusInternalServerError)
		return
	}
	m := &message{
		id: newMessageSID(), carrier: "gateway", to: "+" + in.To, from: in.From, text: in.Text, callback: in.NotifyURL,
		mark: in.Reference, tell: h.gatewayReport,
	}
	sent := h.acceptSMS(m, sw)
	h.answerSMS(w, sw.Gateway, sent, func() { sayGateway(w, http.StatusOK, gatewayResult{Text: "queued", ID: m.id}) })
}

// gatewayReport tells of the i-th state of a message, signed as the gateway signs: HMAC-SHA256 over the body.
func (h *Handset) gatewayReport(m *message, i int) *report {
	s := m.steps[i]
	status := map[string]string{stateSent: "ENROUTE", stateDelivered: "DELIVRD", stateUndelivered: "UNDELIV", stateFailed: "REJECTD"}[s.State]
	if status == "" {
		return nil
	}
	fields := map[string]string{"id": m.id, "reference": m.mark, "status": status}
	if s.Code != 0 {
		fields["error"] = strconv.Itoa(s.Code)
	}
	body, err := json.Marshal(map[string]any{"receipts": []any{fields}})
	if err != nil {
		return nil // strings always can
	}
	r := h.receipt(m, i, "application/json", body)
	r.sign = func(_ string, header http.Header) {
		mac := hmac.New(sha256.New, []byte(h.cfg.GatewaySecret))
		mac.Write(body)
		header.Set("X-Gateway-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	return r
}
