package storage

import (
	"context"
	"time"
)

// KeyState is where a signing key is in its life.
type KeyState string

// The states: published ahead, signing, published still, withdrawn.
const (
	KeyNext     KeyState = "next"
	KeyCurrent  KeyState = "current"
	KeyPrevious KeyState = "previous"
	KeyRetired  KeyState = "retired"
)

// SigningKey is a key that signs tokens. KID is its RFC 7638 thumbprint; Sealed is the private JWK, sealed.
type SigningKey struct {
	KID         string
	Alg         string
	State       KeyState
	Public      []byte // public JWK, JSON
	Sealed      []byte
	CreatedAt   time.Time
	ActivatedAt time.Time
	RetiredAt   time.Time
}

// SigningKeys keeps signing keys.
type SigningKeys interface {
	// InsertSigningKey stores k. There is at most one current key per algorithm: ErrConflict when another node was
	// faster.
	InsertSigningKey(ctx context.Context, k SigningKey) error
	// SigningKeys returns all keys, newest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// SetKeyState moves a key on; ErrNotFound.
	SetKeyState(ctx context.Context, kid string, s KeyState, now time.Time) error
}
