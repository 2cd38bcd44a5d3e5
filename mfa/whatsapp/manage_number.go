package whatsapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// pinForm is the two-step verification PIN of a business number.
var pinForm = regexp.MustCompile(`^[0-9]{6}$`)

var errPIN = errors.New("the PIN must have 6 digits")

// Number is the business number, as Meta has it.
type Number struct {
	ID            string `json:"id"`
	DisplayNumber string `json:"display_phone_number"`
	// VerifiedName is what people see, once NameStatus is APPROVED.
	VerifiedName string `json:"verified_name"`
	NameStatus   string `json:"name_status"`
	// Status must be CONNECTED.
	Status string `json:"status"`
	// Quality is GREEN, YELLOW, RED, or UNKNOWN (also written NA).
	Quality            string `json:"quality_rating"`
	VerificationStatus string `json:"code_verification_status"`
	// MessagingLimit is how many people may be written to in 24 hours: TIER_250, TIER_2K, … It is the whole portfolio's.
	MessagingLimit string `json:"whatsapp_business_manager_messaging_limit"`
	Throughput     struct {
		Level string `json:"level"`
	} `json:"throughput"`
}

const numberFields = "id,display_phone_number,verified_name,name_status,status,quality_rating,code_verification_status," +
	"throughput,whatsapp_business_manager_messaging_limit"

// Number reads the business number.
func (m *Manager) Number(ctx context.Context) (Number, error) {
	n, _, err := m.number(ctx)
	return n, err
}

func (m *Manager) number(ctx context.Context) (n Number, version string, err error) {
	p, err := m.get(ctx, m.cfg.PhoneNumberID, url.Values{"fields": {numberFields}}, &n)
	if err != nil {
		return Number{}, p.version, fmt.Errorf("read number: %w", err)
	}
	return n, p.version, nil
}

// Register registers the number for the Cloud API. pin is its two-step verification PIN, or becomes it when there is
// none. region, where it is given, is an ISO country in which Meta keeps the data; it cannot be changed later without
// registering anew.
func (m *Manager) Register(ctx context.Context, pin, region string) error {
	if !pinForm.MatchString(pin) {
		return fmt.Errorf("register number: %w", errPIN)
	}
	body := map[string]string{"messaging_product": "whatsapp", "pin": pin}
	if region != "" {
		body["data_localization_region"] = region
	}
	if err := m.do(ctx, m.cfg.PhoneNumberID+"/register", body); err != nil {
		return fmt.Errorf("register number: %w", err)
	}
	return nil
}

// SetPIN sets or changes the two-step verification PIN. Meta does not ask for the old one. It can only be turned off in
// WhatsApp Manager.
func (m *Manager) SetPIN(ctx context.Context, pin string) error {
	if !pinForm.MatchString(pin) {
		return fmt.Errorf("set PIN: %w", errPIN)
	}
	if err := m.do(ctx, m.cfg.PhoneNumberID, map[string]string{"pin": pin}); err != nil {
		return fmt.Errorf("set PIN: %w", err)
	}
	return nil
}

// RequestCode makes Meta send a verification code to the business number, by "sms" or "voice", in a language such as
// en_US. (It proves that the number is ours; it has nothing to do with passcodes.)
func (m *Manager) RequestCode(ctx context.Context, method, language string) error {
	method = strings.ToUpper(method)
	switch {
	case method != "SMS" && method != "VOICE":
		return errors.New("request verification code: the method is sms or voice")
	case !languageForm.MatchString(language):
		return fmt.Errorf("request verification code: %q is not one of Meta's languages, such as en_US", language)
	}
	if err := m.do(ctx, m.cfg.PhoneNumberID+"/request_code", map[string]string{"code_method": method, "language": language}); err != nil {
		return fmt.Errorf("request verification code: %w", err)
	}
	return nil
}

// VerifyCode proves with the code that came that the number is ours.
func (m *Manager) VerifyCode(ctx context.Context, code string) error {
	code = strings.NewReplacer("-", "", " ", "").Replace(code)
	if !pinForm.MatchString(code) {
		return errors.New("verify number: the code has 6 digits")
	}
	if err := m.do(ctx, m.cfg.PhoneNumberID+"/verify_code", map[string]string{"code": code}); err != nil {
		return fmt.Errorf("verify number: %w", err)
	}
	return nil
}

type identitySettings struct {
	Change struct {
		// Meta's pages have enable_identity_key_check, its OpenAPI description enabled.
		Check   *bool `json:"enable_identity_key_check,omitempty"`
		Enabled *bool `json:"enabled,omitempty"`
	} `json:"user_identity_change"`
}

// IdentityCheck says whether Meta tells the identity key hash of who got a message.
func (m *Manager) IdentityCheck(ctx context.Context) (bool, error) {
	var raw struct {
		Change json.RawMessage `json:"user_identity_change"`
	}
	if _, err := m.get(ctx, m.cfg.PhoneNumberID+"/settings", nil, &raw); err != nil {
		return false, fmt.Errorf("read identity check: %w", err)
	}
	var s identitySettings
	if len(raw.Change) > 0 && json.Unmarshal(raw.Change, &s.Change) != nil {
		return false, errors.New("read identity check: Meta's answer is not understood")
	}
	return s.Change.Check != nil && *s.Change.Check || s.Change.Enabled != nil && *s.Change.Enabled, nil
}

// SetIdentityCheck turns it on or off. Phones can be bound to a WhatsApp account only while it is on.
func (m *Manager) SetIdentityCheck(ctx context.Context, on bool) error {
	var s identitySettings
	s.Change.Check = &on
	if err := m.do(ctx, m.cfg.PhoneNumberID+"/settings", s); err != nil {
		return fmt.Errorf("set identity check: %w", err)
	}
	return nil
}
