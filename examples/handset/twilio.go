package handset

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// twilioError is a refusal in Twilio's form. Clients branch on the code.
type twilioError struct {
	Code     int    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
}

func (e *twilioError) Error() string { return fmt.Sprintf("twilio error %d: %s", e.Code, e.Message) }

func twilioFault(code int, message string) *twilioError {
	status := http.StatusBadRequest
	switch code {
	case 20003:
		status = http.StatusUnauthorized
	case 20404:
		status = http.StatusNotFound
	case 20429:
		status = http.StatusTooManyRequests
	case 20500:
		status = http.StatusInternalServerError
	}
	return &twilioError{Code: code, Message: message, MoreInfo: "https://www.twilio.com/docs/errors/" + strconv.Itoa(code), Status: status}
}

func (e *twilioError) write(w http.ResponseWriter) {
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	}
	writeTwilio(w, e.Status, e)
}

func writeTwilio(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// twilioMessages is POST /2010-04-01/Accounts/{sid}/Messages.json.
func (h *Handset) twilioMessages(w http.ResponseWriter, r *http.Request) {
	if refusal := h.checkAccount(r); refusal != nil {
		refusal.write(w)
		return
	}
	form, refusal := readForm(w, r)
	if refusal == nil {
		refusal = h.checkSMS(form)
	}
	if refusal != nil {
		refusal.write(w)
		return
	}
	sw := h.effective(form.Get("To"))
	if sw.Twilio != "" && sw.Twilio != answerLost {
		h.twilioFails(w, r, sw.Twilio)
		return
	}
	// A fragment only tunes how Twilio connects; it is neither called nor signed.
	callback, _, _ := strings.Cut(form.Get("StatusCallback"), "#")
	m := &message{
		id: newMessageSID(), carrier: "twilio", to: form.Get("To"), from: cmp.Or(form.Get("From"), h.cfg.SMSFrom), text: form.Get("Body"),
		callback: callback, service: form.Get("MessagingServiceSid"), tell: h.twilioReport,
	}
	sent := h.acceptSMS(m, sw)
	h.answerSMS(w, sw.Twilio, sent, func() {
		h.mu.Lock()
		body := h.resource(m, m.steps[0])
		h.mu.Unlock()
		writeTwilio(w, http.StatusCreated, body)
	})
}

// twilioAccount is GET /2010-04-01/Accounts/{sid}.json.
func (h *Handset) twilioAccount(w http.ResponseWriter, r *http.Request) {
	r.SetPathValue("sid", h.cfg.AccountSID) // the only one that has such a page
	if refusal := h.checkAccount(r); refusal != nil {
		refusal.write(w)
		return
	}
	writeTwilio(w, http.StatusOK, map[string]string{"sid": h.cfg.AccountSID, "status": "active", "type": "Full", "friendly_name": "Parola"})
}

// twilioBalance is GET /2010-04-01/Accounts/{sid}/Balance.json.
func (h *Handset) twilioBalance(w http.ResponseWriter, r *http.Request) {
	if refusal := h.checkAccount(r); refusal != nil {
		refusal.write(w)
		return
	}
	writeTwilio(w, http.StatusOK, map[string]string{"account_sid": h.cfg.AccountSID, "balance": "12.34", "currency": "USD"})
}

// twilioNumbers is GET /2010-04-01/Accounts/{sid}/IncomingPhoneNumbers.json.
func (h *Handset) twilioNumbers(w http.ResponseWriter, r *http.Request) {
	if refusal := h.checkAccount(r); refusal != nil {
		refusal.write(w)
		return
	}
	numbers := []any{}
	if wanted := r.URL.Query().Get("PhoneNumber"); wanted == "" || wanted == h.cfg.SMSFrom {
		numbers = append(numbers, map[string]any{
			"phone_number": h.cfg.SMSFrom, "capabilities": map[string]bool{"sms": true, "mms": false, "voice": false, "fax": false},
		})
	}
	writeTwilio(w, http.StatusOK, map[string]any{"incoming_phone_numbers": numbers, "page": 0, "page_size": 50})
}

// twilioMessage is GET /2010-04-01/Accounts/{sid}/Messages/{message}.json.
func (h *Handset) twilioMessage(w http.ResponseWriter, r *http.Request) {
	if refusal := h.checkAccount(r); refusal != nil {
		refusal.write(w)
		return
	}
	sid, isJSON := strings.CutSuffix(r.PathValue("message"), ".json")
	h.mu.Lock()
	m := h.find(sid)
	var body twilioResource
	if m != nil {
		body = h.resource(m, m.last())
	}
	h.mu.Unlock()
	if m == nil || m.channel != SMS || !isJSON {
		twilioFault(20404, "The requested resource "+r.URL.Path+" was not found").write(w)
		return
	}
	writeTwilio(w, http.StatusOK, body)
}

func (h *Handset) checkAccount(r *http.Request) *twilioError {
	user, password, _ := r.BasicAuth()
	known := user == h.cfg.AccountSID && r.PathValue("sid") == user
	if !hmac.Equal([]byte(password), []byte(h.cfg.AuthToken)) || !known {
		return twilioFault(20003, "Authenticate")
	}
	return nil
}

func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *twilioError) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, twilioFault(21602, "Message body is required.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return nil, twilioFault(21602, "Message body is required.")
	}
	return r.PostForm, nil
}

// checkSMS refuses what Twilio refuses, in the numbers it uses for it.
func (h *Handset) checkSMS(form url.Values) *twilioError {
	to, from, service, body := form.Get("To"), form.Get("From"), form.Get("MessagingServiceSid"), form.Get("Body")
	switch {
	case to == "":
		return twilioFault(21604, "A 'To' phone number is required.")
	case !numberForm.MatchString(to):
		return twilioFault(21211, "The 'To' number "+to+" is not a valid phone number.")
	case body == "":
		return twilioFault(21602, "Message body is required.")
	case utf8.RuneCountInString(body) > 1600:
		return twilioFault(21617, "The concatenated message body exceeds the 1600 character limit.")
	case from == "" && service == "":
		return twilioFault(21603, "A 'From' phone number is required.")
	case service != "" && service != h.cfg.MessagingServiceSID:
		return twilioFault(21701, "The Messaging Service does not exist.")
	case from == to:
		return twilioFault(21266, "'To' and 'From' number cannot be the same.")
	case from != "" && from != h.cfg.SMSFrom && !numberForm.MatchString(from):
		return twilioFault(21212, "The 'From' number "+from+" is not a valid phone number, shortcode, or alphanumeric sender ID.")
	case from != "" && from != h.cfg.SMSFrom:
		return twilioFault(21606, "The 'From' phone number "+from+" is not a valid, SMS-capable inbound phone number or short code for your account.")
	case form.Has("StatusCallback") && !callable(form.Get("StatusCallback")):
		return twilioFault(21609, "The 'StatusCallback' URL "+form.Get("StatusCallback")+" is not a valid URL.")
	}
	if form.Has("ValidityPeriod") {
		if v, err := strconv.Atoi(form.Get("ValidityPeriod")); err != nil || v < 1 || v > 36_000 {
			return twilioFault(21624, "Invalid validity period value: it must be between 1 and 36000 seconds.")
		}
	}
	return nil
}

// callable is what Twilio takes for a callback: an absolute URL whose host name has no underscore.
func callable(callback string) bool {
	u, err := url.Parse(callback)
	return err == nil && checkURL(callback) == nil && !strings.Contains(u.Hostname(), "_")
}

func (h *Handset) twilioFails(w http.ResponseWriter, r *http.Request, how string) {
	code, _ := strconv.Atoi(how)
	switch how {
	case answerTimeout:
		h.hold(r)
	case "500":
		twilioFault(20500, "An internal server error has occurred").write(w)
	case "20003":
		twilioFault(code, "Authenticate").write(w)
	case "20429":
		twilioFault(code, "Too Many Requests").write(w)
	case "21610":
		twilioFault(code, "Attempt to send to unsubscribed recipient").write(w)
	case "21614":
		twilioFault(code, "'To' number is not a valid mobile number").write(w)
	default:
		twilioFault(code, "Message delivery to this prefix has been blocked").write(w)
	}
}

// twilioResource is a message as Twilio describes it; numbers of parts are strings.
type twilioResource struct {
	AccountSID      string            `json:"account_sid"`
	APIVersion      string            `json:"api_version"`
	Body            string            `json:"body"`
	DateCreated     string            `json:"date_created"`
	DateSent        *string           `json:"date_sent"`
	DateUpdated     string            `json:"date_updated"`
	Direction       string            `json:"direction"`
	ErrorCode       *int              `json:"error_code"`
	ErrorMessage    *string           `json:"error_message"`
	From            *string           `json:"from"`
	ServiceSID      *string           `json:"messaging_service_sid"`
	NumMedia        string            `json:"num_media"`
	NumSegments     string            `json:"num_segments"`
	Price           *string           `json:"price"`
	PriceUnit       string            `json:"price_unit"`
	SID             string            `json:"sid"`
	Status          string            `json:"status"`
	SubresourceURIs map[string]string `json:"subresource_uris"`
	To              string            `json:"to"`
	URI             string            `json:"uri"`
}

// resource describes a message as it was when it entered a state.
func (h *Handset) resource(m *message, now step) twilioResource {
	path := "/2010-04-01/Accounts/" + h.cfg.AccountSID + "/Messages/" + m.id
	t := twilioResource{
		AccountSID: h.cfg.AccountSID, APIVersion: "2010-04-01", Body: m.text,
		DateCreated: rfc2822(m.steps[0].At.Time), DateUpdated: rfc2822(now.At.Time), Direction: "outbound-api",
		NumMedia: "0", NumSegments: strconv.Itoa(segments(m.text)), PriceUnit: "USD", SID: m.id, Status: now.State,
		SubresourceURIs: map[string]string{"media": path + "/Media.json"}, To: m.to, URI: path + ".json",
	}
	if m.from != "" {
		t.From = &m.from
	}
	if now.State == stateAccepted {
		t.Status = "queued"
	}
	if m.service != "" {
		t.ServiceSID = &m.service
		if now.State == stateAccepted {
			// The service has not chosen a sender yet.
			t.Status, t.From, t.NumSegments = stateAccepted, nil, "0"
		}
	}
	if now.State != stateAccepted && len(m.steps) > 1 {
		sent := rfc2822(m.steps[1].At.Time)
		t.DateSent = &sent
	}
	if now.Code != 0 {
		text := smsFailure(now.Code)
		t.ErrorCode, t.ErrorMessage = &now.Code, &text
	}
	return t
}

func smsFailure(code int) string {
	switch code {
	case 30003:
		return "Unreachable destination handset"
	case 30005:
		return "Unknown destination handset"
	case 30007:
		return "Message filtered"
	}
	return "Unknown error"
}

func rfc2822(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 +0000") }

func newMessageSID() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random)
	return "SM" + hex.EncodeToString(random)
}
