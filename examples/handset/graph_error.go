package handset

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// graphError is a refusal in the form of the Graph API. Clients branch on the code; the texts are Meta's where known.
type graphError struct {
	status  int
	code    int
	subcode int
	kind    string // "OAuthException" unless set
	message string
	details string // error_data.details; without it there is no error_data
	// userTitle and userMessage are Meta's sentences for whoever made the call, on management calls.
	userTitle, userMessage string
}

func (e *graphError) Error() string { return fmt.Sprintf("graph error %d: %s", e.code, e.details) }

// badParameter is code 100: something in the request that the API does not know or cannot take.
func badParameter(details string) *graphError {
	return &graphError{status: http.StatusBadRequest, code: 100, message: "(#100) Invalid parameter", details: details}
}

// requiredParameter is how code 100 reads for a missing member; it comes without error_data.
func requiredParameter(name string) *graphError {
	return &graphError{status: http.StatusBadRequest, code: 100, message: "(#100) The parameter " + name + " is required."}
}

func graphFault(code int, details string) *graphError {
	e := &graphError{status: http.StatusBadRequest, code: code, details: details}
	switch code {
	case 130429:
		e.message, e.details = "Rate limit hit", "Cloud API message throughput has been reached."
	case 131000:
		e.status, e.message = http.StatusInternalServerError, "Something went wrong"
		e.details = "Message failed to send due to an unknown error."
	case 131009:
		e.message = "Parameter value is not valid"
	case 131016:
		e.status, e.message = http.StatusInternalServerError, "Service unavailable"
		e.details = "A service is temporarily unavailable."
	case 131021:
		e.message, e.details = "Recipient cannot be sender", "Sender and recipient phone number is the same."
	case 131026:
		e.message, e.details = "Message Undeliverable", "Unable to deliver message."
	case 131031:
		e.status, e.message = http.StatusForbidden, "Business Account locked"
		e.details = "The account is locked, or its data does not match what the request says."
	case 131047:
		e.message, e.details = "Re-engagement message", "More than 24 hours have passed since the recipient last replied to the sender number."
	case 131051:
		e.message, e.details = "Unsupported message type", "Message type is not currently supported."
	case 131056:
		e.message = "(Business Account, Consumer Account) pair rate limit hit"
		e.details = "Too many messages sent from the sender phone number to the same recipient phone number in a short period of time."
	case 131059:
		e.message, e.details = "Invalid cursor", "The paging cursor is not one of this list."
	case 131063:
		e.message, e.details = "Marketing templates are not supported", "Marketing template messages are disabled for this account on Cloud API."
	case 131062:
		e.message = "Business-scoped user id recipients are not supported for this message"
		e.details = "Authentication templates need a phone number in to."
	case 132000:
		e.message = "Template Param Count Mismatch"
		e.details = "The number of variable parameter values included in the request did not match the number of variable parameters defined in the template."
	case 132001:
		e.status, e.message = http.StatusNotFound, "Template does not exist"
		e.details = "The template does not exist in the specified language or the template has not been approved."
	case 132012:
		e.message = "Template Parameter Format Mismatch"
	case 132015:
		e.message, e.details = "Template is Paused", "The template is paused due to low quality so it cannot be sent."
	case 132016:
		e.message, e.details = "Template is Disabled", "The template has been paused too many times due to low quality and is now permanently disabled."
	case 132018:
		e.message = "Template parameter validation failed"
	case 133005:
		e.message, e.details = "Two step verification PIN Mismatch", "The two-step verification PIN included in the request is incorrect."
	case 133006:
		e.message, e.details = "Phone number re-verification needed", "The phone number needs to be verified before registering."
	case 133008:
		e.message = "Too Many Two Step Verification PIN Guesses"
	case 133010:
		e.message, e.details = "Phone number Not Registered", "The phone number is not registered on the WhatsApp Business Platform."
	case 133016:
		e.message, e.details = "Account register or deregister rate limit exceeded", "There were too many registration attempts in a short period of time."
	case 136024:
		e.message, e.details = "Phone number already verified", "Request code failed: the phone number is already verified."
	case 136025:
		e.message, e.details = "Verify code error", "The code is wrong, or is too old."
	}
	e.message = fmt.Sprintf("(#%d) %s", code, e.message)
	return e
}

func noToken() *graphError {
	return &graphError{status: http.StatusUnauthorized, code: 104, message: "An access token is required to request this resource."}
}

// noPermission is what a token gets that lacks the permission for a call.
func noPermission() *graphError {
	return &graphError{
		status: http.StatusForbidden, code: 200,
		message: "(#200) You do not have the necessary permissions required to do this on behalf of this WhatsApp Business Account",
	}
}

func badToken() *graphError {
	return &graphError{
		status: http.StatusUnauthorized, code: 190, subcode: 463,
		message: "Error validating access token: session has expired",
	}
}

// unknownObject is what an id that is deleted, foreign or invented gets: code 100 with subcode 33.
func unknownObject(id string) *graphError {
	return &graphError{
		status: http.StatusBadRequest, code: 100, subcode: 33, kind: "GraphMethodException",
		message: "Unsupported post request. Object with ID '" + id + "' does not exist, cannot be loaded due to missing " +
			"permissions, or does not support this operation.",
	}
}

type graphErrorBody struct {
	Message   string          `json:"message"`
	Type      string          `json:"type"`
	Code      int             `json:"code"`
	Subcode   int             `json:"error_subcode,omitempty"`
	UserTitle string          `json:"error_user_title,omitempty"`
	UserText  string          `json:"error_user_msg,omitempty"`
	ErrorData *graphErrorData `json:"error_data,omitempty"`
	TraceID   string          `json:"fbtrace_id"`
}

type graphErrorData struct {
	Product string `json:"messaging_product"`
	Details string `json:"details"`
}

func (e *graphError) write(w http.ResponseWriter) {
	body := graphErrorBody{Message: e.message, Type: e.kind, Code: e.code, Subcode: e.subcode, UserTitle: e.userTitle, UserText: e.userMessage, TraceID: traceID()}
	if body.Type == "" {
		body.Type = "OAuthException"
	}
	if e.details != "" {
		body.ErrorData = &graphErrorData{Product: "whatsapp", Details: e.details}
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `OAuth "Facebook Platform" "invalid_token"`)
	}
	writeGraph(w, e.status, map[string]any{"error": body})
}

func writeGraph(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func traceID() string {
	raw := make([]byte, 15)
	_, _ = rand.Read(raw)
	return "A" + strings.ReplaceAll(base64.RawURLEncoding.EncodeToString(raw), "-", "_")
}
