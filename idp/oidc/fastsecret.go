package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// hashedFast marks the hash of a secret that Parola generated.
const hashedFast = "hmac:"

// NewClientSecret generates a client secret of 256 bits (OA-33) and returns it with the hash to store, which is by the
// current key. The secret is shown once and kept nowhere.
func NewClientSecret(keys *secret.Keys) (clear, hash string) {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	clear = "ps_" + base64.RawURLEncoding.EncodeToString(b[:])
	return clear, hashedFast + keys.Hash(secret.ClientHash, clear)
}

// matchesFast compares in constant time with the keyed hash under each readable generation of the key (KEY-06), and says
// under which it matched.
func (p *Provider) matchesFast(s storage.ClientSecret, typed string) (generation string, ok bool) {
	return p.Keys.HashedBy(secret.ClientHash, typed, strings.TrimPrefix(s.Hash, hashedFast))
}

// rehash hashes a secret that has just been proved under the current key, where an older one had: nobody but the client
// has it, so there is no other moment. A failure costs nothing: the client comes again.
func (p *Provider) rehash(ctx context.Context, c storage.Client, s storage.ClientSecret, typed, generation string) {
	renewed := s
	renewed.KeyID = generation
	if p.Keys.Superseded(generation) {
		renewed.Hash, renewed.KeyID = hashedFast+p.Keys.Hash(secret.ClientHash, typed), p.Keys.ID()
	}
	if renewed == s {
		return
	}
	c.Secrets = slices.Clone(c.Secrets) // the record is everybody's
	c.Secrets[slices.Index(c.Secrets, s)] = renewed
	err := p.Store.InTx(ctx, func(ctx context.Context) error { return p.Store.UpdateClient(ctx, c, p.Clock.Now()) })
	if err != nil && !errors.Is(err, storage.ErrConflict) { // ErrConflict: somebody else changed the client meanwhile
		p.Log.WarnContext(ctx, "hash client secret anew", "client", c.ID, "err", err)
	}
}
