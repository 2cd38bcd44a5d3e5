package storage

import (
	"context"
	"time"
)

// SealedKind names the records that hold something sealed with a root secret, and live on.
type SealedKind string

// What can be sealed anew. What is sealed for a day, like the identities of deliveries, is left to its end.
const (
	SealedClaims      SealedKind = "claims"
	SealedPasswords   SealedKind = "passwords"
	SealedPhones      SealedKind = "phones" // with the keyed hash of the number
	SealedIdentities  SealedKind = "identities"
	SealedSigningKeys SealedKind = "signing_keys"
)

// SealedKinds are all of them.
func SealedKinds() []SealedKind {
	return []SealedKind{SealedSigningKeys, SealedPhones, SealedIdentities, SealedClaims, SealedPasswords}
}

// SealedRecord is what one record has of a root secret.
type SealedRecord struct {
	// ID is the person's, the phone factor's or the key's: what the value is sealed for.
	ID string
	// Sealed is the value as it is stored, which for passwords is base64.
	Sealed []byte
	// Hash is the keyed hash of a phone; empty for other kinds.
	Hash string
}

// Hashed counts what is found by a keyed hash alone, of a value that only somebody else has: it cannot be hashed anew, but
// it ends.
type Hashed struct {
	Kind  string // access_tokens, refresh_tokens, auth_codes, sessions, auth_requests
	Count int
	// Until is when the last one ends.
	Until time.Time
}

// Reseals rewrites what was made with an older root secret. A sealed value begins with "v1.", the eight characters of the
// generation's id, and a dot.
type Reseals interface {
	// CountSealed counts the records of a kind by the generation that sealed them.
	CountSealed(ctx context.Context, kind SealedKind) (map[string]int, error)
	// SealedWith returns records of a kind that a generation sealed, ordered by ID, after the given one; at most limit.
	SealedWith(ctx context.Context, kind SealedKind, generation, after string, limit int) ([]SealedRecord, error)
	// Reseal stores after, sealed with a generation, in place of before. It is false when the record has changed since: what
	// a server wrote meanwhile stands.
	Reseal(ctx context.Context, kind SealedKind, generation string, before, after SealedRecord) (bool, error)
	// CountHashed counts what is alive at now and was hashed up to until.
	CountHashed(ctx context.Context, until, now time.Time) ([]Hashed, error)
}
