package storage

import (
	"context"
	"encoding/json"
	"time"
)

// Grant is one authorization that a client received, with the tokens that live from it. It is born with its AuthCode
// at /authorize (or at /token for client_credentials, then without a person) and is fosite's "request". Revoking it
// revokes every token of the family at once.
type Grant struct {
	ID            string
	ClientID      string
	PersonID      string
	SessionID     string
	AuthRequestID string
	CorrelationID string
	Scopes        []string
	Audience      []string
	// Login holds the frozen facts of the login; the same in every token and not changed by refresh (OA-44).
	Login GrantLogin
	// Form is the sanitised authorization request that fosite checks the code against: redirect_uri, nonce,
	// code_challenge, max_age, … ; never credentials.
	Form string

	// AuthCodeHash is empty once there is none (client_credentials).
	AuthCodeHash      string
	AuthCodeExpiresAt time.Time
	AuthCodeUsedAt    time.Time

	CreatedAt time.Time
	// RefreshUntil is the absolute end of the refresh chain, fixed at first issue (OA-54).
	RefreshUntil time.Time
	RevokedAt    time.Time
	RevokeReason string

	// Barred is read, never written: the person is disabled, or a phone factor of theirs is (OA-55, OTP-23).
	Barred bool
}

// GrantLogin is the login as the tokens tell it.
type GrantLogin struct {
	AuthTime time.Time `json:"auth_time,omitzero"`
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
	Channel  string    `json:"mfa_channel,omitempty"`
	// Extra is room for what later versions freeze.
	Extra json.RawMessage `json:"extra,omitempty"`
}

// TokenKind tells access from refresh tokens; no endpoint takes one for the other.
type TokenKind string

// The kinds.
const (
	AccessToken  TokenKind = "access"
	RefreshToken TokenKind = "refresh"
)

// Token is an access or refresh token, kept as a hash.
type Token struct {
	Hash     string
	Kind     TokenKind
	GrantID  string
	ClientID string
	JTI      string
	Scopes   []string
	Audience []string
	IssuedAt time.Time
	// ExpiresAt of a refresh token is its idle end, never past the grant's RefreshUntil.
	ExpiresAt time.Time
	// UsedAt is when a refresh token was rotated.
	UsedAt    time.Time
	RevokedAt time.Time
}

// PresentedToken is a token with what it stands for.
type PresentedToken struct {
	Token
	// Grant holds what decides and what is told, and nothing of the authorization request: no Form, AuthCode, Scopes (the
	// token has its own), Audience or dates.
	Grant Grant
	// Person is the zero one when the client acts for itself, or when the person is gone.
	Person Person
}

// Grants keeps grants and tokens.
type Grants interface {
	// InsertGrant stores g. ErrNotFound when its client does not exist, or its session has ended or does not exist: whoever
	// ends a session first and then revokes its grants has all of them, also those that were being made (OA-57).
	InsertGrant(ctx context.Context, g Grant) error
	// Grant returns one grant with Barred filled; ErrNotFound.
	Grant(ctx context.Context, id string) (Grant, error)
	// UseAuthCode burns an unused code of this client and returns its grant with used true. When the code was used
	// before it returns the grant with used false: a replay. A code of another client, or none, is ErrNotFound and
	// changes nothing (A30). Expiry and revocation are the caller's to judge.
	UseAuthCode(ctx context.Context, codeHash, clientID string, now time.Time) (g Grant, used bool, err error)
	// InsertTokens stores tokens in one statement.
	InsertTokens(ctx context.Context, tokens ...Token) error
	// Token returns a token with what it stands for, in one look: resource servers ask for each call that they serve.
	// ErrNotFound.
	Token(ctx context.Context, kind TokenKind, hash string) (PresentedToken, error)
	// UseRefreshToken burns an unused, unrevoked refresh token of this client, like UseAuthCode does a code.
	UseRefreshToken(ctx context.Context, hash, clientID string, now time.Time) (t Token, g Grant, used bool, err error)
	// RevokeToken revokes one token; false when it was revoked already.
	RevokeToken(ctx context.Context, hash string, now time.Time) (bool, error)
	// RevokeGrant revokes a grant and all its tokens; false when it was revoked already.
	RevokeGrant(ctx context.Context, id, reason string, now time.Time) (bool, error)
	// RevokeGrantsOf revokes the grants of a person, narrowed to a client and/or a session when those are not empty, and
	// returns their IDs. With keepOffline, grants whose scopes hold offline_access stay (OA-57).
	RevokeGrantsOf(ctx context.Context, personID, clientID, sessionID string, keepOffline bool, reason string, now time.Time) ([]string, error)
}

// Consent is what a person allowed a client and need not be asked again.
type Consent struct {
	PersonID  string
	ClientID  string
	Scopes    []string
	GrantedAt time.Time
	// ExpiresAt is when the person is asked again.
	ExpiresAt time.Time
}

// Consents keeps consents.
type Consents interface {
	// PutConsent stores c, replacing an older one.
	PutConsent(ctx context.Context, c Consent) error
	// Consent returns it; ErrNotFound.
	Consent(ctx context.Context, personID, clientID string) (Consent, error)
	// DeleteConsent forgets it; false when there was none.
	DeleteConsent(ctx context.Context, personID, clientID string) (bool, error)
}

// Assertions remembers what may be presented only once for a while: the jti of client assertions.
type Assertions interface {
	// UseOnce records key until the given time and says whether it was new. One statement decides.
	UseOnce(ctx context.Context, key string, until, now time.Time) (fresh bool, err error)
}
