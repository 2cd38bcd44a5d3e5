package signing

import (
	"slices"
	"time"

	"github.com/parola-id/parola/storage"
)

// CacheLife is how long anybody may keep the published keys without asking again: the max-age of the JWKS response.
const CacheLife = 5 * time.Minute

// LeastAhead is the shortest time from a key's publication to its first signature (KEY-03): a relying party may have
// fetched the keys from a node that had not yet seen the new one, whose clock may differ, and keeps them for CacheLife.
const LeastAhead = CacheLife + maxAge + clockDifference

// clockDifference is how far the clocks of two nodes may be apart; beyond 2 s it is an alarm (LOG-10).
const clockDifference = 4 * time.Second

// Schedule says when keys move on.
type Schedule struct {
	// Every is how long a key signs before another takes over; 0 leaves that to Rotate.
	Every time.Duration
	// Ahead is how long a next key is published before it signs; at least LeastAhead.
	Ahead time.Duration
	// Keep is how long a previous key stays published after its last signature: the longest life of anything it signed,
	// and what clocks may differ.
	Keep time.Duration
}

// Act is what a step does.
type Act string

// The acts. Each moves one key; Activate also makes its predecessor a previous key.
const (
	Create   Act = "create"   // make and publish a next key
	Activate Act = "activate" // the next key signs from now on
	Retire   Act = "retire"   // nothing that the previous key signed is of use any more
)

// Step is one change to the keys. KID is empty for Create.
type Step struct {
	Act Act
	Alg string
	KID string
}

// Plan says what is due: a pure decision. It never leaves an algorithm without a current key, and never has two keys in
// wait. A clock that went back makes nothing due.
func Plan(keys []storage.SigningKey, now time.Time, s Schedule) []Step {
	var steps []Step
	for _, alg := range Algorithms() {
		current, hasCurrent := only(keys, alg, storage.KeyCurrent)
		if !hasCurrent {
			continue // nobody has needed this algorithm yet: Ensure makes its first key
		}
		next, hasNext := only(keys, alg, storage.KeyNext)
		switch {
		case hasNext && !now.Before(SignsAt(next, s)):
			steps = append(steps, Step{Activate, alg, next.KID})
		case !hasNext && s.Every > 0 && !now.Before(current.ActivatedAt.Add(s.Every-s.Ahead)):
			steps = append(steps, Step{Act: Create, Alg: alg})
		}
	}
	for _, k := range keys {
		if k.State != storage.KeyPrevious {
			continue
		}
		if stopped, known := stoppedSigning(keys, k); known && now.After(stopped.Add(s.Keep)) {
			steps = append(steps, Step{Retire, k.Alg, k.KID})
		}
	}
	return steps
}

// SignsAt is when a next key may begin to sign: everybody knows it by then.
func SignsAt(next storage.SigningKey, s Schedule) time.Time { return next.CreatedAt.Add(s.Ahead) }

// only returns the key of an algorithm in a state; the oldest when an accident has left two.
func only(keys []storage.SigningKey, alg string, state storage.KeyState) (storage.SigningKey, bool) {
	var found []storage.SigningKey
	for _, k := range keys {
		if k.Alg == alg && k.State == state {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return storage.SigningKey{}, false
	}
	return slices.MinFunc(found, func(a, b storage.SigningKey) int { return a.CreatedAt.Compare(b.CreatedAt) }), true
}

// stoppedSigning is when the successor of a previous key began to sign. The successor may have been withdrawn since: it
// still took over then. Where nobody remembers it any more, the key that signs now came after it.
func stoppedSigning(keys []storage.SigningKey, k storage.SigningKey) (at time.Time, known bool) {
	for _, successor := range keys {
		if successor.Alg == k.Alg && successor.ActivatedAt.After(k.ActivatedAt) && (!known || successor.ActivatedAt.Before(at)) {
			at, known = successor.ActivatedAt, true
		}
	}
	if !known {
		var current storage.SigningKey
		current, known = only(keys, k.Alg, storage.KeyCurrent)
		at = current.ActivatedAt
	}
	return at, known
}
