package handset

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	wrongPINsAtMost      = 5
	pinRest              = time.Hour
	registrationsAtMost  = 10
	registrationInterval = 72 * time.Hour
)

var pinForm = regexp.MustCompile(`^[0-9]{6}$`)

// graphNode is the number, the account or a template, as far as the fields parameter asks for it.
func (h *Handset) graphNode(c *graphCall) (any, *graphError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch t := h.templateByID(c.id); {
	case c.id == h.cfg.PhoneNumberID:
		return chosen(c, "WhatsAppBusinessPhoneNumber", "verified_name,code_verification_status,display_phone_number,quality_rating,id", h.numberNode())
	case c.id == h.cfg.WABA:
		return chosen(c, "WhatsAppBusinessAccount", "id,name", map[string]any{
			"id": h.cfg.WABA, "name": h.cfg.BusinessName, "currency": "EUR", "timezone_id": "1",
			"message_template_namespace": "00000000_0000_0000_0000_000000000000", "health_status": h.health("WABA", h.cfg.WABA),
		})
	case t != nil:
		node := t.node()
		node["health_status"] = h.health("MESSAGE_TEMPLATE", t.ID)
		return chosen(c, "WhatsAppMessageTemplate", templateFields, node)
	}
	return nil, unknownObject(c.id)
}

// graphChangeNode sets the number's PIN or edits a template.
func (h *Handset) graphChangeNode(c *graphCall) (any, *graphError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.templateByID(c.id); t != nil {
		return h.editTemplate(c, t)
	}
	if c.id != h.cfg.PhoneNumberID {
		return nil, unknownObject(c.id)
	}
	var in struct {
		PIN string `json:"pin"`
	}
	if refusal := c.decode(&in); refusal != nil {
		return nil, refusal
	}
	if !pinForm.MatchString(in.PIN) {
		return nil, badParameter("Param pin must be 6 digits.")
	}
	h.meta.pin = in.PIN
	h.post(h.accountReport("security", map[string]any{"display_phone_number": h.cfg.DisplayNumber, "event": "PIN_CHANGED"}))
	return succeeded, nil
}

func (h *Handset) templateByID(id string) *metaTemplate {
	for _, t := range h.meta.templates {
		if t.ID == id {
			return t
		}
	}
	return nil
}

func (h *Handset) numberNode() map[string]any {
	verification := "NOT_VERIFIED"
	if h.meta.Verified {
		verification = "VERIFIED"
	}
	return map[string]any{
		"id": h.cfg.PhoneNumberID, "verified_name": h.cfg.BusinessName, "display_phone_number": "+" + h.cfg.DisplayNumber,
		"quality_rating": h.meta.Quality, "code_verification_status": verification, "name_status": h.meta.NameStatus,
		"status": h.meta.status(), "platform_type": "CLOUD_API", "throughput": map[string]string{"level": "STANDARD"},
		"whatsapp_business_manager_messaging_limit": h.meta.Limit, "is_official_business_account": false,
		"official_business_account": map[string]string{"oba_status": "NOT_STARTED"}, "health_status": h.health("PHONE_NUMBER", h.cfg.PhoneNumberID),
	}
}

func (h *Handset) graphNumbers(c *graphCall) (any, *graphError) {
	node, refusal := chosen(c, "WhatsAppBusinessPhoneNumber", "verified_name,code_verification_status,display_phone_number,quality_rating,id", h.numberNode())
	if refusal != nil {
		return nil, refusal
	}
	return map[string]any{"data": []any{node}}, nil
}

// graphRegister registers the number with its PIN, or gives it one.
func (h *Handset) graphRegister(c *graphCall) (any, *graphError) {
	var in struct {
		Product string `json:"messaging_product"`
		PIN     string `json:"pin"`
		Region  string `json:"data_localization_region"`
	}
	if refusal := c.decode(&in); refusal != nil {
		return nil, refusal
	}
	switch {
	case in.Product != "whatsapp":
		return nil, requiredParameter("messaging_product")
	case !pinForm.MatchString(in.PIN):
		return nil, badParameter("Param pin must be 6 digits.")
	case in.Region != "" && len(in.Region) != 2:
		return nil, badParameter("Param data_localization_region must be a country of two letters.")
	}
	if refusal := h.countRegistration(); refusal != nil {
		return nil, refusal
	}
	if !h.meta.Verified {
		return nil, graphFault(133006, "")
	}
	if refusal := h.checkPIN(in.PIN); refusal != nil {
		return nil, refusal
	}
	h.meta.pin, h.meta.Registered = in.PIN, true
	return succeeded, nil
}

func (h *Handset) graphDeregister(c *graphCall) (any, *graphError) {
	if refusal := h.countRegistration(); refusal != nil {
		return nil, refusal
	}
	h.meta.Registered = false
	return succeeded, nil
}

func (h *Handset) countRegistration() *graphError {
	now := h.clock.Now()
	h.meta.registrations = slices.DeleteFunc(h.meta.registrations, func(at time.Time) bool { return now.Sub(at) >= registrationInterval })
	if len(h.meta.registrations) >= registrationsAtMost {
		return graphFault(133016, "")
	}
	h.meta.registrations = append(h.meta.registrations, now)
	return nil
}

// checkPIN compares a PIN with the number's, and looks at none for an hour after five wrong ones.
func (h *Handset) checkPIN(pin string) *graphError {
	now := h.clock.Now()
	if wait := h.meta.pinBlocked.Sub(now); wait > 0 {
		return graphFault(133008, fmt.Sprintf("Please try again after %d seconds.", int(wait.Seconds())))
	}
	if h.meta.pin == "" || pin == h.meta.pin {
		h.meta.wrongPINs = 0
		return nil
	}
	if h.meta.wrongPINs++; h.meta.wrongPINs >= wrongPINsAtMost {
		h.meta.wrongPINs, h.meta.pinBlocked = 0, now.Add(pinRest)
	}
	return graphFault(133005, "")
}

// graphRequestCode sends a code to the business number itself, which is a phone of the handset too.
func (h *Handset) graphRequestCode(c *graphCall) (any, *graphError) {
	var in struct {
		Method   string `json:"code_method"`
		Language string `json:"language"`
	}
	if refusal := c.decode(&in); refusal != nil {
		return nil, refusal
	}
	switch {
	case in.Method != "SMS" && in.Method != "VOICE":
		return nil, badParameter("Param code_method must be one of {SMS, VOICE}.")
	case in.Language == "":
		return nil, requiredParameter("language")
	case h.meta.Verified:
		return nil, graphFault(136024, "")
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return nil, graphFault(131000, "")
	}
	h.meta.proof = fmt.Sprintf("%06d", n)
	now := h.clock.Now()
	h.remember(&message{
		id: "WA" + traceID(), channel: SMS, carrier: "meta", to: "+" + h.cfg.DisplayNumber, from: "WhatsApp", passcode: h.meta.proof, arrived: now,
		text:  "Your WhatsApp Business verification code is " + h.meta.proof[:3] + "-" + h.meta.proof[3:],
		steps: []step{{State: stateDelivered, At: Stamp{now}}},
	})
	return succeeded, nil
}

func (h *Handset) graphVerifyCode(c *graphCall) (any, *graphError) {
	var in struct {
		Code string `json:"code"`
	}
	if refusal := c.decode(&in); refusal != nil {
		return nil, refusal
	}
	switch {
	case h.meta.Verified:
		return nil, graphFault(136024, "")
	case h.meta.proof == "" || strings.ReplaceAll(in.Code, "-", "") != h.meta.proof:
		return nil, graphFault(136025, "")
	}
	h.meta.Verified, h.meta.proof = true, ""
	return succeeded, nil
}

func (h *Handset) graphSettings(*graphCall) (any, *graphError) {
	return map[string]any{
		"user_identity_change":  map[string]bool{"enable_identity_key_check": h.meta.IdentityCheck},
		"storage_configuration": map[string]string{"status": "DEFAULT"},
	}, nil
}

func (h *Handset) graphChangeSettings(c *graphCall) (any, *graphError) {
	in, err := members(c.body)
	if err != nil {
		return nil, badParameter("The request body is not valid JSON.")
	}
	var change struct {
		Check *bool `json:"enable_identity_key_check"`
	}
	if raw, named := in["user_identity_change"]; !named || json.Unmarshal(raw, &change) != nil || change.Check == nil {
		return nil, &graphError{status: http.StatusBadRequest, code: 100, message: "(#100) The parameter user_identity_change is required."}
	}
	h.meta.IdentityCheck = *change.Check
	return succeeded, nil
}
