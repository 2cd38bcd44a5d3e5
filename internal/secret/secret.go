// Package secret turns one root secret into keys, one per purpose (KEY-02), and does with them what the rooms need:
// seal, open, keyed hash, MAC. A key never leaves this package except where a library must have it (Bytes).
//
// Every key has a generation, named by a short id that is stored beside whatever was made with it, so that a root can
// be replaced while the older one stays readable.
package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Purpose names what a key is for. Two purposes never share a key.
type Purpose string

// The purposes.
const (
	Passcode     Purpose = "passcode"     // derivation of passcodes
	AuthCode     Purpose = "auth-code"    // derivation of AuthCodes
	TokenHash    Purpose = "token-hash"   // how tokens, AuthCodes and session ids are found
	ClientHash   Purpose = "client-hash"  // generated client secrets
	Password     Purpose = "password"     // the keyed step over password hashes
	PhoneLookup  Purpose = "phone-lookup" // how numbers are found
	PhoneSeal    Purpose = "phone-seal"
	ClaimSeal    Purpose = "claim-seal" // names and addresses of persons
	KeySeal      Purpose = "signing-key-seal"
	MessageHash  Purpose = "message-hash"  // how carriers' message ids are found
	Forms        Purpose = "forms"         // tokens in forms
	Browser      Purpose = "browser"       // the known-browser cookie
	Names        Purpose = "names"         // keyed hash of what was typed as a user name, and of throttle keys
	Audit        Purpose = "audit"         // seed of the Ed25519 key that signs checkpoints
	IdentitySeal Purpose = "identity-seal" // identity key hashes of WhatsApp accounts
	Callback     Purpose = "callback"      // our own mark on carriers' callback URLs
	AuditKeys    Purpose = "audit-keys"    // public keys of checkpoints that an older root signed
)

// sealedForm begins a sealed value, before the generation.
const sealedForm = "v1"

// RootSize is the least length of a root secret in bytes.
const RootSize = 32

// Keys are the purpose keys of the current root and, while it is being replaced, of the one to come or the one before.
type Keys struct {
	current generation
	others  []generation
}

// generation is one root with what was derived from it: a key is needed for every request, and HKDF would cost more than
// most of what is done with it.
type generation struct {
	id         string
	root       []byte
	superseded bool      // by the current one
	keys       *sync.Map // of Purpose to *derived
}

type derived struct {
	key  []byte
	aead cipher.AEAD
}

// Roots are the root secrets of an installation, each of RootSize bytes at least. Next and Previous may be empty.
type Roots struct {
	// Current is what everything is made with.
	Current []byte
	// Next is the one to come: other nodes may make things with it already.
	Next []byte
	// Previous is the one before: what it made is made anew where that is possible.
	Previous []byte
}

// Derive makes the keys of roots. What was made with any of them, on this node or on another, can be read.
func Derive(r Roots) (*Keys, error) {
	k, err := New(r.Current)
	for _, other := range []struct {
		root       []byte
		superseded bool
	}{{r.Next, false}, {r.Previous, true}} {
		if err == nil && len(other.root) > 0 {
			err = k.add(other.root, other.superseded)
		}
	}
	return k, err
}

// New is Derive for a current root secret and those before it.
func New(current []byte, previous ...[]byte) (*Keys, error) {
	g, err := newGeneration(current)
	k := &Keys{current: g}
	for _, root := range previous {
		if err == nil {
			err = k.add(root, true)
		}
	}
	return k, err
}

func (k *Keys) add(root []byte, superseded bool) error {
	g, err := newGeneration(root)
	g.superseded = superseded
	k.others = append(k.others, g)
	return err
}

func newGeneration(root []byte) (generation, error) {
	if len(root) < RootSize {
		return generation{}, fmt.Errorf("root secret has %d bytes, needs at least %d: make one with `parola config init`", len(root), RootSize)
	}
	g := generation{root: bytes.Clone(root), keys: new(sync.Map)}
	g.id = hex.EncodeToString(g.derive("key-id").key)[:8]
	return g, nil
}

func (g generation) derive(p Purpose) *derived {
	if d, ok := g.keys.Load(p); ok {
		return d.(*derived)
	}
	key, err := hkdf.Key(sha256.New, g.root, nil, "parola/v1/"+string(p), 32)
	if err != nil {
		panic("secret: hkdf: " + err.Error()) // only a length beyond 255 hashes fails
	}
	d, _ := g.keys.LoadOrStore(p, &derived{key: key, aead: newAEAD(key)})
	return d.(*derived)
}

func (k *Keys) find(id string) (generation, bool) {
	if id == k.current.id {
		return k.current, true
	}
	for _, g := range k.others {
		if g.id == id {
			return g, true
		}
	}
	return generation{}, false
}

// ErrUnknownKey says that something was made with a root secret that is not configured here.
var ErrUnknownKey = errors.New("made with a root secret that is not configured")

// ID names the current generation.
func (k *Keys) ID() string { return k.current.id }

// Readable are the ids of all generations that can be read, the current one first.
func (k *Keys) Readable() []string {
	ids := []string{k.current.id}
	for _, g := range k.others {
		ids = append(ids, g.id)
	}
	return ids
}

// Reads says whether what was made with a generation can be read.
func (k *Keys) Reads(id string) bool { _, ok := k.find(id); return ok }

// Superseded says whether what was made with a generation should be made anew. What the next one made should not, or
// nodes on both sides of a replacement would write over each other.
func (k *Keys) Superseded(id string) bool { g, ok := k.find(id); return ok && g.superseded }

// Format implements fmt.Formatter: every verb prints ids alone (KEY-08).
func (k *Keys) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "keys of %s", strings.Join(k.Readable(), ", "))
}

// Bytes returns the 32-byte key of a purpose, of the current generation, for a library that must hold it.
func (k *Keys) Bytes(p Purpose) []byte { return bytes.Clone(k.current.derive(p).key) }

// OtherBytes returns the keys of a purpose of the other readable generations.
func (k *Keys) OtherBytes(p Purpose) [][]byte {
	var keys [][]byte
	for _, g := range k.others {
		keys = append(keys, bytes.Clone(g.derive(p).key))
	}
	return keys
}

// MAC is HMAC-SHA-256 over the parts, each preceded by its length so that no two lists collide, with the key of the
// named generation. It fails with ErrUnknownKey.
func (k *Keys) MAC(p Purpose, keyID string, parts ...[]byte) ([]byte, error) {
	g, ok := k.find(keyID)
	if !ok {
		return nil, ErrUnknownKey
	}
	return mac(g.derive(p).key, parts...), nil
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		n := len(part)
		h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write(part)
	}
	return h.Sum(nil)
}

// Hash is a keyed hash of value for look-ups, of the current generation, in unpadded base64url.
func (k *Keys) Hash(p Purpose, value string) string {
	return base64.RawURLEncoding.EncodeToString(mac(k.current.derive(p).key, []byte(value)))
}

// Hashes returns Hash for the current generation and then for the other readable ones: what a look-up must try while the
// root is being replaced.
func (k *Keys) Hashes(p Purpose, value string) []string {
	hashes := []string{k.Hash(p, value)}
	for _, g := range k.others {
		hashes = append(hashes, base64.RawURLEncoding.EncodeToString(mac(g.derive(p).key, []byte(value))))
	}
	return hashes
}

// HashedBy returns the generation whose keyed hash of value this is. It compares with each in constant time.
func (k *Keys) HashedBy(p Purpose, value, hash string) (id string, ok bool) {
	for i, h := range k.Hashes(p, value) {
		if hmac.Equal([]byte(h), []byte(hash)) {
			id, ok = k.Readable()[i], true
		}
	}
	return id, ok
}

// SealedBy returns the generation that sealed a value; empty for what is no sealed value.
func SealedBy(sealed []byte) string {
	parts := strings.SplitN(string(sealed), ".", 3)
	if len(parts) != 3 || parts[0] != sealedForm {
		return ""
	}
	return parts[1]
}

// Seal encrypts plaintext with AES-256-GCM under a fresh nonce; purpose, key id and context are associated data, so a
// sealed value cannot be moved to another record.
func (k *Keys) Seal(p Purpose, context string, plaintext []byte) []byte {
	aead := k.current.derive(p).aead
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	prefix := []byte(sealedForm + "." + k.current.id + ".")
	out := append(prefix, nonce...)
	return aead.Seal(out, nonce, plaintext, associated(p, k.current.id, context))
}

// Open decrypts what Seal made with the same purpose and context.
func (k *Keys) Open(p Purpose, context string, sealed []byte) ([]byte, error) {
	parts := strings.SplitN(string(sealed), ".", 3)
	if len(parts) != 3 || parts[0] != sealedForm {
		return nil, errors.New("open sealed value: not in the form v1.KEY.…")
	}
	g, ok := k.find(parts[1])
	if !ok {
		return nil, fmt.Errorf("open sealed value: %w", ErrUnknownKey)
	}
	aead := g.derive(p).aead
	body := []byte(parts[2])
	if len(body) < aead.NonceSize() {
		return nil, errors.New("open sealed value: too short")
	}
	plaintext, err := aead.Open(nil, body[:aead.NonceSize()], body[aead.NonceSize():], associated(p, g.id, context))
	if err != nil {
		return nil, errors.New("open sealed value: it was changed, or belongs to another record")
	}
	return plaintext, nil
}

func associated(p Purpose, keyID, context string) []byte {
	return []byte("parola|" + string(p) + "|" + keyID + "|" + context)
}

func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("secret: " + err.Error()) // the key has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("secret: " + err.Error())
	}
	return aead
}
