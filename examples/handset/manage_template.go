package handset

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// metaTemplate is an authentication template in one language.
type metaTemplate struct {
	ID, Name, Language string
	Status, Category   string
	Quality, Rejected  string
	ttl                time.Duration // message_send_ttl_seconds; 0 when Meta's default holds
	ExpiryMinutes      int           // 0 when the template names none
	Security           bool          // "do not share this code"
	Button             string        // "" for Meta's word
}

// defaultTTL is how long Meta tries to deliver an authentication message whose template says nothing.
const defaultTTL = 10 * time.Minute

func (t *metaTemplate) timeToLive() time.Duration {
	if t.ttl <= 0 {
		return defaultTTL
	}
	return t.ttl
}

// templateView is a template as `GET /meta` shows it.
type templateView struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	Language   string  `json:"language"`
	Status     string  `json:"status"`
	Category   string  `json:"category"`
	Quality    string  `json:"quality"`
	TTLSeconds float64 `json:"ttl_seconds"`
	Expiry     int     `json:"expiry_minutes"`
	Security   bool    `json:"security_recommendation"`
}

func (t *metaTemplate) view() templateView {
	return templateView{
		ID: t.ID, Name: t.Name, Language: t.Language, Status: t.Status, Category: t.Category, Quality: t.Quality,
		TTLSeconds: t.ttl.Seconds(), Expiry: t.ExpiryMinutes, Security: t.Security,
	}
}

// words is Meta's text of the template.
func (t *metaTemplate) words() (body, footer, button string) {
	w := wordingFor(t.Language)
	body, button = w.body, w.copy
	if !t.Security {
		first, _, _ := strings.Cut(body, ". ")
		body = strings.TrimSuffix(first, ".") + "."
	}
	if t.ExpiryMinutes > 0 {
		footer = w.footer(t.ExpiryMinutes)
	}
	if t.Button != "" {
		button = t.Button
	}
	return body, footer, button
}

// node is the template as the API shows it: the OTP button has become one with a URL.
func (t *metaTemplate) node() map[string]any {
	body, footer, button := t.words()
	components := []map[string]any{{
		"type": "BODY", "text": body, "add_security_recommendation": t.Security, "example": map[string]any{"body_text": [][]string{{"123456"}}},
	}}
	link := "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE"
	if t.ExpiryMinutes > 0 {
		components = append(components, map[string]any{"type": "FOOTER", "text": footer, "code_expiration_minutes": t.ExpiryMinutes})
		link += "&code_expiration_minutes=" + strconv.Itoa(t.ExpiryMinutes)
	}
	components = append(components, map[string]any{"type": "BUTTONS", "buttons": []map[string]any{{
		"type": "URL", "text": button, "url": link + "&code=otp{{1}}", "example": []string{link + "&code=otp123456"},
	}}})
	n := map[string]any{
		"id": t.ID, "name": t.Name, "language": t.Language, "status": t.Status, "category": t.Category, "parameter_format": "POSITIONAL",
		"components": components, "message_send_ttl_seconds": nil, "rejected_reason": "NONE",
		"quality_score": map[string]any{"score": t.Quality, "date": 1790000000}, "health_status": nil,
	}
	if t.ttl > 0 {
		n["message_send_ttl_seconds"] = int(t.ttl.Seconds())
	}
	if t.Rejected != "" {
		n["rejected_reason"] = t.Rejected
	}
	return n
}

const templateFields = "name,message_send_ttl_seconds,parameter_format,components,language,status,category"

// graphTemplates lists templates page by page. As with Meta, a name also finds those that only contain it.
func (h *Handset) graphTemplates(c *graphCall) (any, *graphError) {
	query := c.URL.Query()
	var found []*metaTemplate
	for _, t := range h.meta.templates {
		if strings.Contains(t.Name, query.Get("name")) && (query.Get("status") == "" || query.Get("status") == t.Status) {
			found = append(found, t)
		}
	}
	from, limit := 0, 25
	if n, err := strconv.Atoi(query.Get("limit")); err == nil && n > 0 {
		limit = min(n, 1000)
	}
	if after := query.Get("after"); after != "" {
		raw, err := base64.StdEncoding.DecodeString(after)
		n, ok := strings.CutPrefix(string(raw), "after:")
		if from, _ = strconv.Atoi(n); err != nil || !ok || from < 0 || from > len(found) {
			return nil, graphFault(131059, "")
		}
	}
	to := min(from+limit, len(found))
	data := []map[string]any{}
	for _, t := range found[from:to] {
		node, refusal := chosen(c, "WhatsAppMessageTemplate", templateFields, t.node())
		if refusal != nil {
			return nil, refusal
		}
		data = append(data, node)
	}
	if len(data) == 0 {
		return map[string]any{"data": data}, nil
	}
	cursor := func(n int) string { return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "after:%d", n)) }
	paging := map[string]any{"cursors": map[string]string{"before": cursor(from), "after": cursor(to)}}
	if to < len(found) {
		next := *c.URL
		q := next.Query()
		q.Set("after", cursor(to))
		next.RawQuery = q.Encode()
		paging["next"] = "https://graph.facebook.com" + next.String()
	}
	return map[string]any{"data": data, "paging": paging}, nil
}

type templateRequest struct {
	Name       string              `json:"name"`
	Language   string              `json:"language"`
	Languages  []string            `json:"languages"`
	Category   string              `json:"category"`
	TTL        *int                `json:"message_send_ttl_seconds"`
	Components []templateComponent `json:"components"`
}

type templateComponent struct {
	Type     string           `json:"type"`
	Security bool             `json:"add_security_recommendation"`
	Expiry   *int             `json:"code_expiration_minutes"`
	Buttons  []templateButton `json:"buttons"`
}

type templateButton struct {
	Type     string `json:"type"`
	OTPType  string `json:"otp_type"`
	Text     string `json:"text"`
	Autofill string `json:"autofill_text"`
	Terms    bool   `json:"zero_tap_terms_accepted"`
	Apps     []struct {
		Package   string `json:"package_name"`
		Signature string `json:"signature_hash"`
	} `json:"supported_apps"`
}

var (
	templateNameForm = regexp.MustCompile(`^[a-z0-9_]{1,512}$`)
	// metaLanguages are the languages that a template can have.
	metaLanguages = strings.Fields("af sq ar ar_EG ar_AE ar_LB ar_MA ar_QA az be_BY bn bn_IN bg ca zh_CN zh_HK zh_TW hr cs da " +
		"prs_AF nl nl_BE en en_GB en_US en_AE en_AU en_CA en_GH en_IE en_IN en_JM en_MY en_NZ en_QA en_SG en_UG en_ZA et fil fi " +
		"fr fr_BE fr_CA fr_CH fr_CI fr_MA ka de de_AT de_CH el gu ha he hi hu id ga it ja kn kk rw_RW ko ky_KG lo lv lt mk ms " +
		"ml mr nb ps_AF fa pl pt_BR pt_PT pa ro ru sr si_LK sk sl es es_AR es_CL es_CO es_CR es_DO es_EC es_HN es_MX es_PA " +
		"es_PE es_ES es_UY sw sv ta te th tr uk ur uz vi zu")
)

// read checks what is asked for and lays it over a template.
func (r templateRequest) read(into *metaTemplate) *graphError {
	if r.TTL != nil && *r.TTL != -1 && (*r.TTL < 30 || *r.TTL > 900) {
		return badParameter("Param message_send_ttl_seconds must be between 30 and 900 for authentication templates.")
	}
	var seen []string
	for _, c := range r.Components {
		kind := strings.ToUpper(c.Type)
		if slices.Contains(seen, kind) {
			return badParameter("There can be one component of each type.")
		}
		seen = append(seen, kind)
		switch kind {
		case "BODY":
			into.Security = c.Security
		case "FOOTER":
			if c.Expiry == nil || *c.Expiry < 1 || *c.Expiry > 90 {
				return badParameter("Param code_expiration_minutes must be between 1 and 90.")
			}
			into.ExpiryMinutes = *c.Expiry
		case "BUTTONS":
			if len(c.Buttons) != 1 || !strings.EqualFold(c.Buttons[0].Type, "OTP") {
				return badParameter("An authentication template has one button, of type OTP.")
			}
			if refusal := c.Buttons[0].check(); refusal != nil {
				return refusal
			}
			into.Button = c.Buttons[0].Text
		default:
			return badParameter("An authentication template has the components BODY, FOOTER and BUTTONS.")
		}
	}
	if !slices.Contains(seen, "BODY") || !slices.Contains(seen, "BUTTONS") {
		return badParameter("An authentication template needs the components BODY and BUTTONS.")
	}
	if r.TTL != nil {
		into.ttl = max(time.Duration(*r.TTL)*time.Second, 0)
	}
	return nil
}

func (b templateButton) check() *graphError {
	switch strings.ToUpper(b.OTPType) {
	case "COPY_CODE":
	case "ONE_TAP", "ZERO_TAP":
		if len(b.Apps) < 1 || len(b.Apps) > 5 {
			return badParameter("Param supported_apps must have 1 to 5 apps.")
		}
		if strings.EqualFold(b.OTPType, "ZERO_TAP") && !b.Terms {
			return badParameter("Param zero_tap_terms_accepted must be true.")
		}
	default:
		return badParameter("Param otp_type must be one of {COPY_CODE, ONE_TAP, ZERO_TAP}.")
	}
	if utf8.RuneCountInString(b.Text) > 25 || utf8.RuneCountInString(b.Autofill) > 25 {
		return &graphError{
			status: http.StatusBadRequest, code: 100, subcode: 2388040, message: "Invalid parameter", kind: "OAuthException",
			userTitle: "Character Limit Exceeded", userMessage: "The button text has more than 25 characters.",
		}
	}
	return nil
}

// checkNew checks the name, category and one language of a template that is to be made.
func (h *Handset) checkNew(r templateRequest, language string) *graphError {
	switch {
	case r.Name == "":
		return requiredParameter("name")
	case !templateNameForm.MatchString(r.Name):
		return badParameter("Param name must be lower-case letters, digits and underscores.")
	case language == "":
		return requiredParameter("language")
	case !slices.Contains(metaLanguages, language):
		return badParameter("Param language must be one of the supported languages.")
	case !strings.EqualFold(r.Category, "AUTHENTICATION"):
		return badParameter("Param category must be one of {AUTHENTICATION}: this account sends nothing else.")
	case h.meta.deleted[r.Name]:
		return &graphError{
			status: http.StatusBadRequest, code: 100, subcode: 2388023, message: "Invalid parameter",
			userTitle:   "Message Template Language Is Being Deleted",
			userMessage: "New content can't be added while the existing content of this name is being deleted. Try again in 4 weeks or use another name.",
		}
	}
	return nil
}

// graphCreateTemplate makes a template in one language. It is approved a moment later, which a webhook tells.
func (h *Handset) graphCreateTemplate(c *graphCall) (any, *graphError) {
	var r templateRequest
	t := metaTemplate{Status: "PENDING", Category: "AUTHENTICATION", Quality: "UNKNOWN"}
	if refusal := c.decode(&r); refusal != nil {
		return nil, refusal
	}
	if r.Languages != nil {
		return nil, badParameter(`Unexpected key "languages".`)
	}
	if refusal := h.checkNew(r, r.Language); refusal != nil {
		return nil, refusal
	}
	if h.meta.template(r.Name, r.Language) != nil {
		return nil, &graphError{
			status: http.StatusBadRequest, code: 100, subcode: 2388024, message: "Invalid parameter",
			userTitle:   "Content in This Language Already Exists",
			userMessage: "There is already content in this language for this template. You can create a new template and try again.",
		}
	}
	if refusal := r.read(&t); refusal != nil {
		return nil, refusal
	}
	if len(h.meta.templates) >= 250 {
		return nil, &graphError{status: http.StatusBadRequest, code: 100, subcode: 2388019, message: "Message template limit exceeded"}
	}
	t.Name, t.Language = r.Name, r.Language
	made := h.meta.add(t)
	h.timers.after(h.cfg.DeliverAfter, func() { h.approve(made) })
	return map[string]string{"id": made.ID, "status": made.Status, "category": made.Category}, nil
}

func (h *Handset) approve(t *metaTemplate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.Status != "PENDING" {
		return
	}
	t.Status = "APPROVED"
	id, _ := strconv.ParseInt(t.ID, 10, 64)
	h.post(h.accountReport("message_template_status_update", map[string]any{
		"event": t.Status, "message_template_id": id, "message_template_name": t.Name, "message_template_language": t.Language,
		"reason": "NONE", "message_template_category": t.Category,
	}))
}

// graphUpsertTemplates makes or changes a template in several languages, approved at once.
func (h *Handset) graphUpsertTemplates(c *graphCall) (any, *graphError) {
	var r templateRequest
	if refusal := c.decode(&r); refusal != nil {
		return nil, refusal
	}
	if r.Language != "" || len(r.Languages) == 0 {
		return nil, requiredParameter("languages")
	}
	for _, component := range r.Components {
		for _, b := range component.Buttons {
			if b.Text != "" || b.Autofill != "" {
				return nil, badParameter("text and autofill_text are not supported with languages.")
			}
		}
	}
	for _, language := range r.Languages {
		if refusal := h.checkNew(r, language); refusal != nil {
			return nil, refusal
		}
	}
	if refusal := r.read(new(metaTemplate)); refusal != nil {
		return nil, refusal
	}
	data := []map[string]string{}
	for _, language := range r.Languages {
		t := h.meta.template(r.Name, language)
		if t == nil {
			t = h.meta.add(metaTemplate{Name: r.Name, Language: language, Category: "AUTHENTICATION", Quality: "UNKNOWN"})
		}
		t.ExpiryMinutes = 0
		_ = r.read(t)
		t.Status = "APPROVED"
		data = append(data, map[string]string{"id": t.ID, "status": t.Status, "language": language})
	}
	return map[string]any{"data": data}, nil
}

// graphDeleteTemplate deletes a template in all languages, or with hsm_id in one.
func (h *Handset) graphDeleteTemplate(c *graphCall) (any, *graphError) {
	name, id := c.URL.Query().Get("name"), c.URL.Query().Get("hsm_id")
	if name == "" {
		return nil, requiredParameter("name")
	}
	gone := func(t *metaTemplate) bool { return t.Name == name && (id == "" || t.ID == id) }
	if !slices.ContainsFunc(h.meta.templates, gone) {
		return nil, badParameter("There is no message template of this name.")
	}
	if slices.ContainsFunc(h.meta.templates, func(t *metaTemplate) bool { return gone(t) && t.Status == "DISABLED" }) {
		return nil, badParameter("A disabled message template cannot be deleted.")
	}
	h.meta.templates = slices.DeleteFunc(h.meta.templates, gone)
	if id == "" && len(h.meta.deleted) < maxMessages {
		h.meta.deleted[name] = true
	}
	return succeeded, nil
}

// graphPreviews shows Meta's texts before a template is made.
func (h *Handset) graphPreviews(c *graphCall) (any, *graphError) {
	query := c.URL.Query()
	if !strings.EqualFold(query.Get("category"), "AUTHENTICATION") || !strings.EqualFold(query.Get("button_types"), "OTP") {
		return nil, badParameter("Params category and button_types must be AUTHENTICATION and OTP.")
	}
	t := metaTemplate{Security: query.Get("add_security_recommendation") == "true"}
	if minutes := query.Get("code_expiration_minutes"); minutes != "" {
		n, err := strconv.Atoi(minutes)
		if err != nil || n < 1 || n > 90 {
			return nil, badParameter("Param code_expiration_minutes must be between 1 and 90.")
		}
		t.ExpiryMinutes = n
	}
	languages := slices.DeleteFunc(strings.Split(query.Get("languages"), ","), func(s string) bool { return s == "" })
	if len(languages) == 0 {
		languages = []string{"en_US"}
	}
	data := []map[string]any{}
	for _, language := range languages {
		if !slices.Contains(metaLanguages, language) {
			return nil, badParameter("Param languages must be of the supported languages.")
		}
		t.Language = language
		body, footer, button := t.words()
		preview := map[string]any{"body": body, "language": language, "buttons": []map[string]string{{"text": button, "autofill_text": "Autofill"}}}
		if footer != "" {
			preview["footer"] = footer
		}
		data = append(data, preview)
	}
	return map[string]any{"data": data}, nil
}

// editTemplate changes a template's TTL or replaces its components.
func (h *Handset) editTemplate(c *graphCall, t *metaTemplate) (any, *graphError) {
	var r templateRequest
	if refusal := c.decode(&r); refusal != nil {
		return nil, refusal
	}
	if !slices.Contains([]string{"APPROVED", "REJECTED", "PAUSED"}, t.Status) {
		return nil, badParameter("Only an approved, rejected or paused message template can be edited.")
	}
	edited := *t
	if r.Components == nil {
		security := templateComponent{Type: "BODY", Security: t.Security}
		button := templateComponent{Type: "BUTTONS", Buttons: []templateButton{{Type: "OTP", OTPType: "COPY_CODE", Text: t.Button}}}
		r.Components = []templateComponent{security, button}
	} else {
		edited.ExpiryMinutes = 0
	}
	if refusal := r.read(&edited); refusal != nil {
		return nil, refusal
	}
	*t = edited
	return succeeded, nil
}
