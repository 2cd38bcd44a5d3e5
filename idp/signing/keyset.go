package signing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// keySet is a snapshot of the keys in storage. It never changes once made.
type keySet struct {
	readAt  time.Time
	byKID   map[string]*key
	current map[string]*key // by algorithm
	jwks    []byte
}

// key is one published key. private is nil when the key does not sign.
type key struct {
	record  storage.SigningKey
	public  jose.JSONWebKey
	private *jose.JSONWebKey
}

// fresh says whether the snapshot may still be used. A clock that went back makes it stale (REL-11).
func (ks *keySet) fresh(now time.Time, age time.Duration) bool {
	elapsed := now.Sub(ks.readAt)
	return elapsed >= 0 && elapsed < age
}

// snapshot returns the keys, read from storage when those in hand are older than age. Of many callers one reads.
func (s *Signer) snapshot(ctx context.Context, age time.Duration) (*keySet, error) {
	if ks := s.loaded.Load(); ks != nil && ks.fresh(s.clock.Now(), age) {
		return ks, nil
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	now := s.clock.Now()
	before := s.loaded.Load()
	if before != nil && before.fresh(now, age) {
		return before, nil
	}
	records, err := s.keys.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	ks, err := s.assemble(records, before)
	if err != nil {
		return nil, err
	}
	ks.readAt = now
	s.loaded.Store(ks)
	return ks, nil
}

// assemble makes a snapshot of records, taking opened private keys over from the one before: opening an RSA key costs
// milliseconds, and this runs once a second.
func (s *Signer) assemble(records []storage.SigningKey, before *keySet) (*keySet, error) {
	ks := &keySet{byKID: make(map[string]*key), current: make(map[string]*key)}
	var published jose.JSONWebKeySet
	for _, r := range records {
		if r.State == storage.KeyRetired {
			continue // KEY-05: neither published nor accepted
		}
		k := &key{record: r}
		if err := json.Unmarshal(r.Public, &k.public); err != nil {
			return nil, fmt.Errorf("parse public key %s: %w", r.KID, err)
		}
		if r.State == storage.KeyCurrent {
			private, err := s.open(r, before)
			if err != nil {
				return nil, err
			}
			k.private = private
			ks.current[r.Alg] = k
		}
		ks.byKID[r.KID] = k
		published.Keys = append(published.Keys, k.public)
	}
	if published.Keys == nil {
		published.Keys = []jose.JSONWebKey{}
	}
	var err error
	if ks.jwks, err = json.Marshal(published); err != nil {
		return nil, fmt.Errorf("encode public keys: %w", err)
	}
	return ks, nil
}

func (s *Signer) open(r storage.SigningKey, before *keySet) (*jose.JSONWebKey, error) {
	if before != nil {
		if k := before.byKID[r.KID]; k != nil && k.private != nil && bytes.Equal(k.record.Sealed, r.Sealed) {
			return k.private, nil
		}
	}
	plain, err := s.secrets.Open(secret.KeySeal, r.KID, r.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open signing key %s: %w", r.KID, err)
	}
	var private jose.JSONWebKey
	if err := json.Unmarshal(plain, &private); err != nil {
		return nil, fmt.Errorf("parse signing key %s: it is not a JSON Web Key", r.KID)
	}
	return &private, nil
}

// JWKS returns the published public keys as a JSON Web Key Set (RFC 7517 §5): those that sign, will sign, or signed
// tokens that may still be in use (KEY-03). When storage is down it returns the keys read last, so that relying parties
// can go on verifying (REL-09); nothing is accepted on their strength here.
func (s *Signer) JWKS(ctx context.Context) ([]byte, error) {
	ks, err := s.snapshot(ctx, maxAge)
	if err != nil {
		if last := s.loaded.Load(); last != nil {
			s.log.WarnContext(ctx, "publishing the keys read last", "error", err)
			return last.jwks, nil
		}
		return nil, err
	}
	return ks.jwks, nil
}
