package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// The permissions that our token needs.
const (
	scopeMessaging  = "whatsapp_business_messaging"
	scopeManagement = "whatsapp_business_management"
)

// Subscribe makes Meta send the account's webhooks to the app that the token belongs to. With a callbackURL they go
// there instead of the URL that is set at the app; Meta then asks it for the handshake with verifyToken at once.
func (m *Manager) Subscribe(ctx context.Context, callbackURL, verifyToken string) error {
	body := map[string]string{}
	if callbackURL != "" {
		u, err := url.Parse(callbackURL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || verifyToken == "" {
			return errors.New("subscribe: another callback URL must be absolute and needs the verify token")
		}
		body["override_callback_uri"], body["verify_token"] = callbackURL, verifyToken
	}
	if err := m.do(ctx, m.cfg.AccountID+"/subscribed_apps", body); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

// Subscription is an app that gets the account's webhooks.
type Subscription struct {
	AppID   string `json:"app_id"`
	AppName string `json:"app_name"`
	// CallbackURL is set where it overrides the app's.
	CallbackURL string `json:"callback_url,omitempty"`
}

// Subscriptions lists the apps that get the account's webhooks.
func (m *Manager) Subscriptions(ctx context.Context) ([]Subscription, error) {
	var answer struct {
		Data []struct {
			App struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			} `json:"whatsapp_business_api_data"`
			Override string `json:"override_callback_uri"`
		} `json:"data"`
	}
	if _, err := m.get(ctx, m.cfg.AccountID+"/subscribed_apps", nil, &answer); err != nil {
		return nil, fmt.Errorf("read subscriptions: %w", err)
	}
	subscriptions := make([]Subscription, 0, len(answer.Data))
	for _, d := range answer.Data {
		subscriptions = append(subscriptions, Subscription{AppID: d.App.ID, AppName: d.App.Name, CallbackURL: d.Override})
	}
	return subscriptions, nil
}

// Token is what Meta says of our access token.
type Token struct {
	Valid bool   `json:"valid"`
	AppID string `json:"app_id"`
	// Type is SYSTEM_USER for one that lasts, USER for one from the app's page, which ends within a day.
	Type string `json:"type"`
	// ExpiresAt is zero for never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Scopes    []string  `json:"scopes"`
}

// DebugToken asks Meta about our own access token. One that is no longer good is refused with 190.
func (m *Manager) DebugToken(ctx context.Context) (Token, error) {
	var answer struct {
		Data struct {
			Valid   bool     `json:"is_valid"`
			AppID   string   `json:"app_id"`
			Type    string   `json:"type"`
			Expires int64    `json:"expires_at"`
			Scopes  []string `json:"scopes"`
		} `json:"data"`
	}
	if _, err := m.get(ctx, "debug_token", url.Values{"input_token": {m.cfg.AccessToken}}, &answer); err != nil {
		return Token{}, fmt.Errorf("check access token: %w", err)
	}
	t := Token{Valid: answer.Data.Valid, AppID: answer.Data.AppID, Type: answer.Data.Type, Scopes: answer.Data.Scopes}
	if answer.Data.Expires > 0 {
		t.ExpiresAt = time.Unix(answer.Data.Expires, 0).UTC()
	}
	return t, nil
}

// missing are the permissions that the token should have and has not.
func (t Token) missing() []string {
	return slices.DeleteFunc([]string{scopeMessaging, scopeManagement}, func(s string) bool { return slices.Contains(t.Scopes, s) })
}

// Health is whether messages can be sent, and what stands in the way.
type Health struct {
	// CanSend is AVAILABLE, LIMITED or BLOCKED: the worst of the entities.
	CanSend  string         `json:"can_send_message"`
	Entities []HealthEntity `json:"entities"`
}

// HealthEntity is one of the things that sending depends on: PHONE_NUMBER, MESSAGE_TEMPLATE, WABA, BUSINESS, APP.
type HealthEntity struct {
	Type           string        `json:"entity_type"`
	CanSend        string        `json:"can_send_message"`
	AdditionalInfo []string      `json:"additional_info,omitempty"`
	Errors         []HealthError `json:"errors,omitempty"`
}

// HealthError is why something cannot be used, and what Meta thinks would help.
type HealthError struct {
	Code        int    `json:"error_code"`
	Description string `json:"error_description"`
	Solution    string `json:"possible_solution"`
}

// Health reads the health of a node: empty is the number; a template's id is the other that makes sense.
func (m *Manager) Health(ctx context.Context, node string) (Health, error) {
	if node == "" {
		node = m.cfg.PhoneNumberID
	}
	if !idForm.MatchString(node) {
		return Health{}, errors.New("read health: a node's id is digits")
	}
	var answer struct {
		Health Health `json:"health_status"`
	}
	if _, err := m.get(ctx, node, url.Values{"fields": {"health_status"}}, &answer); err != nil {
		return Health{}, fmt.Errorf("read health: %w", err)
	}
	return answer.Health, nil
}
