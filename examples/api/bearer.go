package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// handlerWithToken answers a request whose access token has been verified.
type handlerWithToken func(w http.ResponseWriter, r *http.Request, token accessToken)

// authorized lets a request through to next if it carries a good access token with the scope of this API, from a
// login at requiredACR or stronger.
func (s *server) authorized(requiredACR string, next handlerWithToken) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw, err := bearerToken(r)
		if err != nil {
			s.refuse(w, http.StatusBadRequest, "invalid_request", "Send one Authorization header with one Bearer token.")
			return
		}
		if raw == "" {
			// No error code: the caller may just not know yet that a token is needed (RFC 6750 §3.1).
			s.refuse(w, http.StatusUnauthorized, "", "")
			return
		}
		token, err := s.tokens.verify(r.Context(), raw)
		switch {
		case errors.Is(err, errUnavailable):
			s.cfg.Log.Error("cannot verify an access token", "err", err)
			w.Header().Set("Retry-After", "5")
			writeJSON(w, http.StatusServiceUnavailable, errorBody{Error: "temporarily_unavailable"})
		case err != nil:
			s.cfg.Log.Info("refused an access token", "reason", err)
			s.refuse(w, http.StatusUnauthorized, "invalid_token", "The access token is not valid here, or no longer.")
		case !token.hasScope(s.cfg.Scope):
			s.refuse(w, http.StatusForbidden, "insufficient_scope", "The access token was not granted the scope of this API.",
				param{"scope", s.cfg.Scope})
		case !acrMeets(token.ACR, requiredACR):
			s.refuse(w, http.StatusUnauthorized, "insufficient_user_authentication",
				"A stronger login is needed for this.", param{"acr_values", requiredACR})
		default:
			next(w, r, token)
		}
	}
}

// bearerToken returns the token of the Authorization header, or "" when there is none. Tokens in the query string or
// the body are not looked for: URLs end up in logs (RFC 6750 §5.3).
func bearerToken(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return "", errors.New("more than one Authorization header")
	}
	if len(headers) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsAny(token, " ,\t") {
		return "", errors.New("malformed Bearer token")
	}
	return token, nil
}

// errorBody repeats the error of the WWW-Authenticate header for callers who only look at the body.
type errorBody struct {
	Error       string `json:"error,omitempty"`
	Description string `json:"error_description,omitempty"`
}

// param is one auth-param of a WWW-Authenticate header.
type param struct{ name, value string }

// refuse answers with a Bearer challenge (RFC 6750 §3). For insufficient_user_authentication its acr_values tell the
// client what to ask the provider for (RFC 9470 §3); resource_metadata tells it whom to ask (RFC 9728 §5.1).
func (s *server) refuse(w http.ResponseWriter, status int, code, description string, more ...param) {
	var params []param
	if code != "" {
		params = append(params, param{"error", code}, param{"error_description", description})
	}
	params = append(params, more...)
	params = append(params, param{"resource_metadata", s.metadataURL})

	quoted := make([]string, len(params))
	for i, p := range params {
		quoted[i] = fmt.Sprintf("%s=%q", p.name, p.value)
	}
	w.Header().Set("WWW-Authenticate", "Bearer "+strings.Join(quoted, ", "))
	writeJSON(w, status, errorBody{Error: code, Description: description})
}
