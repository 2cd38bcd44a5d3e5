package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/parola-id/parola/internal/secret"
)

// Secrets are the root secrets, each at least 32 random bytes in base64. Every key is derived from one of them, and
// everything kept says from which.
type Secrets struct {
	// Root is the one that things are made with.
	Root Secret `yaml:"root"`
	// Next is the one to come: every node must be able to read it before the first makes things with it.
	Next Secret `yaml:"next"`
	// Previous is the one before, readable until nothing of it is left.
	Previous Secret `yaml:"previous"`
}

// Keys is about the keys that sign tokens.
type Keys struct {
	// RotateEvery is how long a key signs before another takes over by itself; 0 leaves that to `parola keys rotate`.
	RotateEvery time.Duration `yaml:"rotate_every"`
	// PublishAhead is how long a key is published before it signs. Relying parties must have read the keys again by then.
	PublishAhead time.Duration `yaml:"publish_ahead"`
}

func (c Config) keys() (*secret.Keys, error) {
	var errs []error
	decode := func(name string, s Secret) []byte {
		b, err := s.rootBytes()
		if err != nil {
			errs = append(errs, fmt.Errorf("secrets.%s %w", name, err))
		}
		return b
	}
	r := secret.Roots{Current: decode("root", c.Secrets.Root)}
	if c.Secrets.Next.Set() {
		r.Next = decode("next", c.Secrets.Next)
	}
	if c.Secrets.Previous.Set() {
		r.Previous = decode("previous", c.Secrets.Previous)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return secret.Derive(r)
}
