package handset

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const maxBody = 64 << 10

var versionForm = regexp.MustCompile(`^v([0-9]{1,3})\.[0-9]{1,2}$`)

// graphMessages is POST /{version}/{phone-number-id}/messages, for authentication templates and texts: what it accepts is on its way, not delivered.
func (h *Handset) graphMessages(w http.ResponseWriter, r *http.Request) {
	h.graphHeaders(w, r)
	send, to, passcode, refusal := h.readSend(w, r)
	if refusal != nil {
		refusal.write(w)
		return
	}
	sw := h.effective(to)
	if sw.Meta != "" && sw.Meta != answerLost {
		h.metaFails(w, r, sw.Meta)
		return
	}
	if sw.NoWhatsApp == "refused" {
		graphFault(131026, "").write(w)
		return
	}
	if !h.pairs.allow(to, h.clock.Now()) {
		graphFault(131056, "").write(w)
		return
	}
	m, sent := h.acceptWhatsApp(send, to, passcode, sw)
	if sw.Meta == answerLost {
		h.post(sent)
		panic(http.ErrAbortHandler) // cuts the connection without an answer
	}
	writeGraph(w, http.StatusOK, map[string]any{
		"messaging_product": "whatsapp",
		"contacts":          []map[string]string{{"input": send.To, "wa_id": to[1:]}},
		"messages":          []map[string]string{{"id": m.id, "message_status": "accepted"}},
	})
	_ = http.NewResponseController(w).Flush() // the answer leaves before the first webhook
	h.post(sent)
}

// readSend authenticates and checks a send in the order in which the Graph API does.
func (h *Handset) readSend(w http.ResponseWriter, r *http.Request) (send *graphSend, to, passcode string, refusal *graphError) {
	fail := func(e *graphError) (*graphSend, string, string, *graphError) { return nil, "", "", e }
	version := versionForm.FindStringSubmatch(r.PathValue("version"))
	if version == nil {
		return fail(&graphError{status: http.StatusBadRequest, code: 2500, message: "Unknown path components: /" + r.PathValue("id")})
	}
	if refusal := h.checkToken(r); refusal != nil {
		return fail(refusal)
	}
	if r.Method != http.MethodPost || r.PathValue("id") != h.cfg.PhoneNumberID {
		return fail(unknownObject(r.PathValue("id")))
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fail(badParameter("The request body must be application/json."))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return fail(badParameter("The request body could not be read or is too large."))
	}
	send, refusal = parseSend(body)
	if refusal != nil {
		return fail(refusal)
	}
	if refusal = h.sendable(send.Template); refusal != nil {
		return fail(refusal)
	}
	invalid := 131009
	if major, _ := strconv.Atoi(version[1]); major >= 23 {
		invalid = 132018 // the parameter error of v23.0 and later
	}
	if send.Template != nil {
		if passcode, refusal = send.Template.passcode(invalid); refusal != nil {
			return fail(refusal)
		}
	}
	if to, refusal = recipient(send.To, h.cfg.CountryCode); refusal != nil {
		return fail(refusal)
	}
	if to[1:] == h.cfg.DisplayNumber {
		return fail(graphFault(131021, ""))
	}
	return send, to, passcode, nil
}

// sendable says why the account, or the template where there is one, cannot send now.
func (h *Handset) sendable(t *graphTemplate) *graphError {
	h.mu.Lock()
	defer h.mu.Unlock()
	if refusal := h.meta.refusesSend(); refusal != nil || t == nil {
		return refusal
	}
	found := h.meta.template(t.Name, t.Language.Code)
	switch {
	case found == nil:
		return graphFault(132001, "")
	case found.Status == "PAUSED":
		return graphFault(132015, "")
	case found.Status == "DISABLED":
		return graphFault(132016, "")
	case found.Status != "APPROVED":
		return graphFault(132001, "")
	case found.Category == "MARKETING":
		return graphFault(131063, "")
	}
	return nil
}

func (h *Handset) checkToken(r *http.Request) *graphError {
	token := r.URL.Query().Get("access_token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	switch {
	case token == "":
		return noToken()
	case !hmac.Equal([]byte(token), []byte(h.cfg.AccessToken)):
		return badToken()
	}
	return nil
}

// metaFails answers as the switch says, for a message that was not taken.
func (h *Handset) metaFails(w http.ResponseWriter, r *http.Request, how string) {
	switch how {
	case answerTimeout:
		h.hold(r)
	case "500":
		// What a failing edge sends is a page, which a client must not try to read as Graph's JSON.
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Error</title><h1>Sorry, something went wrong.</h1>")
	case "190":
		badToken().write(w)
	default:
		code, _ := strconv.Atoi(how)
		graphFault(code, "").write(w)
	}
}

// hold keeps a request open until the client gives up, the handset closes or two minutes are over, and never answers.
func (h *Handset) hold(r *http.Request) {
	giveUp := time.NewTimer(2 * time.Minute)
	defer giveUp.Stop()
	select {
	case <-r.Context().Done():
	case <-h.ctx.Done():
	case <-giveUp.C:
	}
	panic(http.ErrAbortHandler)
}

// newWamid makes a message id as Meta's are: base64 that holds the other party's number in clear and a random hexadecimal id.
// outbound ids have 18 of those digits, inbound ones 20.
func newWamid(digits string, outbound bool) string {
	direction, length := byte(0x12), 20
	if outbound {
		direction, length = 0x11, 18
	}
	random := make([]byte, length/2)
	_, _ = rand.Read(random)
	raw := append([]byte{0x1c, 0x18, byte(len(digits))}, digits...)
	raw = append(raw, 0x15, 0x02, 0x00, direction, 0x18, byte(length))
	raw = append(raw, strings.ToUpper(hex.EncodeToString(random))...)
	raw = append(raw, 0)
	return "wamid." + base64.StdEncoding.EncodeToString(raw)
}

// identityLocked stands for the key of the WhatsApp account behind a number: the same until the person changes it.
func (h *Handset) identityLocked(number string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "identity %d of %s", h.meta.identities[number], number))
	return base64.StdEncoding.EncodeToString(sum[:8])
}
