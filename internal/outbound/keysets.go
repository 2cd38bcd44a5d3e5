package outbound

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/parola-id/parola/internal/clock"
)

const (
	// keysMaxAge is how long a fetched key set is used without asking again: so long a key that its owner withdrew may
	// still work.
	keysMaxAge = 10 * time.Minute
	// keysMaxStale is how long it is used while its owner's server is down.
	keysMaxStale = time.Hour
	// keysMinInterval is the least time between two fetches for one owner (SSR-03).
	keysMinInterval = time.Minute
	// maxKeys bounds the keys taken from one set.
	maxKeys = 50
	// RSA moduli outside these sizes are too weak to prove anything, or made to keep us busy.
	minRSABits, maxRSABits = 2048, 8192
)

// KeySets caches the JSON Web Key Sets that owners (clients) publish, one for each owner and address.
type KeySets struct {
	client *Client
	clock  clock.Clock

	mu   sync.Mutex
	sets map[ownedSet]*fetchedSet
}

type ownedSet struct{ owner, uri string }

type fetchedSet struct {
	mu        sync.Mutex
	body      json.RawMessage
	kids      []string
	fetchedAt time.Time
	triedAt   time.Time
	err       error // of the last try
}

// NewKeySets returns an empty cache that fetches with client.
func NewKeySets(client *Client, c clock.Clock) *KeySets {
	return &KeySets{client: client, clock: c, sets: make(map[ownedSet]*fetchedSet)}
}

// KeySet returns the JSON Web Key Set that owner publishes at uri, for ParseKeySet. It asks the network when it holds
// none, when that is 10 minutes old, or when kid is not empty and not in it, but at most once a minute for each owner
// whatever came of it: made-up kids must not become a stream of requests (SSR-03). An error means that the keys are not
// known, never that a key is wrong.
func (k *KeySets) KeySet(ctx context.Context, owner, uri, kid string) (json.RawMessage, error) {
	set := k.set(owner, uri)
	set.mu.Lock()
	defer set.mu.Unlock()
	now := k.clock.Now()
	if set.fetchDue(now, kid) {
		set.triedAt = now
		// The fetch serves whoever waits for this set, so it does not end with the request that began it.
		set.fetch(context.WithoutCancel(ctx), k.client, uri, now)
	}
	if set.fetchedAt.IsZero() || now.Sub(set.fetchedAt) > keysMaxStale {
		return nil, fmt.Errorf("fetch key set: %w", set.err)
	}
	return set.body, nil
}

func (k *KeySets) set(owner, uri string) *fetchedSet {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := ownedSet{owner, uri}
	if k.sets[id] == nil {
		k.sets[id] = &fetchedSet{err: errors.New("not fetched yet")}
	}
	return k.sets[id]
}

func (s *fetchedSet) fetchDue(now time.Time, kid string) bool {
	if !s.triedAt.IsZero() && now.Sub(s.triedAt) < keysMinInterval {
		return false
	}
	if s.fetchedAt.IsZero() || now.Sub(s.fetchedAt) >= keysMaxAge {
		return true
	}
	if kid == "" {
		return false
	}
	return !slices.Contains(s.kids, kid)
}

func (s *fetchedSet) fetch(ctx context.Context, client *Client, uri string, now time.Time) {
	body, err := client.Get(ctx, uri, "application/jwk-set+json, application/json")
	if err != nil {
		s.err = err
		return
	}
	keys, err := ParseKeySet(body)
	if err != nil {
		s.err = err
		return
	}
	s.body, s.kids, s.fetchedAt, s.err = body, nil, now, nil
	for _, key := range keys {
		s.kids = append(s.kids, key.KeyID)
	}
}

// ParseKeySet reads a JSON Web Key Set (RFC 7517 §5) and returns its public signature keys. As the RFC asks, keys of an
// unknown type and malformed ones are passed over, and so are keys for encryption; symmetric and private keys are passed
// over too, since nobody should have been able to read them.
func ParseKeySet(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil || set.Keys == nil {
		return nil, errors.New("not a JSON Web Key Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("key set has more than %d keys", maxKeys)
	}
	keys := make([]jose.JSONWebKey, 0, len(set.Keys))
	for _, raw := range set.Keys {
		if key, ok := parseKey(raw); ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func parseKey(raw json.RawMessage) (key jose.JSONWebKey, ok bool) {
	// Looked for first: taking a made-up private RSA key apart costs far more than a public one.
	var secrets struct {
		D json.RawMessage `json:"d"`
		K json.RawMessage `json:"k"`
	}
	if json.Unmarshal(raw, &secrets) != nil || secrets.D != nil || secrets.K != nil {
		return key, false
	}
	if json.Unmarshal(raw, &key) != nil || !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
		return key, false
	}
	if r, isRSA := key.Key.(*rsa.PublicKey); isRSA && (r.N.BitLen() < minRSABits || r.N.BitLen() > maxRSABits) {
		return key, false
	}
	return key, true
}
