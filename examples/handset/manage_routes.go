package handset

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// graphPath is what the Graph API answers to: paths that begin with a version, or with what somebody took for one.
var graphPath = regexp.MustCompile(`^/v?[0-9]{1,3}\.[0-9]{1,2}/`)

// graphFirst puts the Graph API before next.
func (h *Handset) graphFirst(next http.Handler) http.Handler {
	graph := h.graphRoutes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if graphPath.MatchString(r.URL.Path) {
			graph.ServeHTTP(w, r)
		} else {
			next.ServeHTTP(w, r)
		}
	})
}

func (h *Handset) graphRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{version}/{id}/messages", h.graphMessages)

	handle := func(pattern string, f func(*graphCall) (any, *graphError)) { mux.HandleFunc(pattern, h.managed(f)) }
	handle("GET /{version}/debug_token", h.graphDebugToken)
	handle("GET /{version}/{id}", h.graphNode)
	handle("POST /{version}/{id}", h.graphChangeNode)
	handle("GET /{version}/{id}/message_templates", h.account(h.graphTemplates))
	handle("POST /{version}/{id}/message_templates", h.account(h.graphCreateTemplate))
	handle("DELETE /{version}/{id}/message_templates", h.account(h.graphDeleteTemplate))
	handle("POST /{version}/{id}/upsert_message_templates", h.account(h.graphUpsertTemplates))
	handle("GET /{version}/{id}/message_template_previews", h.account(h.graphPreviews))
	handle("GET /{version}/{id}/phone_numbers", h.account(h.graphNumbers))
	handle("GET /{version}/{id}/subscribed_apps", h.account(h.graphSubscriptions))
	handle("POST /{version}/{id}/subscribed_apps", h.account(h.graphSubscribe))
	handle("DELETE /{version}/{id}/subscribed_apps", h.account(h.graphUnsubscribe))
	handle("POST /{version}/{id}/register", h.number(h.graphRegister))
	handle("POST /{version}/{id}/deregister", h.number(h.graphDeregister))
	handle("POST /{version}/{id}/request_code", h.number(h.graphRequestCode))
	handle("POST /{version}/{id}/verify_code", h.number(h.graphVerifyCode))
	handle("GET /{version}/{id}/settings", h.number(h.graphSettings))
	handle("POST /{version}/{id}/settings", h.number(h.graphChangeSettings))
	handle("/", func(c *graphCall) (any, *graphError) { return nil, unknownObject(c.id) })
	return mux
}

// graphCall is one management call whose token was good.
type graphCall struct {
	*http.Request
	id   string
	body []byte
}

// decode reads the body strictly.
func (c *graphCall) decode(into any) *graphError {
	if len(c.body) == 0 {
		return nil // a call without parameters may have none
	}
	if err := decodeStrict(c.body, into); err != nil {
		return badParameter(jsonFault(err))
	}
	return nil
}

// managed authenticates a management call and writes what comes of it.
func (h *Handset) managed(f func(*graphCall) (any, *graphError)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.graphHeaders(w, r)
		body, refusal := h.readManaged(w, r)
		if refusal != nil {
			refusal.write(w)
			return
		}
		answer, refusal := f(&graphCall{Request: r, id: r.PathValue("id"), body: body})
		if refusal != nil {
			refusal.write(w)
			return
		}
		writeGraph(w, http.StatusOK, answer)
	}
}

// graphHeaders are those of every answer; the version is the one that really answered.
func (h *Handset) graphHeaders(w http.ResponseWriter, r *http.Request) {
	version := r.PathValue("version")
	if version == "" {
		version, _, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.meta.APIVersion != "" {
		version = h.meta.APIVersion
	}
	w.Header().Set("x-fb-trace-id", traceID())
	w.Header().Set("facebook-api-version", version)
}

func (h *Handset) readManaged(w http.ResponseWriter, r *http.Request) ([]byte, *graphError) {
	version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !versionForm.MatchString(version) {
		return nil, &graphError{status: http.StatusBadRequest, code: 2500, message: "Unknown path components: " + r.URL.Path}
	}
	if refusal := h.checkToken(r); refusal != nil {
		return nil, refusal
	}
	h.mu.Lock()
	token := h.meta.Token
	h.mu.Unlock()
	switch token {
	case "expired":
		return nil, badToken()
	case "no_management":
		if !strings.HasSuffix(r.URL.Path, "/debug_token") {
			return nil, noPermission()
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, badParameter("The request body could not be read or is too large.")
	}
	return body, nil
}

// account lets through calls about the WhatsApp Business Account.
func (h *Handset) account(f func(*graphCall) (any, *graphError)) func(*graphCall) (any, *graphError) {
	return h.only(h.cfg.WABA, f)
}

// number lets through calls about the business number.
func (h *Handset) number(f func(*graphCall) (any, *graphError)) func(*graphCall) (any, *graphError) {
	return h.only(h.cfg.PhoneNumberID, f)
}

func (h *Handset) only(id string, f func(*graphCall) (any, *graphError)) func(*graphCall) (any, *graphError) {
	return func(c *graphCall) (any, *graphError) {
		if c.id != id {
			return nil, unknownObject(c.id)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		return f(c)
	}
}

// chosen leaves of a node what the fields parameter names; the id is always there.
func chosen(c *graphCall, kind, always string, node map[string]any) (map[string]any, *graphError) {
	fields := c.URL.Query().Get("fields")
	if fields == "" {
		fields = always
	}
	out := map[string]any{"id": node["id"]}
	for _, name := range strings.Split(fields, ",") {
		value, known := node[strings.TrimSpace(name)]
		if !known {
			return nil, &graphError{
				status: http.StatusBadRequest, code: 100,
				message: "(#100) Tried accessing nonexisting field (" + name + ") on node type (" + kind + ")",
			}
		}
		if value != nil {
			out[strings.TrimSpace(name)] = value
		}
	}
	return out, nil
}

var succeeded = map[string]bool{"success": true}

// graphDebugToken says what our own token is good for.
func (h *Handset) graphDebugToken(c *graphCall) (any, *graphError) {
	asked := c.URL.Query().Get("input_token")
	if asked == "" {
		return nil, requiredParameter("input_token")
	}
	if asked != h.cfg.AccessToken {
		return map[string]any{"data": map[string]any{
			"is_valid": false, "scopes": []string{}, "error": map[string]any{"code": 190, "message": "Invalid OAuth access token."},
		}}, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	scopes := []string{"public_profile"}
	if h.meta.Token != "no_management" {
		scopes = append(scopes, "whatsapp_business_management")
	}
	if h.meta.Token != "no_messaging" {
		scopes = append(scopes, "whatsapp_business_messaging")
	}
	return map[string]any{"data": map[string]any{
		"app_id": appID, "type": "SYSTEM_USER", "application": h.cfg.BusinessName, "is_valid": true, "scopes": scopes,
		"expires_at": h.meta.TokenExpiresAt, "data_access_expires_at": 0, "issued_at": h.clock.Now().Unix() - 86400, "user_id": "122000000000001",
	}}, nil
}

// appID is the app whose token sends and whose webhooks are posted.
const appID = "634000000000001"

var errNoObject = errors.New("the body must be one JSON object")

// members reads an object whose members are looked at one by one.
func members(raw []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil || m == nil {
		return nil, errNoObject
	}
	return m, nil
}
