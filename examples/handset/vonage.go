package handset

import (
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// VonageAccount is an account with Vonage's SMS API. Without a Key there is none.
type VonageAccount struct {
	Key, Secret string
	// SignatureSecret signs receipts by SignatureMethod: md5hash, md5, sha1, sha256 (when empty) or sha512. It may sign sends.
	SignatureSecret string
	SignatureMethod string
}

// vonagePart is one part of a message in an answer, or what is wrong with it.
type vonagePart struct {
	To        string `json:"to,omitempty"`
	ID        string `json:"message-id,omitempty"`
	Status    string `json:"status"`
	ErrorText string `json:"error-text,omitempty"`
	Balance   string `json:"remaining-balance,omitempty"`
	Price     string `json:"message-price,omitempty"`
	Network   string `json:"network,omitempty"`
	ClientRef string `json:"client-ref,omitempty"`
}

func writeVonage(w http.ResponseWriter, parts ...vonagePart) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"message-count": strconv.Itoa(len(parts)), "messages": parts})
}

// vonageTexts are the refusals, by their status. They come with HTTP 200.
var vonageTexts = map[string]string{
	"1": "Throughput Rate Exceeded", "2": "Missing Parameters", "3": "Invalid value for parameter", "4": "Bad Credentials",
	"5": "Internal Error", "6": "Unroutable message", "7": "Number barred", "8": "Partner Account Barred",
	"9": "Partner quota violation", "14": "Invalid Signature", "15": "Invalid sender address",
}

func refuseVonage(w http.ResponseWriter, status, to string) {
	writeVonage(w, vonagePart{To: to, Status: status, ErrorText: vonageTexts[status]})
}

// vonageMessages is POST /sms/json.
func (h *Handset) vonageMessages(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		refuseVonage(w, "2", "")
		return
	}
	form := r.PostForm
	to := form.Get("to")
	if status := cmp.Or(h.vonageCredentials(r, form), h.checkVonage(form)); status != "" {
		refuseVonage(w, status, to)
		return
	}
	switch position := h.effective("+" + to).Vonage; position {
	case "", answerLost, "partly":
		h.takeVonage(w, form, position)
	case answerTimeout:
		h.hold(r)
	case "500":
		http.Error(w, "<html>Internal Server Error</html>", http.StatusInternalServerError)
	default:
		refuseVonage(w, position, to)
	}
}

func (h *Handset) takeVonage(w http.ResponseWriter, form url.Values, position string) {
	text := form.Get("text")
	if form.Get("type") != "unicode" {
		text = gsmOnly(text)
	}
	part := vonagePart{
		To: form.Get("to"), Status: "0", Balance: "12.34000000", Price: "0.05000000", Network: "22210", ClientRef: form.Get("client-ref"),
	}
	parts := make([]vonagePart, segments(text))
	for i := range parts {
		parts[i] = part
		parts[i].ID = newVonageID()
	}
	if position == "partly" {
		parts = append(parts, vonagePart{To: part.To, Status: "1", ErrorText: vonageTexts["1"]})
	}
	m := &message{
		id: parts[0].ID, carrier: "vonage", to: "+" + form.Get("to"), from: form.Get("from"), text: text,
		callback: form.Get("callback"), mark: form.Get("client-ref"), tell: h.vonageReport,
	}
	sent := h.acceptSMS(m, h.effective(m.to))
	h.answerSMS(w, position, sent, func() { writeVonage(w, parts...) })
}

// vonageCredentials are a user and a password, or a signature.
func (h *Handset) vonageCredentials(r *http.Request, form url.Values) (status string) {
	account := h.cfg.Vonage
	key, secret, basic := r.BasicAuth()
	if !basic {
		key, secret = form.Get("api_key"), form.Get("api_secret")
	}
	switch {
	case account.Key == "" || key != account.Key:
		return "4"
	case form.Has("sig"):
		if !hmac.Equal([]byte(form.Get("sig")), []byte(account.sign(form))) {
			return "14"
		}
	case !hmac.Equal([]byte(secret), []byte(account.Secret)):
		return "4"
	}
	return ""
}

func (h *Handset) checkVonage(form url.Values) (status string) {
	from := strings.TrimPrefix(h.cfg.SMSFrom, "+")
	ttl, err := strconv.ParseInt(cmp.Or(form.Get("ttl"), "20000"), 10, 64)
	switch {
	case form.Get("to") == "" || form.Get("text") == "" || form.Get("from") == "":
		return "2"
	case !digitsForm.MatchString(form.Get("to")) || err != nil || ttl < 20_000 || ttl > 604_800_000 || len(form.Get("client-ref")) > 40:
		return "3"
	case form.Get("from") != from:
		return "15"
	case form.Has("callback") && checkURL(form.Get("callback")) != nil:
		return "3"
	}
	return ""
}

// vonageReport is the delivery receipt about the i-th state of a message, in JSON. Of a message in parts it is about the
// first.
func (h *Handset) vonageReport(m *message, i int) *report {
	s := m.steps[i]
	status, code := "accepted", "0"
	switch s.State {
	case stateDelivered:
		status = "delivered"
	case stateUndelivered, stateFailed:
		status = "failed"
		code = map[int]string{30003: "2", 30005: "3", 30007: "6"}[s.Code]
		code = cmp.Or(code, "1")
	}
	if m.callback == "" {
		return nil
	}
	receipt := map[string]string{
		"msisdn": m.to[1:], "to": m.from, "network-code": "22210", "messageId": m.id, "price": "0.05000000", "status": status,
		"scts": s.At.UTC().Format("0601021504"), "err-code": code, "message-timestamp": s.At.UTC().Format(time.DateTime),
		"api-key": h.cfg.Vonage.Key, "client-ref": m.mark, "timestamp": strconv.FormatInt(h.clock.Now().Unix(), 10),
	}
	if m.mark == "" {
		delete(receipt, "client-ref")
	}
	parameters := url.Values{}
	for name, value := range receipt {
		parameters.Set(name, value)
	}
	receipt["sig"] = strings.ToUpper(h.cfg.Vonage.sign(parameters))
	body, _ := json.Marshal(receipt)
	return h.receipt(m, i, "application/json", body)
}

// vonageBalance is GET /account/get-balance.
func (h *Handset) vonageBalance(w http.ResponseWriter, r *http.Request) {
	if h.vonageMayLook(w, r) {
		writeJSON(w, http.StatusOK, map[string]any{"value": 12.34, "autoReload": false})
	}
}

// vonageNumbers is GET /account/numbers.
func (h *Handset) vonageNumbers(w http.ResponseWriter, r *http.Request) {
	if !h.vonageMayLook(w, r) {
		return
	}
	numbers := []any{}
	if own := strings.TrimPrefix(h.cfg.SMSFrom, "+"); strings.HasPrefix(own, r.URL.Query().Get("pattern")) {
		numbers = append(numbers, map[string]any{"country": "US", "msisdn": own, "type": "mobile-lvn", "features": []string{"VOICE", "SMS"}})
	}
	writeJSON(w, http.StatusOK, map[string]any{"count": len(numbers), "numbers": numbers})
}

func (h *Handset) vonageMayLook(w http.ResponseWriter, r *http.Request) bool {
	key, secret, _ := r.BasicAuth()
	right := h.cfg.Vonage.Key != "" && key == h.cfg.Vonage.Key && hmac.Equal([]byte(secret), []byte(h.cfg.Vonage.Secret))
	if !right {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error-code": "401", "error-code-label": "authentication failed"})
	}
	return right
}

// sign signs parameters as Vonage does, in hexadecimal digits.
func (a VonageAccount) sign(parameters url.Values) string {
	var names []string
	for name := range parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	text := ""
	for _, name := range names {
		if name != "sig" {
			text += "&" + name + "=" + strings.NewReplacer("&", "_", "=", "_").Replace(parameters.Get(name))
		}
	}
	if a.SignatureMethod == "md5hash" {
		sum := md5.Sum([]byte(text + a.SignatureSecret))
		return hex.EncodeToString(sum[:])
	}
	digest := map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha512": sha512.New}[a.SignatureMethod]
	if digest == nil {
		digest = sha256.New
	}
	mac := hmac.New(digest, []byte(a.SignatureSecret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func newVonageID() string {
	random := make([]byte, 8)
	_, _ = rand.Read(random)
	return strings.ToUpper(hex.EncodeToString(random))
}
