package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// rsaBits is the size of new RSA keys (KEY-01).
const rsaBits = 3072

// making is a key that a goroutine of this process is about to store; done is closed when it has, or could not.
type making struct {
	done chan struct{}
	err  error
}

// Ensure makes sure that a current key exists for each algorithm, or for the configured ones when none is named. It
// opens a transaction of its own and may take a second for RSA: call it outside any transaction, before the first Sign.
// Of several callers and nodes one makes the key and the others use it.
func (s *Signer) Ensure(ctx context.Context, algs ...string) error {
	if len(algs) == 0 {
		algs = s.algs
	}
	for _, alg := range algs {
		if !slices.Contains(Algorithms(), alg) {
			return fmt.Errorf("ensure signing key: algorithm %q is not one of %v", alg, Algorithms())
		}
		ks, err := s.snapshot(ctx, maxAge)
		if last := s.loaded.Load(); err != nil && last != nil && last.current[alg] != nil {
			continue // it is made; whether it may still sign is Sign's to read (REL-09)
		}
		if err != nil {
			return err
		}
		if ks.current[alg] != nil {
			continue
		}
		if err := s.makeOnce(ctx, alg); err != nil {
			return fmt.Errorf("ensure %s signing key: %w", alg, err)
		}
	}
	return nil
}

// makeOnce lets one goroutine make the key and the others wait for it.
func (s *Signer) makeOnce(ctx context.Context, alg string) error {
	s.making.Lock()
	m, already := s.inHand[alg]
	if !already {
		m = &making{done: make(chan struct{})}
		s.inHand[alg] = m
		// The work outlives the request that asked first: others wait for it.
		go func(ctx context.Context) {
			m.err = s.makeKey(ctx, alg)
			s.making.Lock()
			delete(s.inHand, alg)
			s.making.Unlock()
			close(m.done)
		}(context.WithoutCancel(ctx))
	}
	s.making.Unlock()
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Signer) makeKey(ctx context.Context, alg string) error {
	// Another goroutine may have finished between the caller's look and its turn.
	if ks, err := s.snapshot(ctx, 0); err != nil || ks.current[alg] != nil {
		return err
	}
	record, err := s.generate(alg)
	if err != nil {
		return err
	}
	record.State, record.ActivatedAt = storage.KeyCurrent, record.CreatedAt
	err = s.keys.InTx(ctx, func(ctx context.Context) error {
		if err := s.keys.InsertSigningKey(ctx, record); err != nil {
			return err
		}
		return s.audit.Write(ctx, keyEvent(audit.KeyCreated, actorSystem, record))
	})
	if err != nil && !errors.Is(err, storage.ErrConflict) { // ErrConflict: another node was faster, its key is the one
		return fmt.Errorf("store signing key: %w", err)
	}
	ks, err := s.snapshot(ctx, 0)
	if err != nil {
		return err
	}
	if ks.current[alg] == nil {
		return ErrNoKey
	}
	return nil
}

// generate makes a key pair that is to be published and does not sign yet. The kid is the RFC 7638 thumbprint, so that it names exactly this key.
func (s *Signer) generate(alg string) (storage.SigningKey, error) {
	private, err := generatePrivate(alg)
	if err != nil {
		return storage.SigningKey{}, fmt.Errorf("generate key: %w", err)
	}
	jwk := jose.JSONWebKey{Key: private, Algorithm: alg, Use: "sig"}
	if jwk.KeyID, err = thumbprintOf(jwk); err != nil {
		return storage.SigningKey{}, err
	}
	plain, err := json.Marshal(jwk)
	if err != nil {
		return storage.SigningKey{}, fmt.Errorf("encode key: %w", err)
	}
	public, err := json.Marshal(jwk.Public())
	if err != nil {
		return storage.SigningKey{}, fmt.Errorf("encode public key: %w", err)
	}
	return storage.SigningKey{
		KID: jwk.KeyID, Alg: alg, State: storage.KeyNext, Public: public,
		Sealed: s.secrets.Seal(secret.KeySeal, jwk.KeyID, plain), CreatedAt: s.clock.Now(),
	}, nil
}

// thumbprintOf is RFC 7638 with SHA-256.
func thumbprintOf(jwk jose.JSONWebKey) (string, error) {
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("compute thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

func generatePrivate(alg string) (any, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("unknown algorithm %q", alg)
}
