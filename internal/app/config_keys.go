package app

import "time"

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
