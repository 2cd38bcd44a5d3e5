package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/idp/signing"
	"github.com/parola-id/parola/storage"
)

// SigningKey is a key that signs tokens, without its private half.
type SigningKey struct {
	KID       string    `json:"kid"`
	Alg       string    `json:"alg"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	// SignsAt is when a next key takes over.
	SignsAt     time.Time `json:"signs_at,omitzero"`
	ActivatedAt time.Time `json:"activated_at,omitzero"`
	RetiredAt   time.Time `json:"retired_at,omitzero"`
}

// SigningKeys lists the keys that sign tokens, newest first.
func (b *Base) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	keys, err := b.store.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	list := make([]SigningKey, len(keys))
	for i, k := range keys {
		list[i] = SigningKey{
			KID: k.KID, Alg: k.Alg, State: string(k.State),
			CreatedAt: k.CreatedAt, ActivatedAt: k.ActivatedAt, RetiredAt: k.RetiredAt,
		}
		if k.State == storage.KeyNext {
			list[i].SignsAt = signing.SignsAt(k, b.config.keySchedule())
		}
	}
	return list, nil
}

// RotatedKey is what RotateKeys came to for one algorithm.
type RotatedKey struct {
	Alg string `json:"alg"`
	KID string `json:"kid"`
	// SignsAt is when the key begins to sign; zero when it does now.
	SignsAt time.Time `json:"signs_at,omitzero"`
}

// RotateKeys begins to replace the current signing key of alg, or of every algorithm that has one; see signing.Rotate.
func (b *Base) RotateKeys(ctx context.Context, alg string, atOnce bool) ([]RotatedKey, error) {
	var algs []string
	if alg != "" {
		if algs = []string{alg}; !slices.Contains(signing.Algorithms(), alg) {
			return nil, refuse("there is no algorithm %q: write %s", alg, strings.Join(signing.Algorithms(), ", "))
		}
	}
	signer, err := b.newSigner()
	if err != nil {
		return nil, err
	}
	done, err := signer.Rotate(ctx, actor, algs, atOnce)
	if errors.Is(err, signing.ErrNoKey) {
		return nil, refuse("nothing is signed with %s yet: the server makes its first key by itself", alg)
	}
	if err == nil && len(done) == 0 {
		return nil, refuse("there is no signing key yet: the server makes the first by itself")
	}
	list := make([]RotatedKey, len(done))
	for i, r := range done {
		list[i] = RotatedKey(r)
	}
	return list, err
}

// WithdrawnKey is what WithdrawKeys did to one key.
type WithdrawnKey struct {
	KID       string `json:"kid"`
	Alg       string `json:"alg"`
	State     string `json:"state"`               // before
	Successor string `json:"successor,omitempty"` // the key that signs in its place
}

// WithdrawKeys ends keys that somebody else may have (KEY-05): on all nodes within a second nothing that they signed is
// accepted any more.
func (b *Base) WithdrawKeys(ctx context.Context, reason string, kids ...string) ([]WithdrawnKey, error) {
	if !displayable(strings.TrimSpace(reason), "") {
		return nil, refuse("a reason is needed: it is written to the audit log")
	}
	signer, err := b.newSigner()
	if err != nil {
		return nil, err
	}
	done, err := signer.Withdraw(ctx, actor, reason, slices.Compact(slices.Sorted(slices.Values(kids)))...)
	switch {
	case errors.Is(err, signing.ErrUnknownKID):
		return nil, refuse("there is no such key: `parola keys list` shows them")
	case errors.Is(err, signing.ErrRetired):
		return nil, refuse("a key of these was retired before; nothing was changed: `parola keys list` shows their states")
	}
	list := make([]WithdrawnKey, len(done))
	for i, w := range done {
		list[i] = WithdrawnKey{KID: w.KID, Alg: w.Alg, State: string(w.State), Successor: w.Successor}
	}
	return list, err
}
