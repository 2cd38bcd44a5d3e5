package handset

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// graphSend is the body of POST /{phone-number-id}/messages as far as an authentication template or a text needs it.
type graphSend struct {
	Product       string         `json:"messaging_product"`
	RecipientType string         `json:"recipient_type"`
	To            string         `json:"to"`
	Recipient     string         `json:"recipient"` // business-scoped user id
	Type          string         `json:"type"`
	Template      *graphTemplate `json:"template"`
	Text          *graphText     `json:"text"`
	IdentityHash  string         `json:"recipient_identity_key_hash"`
	Opaque        string         `json:"biz_opaque_callback_data"`
	Context       *struct {
		MessageID string `json:"message_id"`
	} `json:"context"`
}

// graphText is a free-form text, which a person gets who has written within 24 hours.
type graphText struct {
	PreviewURL bool   `json:"preview_url"`
	Body       string `json:"body"`
}

type graphTemplate struct {
	Name     string `json:"name"`
	Language struct {
		Code   string `json:"code"`
		Policy string `json:"policy"`
	} `json:"language"`
	Components []graphComponent `json:"components"`
}

type graphComponent struct {
	Type       string           `json:"type"`
	SubType    string           `json:"sub_type"`
	Index      string           `json:"index"`
	Parameters []graphParameter `json:"parameters"`
}

type graphParameter struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// messageTypes are the types that the API has and this handset does not take.
const messageTypes = " audio contacts document image interactive location reaction sticker video "

// parseSend reads a send and checks what needs no knowledge of the account: the shape, and the members that are always the same.
func parseSend(body []byte) (*graphSend, *graphError) {
	var s graphSend
	if err := decodeStrict(body, &s); err != nil {
		return nil, badParameter(jsonFault(err))
	}
	switch {
	case s.Product == "":
		return nil, requiredParameter("messaging_product")
	case s.Product != "whatsapp":
		return nil, badParameter("Param messaging_product must be one of {WHATSAPP}.")
	case s.RecipientType != "" && s.RecipientType != "individual":
		return nil, badParameter("Param recipient_type must be one of {INDIVIDUAL}.")
	case s.To == "" && s.Recipient == "":
		return nil, requiredParameter("to")
	case s.Type == "text":
		return &s, s.checkText()
	case s.Type != "template" && s.Type != "" && strings.Contains(messageTypes, " "+s.Type+" "):
		return nil, graphFault(131051, "")
	case s.Type != "template":
		return nil, badParameter("Param type must be one of the message types; this phone takes TEMPLATE and TEXT.")
	case s.Template == nil || s.Template.Name == "":
		return nil, requiredParameter("template['name']")
	case s.Template.Language.Code == "":
		return nil, requiredParameter("template['language']['code']")
	case s.Template.Language.Policy != "" && s.Template.Language.Policy != "deterministic":
		return nil, badParameter("Param template['language']['policy'] must be one of {DETERMINISTIC}.")
	case utf8.RuneCountInString(s.Opaque) > 512:
		return nil, badParameter("Param biz_opaque_callback_data must be at most 512 characters long.")
	case s.To == "":
		return nil, graphFault(131062, "")
	}
	return &s, nil
}

func (s *graphSend) checkText() *graphError {
	switch {
	case s.Text == nil || s.Text.Body == "":
		return requiredParameter("text['body']")
	case utf8.RuneCountInString(s.Text.Body) > 4096:
		return badParameter("Param text['body'] must be at most 4096 characters long.")
	case s.Template != nil:
		return badParameter(`Unexpected key "template".`)
	case utf8.RuneCountInString(s.Opaque) > 512:
		return badParameter("Param biz_opaque_callback_data must be at most 512 characters long.")
	case s.To == "":
		return requiredParameter("to")
	}
	return nil
}

// jsonFault says what was wrong without repeating the request.
func jsonFault(err error) string {
	if name, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		return "Unexpected key " + name + "."
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Sprintf("Param %s must not be a %s.", wrong.Field, wrong.Value)
	}
	return "The request body is not valid JSON."
}

// passcode takes the passcode out of the components of an authentication template, where it appears twice: in the body and
// in the copy-code button. invalid is the code for values that a template parameter may not have, which differs by version.
func (t *graphTemplate) passcode(invalid int) (string, *graphError) {
	var body, button []graphComponent
	for _, c := range t.Components {
		switch strings.ToLower(c.Type) {
		case "body":
			body = append(body, c)
		case "button":
			button = append(button, c)
		default:
			return "", graphFault(132000, "")
		}
	}
	if len(body) != 1 || len(button) != 1 || len(body[0].Parameters) != 1 || len(button[0].Parameters) != 1 {
		return "", graphFault(132000, "")
	}
	if body[0].SubType != "" || body[0].Index != "" {
		return "", badParameter("A body component has neither sub_type nor index.")
	}
	if strings.ToLower(button[0].SubType) != "url" || button[0].Index != "0" {
		return "", graphFault(invalid, "buttons: the template has one button, of sub_type url at index 0.")
	}
	shown, copied := body[0].Parameters[0], button[0].Parameters[0]
	if shown.Type != "text" || copied.Type != "text" {
		return "", graphFault(132012, "The parameters of an authentication template are of type text.")
	}
	switch {
	case shown.Text == "" || copied.Text == "":
		return "", graphFault(invalid, "A template parameter must not be empty.")
	case utf8.RuneCountInString(shown.Text) > 15 || utf8.RuneCountInString(copied.Text) > 15:
		return "", graphFault(invalid, "The code of an authentication template must be at most 15 characters long.")
	case strings.ContainsAny(shown.Text, "\n\t\r/") || strings.Contains(shown.Text, "    "):
		return "", graphFault(invalid, "The code of an authentication template must not hold a URL, new-lines, tabs or more than 4 spaces.")
	case shown.Text != copied.Text:
		return "", graphFault(invalid, "The code must be the same in the body and in the button.")
	}
	return shown.Text, nil
}

// recipient turns "to" into E.164 as Meta does: "+", "-", parentheses and spaces may be there, and a number without a leading
// "+" is taken to be of the business's own country, so that a careless sender writes to a stranger.
func recipient(to, countryCode string) (string, *graphError) {
	digits := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(to)
	digits, international := strings.CutPrefix(digits, "+")
	if !international {
		digits = countryCode + digits
	}
	if !digitsForm.MatchString(digits) {
		return "", graphFault(131009, "Param to is not a valid phone number.")
	}
	return "+" + digits, nil
}
