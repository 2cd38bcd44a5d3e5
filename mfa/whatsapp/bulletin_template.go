package whatsapp

import (
	"encoding/json"

	"github.com/parola-id/parola/mfa"
)

type templateValue struct {
	ID       json.RawMessage `json:"message_template_id"`
	Name     string          `json:"message_template_name"`
	Language string          `json:"message_template_language"`

	Event  string `json:"event"`
	Reason string `json:"reason"`
	Other  struct {
		Title string `json:"title"`
	} `json:"other_info"`
	Disable struct {
		Date string `json:"disable_date"`
	} `json:"disable_info"`

	Quality         string `json:"new_quality_score"`
	PreviousQuality string `json:"previous_quality_score"`

	Category         string `json:"new_category"`
	CorrectCategory  string `json:"correct_category"` // announced, a day ahead
	PreviousCategory string `json:"previous_category"`
}

// aboutTemplate tells the three kinds of changes apart by their members: Meta's own example of a quality update bears
// the field of a status update.
func (c *Channel) aboutTemplate(raw json.RawMessage) []mfa.Bulletin {
	var v templateValue
	if json.Unmarshal(raw, &v) != nil || v.Name != c.cfg.Template {
		return nil // unreadable, or another template of the account
	}
	lang, ours := c.languages.spelling(v.Language)
	if !ours {
		lang = word(v.Language)
	}
	b := mfa.Bulletin{Severity: info, Subject: v.Name[:min(len(v.Name), maxWord)] + "/" + lang}
	switch {
	case v.Quality != "":
		b.Kind = "template_quality"
		if v.Quality == "RED" {
			b.Severity = warning // the next step is a pause
		}
		b.Detail = detail("quality", v.Quality, "before", v.PreviousQuality)
	case v.Category != "" || v.CorrectCategory != "":
		// Price and time to live change with the category, and marketing templates are not sent on this API.
		b.Kind, b.Severity = "template_category", high
		b.Detail = detail("category", v.Category, "announced", v.CorrectCategory, "before", v.PreviousCategory)
	case v.Event != "":
		return c.templateStatus(b, v, lang, ours)
	default:
		return nil
	}
	return []mfa.Bulletin{b}
}

// templateStatus says what a template's new status means. Only an approved one can be sent; one that is looked at, or
// looked at again, stays what it was. Languages that we do not send in are told of and nothing more.
func (c *Channel) templateStatus(b mfa.Bulletin, v templateValue, lang string, ours bool) []mfa.Bulletin {
	b.Detail = detail("event", v.Event, "reason", v.Reason, "title", v.Other.Title, "date", v.Disable.Date, "template_id", scalar(v.ID))
	var hold bool
	switch v.Event {
	case "PENDING", "IN_APPEAL":
		b.Kind = "template_review"
		return []mfa.Bulletin{b}
	case "APPROVED", "REINSTATED", "UNARCHIVED":
		b.Kind = "template_approved"
	case "PAUSED", "FLAGGED", "LOCKED", "LIMIT_EXCEEDED":
		b.Kind, b.Severity, hold = "template_paused", high, true
	default:
		b.Kind, b.Severity, hold = "template_disabled", high, true
	}
	if !ours {
		return []mfa.Bulletin{b}
	}
	whole := mfa.Bulletin{Kind: b.Kind, Severity: info, Detail: detail("template", b.Subject, "event", v.Event)}
	if circuit, all := mfa.TemplateCircuit(lang), mfa.CarrierCircuit(Carrier); hold {
		b.Hold, whole.Hold = circuit, all
	} else {
		b.Release, whole.Release = circuit, all
	}
	if len(c.languages.codes) > 1 {
		return []mfa.Bulletin{b}
	}
	// Without another language there is nothing left to send on WhatsApp.
	return []mfa.Bulletin{b, whole}
}
