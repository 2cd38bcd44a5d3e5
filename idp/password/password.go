package password

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// The most a password may have; a longer one is refused, never cut (PW-02).
const (
	MaxCodePoints = 256
	MaxBytes      = 1024
)

// normalization is the version that new hashes are made with: 1 is Unicode NFC, nothing else (PW-03).
const normalization = 1

// Config is what a Hasher needs.
type Config struct {
	Keys  *secret.Keys
	Clock clock.Clock
	// Memory is the most that running hashes may hold at once, in bytes; 0 means 256 MiB. The number of hashes at a time is
	// also kept below the number of cores. What ended ones have left comes on top until it is collected: that of CollectedAfter.
	Memory int64
	// Queue is how many may wait; 0 means 64. Beyond it there is a BusyError.
	Queue int
	// Collect, when set, is called between hashes to collect the garbage that several of them left, 19 MiB each; the next
	// hash waits for it.
	Collect func()
}

// Hasher makes and checks password hashes behind one gate.
type Hasher struct {
	keys  *secret.Keys
	clock clock.Clock
	gate  *gate
	dummy encoded
	// hashes counts, for the test that every path runs exactly one.
	ran func()
}

// New returns a Hasher.
func New(c Config) *Hasher {
	if c.Memory == 0 {
		c.Memory = 256 << 20
	}
	if c.Queue == 0 {
		c.Queue = 64
	}
	salt, sum := make([]byte, saltSize), make([]byte, hashSize)
	rand.Read(salt)
	rand.Read(sum)
	dummy, err := parse(encode(salt, sum))
	if err != nil {
		panic("password: " + err.Error())
	}
	return &Hasher{keys: c.Keys, clock: c.Clock, gate: newGate(c.Memory, c.Queue, c.Collect), dummy: dummy, ran: func() {}}
}

// Hash makes the factor of a new password; Acceptable judges it first. It fails with a *BusyError.
func (h *Hasher) Hash(ctx context.Context, personID, password string) (storage.PasswordFactor, error) {
	leave, err := h.gate.enter(ctx, 1, true)
	if err != nil {
		return storage.PasswordFactor{}, err
	}
	defer leave()
	return h.seal(personID, h.fresh(norm.NFC.String(password)), normalization), nil
}

// Import makes the factor of a hash that another system made; it is replaced at the first login. The error says what is
// wrong with the hash.
func (h *Hasher) Import(personID, hash string) (storage.PasswordFactor, error) {
	if _, err := parse(hash); err != nil {
		return storage.PasswordFactor{}, err
	}
	return h.seal(personID, hash, 0), nil
}

// Untouched says whether f is still this imported hash: nobody has signed in with it, and nobody has set another password.
func (h *Hasher) Untouched(f storage.PasswordFactor, hash string) bool {
	stored, err := h.unsealed(f)
	return err == nil && f.Normalization == 0 && stored == hash
}

func (h *Hasher) fresh(password string) string {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	h.ran()
	return encode(salt, argon2.IDKey([]byte(password), salt, passes, memoryKiB, lanes, hashSize))
}

func (h *Hasher) seal(personID, phc string, version int) storage.PasswordFactor {
	sealed := h.keys.Seal(secret.Password, personID, []byte(phc))
	return storage.PasswordFactor{
		PersonID: personID, Hash: base64.RawStdEncoding.EncodeToString(sealed), KeyID: h.keys.ID(),
		Normalization: version, UpdatedAt: h.clock.Now(),
	}
}

func (h *Hasher) open(f storage.PasswordFactor) (encoded, error) {
	sealed, err := base64.RawStdEncoding.DecodeString(f.Hash)
	if err != nil {
		return encoded{}, fmt.Errorf("read stored password: %w", err)
	}
	phc, err := h.keys.Open(secret.Password, f.PersonID, sealed)
	if err != nil {
		return encoded{}, fmt.Errorf("read stored password: %w", err)
	}
	return parse(string(phc))
}

// Result is the answer of Check.
type Result struct {
	OK bool
	// Rehash is the factor to store instead of the checked one, when that is behind the current parameters, key or
	// normalisation (PW-10); nil otherwise.
	Rehash *storage.PasswordFactor
}

// Check compares what was typed with a stored factor. A zero factor, which stands for a person who is unknown, disabled
// or has no password, costs the same and is never OK (PW-12). known is true for a browser with a session or a known
// browser, which has a reserved place in the queue. Errors: *BusyError, or an unreadable record.
func (h *Hasher) Check(ctx context.Context, f storage.PasswordFactor, typed string, known bool) (Result, error) {
	stored, real := h.dummy, false
	if f.Hash != "" && len(typed) <= MaxBytes && utf8.RuneCountInString(typed) <= MaxCodePoints {
		var err error
		if stored, err = h.open(f); err != nil {
			return Result{}, err
		}
		real = true
	}
	if len(typed) > MaxBytes {
		typed = typed[:MaxBytes] // the answer is no already; the cost stays bounded
	}
	leave, err := h.gate.enter(ctx, (stored.kib+memoryKiB-1)/memoryKiB, known)
	if err != nil {
		return Result{}, err
	}
	defer leave()
	if f.Normalization > 0 || !real {
		typed = norm.NFC.String(typed)
	}
	h.ran()
	if !stored.matches([]byte(typed)) || !real {
		return Result{}, nil
	}
	result := Result{OK: true}
	switch {
	case !stored.current || f.Normalization != normalization:
		renewed := h.seal(f.PersonID, h.fresh(norm.NFC.String(typed)), normalization)
		result.Rehash = &renewed
	case h.keys.Superseded(f.KeyID):
		phc, err := h.unsealed(f)
		if err == nil {
			renewed := h.seal(f.PersonID, phc, normalization)
			result.Rehash = &renewed
		}
	}
	return result, nil
}

func (h *Hasher) unsealed(f storage.PasswordFactor) (string, error) {
	sealed, err := base64.RawStdEncoding.DecodeString(f.Hash)
	if err != nil {
		return "", err
	}
	phc, err := h.keys.Open(secret.Password, f.PersonID, sealed)
	return string(phc), err
}

// VerifySecret compares a client secret with the slow hash of an imported one (OA-33), behind the same gate.
func (h *Hasher) VerifySecret(ctx context.Context, phc, typed string) (bool, error) {
	stored, err := parse(phc)
	if err != nil {
		return false, err
	}
	leave, err := h.gate.enter(ctx, (stored.kib+memoryKiB-1)/memoryKiB, false)
	if err != nil {
		return false, err
	}
	defer leave()
	return len(typed) <= MaxBytes && stored.matches([]byte(typed)), nil
}

// HashSecret makes the slow hash of an imported client secret.
func (h *Hasher) HashSecret(ctx context.Context, clear string) (string, error) {
	leave, err := h.gate.enter(ctx, 1, true)
	if err != nil {
		return "", err
	}
	defer leave()
	return h.fresh(clear), nil
}
