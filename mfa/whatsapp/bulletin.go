package whatsapp

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

// The severities of a bulletin, as the audit log writes them.
const (
	info    = "info"
	warning = "warning"
	high    = "high"
)

// maxWord bounds each value that a webhook gives to a bulletin. Meta's own sentences are left out: they may quote a
// number, and they change.
const maxWord = 64

// account turns a change of a field other than messages into bulletins.
func (c *Channel) account(ch change, at time.Time) []mfa.Bulletin {
	var bulletins []mfa.Bulletin
	switch ch.Field {
	case "message_template_status_update", "message_template_quality_update", "template_category_update":
		bulletins = c.aboutTemplate(ch.Value)
	case "account_update":
		bulletins = aboutAccount(ch.Value)
	case "account_review_update":
		bulletins = aboutReview(ch.Value)
	case "account_alerts":
		bulletins = aboutAlert(ch.Value)
	case "phone_number_quality_update", "phone_number_name_update", "security":
		bulletins = c.aboutNumber(ch.Field, ch.Value)
	case "business_capability_update":
		bulletins = aboutCapability(ch.Value)
	default:
		c.cfg.Log.Info("webhook of a field that is not acted on", "field", word(ch.Field))
	}
	for i := range bulletins {
		bulletins[i].Channel, bulletins[i].Carrier, bulletins[i].At = mfa.WhatsApp, Carrier, at
	}
	return bulletins
}

// accountError is an error that Meta reports beside the messages, without saying which one it is about.
func accountError(code int) mfa.Bulletin {
	f := failure(code, false, false)
	b := mfa.Bulletin{
		Channel: mfa.WhatsApp, Carrier: Carrier, Kind: "account_error", Severity: warning, Subject: f.Code,
		Detail: detail("code", f.Code, "class", string(f.Class)),
	}
	if f.Class == mfa.ClassConfig {
		b.Severity = high
	}
	return b
}

type accountValue struct {
	Event string `json:"event"`
	Ban   struct {
		State string `json:"waba_ban_state"`
		Date  string `json:"waba_ban_date"`
	} `json:"ban_info"`
	Restrictions []struct {
		Type string `json:"restriction_type"`
	} `json:"restriction_info"`
	Violation struct {
		Type string `json:"violation_type"`
	} `json:"violation_info"`
}

func aboutAccount(raw json.RawMessage) []mfa.Bulletin {
	var v accountValue
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	b := mfa.Bulletin{Kind: "account_alert", Severity: info, Subject: word(v.Event)}
	circuit := mfa.CarrierCircuit(Carrier)
	var types []string
	for _, r := range v.Restrictions {
		types = append(types, r.Type)
	}
	switch v.Event {
	case "DISABLED_UPDATE":
		b.Kind, b.Severity = "account_disabled", high
		switch v.Ban.State {
		case "DISABLE":
			b.Hold = circuit
		case "REINSTATE":
			b.Kind, b.Severity, b.Release = "account_reinstated", warning, circuit
		}
	case "ACCOUNT_DELETED":
		b.Kind, b.Severity, b.Hold = "account_disabled", high, circuit
	case "ACCOUNT_RESTRICTION":
		b.Kind, b.Severity = "account_restricted", high
		if restrictsPasscodes(types) {
			b.Hold = circuit
		}
	case "ACCOUNT_VIOLATION":
		b.Severity = high
	case "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE": // authentication messages get dearer in some countries
		b.Severity = warning
	}
	b.Detail = detail("event", v.Event, "state", v.Ban.State, "date", v.Ban.Date, "violation", v.Violation.Type,
		"restrictions", strings.Join(types, ","))
	return []mfa.Bulletin{b}
}

// restrictsPasscodes says whether a restriction keeps us from writing first, as every passcode does. Restrictions of
// answers, or of adding numbers, do not.
func restrictsPasscodes(types []string) bool {
	for _, t := range types {
		if strings.Contains(t, "MESSAGING") && !strings.Contains(t, "CUSTOMER_INITIATED") {
			return true
		}
	}
	return false
}

func aboutReview(raw json.RawMessage) []mfa.Bulletin {
	var v struct {
		Decision string `json:"decision"`
	}
	if json.Unmarshal(raw, &v) != nil || v.Decision == "" {
		return nil
	}
	b := mfa.Bulletin{Kind: "account_review", Detail: detail("decision", v.Decision)}
	if circuit := mfa.CarrierCircuit(Carrier); v.Decision == "APPROVED" {
		b.Severity, b.Release = info, circuit
	} else {
		b.Severity, b.Hold = high, circuit
	}
	return []mfa.Bulletin{b}
}

func aboutAlert(raw json.RawMessage) []mfa.Bulletin {
	var v struct {
		EntityType string `json:"entity_type"`
		Alert      struct {
			Severity string `json:"alert_severity"`
			Status   string `json:"alert_status"`
			Type     string `json:"alert_type"`
		} `json:"alert_info"`
	}
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	b := mfa.Bulletin{Kind: "account_alert", Severity: info, Subject: word(v.Alert.Type)}
	switch v.Alert.Severity {
	case "CRITICAL":
		b.Severity = high
	case "WARNING":
		b.Severity = warning
	}
	b.Detail = detail("type", v.Alert.Type, "status", v.Alert.Status, "severity", v.Alert.Severity, "entity", v.EntityType)
	return []mfa.Bulletin{b}
}

func (c *Channel) aboutNumber(field string, raw json.RawMessage) []mfa.Bulletin {
	var v struct {
		Number   string          `json:"display_phone_number"`
		Event    string          `json:"event"`
		Limit    json.RawMessage `json:"max_daily_conversations_per_business"`
		Decision string          `json:"decision"`
		Reason   string          `json:"rejection_reason"`
	}
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	which := digits(v.Number)
	if c.cfg.DisplayNumber != "" && which != "" && which != digits(c.cfg.DisplayNumber) {
		return nil
	}
	b := mfa.Bulletin{Severity: info}
	if len(which) > 4 {
		b.Subject = "…" + which[len(which)-4:]
	}
	switch field {
	case "security": // somebody may be taking the number
		b.Kind, b.Severity = "pin_changed", high
	case "phone_number_name_update":
		b.Kind = "number_name"
		if v.Decision != "APPROVED" {
			b.Severity = warning
		}
	default:
		b.Kind = "number_quality"
		if v.Event == "FLAGGED" || v.Event == "DOWNGRADE" {
			b.Severity = warning
		}
	}
	b.Detail = detail("event", v.Event, "limit", scalar(v.Limit), "decision", v.Decision, "reason", v.Reason)
	return []mfa.Bulletin{b}
}

func aboutCapability(raw json.RawMessage) []mfa.Bulletin {
	var v struct {
		// Limit is a number in Meta's example and a word such as TIER_2K in its table.
		Limit   json.RawMessage `json:"max_daily_conversations_per_business"`
		Numbers json.RawMessage `json:"max_phone_numbers_per_waba"`
	}
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return []mfa.Bulletin{{
		Kind: "capability", Severity: info, Detail: detail("limit", scalar(v.Limit), "numbers", scalar(v.Numbers)),
	}}
}

// detail pairs names with values, leaving out the empty ones.
func detail(pairs ...string) map[string]string {
	d := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if v := word(pairs[i+1]); v != "" {
			d[pairs[i]] = v
		}
	}
	return d
}

// word keeps of a value what a documented one consists of.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), maxWord)]
}

// scalar is a JSON number or string as text. Ids go beyond what a float64 can hold, so that numbers are never read as
// one.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if _, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return string(raw)
	}
	return ""
}

func digits(number string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
}
