package whatsapp

import (
	"cmp"
	"fmt"
)

// GraphError is a refusal of a management call.
type GraphError struct {
	Code    int `json:"code"`
	Subcode int `json:"subcode,omitempty"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Message is Meta's own sentence, for the operator who made the call. It may repeat what was sent.
	Message string `json:"message"`
	// Advice is what to do about it, empty when we know nothing better than Message.
	Advice string `json:"advice,omitempty"`
}

func (e *GraphError) Error() string {
	s := fmt.Sprintf("Meta refused with code %d", e.Code)
	if e.Subcode != 0 {
		s += fmt.Sprintf("/%d", e.Subcode)
	}
	s += ": " + e.Message
	if e.Advice != "" {
		s += " (" + e.Advice + ")"
	}
	return s
}

type wireError struct {
	Message     string `json:"message"`
	Code        int    `json:"code"`
	Subcode     int    `json:"error_subcode"`
	UserTitle   string `json:"error_user_title"`
	UserMessage string `json:"error_user_msg"`
	Data        struct {
		Details string `json:"details"`
	} `json:"error_data"`
}

func (w wireError) graphError(status int) *GraphError {
	e := &GraphError{Code: w.Code, Subcode: w.Subcode, Status: status, Advice: advice[w.Code]}
	switch specific := advice[w.Subcode]; {
	case w.Subcode != 0 && specific != "":
		e.Advice = specific
	case w.Code > 200 && w.Code <= 299:
		e.Advice = advicePermission
	}
	e.Message = cmp.Or(w.UserMessage, w.Message)
	if w.Data.Details != "" && w.Data.Details != e.Message {
		e.Message += ": " + w.Data.Details
	}
	const most = 500
	if runes := []rune(e.Message); len(runes) > most {
		e.Message = string(runes[:most]) + "…"
	}
	return e
}

// advice is what to do about a code or subcode that a management call may be refused with.
var advice = map[int]string{
	0:   adviceToken,
	190: adviceToken,
	463: adviceToken,
	3:   advicePermission,
	10:  advicePermission,
	200: advicePermission,
	33: "the id does not exist, or the system user was not given this asset: compare whatsapp.account_id and " +
		"whatsapp.phone_number_id with WhatsApp Manager, and give the system user access to the account in Business Settings",
	4:     adviceWait,
	80007: adviceWait,
	80008: adviceWait,
	368:   "the account is blocked for a policy violation: see WhatsApp Manager, Account quality",

	131031: "the account is locked: see WhatsApp Manager, Account quality, or verify the PIN data",
	133000: "an earlier deregistration did not finish: deregister the number in WhatsApp Manager and register again",
	133005: "the PIN is not the number's two-step verification PIN: set a new one with `parola whatsapp number set-pin`, " +
		"or turn two-step verification off in WhatsApp Manager, Account tools, Phone numbers, the number, Two-step verification",
	133006: "verify the number first: `parola whatsapp number request-code` and `verify-code`",
	133008: "too many wrong PINs: wait as long as the message says",
	133009: "the PIN was entered too fast: wait a few minutes",
	133010: "register the number: `parola whatsapp number register`",
	133015: "the number was deleted a moment ago: wait 5 minutes",
	133016: "more than 10 registrations in 72 hours: the number cannot be registered for the next 72 hours",
	136024: "the number is verified already: go on with `parola whatsapp number register`",
	136025: "the code is wrong or too old: request another one",

	2388019: "the account has as many templates as it may: delete one in WhatsApp Manager",
	2388023: "a template of this name is being deleted: the name is free again after 30 days, take another one until then",
	2388024: "the template exists in this language: see `parola whatsapp template list`; `template create --update` changes it",
	2388040: "a text is too long: a button has at most 25 characters",
	2494100: "the account is in maintenance: try again in a few minutes",
}

const (
	adviceToken = "make a new token for a system user in Business Settings, without expiry, with " +
		"whatsapp_business_messaging and whatsapp_business_management, and set whatsapp.access_token"
	advicePermission = "give the token whatsapp_business_messaging and whatsapp_business_management, and the system user " +
		"access to the WhatsApp account in Business Settings"
	adviceWait = "too many calls: try again in an hour"
)
