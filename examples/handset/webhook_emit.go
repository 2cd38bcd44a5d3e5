package handset

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
)

// webhooksJSON holds, by name, the webhooks of Meta that no message causes: each one's field and value.
//
//go:embed webhooks.json
var webhooksJSON []byte

type emitted struct {
	Field string         `json:"field"`
	Value map[string]any `json:"value"`
}

// webhooksByName reads numbers as they are written: template ids are longer than a float64 can hold.
func webhooksByName() (map[string]emitted, error) {
	dec := json.NewDecoder(bytes.NewReader(webhooksJSON))
	dec.UseNumber()
	var named map[string]emitted
	if err := dec.Decode(&named); err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	return named, nil
}

// accountReport is a webhook of another field than messages, at the present time.
func (h *Handset) accountReport(field string, value any) *report {
	return h.signedReport(map[string]any{
		"object": "whatsapp_business_account",
		"entry": []map[string]any{{
			"id": h.cfg.WABA, "time": h.clock.Now().Unix(), "changes": []map[string]any{{"field": field, "value": value}},
		}},
	}, h.forAll.WebhooksTwice, func(int) {})
}

// getEmit lists the webhooks that can be emitted by name.
func (h *Handset) getEmit(w http.ResponseWriter, _ *http.Request) {
	named, err := webhooksByName()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	writeJSON(w, http.StatusOK, slices.Sorted(maps.Keys(named)))
}

// postEmit posts one of Meta's webhooks, signed: {"payload": name, "set": {members of its value}}, or {"payload": {…}} with a
// whole body, which is signed as it is.
func (h *Handset) postEmit(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var in struct {
		Payload json.RawMessage            `json:"payload"`
		Set     map[string]json.RawMessage `json:"set"`
	}
	if err == nil {
		err = readJSON(raw, &in)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.meta.Subscribed {
		refuse(w, http.StatusConflict, errors.New("no app is subscribed to the account's webhooks"))
		return
	}
	out, err := h.emission(in.Payload, in.Set)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	h.post(out)
	w.WriteHeader(http.StatusAccepted)
}

func (h *Handset) emission(payload json.RawMessage, set map[string]json.RawMessage) (*report, error) {
	var name string
	if json.Unmarshal(payload, &name) != nil {
		if _, err := members(payload); err != nil {
			return nil, errors.New("payload must be a name of GET /emit or a whole body")
		}
		return h.signedReport(payload, false, func(int) {}), nil
	}
	named, err := webhooksByName()
	if err != nil {
		return nil, err
	}
	e, known := named[name]
	if !known {
		return nil, fmt.Errorf("there is no payload %q: GET /emit lists them", name)
	}
	h.ours(e.Value)
	for member, value := range set {
		e.Value[member] = value
	}
	return h.accountReport(e.Field, e.Value), nil
}

// ours puts this account's names and numbers into a value, where it has such members.
func (h *Handset) ours(value map[string]any) {
	replace := func(member string, with any) {
		if _, named := value[member]; named {
			value[member] = with
		}
	}
	replace("display_phone_number", h.cfg.DisplayNumber)
	replace("metadata", hookMetadata{DisplayNumber: h.cfg.DisplayNumber, PhoneNumberID: h.cfg.PhoneNumberID})
	if len(h.meta.templates) > 0 {
		t := h.meta.templates[0]
		replace("message_template_name", t.Name)
		replace("message_template_language", t.Language)
		replace("message_template_id", json.Number(t.ID))
	}
}
