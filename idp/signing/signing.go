// Package signing keeps the keys that sign tokens, signs with them, publishes their public halves and verifies what
// they signed. Keys live in storage, the private halves sealed; every node reads them again at most once a second, so a
// rotation or an emergency withdrawal is seen everywhere within one second.
//
// It knows JSON Web Signatures and nothing of what the claims mean: idp/oidc builds the claims and decides which
// algorithm and which typ they get.
package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// The algorithms of the fixed list of OA-40. `none` and every HMAC method are neither signed nor verified.
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA"
)

// Algorithms are the algorithms a client may choose from, the default of new clients first.
func Algorithms() []string { return []string{ES256, RS256, EdDSA} }

// The errors that a caller may tell apart. Anything else means that keys could not be read: an outage.
var (
	// ErrNoKey says that there is no current key of the algorithm yet; Ensure makes one.
	ErrNoKey = errors.New("no current signing key")
	// ErrInvalid says that a token is malformed, or was not signed by a key of ours that is still published.
	ErrInvalid = errors.New("not a token of ours")
)

// maxAge is how long a snapshot of the keys is used before storage is asked again: with the time that asking takes, a
// change is seen everywhere within a second.
const maxAge = 900 * time.Millisecond

// retryAge is the same after an unknown kid: another node may have made the key a moment ago, yet a stream of made-up
// kids must not become a stream of queries.
const retryAge = 100 * time.Millisecond

// Store is what a Signer needs of storage.
type Store interface {
	storage.Transactor
	storage.SigningKeys
	storage.Leases
}

// Config is what a Signer needs. Algs are the algorithms that Ensure makes keys for when asked for none in particular;
// ES256 is always among them. Schedule says when keys move on, and Holder names the node in the lease on moving them;
// both are for Tend, Rotate and Withdraw. Log may be nil.
type Config struct {
	Keys     Store
	Secrets  *secret.Keys
	Audit    *audit.Writer
	Clock    clock.Clock
	Algs     []string
	Schedule Schedule
	Holder   string
	Log      *slog.Logger
}

// Signer signs and verifies with the keys in storage. It is safe for concurrent use.
type Signer struct {
	keys    Store
	secrets *secret.Keys
	audit   *audit.Writer
	clock   clock.Clock
	algs    []string
	log     *slog.Logger

	schedule Schedule
	holder   string

	loaded  atomic.Pointer[keySet]
	loading sync.Mutex

	making sync.Mutex
	inHand map[string]*making
}

// New returns a Signer. It reads and makes no keys: Ensure does.
func New(c Config) (*Signer, error) {
	algs := []string{ES256}
	for _, alg := range c.Algs {
		if !slices.Contains(Algorithms(), alg) {
			return nil, fmt.Errorf("signing algorithm %q is not one of %v", alg, Algorithms())
		}
		if !slices.Contains(algs, alg) {
			algs = append(algs, alg)
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Signer{
		keys: c.Keys, secrets: c.Secrets, audit: c.Audit, clock: c.Clock, algs: algs, log: c.Log,
		schedule: c.Schedule, holder: c.Holder, inHand: make(map[string]*making),
	}, nil
}

// Info describes a key without its private half.
type Info struct {
	KID         string
	Alg         string
	State       storage.KeyState
	CreatedAt   time.Time
	ActivatedAt time.Time
	RetiredAt   time.Time
}

// List returns every key that storage holds, newest first, withdrawn ones too.
func (s *Signer) List(ctx context.Context) ([]Info, error) {
	records, err := s.keys.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	list := make([]Info, len(records))
	for i, k := range records {
		list[i] = Info{
			KID: k.KID, Alg: k.Alg, State: k.State,
			CreatedAt: k.CreatedAt, ActivatedAt: k.ActivatedAt, RetiredAt: k.RetiredAt,
		}
	}
	return list, nil
}
