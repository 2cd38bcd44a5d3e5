package handset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

var (
	errNotANumber = errors.New(`phone must be an international number such as "+393331234567", or "" for all phones`)
	errTooMany    = errors.New("too many numbers have switches of their own")
)

// apiBody is the largest body that the JSON API reads.
const apiBody = 16 << 10

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(body)
}

func refuse(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

// readJSON decodes one JSON object without unknown members.
func readJSON(raw []byte, into any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return errors.New("the body must be one JSON object")
	}
	return decodeStrict(raw, into)
}

// phoneOf takes the number out of the query; the second result is false when it was refused.
func phoneOf(w http.ResponseWriter, r *http.Request) (string, bool) {
	number := cleanNumber(r.URL.Query().Get("phone"))
	if number != "" && !numberForm.MatchString(number) {
		refuse(w, http.StatusBadRequest, errNotANumber)
		return "", false
	}
	return number, true
}

func (h *Handset) getInbox(w http.ResponseWriter, r *http.Request) {
	if number, ok := phoneOf(w, r); ok {
		writeJSON(w, http.StatusOK, h.Inbox(number))
	}
}

func (h *Handset) deleteInbox(w http.ResponseWriter, r *http.Request) {
	number, ok := phoneOf(w, r)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = slices.DeleteFunc(h.messages, func(m *message) bool {
		return !m.arrived.IsZero() && (number == "" || m.to == number)
	})
	h.viewers.notify()
	w.WriteHeader(http.StatusNoContent)
}

// getSent lists every accepted message, newest first, with what became of it.
func (h *Handset) getSent(w http.ResponseWriter, r *http.Request) {
	if number, ok := phoneOf(w, r); ok {
		h.mu.Lock()
		views := h.viewsLocked(number, maxMessages)
		h.mu.Unlock()
		writeJSON(w, http.StatusOK, views)
	}
}

// viewsLocked returns the newest messages of a number, or of all.
func (h *Handset) viewsLocked(number string, limit int) []messageView {
	views := []messageView{}
	for _, m := range slices.Backward(h.messages) {
		if len(views) < limit && (number == "" || m.to == number) {
			views = append(views, m.view())
		}
	}
	return views
}

type messageRef struct {
	Phone string `json:"phone"`
	ID    string `json:"id"`
}

// ref reads {"phone","id"} of the person's actions.
func ref(w http.ResponseWriter, r *http.Request) (messageRef, bool) {
	var in messageRef
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, apiBody))
	if err == nil {
		err = readJSON(raw, &in)
	}
	if err == nil && !numberForm.MatchString(in.Phone) {
		err = errNotANumber
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return in, false
	}
	return in, true
}

// postRead is the person reading a WhatsApp message, or the whole thread. It answers how many read receipts that sends, which
// is none for messages already read or while the person keeps receipts to themselves.
func (h *Handset) postRead(w http.ResponseWriter, r *http.Request) {
	in, ok := ref(w, r)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	read, found := 0, in.ID == ""
	for _, m := range h.messages {
		if m.to != in.Phone || m.arrived.IsZero() || (in.ID != "" && m.id != in.ID) {
			continue
		}
		found = true
		if h.readLocked(m) {
			read++
		}
	}
	if !found {
		refuse(w, http.StatusNotFound, errors.New("no such message on this phone"))
		return
	}
	writeJSON(w, http.StatusOK, map[string]int{"read": read})
}

// postButton is the person tapping "I didn't request a code" under a WhatsApp message.
func (h *Handset) postButton(w http.ResponseWriter, r *http.Request) {
	in, ok := ref(w, r)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.find(in.ID)
	if m == nil || m.to != in.Phone || m.channel != WhatsApp || m.arrived.IsZero() {
		refuse(w, http.StatusNotFound, errors.New("no such WhatsApp message on this phone"))
		return
	}
	if m.denied {
		refuse(w, http.StatusConflict, errors.New("the button was tapped before"))
		return
	}
	m.denied = true
	h.post(h.buttonReport(m))
	h.viewers.notify()
	w.WriteHeader(http.StatusNoContent)
}

// getSwitches returns all switches, or with a number those that hold for it.
func (h *Handset) getSwitches(w http.ResponseWriter, r *http.Request) {
	number, ok := phoneOf(w, r)
	if !ok {
		return
	}
	if number != "" {
		writeJSON(w, http.StatusOK, h.effective(number))
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"all": h.forAll, "phones": h.switches})
}

func (h *Handset) putSwitches(w http.ResponseWriter, r *http.Request) {
	h.setSwitches(w, r, func(s *Switches) { *s = Switches{} })
}

func (h *Handset) patchSwitches(w http.ResponseWriter, r *http.Request) {
	h.setSwitches(w, r, func(*Switches) {})
}

// setSwitches lays the members of the body over what prepare leaves of the switches.
func (h *Handset) setSwitches(w http.ResponseWriter, r *http.Request, prepare func(*Switches)) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, apiBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, errors.New("the body is too large"))
		return
	}
	var in struct {
		Phone string `json:"phone"`
		Switches
	}
	if err := readJSON(raw, &in); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	err = h.changeSwitches(in.Phone, func(s *Switches) error {
		prepare(s)
		in.Switches = *s
		if err := readJSON(raw, &in); err != nil {
			return fmt.Errorf("read switches: %w", err)
		}
		*s = in.Switches
		return nil
	})
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	writeJSON(w, http.StatusOK, h.effective(in.Phone))
}

func (h *Handset) deleteSwitches(w http.ResponseWriter, r *http.Request) {
	if number, ok := phoneOf(w, r); ok {
		h.resetSwitches(number)
		w.WriteHeader(http.StatusNoContent)
	}
}
