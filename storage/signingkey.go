package storage

import (
	"context"
	"time"
)

// KeyState is where a signing key is in its life.
type KeyState string

// The states, in the order of a key's life: published ahead, signing, published still, neither published nor accepted.
const (
	KeyNext     KeyState = "next"
	KeyCurrent  KeyState = "current"
	KeyPrevious KeyState = "previous"
	KeyRetired  KeyState = "retired"
)

// SigningKey is a key that signs tokens. KID is its RFC 7638 thumbprint; Sealed is the private JWK, sealed, and empty once
// the key is retired.
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
	// MoveSigningKey moves a key from one state to another in one statement, and says whether this call did: of several
	// nodes and commands one does. It notes when a key began to sign or was retired, and forgets the private half of a
	// retired one. ErrConflict when it would be a second current key of its algorithm.
	MoveSigningKey(ctx context.Context, kid string, from, to KeyState, now time.Time) (moved bool, err error)
}
