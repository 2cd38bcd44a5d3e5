package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What Meta allows for authentication templates.
const (
	minTTL    = 30 * time.Second
	maxTTL    = 15 * time.Minute
	maxExpiry = 90 // minutes
	maxButton = 25 // characters
	maxPages  = 50
	perPage   = 100
)

var languageForm = regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2})?$`)

// TemplateSpec describes an authentication template with a copy-code button. Its text is Meta's.
type TemplateSpec struct {
	Name string
	// Languages are in Meta's spelling, such as pt_BR.
	Languages []string
	// TTL is message_send_ttl_seconds, from 30 s to 15 min: what is not delivered by then is dropped.
	TTL time.Duration
	// ExpiryMinutes, from 1 to 90, is told under the text; 0 leaves it out.
	ExpiryMinutes int
	// SecurityRecommendation adds "do not share this code".
	SecurityRecommendation bool
	// ButtonText is the button's, at most 25 characters; empty is Meta's word in each language.
	ButtonText string
}

func (s TemplateSpec) check() error {
	switch {
	case !templateForm.MatchString(s.Name):
		return errors.New("the template's name must be lower-case letters, digits and _")
	case len(s.Languages) == 0:
		return errors.New("name at least one language")
	case s.TTL < minTTL || s.TTL > maxTTL || s.TTL%time.Second != 0:
		return fmt.Errorf("the time to live is %s: Meta takes whole seconds from %s to %s; set mfa.template_ttl, or --ttl", s.TTL, minTTL, maxTTL)
	case s.ExpiryMinutes < 0 || s.ExpiryMinutes > maxExpiry:
		return fmt.Errorf("the expiry is %d minutes: Meta takes 1 to %d", s.ExpiryMinutes, maxExpiry)
	case utf8.RuneCountInString(s.ButtonText) > maxButton:
		return fmt.Errorf("the button's text has more than %d characters", maxButton)
	}
	for _, lang := range s.Languages {
		if !languageForm.MatchString(lang) {
			return fmt.Errorf("%q is not one of Meta's languages, such as pt_BR", lang)
		}
	}
	return nil
}

// The wire form of a template. In an answer the button is of the type URL and the footer has a text.
type (
	wireTemplate struct {
		ID         string          `json:"id,omitempty"`
		Name       string          `json:"name"`
		Language   string          `json:"language,omitempty"`
		Languages  []string        `json:"languages,omitempty"`
		Category   string          `json:"category"`
		Status     string          `json:"status,omitempty"`
		TTL        *int            `json:"message_send_ttl_seconds,omitempty"`
		Components []wireComponent `json:"components,omitempty"`
		Rejected   string          `json:"rejected_reason,omitempty"`
		Quality    *struct {
			Score string `json:"score"`
		} `json:"quality_score,omitempty"`
	}
	wireComponent struct {
		Type     string       `json:"type"`
		Security *bool        `json:"add_security_recommendation,omitempty"`
		Expiry   int          `json:"code_expiration_minutes,omitempty"`
		Buttons  []wireButton `json:"buttons,omitempty"`
	}
	wireButton struct {
		Type    string `json:"type"`
		OTPType string `json:"otp_type,omitempty"`
		Text    string `json:"text,omitempty"`
		URL     string `json:"url,omitempty"`
	}
)

func (s TemplateSpec) wire() wireTemplate {
	ttl := int(s.TTL / time.Second)
	w := wireTemplate{Name: s.Name, Category: categoryAuthentication, TTL: &ttl, Components: []wireComponent{
		{Type: "BODY", Security: &s.SecurityRecommendation},
	}}
	if s.ExpiryMinutes > 0 {
		w.Components = append(w.Components, wireComponent{Type: "FOOTER", Expiry: s.ExpiryMinutes})
	}
	w.Components = append(w.Components, wireComponent{Type: "BUTTONS", Buttons: []wireButton{{Type: "OTP", OTPType: "COPY_CODE", Text: s.ButtonText}}})
	return w
}

const (
	categoryAuthentication = "AUTHENTICATION"
	statusApproved         = "APPROVED"
)

// Template is a template in one language, as Meta has it.
type Template struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Language string `json:"language"`
	Status   string `json:"status"`
	Category string `json:"category"`
	// TTL is 0 when Meta names none: its own default, up to 30 days, holds.
	TTLSeconds             int    `json:"ttl_seconds"`
	ExpiryMinutes          int    `json:"expiry_minutes"`
	SecurityRecommendation bool   `json:"security_recommendation"`
	Button                 string `json:"button,omitempty"`
	Quality                string `json:"quality,omitempty"`
	RejectedReason         string `json:"rejected_reason,omitempty"`
}

func (w wireTemplate) template() Template {
	t := Template{ID: w.ID, Name: w.Name, Language: strings.ReplaceAll(w.Language, "-", "_"), Status: w.Status, Category: w.Category}
	if w.TTL != nil {
		t.TTLSeconds = *w.TTL
	}
	if w.Rejected != "NONE" {
		t.RejectedReason = w.Rejected
	}
	if w.Quality != nil {
		t.Quality = w.Quality.Score
	}
	for _, c := range w.Components {
		switch c.Type {
		case "BODY":
			t.SecurityRecommendation = c.Security != nil && *c.Security
		case "FOOTER":
			t.ExpiryMinutes = c.Expiry
		case "BUTTONS":
			if len(c.Buttons) > 0 {
				t.Button = c.Buttons[0].Text
			}
		}
	}
	return t
}

// Creation is what came of creating a template in one language.
type Creation struct {
	Language string `json:"language"`
	ID       string `json:"id,omitempty"`
	Status   string `json:"status,omitempty"`
	// Category may differ from what was asked: Meta decides.
	Category string      `json:"category,omitempty"`
	Refused  *GraphError `json:"refused,omitempty"`
}

// CreateTemplate creates s in each of its languages, one call for each, so that one that Meta refuses does not take the
// others along: it is in the result with the reason. A refusal that is not the language's ends it, with an error.
func (m *Manager) CreateTemplate(ctx context.Context, s TemplateSpec) ([]Creation, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("create template: %w", err)
	}
	var made []Creation
	for _, lang := range s.Languages {
		w := s.wire()
		w.Language = lang
		var answer wireTemplate
		err := m.post(ctx, m.cfg.AccountID+"/message_templates", w, &answer)
		var refused *GraphError
		switch {
		case errors.As(err, &refused) && (refused.Code == 100 && refused.Subcode != 33 || refused.Code >= 2388000 && refused.Code <= 2388999):
			made = append(made, Creation{Language: lang, Refused: refused})
		case err != nil:
			return made, fmt.Errorf("create template in %s: %w", lang, err)
		default:
			made = append(made, Creation{Language: lang, ID: answer.ID, Status: answer.Status, Category: answer.Category})
		}
	}
	return made, nil
}

// UpsertTemplate creates s in all its languages, or changes those that exist, in one call. Meta takes no ButtonText here.
// Changed templates are looked at again by Meta.
func (m *Manager) UpsertTemplate(ctx context.Context, s TemplateSpec) ([]Creation, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("create or change template: %w", err)
	}
	if s.ButtonText != "" {
		return nil, errors.New("create or change template: for several languages at once Meta chooses the button's text")
	}
	w := s.wire()
	w.Languages = s.Languages
	var answer struct {
		Data []wireTemplate `json:"data"`
	}
	if err := m.post(ctx, m.cfg.AccountID+"/upsert_message_templates", w, &answer); err != nil {
		return nil, fmt.Errorf("create or change template: %w", err)
	}
	made := make([]Creation, 0, len(answer.Data))
	for _, t := range answer.Data {
		made = append(made, Creation{Language: strings.ReplaceAll(t.Language, "-", "_"), ID: t.ID, Status: t.Status, Category: t.Category})
	}
	return made, nil
}

const templateFields = "id,name,language,status,category,message_send_ttl_seconds,components,quality_score,rejected_reason"

// Templates lists the account's templates, those of one name only where it is given. It reads at most 5,000.
func (m *Manager) Templates(ctx context.Context, name string) ([]Template, error) {
	query := url.Values{"fields": {templateFields}, "limit": {strconv.Itoa(perPage)}}
	if name != "" {
		query.Set("name", name)
	}
	templates := []Template{}
	for range maxPages {
		var answer struct {
			Data   []wireTemplate `json:"data"`
			Paging struct {
				Cursors struct {
					After string `json:"after"`
				} `json:"cursors"`
				Next string `json:"next"`
			} `json:"paging"`
		}
		if _, err := m.get(ctx, m.cfg.AccountID+"/message_templates", query, &answer); err != nil {
			return nil, fmt.Errorf("list templates: %w", err)
		}
		for _, w := range answer.Data {
			// Meta's filter also finds names that only contain it.
			if name == "" || w.Name == name {
				templates = append(templates, w.template())
			}
		}
		// The next page is asked for by its cursor and never by its URL: that may lead elsewhere, and holds the token.
		if answer.Paging.Next == "" || answer.Paging.Cursors.After == "" {
			return templates, nil
		}
		query.Set("after", answer.Paging.Cursors.After)
	}
	return templates, nil
}

// TemplatePreview is a template's text in one language, as Meta will write it.
type TemplatePreview struct {
	Language string `json:"language"`
	Body     string `json:"body"`
	Footer   string `json:"footer,omitempty"`
	Button   string `json:"button"`
}

// Preview shows what the texts of s will be.
func (m *Manager) Preview(ctx context.Context, s TemplateSpec) ([]TemplatePreview, error) {
	query := url.Values{
		"category": {categoryAuthentication}, "languages": {strings.Join(s.Languages, ",")}, "button_types": {"OTP"},
		"add_security_recommendation": {strconv.FormatBool(s.SecurityRecommendation)},
	}
	if s.ExpiryMinutes > 0 {
		query.Set("code_expiration_minutes", strconv.Itoa(s.ExpiryMinutes))
	}
	var answer struct {
		Data []struct {
			Body     string `json:"body"`
			Footer   string `json:"footer"`
			Language string `json:"language"`
			Buttons  []struct {
				Text string `json:"text"`
			} `json:"buttons"`
		} `json:"data"`
	}
	if _, err := m.get(ctx, m.cfg.AccountID+"/message_template_previews", query, &answer); err != nil {
		return nil, fmt.Errorf("preview template: %w", err)
	}
	previews := make([]TemplatePreview, 0, len(answer.Data))
	for _, d := range answer.Data {
		p := TemplatePreview{Language: d.Language, Body: d.Body, Footer: d.Footer}
		if len(d.Buttons) > 0 {
			p.Button = d.Buttons[0].Text
		}
		previews = append(previews, p)
	}
	return previews, nil
}
