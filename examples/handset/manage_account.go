package handset

import (
	"context"
	"net/http"
	"time"
)

// graphSubscriptions lists the apps that get the account's webhooks.
func (h *Handset) graphSubscriptions(*graphCall) (any, *graphError) {
	data := []any{}
	if h.meta.Subscribed {
		app := map[string]any{"whatsapp_business_api_data": map[string]string{
			"id": appID, "name": h.cfg.BusinessName, "link": "https://www.facebook.com/games/?app_id=" + appID,
		}}
		if h.meta.CallbackURL != "" {
			app["override_callback_uri"] = h.meta.CallbackURL
		}
		data = append(data, app)
	}
	return map[string]any{"data": data}, nil
}

// graphSubscribe subscribes the app. Another callback URL must pass the handshake first. It is called with Handset.mu held,
// which it gives up for the time of the handshake: the provider may be answering another request of ours meanwhile.
func (h *Handset) graphSubscribe(c *graphCall) (any, *graphError) {
	var in struct {
		Override string `json:"override_callback_uri"`
		Token    string `json:"verify_token"`
	}
	if refusal := c.decode(&in); refusal != nil {
		return nil, refusal
	}
	if in.Override != "" {
		if checkURL(in.Override) != nil || in.Token == "" {
			return nil, badParameter("Params override_callback_uri and verify_token belong together.")
		}
		ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
		defer cancel()
		h.mu.Unlock()
		err := h.handshake(ctx, in.Override, in.Token)
		h.mu.Lock()
		if err != nil {
			return nil, &graphError{
				status: http.StatusBadRequest, code: 2200, message: "(#2200) Callback verification failed with the following errors: " + err.Error(),
			}
		}
	}
	h.meta.Subscribed, h.meta.CallbackURL = true, in.Override
	return succeeded, nil
}

func (h *Handset) graphUnsubscribe(*graphCall) (any, *graphError) {
	h.meta.Subscribed, h.meta.CallbackURL = false, ""
	return succeeded, nil
}

// health is health_status of a node: the node itself and what it depends on.
func (h *Handset) health(kind, id string) map[string]any {
	entity := func(kind, id string) map[string]any {
		return map[string]any{"entity_type": kind, "id": id, "can_send_message": "AVAILABLE"}
	}
	waba := entity("WABA", h.cfg.WABA)
	waba["can_send_message"] = h.meta.Health
	switch h.meta.Health {
	case "LIMITED":
		waba["additional_info"] = []string{"The account has reached its messaging limit."}
	case "BLOCKED":
		waba["errors"] = []map[string]any{{
			"error_code": 141006, "error_description": "There is an error with the payment method.",
			"possible_solution": "Add a payment method in WhatsApp Manager.",
		}}
	}
	entities := []map[string]any{waba, entity("BUSINESS", "506000000000001"), entity("APP", appID)}
	if kind == "PHONE_NUMBER" || kind == "MESSAGE_TEMPLATE" {
		entities = append([]map[string]any{entity(kind, id)}, entities...)
	}
	return map[string]any{"can_send_message": h.meta.Health, "entities": entities}
}
