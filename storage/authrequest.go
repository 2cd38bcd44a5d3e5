package storage

import (
	"context"
	"time"
)

// AuthRequest is an authorization request on its way through the pages. idp/oidc saves it after checking it, idp/login
// moves it forward, idp/oidc turns it into a Grant or an error. It belongs to the browser that holds its secret.
type AuthRequest struct {
	ID       string
	ClientID string
	// BrowserHash is the hash of the secret in this request's own cookie. It changes when the password was right
	// (SES-02); the hash at the start of a challenge stays with the challenge.
	BrowserHash   []byte
	CorrelationID string
	CreatedAt     time.Time
	ExpiresAt     time.Time

	// Request is what the client asked, checked; it never changes.
	Request AuthRequestParams
	// Progress is what has happened since.
	Progress AuthRequestProgress

	// EndedAt is set when the answer went out; an ended request can be shown but not moved.
	EndedAt time.Time
	// Version counts updates; UpdateAuthRequest refuses a stale one.
	Version int64
}

// AuthRequestParams are the parameters of the authorization request.
type AuthRequestParams struct {
	// Form is the request, form-encoded, without credentials; idp/oidc parses it again at the end.
	Form         string   `json:"form"`
	RedirectURI  string   `json:"redirect_uri"`
	ResponseMode string   `json:"response_mode,omitempty"`
	State        string   `json:"state,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
	Audience     []string `json:"audience,omitempty"`
	Prompt       []string `json:"prompt,omitempty"`
	// MaxAge is in seconds; nil when neither the request nor the client set one (0 means: log in afresh).
	MaxAge *int64 `json:"max_age,omitempty"`
	// ACRValues are voluntary, in order of preference; EssentialACR must be met by one of them (OA-73).
	ACRValues    []string `json:"acr_values,omitempty"`
	EssentialACR []string `json:"essential_acr,omitempty"`
	LoginHint    string   `json:"login_hint,omitempty"`
	// HintSubject is the subject of a valid id_token_hint: somebody else's login is login_required (OA-72).
	HintSubject string   `json:"hint_subject,omitempty"`
	UILocales   []string `json:"ui_locales,omitempty"`
	// Trace is the W3C traceparent of the request's own span, under which the rest of the login is told; empty for none.
	Trace string `json:"trace,omitempty"`
}

// AuthRequestProgress is what the person has done. Each fact is set by the step that proved it, never from a URL.
type AuthRequestProgress struct {
	// PersonID is who gave the right password here, or whose session was taken up.
	PersonID string `json:"person_id,omitempty"`
	// Username is what the pages call that person.
	Username string `json:"username,omitempty"`
	// AccountChosen says that select_account was answered.
	AccountChosen bool `json:"account_chosen,omitempty"`
	// PasswordAt is when the password was right in this request.
	PasswordAt time.Time `json:"password_at,omitzero"`
	// ChallengeID is the latest challenge of this request.
	ChallengeID string `json:"challenge_id,omitempty"`
	// SecondFactorAt is when a challenge of this request was passed.
	SecondFactorAt time.Time `json:"second_factor_at,omitzero"`
	// SessionID is the session that carries the login for this request.
	SessionID string `json:"session_id,omitempty"`
	// ConsentScopes are the scopes allowed for this request; ConsentAt when.
	ConsentScopes []string  `json:"consent_scopes,omitempty"`
	ConsentAt     time.Time `json:"consent_at,omitzero"`
	// ReadyAt is set when next.go said that nothing is left to ask: idp/oidc may answer the client.
	ReadyAt time.Time `json:"ready_at,omitzero"`
	// Refusal is the protocol error to send to the client (access_denied, login_required, …) once a step or next.go
	// decided it.
	Refusal string `json:"refusal,omitempty"`
	// Locale is the language the pages settled on.
	Locale string `json:"locale,omitempty"`
	// Issued is set together with EndedAt when the answer is an AuthCode; nil after a refusal.
	Issued *IssuedAuthCode `json:"issued,omitempty"`
}

// IssuedAuthCode is what an AuthCode was derived from, under a key that is not in the database: the server can repeat its
// answer, and a copy of the database holds no AuthCode (OA-27).
type IssuedAuthCode struct {
	GrantID string `json:"grant_id"`
	// KeyID is the generation of the root secret.
	KeyID string `json:"key_id"`
	// Nonce is 128 random bits.
	Nonce []byte `json:"nonce"`
}

// AuthRequests keeps authorization requests.
type AuthRequests interface {
	InsertAuthRequest(ctx context.Context, r AuthRequest) error
	// AuthRequest returns a request, ended and expired ones too, until they are swept; ErrNotFound.
	AuthRequest(ctx context.Context, id string) (AuthRequest, error)
	// UpdateAuthRequest stores BrowserHash, Progress and EndedAt when r.Version is still current and the stored request
	// has not ended, and adds one to the version; else ErrConflict. Of two tabs exactly one moves the request.
	UpdateAuthRequest(ctx context.Context, r AuthRequest) error
}
