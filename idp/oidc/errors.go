package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

// refusal is a protocol error: all that a client or a person may learn of what went wrong. Anything else that comes
// back as an error is an outage (OA-37): 503, and its text goes to the log alone.
type refusal struct {
	code        string
	status      int
	description string
	// basic asks for the Basic challenge of RFC 6749 §5.2; bearer for the one of RFC 6750 §3.
	basic, bearer bool
	// page says what a person is told where there is nowhere to redirect to.
	page PageError
	// local keeps it from the client: only the person is told.
	local bool
	// retryAfter is when to try again; 0 says nothing of it.
	retryAfter time.Duration
}

// Error implements error.
func (e *refusal) Error() string { return e.code + ": " + e.description }

// refuse makes a refusal with the status that RFC 6749 §5.2 gives the code.
func refuse(code, description string) *refusal {
	e := &refusal{code: code, status: http.StatusBadRequest, description: description, page: PageBadRequest}
	if code == errInvalidClient {
		e.status = http.StatusUnauthorized
	}
	return e
}

// The error codes that leave this package; the RFC or specification that names them.
const (
	errInvalidRequest          = "invalid_request"           // RFC 6749
	errInvalidClient           = "invalid_client"            // RFC 6749 §5.2
	errInvalidGrant            = "invalid_grant"             // RFC 6749 §5.2
	errUnauthorizedClient      = "unauthorized_client"       // RFC 6749
	errUnsupportedGrantType    = "unsupported_grant_type"    // RFC 6749 §5.2
	errUnsupportedResponseType = "unsupported_response_type" // RFC 6749 §4.1.2.1
	errInvalidScope            = "invalid_scope"             // RFC 6749
	errAccessDenied            = "access_denied"             // RFC 6749 §4.1.2.1
	errServerError             = "server_error"              // RFC 6749 §4.1.2.1
	errTemporarilyUnavailable  = "temporarily_unavailable"   // RFC 6749 §4.1.2.1
	errInvalidTarget           = "invalid_target"            // RFC 8707 §2
	errInvalidToken            = "invalid_token"             // RFC 6750 §3.1
	errInsufficientScope       = "insufficient_scope"        // RFC 6750 §3.1
	errLoginRequired           = "login_required"            // Core §3.1.2.6
	errInteractionRequired     = "interaction_required"      // Core §3.1.2.6
	errConsentRequired         = "consent_required"          // Core §3.1.2.6
	errAccountSelection        = "account_selection_required"
	errRequestNotSupported     = "request_not_supported"             // Core §3.1.2.6
	errRequestURINotSupported  = "request_uri_not_supported"         // Core §3.1.2.6
	errRegistrationUnsupported = "registration_not_supported"        // Core §3.1.2.6
	errUnmetAuthRequirements   = "unmet_authentication_requirements" // OpenID Connect Core Error Code unmet_authentication_requirements 1.0
)

// retryAfterOutage is the hint with a 503.
const retryAfterOutage = 5 * time.Second

// asRefusal sorts an error: a refusal to tell, or false for an outage. fosite's errors keep only their code, and only
// where it is a refusal: their hints repeat what was sent, and server_error wraps whatever storage said. Codes that no
// RFC knows become the one that fits.
func asRefusal(err error) (*refusal, bool) {
	var own *refusal
	if errors.As(err, &own) {
		return own, true
	}
	var rfc *fosite.RFC6749Error
	if !errors.As(err, &rfc) {
		return nil, false
	}
	switch rfc.ErrorField {
	case errInvalidGrant, "token_inactive", "not_found":
		return refuse(errInvalidGrant, "the code or token is not valid"), true
	case errInvalidScope, "scope_not_granted":
		return refuse(errInvalidScope, "scope is not one of this client's"), true
	case errInvalidRequest, "unsupported_response_mode", "invalid_state", "insufficient_entropy":
		return refuse(errInvalidRequest, "the request is malformed"), true
	case errUnauthorizedClient, errUnsupportedGrantType, errUnsupportedResponseType:
		return refuse(rfc.ErrorField, ""), true
	}
	return nil, false
}

// jsonError is RFC 6749 §5.2.
type jsonError struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// writeError answers a machine: the JSON door.
func (p *Provider) writeError(w http.ResponseWriter, r *http.Request, err error) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	e, told := asRefusal(err)
	if !told {
		p.logOutage(r.Context(), r.URL.Path, err)
		e = &refusal{code: errTemporarilyUnavailable, status: http.StatusServiceUnavailable, retryAfter: retryAfterOutage}
	}
	if e.retryAfter > 0 {
		h.Set("Retry-After", retrySeconds(e.retryAfter))
	}
	switch {
	case e.basic:
		h.Set("WWW-Authenticate", `Basic realm="parola", charset="UTF-8"`)
	case e.bearer:
		h.Set("WWW-Authenticate", bearerChallenge(e))
	}
	writeJSON(w, e.status, jsonError{Error: e.code, Description: describe(r.Context(), e)})
}

// bearerChallenge is RFC 6750 §3; a request without any token gets no error code (§3.1).
func bearerChallenge(e *refusal) string {
	if e.code == "" {
		return `Bearer realm="parola"`
	}
	return fmt.Sprintf(`Bearer realm="parola", error=%q, error_description=%q`, e.code, quotable(e.description))
}

// describe is the text of error_description: our own sentence and the correlation id, by which the operator finds the
// rest in the log.
func describe(ctx context.Context, e *refusal) string {
	text := quotable(e.description)
	if id := reqinfo.From(ctx).CorrelationID; id != "" {
		if text != "" {
			text += " "
		}
		text += "(" + quotable(id) + ")"
	}
	return text
}

// quotable keeps the characters that RFC 6749 §5.2 allows in error_description.
func quotable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, s)
}

func (p *Provider) logOutage(ctx context.Context, what string, err error) {
	if errors.Is(err, context.Canceled) {
		return // the caller has gone; nobody failed
	}
	// fosite's error tells its code alone; what storage or the signer said is what it wraps.
	var rfc *fosite.RFC6749Error
	if errors.As(err, &rfc) && rfc.Unwrap() != nil {
		err = fmt.Errorf("fosite: %s: %w", rfc.ErrorField, rfc.Unwrap())
	}
	p.Log.ErrorContext(ctx, "request failed", "what", what, "err", err)
}

func retrySeconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(d.Round(time.Second).Seconds())))
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller has gone; nothing is left to tell them
}

// notFound says whether err means that there is no such record, as opposed to an outage.
func notFound(err error) bool { return errors.Is(err, storage.ErrNotFound) }
