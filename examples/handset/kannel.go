package handset

import (
	"crypto/hmac"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The events of a receipt, which are bits of dlr-mask.
const (
	kannelDelivered = 1
	kannelFailed    = 2
	kannelAccepted  = 8
)

// kannelAnswers are what smsbox answers to a send, by the position of the switch.
var kannelAnswers = map[string]struct {
	status int
	text   string
}{
	"":             {http.StatusAccepted, "0: Accepted for delivery"},
	"queued":       {http.StatusAccepted, "3: Queued for later delivery"},
	"auth":         {http.StatusForbidden, "Authorization failed for sendsms"},
	"not_routable": {http.StatusForbidden, "Not routable. Do not try again."},
	"denied":       {http.StatusBadRequest, "Number(s) has/have been denied by white- and/or black-lists."},
	"temporary":    {http.StatusServiceUnavailable, "Temporal failure, try again later."},
	"500":          {http.StatusInternalServerError, "<html><h1>500 Internal Server Error</h1></html>"},
}

func sayKannel(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// kannelSend is GET /cgi-bin/sendsms, as smsbox of Kannel 1.4.5 serves it.
func (h *Handset) kannelSend(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	known := query.Get("username") == h.cfg.KannelUsername && h.cfg.KannelPassword != ""
	if !hmac.Equal([]byte(query.Get("password")), []byte(h.cfg.KannelPassword)) || !known {
		sayKannel(w, http.StatusForbidden, kannelAnswers["auth"].text)
		return
	}
	if complaint := checkKannel(query); complaint != "" {
		sayKannel(w, http.StatusBadRequest, complaint)
		return
	}
	to := query.Get("to")
	sw := h.effective(to)
	answer, plain := kannelAnswers[sw.Kannel]
	switch {
	case sw.Kannel == answerTimeout:
		h.hold(r)
		return
	case plain && answer.status != http.StatusAccepted:
		sayKannel(w, answer.status, answer.text)
		return
	case !plain:
		answer = kannelAnswers[""]
	}
	mask, _ := strconv.Atoi(query.Get("dlr-mask"))
	m := &message{
		id: newMessageSID(), carrier: "kannel", to: to, from: query.Get("from"), text: query.Get("text"), callback: query.Get("dlr-url"),
		tell: func(m *message, i int) *report { return h.kannelReport(m, i, mask) },
	}
	sent := h.acceptSMS(m, sw)
	h.answerSMS(w, sw.Kannel, sent, func() { sayKannel(w, answer.status, answer.text) })
}

// checkKannel returns the sentence of smsbox about what it refuses, and refuses besides what would arrive spoilt: a text
// that the coding named for it cannot carry.
func checkKannel(query url.Values) string {
	text, coding := query.Get("text"), query.Get("coding")
	validity, err := strconv.Atoi(query.Get("validity"))
	switch {
	case !query.Has("to"):
		return "Missing receiver number, rejected"
	case query.Get("to") == "":
		return "Empty receiver number not allowed, rejected"
	case !numberForm.MatchString(query.Get("to")):
		return kannelAnswers["denied"].text
	case query.Get("from") == "":
		return "Sender missing and no global set, rejected"
	case coding != "0" && coding != "2":
		return "Coding field misformed, rejected"
	case query.Get("charset") != "UTF-8" || !utf8.ValidString(text) || coding == "0" && !isGSM(text):
		return "Charset or body misformed, rejected"
	case query.Has("validity") && (err != nil || validity < 1):
		return "Validity field misformed, rejected"
	case query.Has("dlr-url") && !callable(strings.ReplaceAll(query.Get("dlr-url"), "%d", "1")):
		return "DLR-URL field misformed, rejected"
	}
	return ""
}

func isGSM(text string) bool {
	for _, r := range text {
		if !strings.ContainsRune(gsmBasic+gsmExtension, r) {
			return false
		}
	}
	return true
}

// kannelReport calls the dlr-url about the i-th state of a message, nil when its mask does not ask for it.
func (h *Handset) kannelReport(m *message, i, mask int) *report {
	event := map[string]int{
		stateSent: kannelAccepted, stateDelivered: kannelDelivered, stateUndelivered: kannelFailed, stateFailed: kannelFailed,
	}[m.steps[i].State]
	if m.callback == "" || event&mask == 0 {
		return nil
	}
	r := h.receipt(m, i, "", nil)
	r.method = http.MethodGet
	r.url = func() string { return strings.ReplaceAll(m.callback, "%d", strconv.Itoa(event)) }
	return r
}
