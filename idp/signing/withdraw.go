package signing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// The refusals of Withdraw.
var (
	ErrUnknownKID = errors.New("no such key")
	ErrRetired    = errors.New("the key was retired before")
)

// Withdrawn is what Withdraw did to one key. Successor is the key that signs in its place; empty when it did not sign.
type Withdrawn struct {
	KID       string
	Alg       string
	State     storage.KeyState // before
	Successor string
}

// Withdraw ends keys that somebody else may have, on all nodes within a second and in one transaction (KEY-05): they are
// neither published nor accepted from then on, and their private halves are forgotten. Where one of them signed, another
// takes over: the next key if everybody knows it already, else a fresh one.
func (s *Signer) Withdraw(ctx context.Context, actor, reason string, kids ...string) ([]Withdrawn, error) {
	keys, err := s.keys.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	fresh := make(map[string]storage.SigningKey)
	for _, kid := range kids {
		k, found := byKID(keys, kid)
		if !found {
			return nil, fmt.Errorf("withdraw signing key %s: %w", kid, ErrUnknownKID)
		}
		// A next key may have become the current one by the time of the transaction.
		if _, made := fresh[k.Alg]; !made && (k.State == storage.KeyCurrent || k.State == storage.KeyNext) {
			if fresh[k.Alg], err = s.generate(k.Alg); err != nil {
				return nil, err
			}
		}
	}
	var done []Withdrawn
	err = s.change(ctx, func(ctx context.Context, keys []storage.SigningKey) error {
		done = nil
		for _, kid := range kids {
			w, err := s.withdraw(ctx, actor, reason, keys, kid)
			if err != nil {
				return fmt.Errorf("withdraw signing key %s: %w", kid, err)
			}
			done = append(done, w)
		}
		for i, w := range done {
			if w.State != storage.KeyCurrent {
				continue
			}
			if done[i].Successor, err = s.succeed(ctx, actor, keys, kids, fresh[w.Alg]); err != nil {
				return fmt.Errorf("replace signing key %s: %w", w.KID, err)
			}
		}
		return nil
	})
	return done, err
}

func (s *Signer) withdraw(ctx context.Context, actor, reason string, keys []storage.SigningKey, kid string) (Withdrawn, error) {
	k, found := byKID(keys, kid)
	switch {
	case !found:
		return Withdrawn{}, ErrUnknownKID
	case k.State == storage.KeyRetired:
		return Withdrawn{}, ErrRetired
	}
	if err := s.move(ctx, kid, k.State, storage.KeyRetired); err != nil {
		return Withdrawn{}, err
	}
	event := keyEvent(audit.KeyRevoked, actor, k)
	event.Data["reason"] = reason
	return Withdrawn{KID: kid, Alg: k.Alg, State: k.State}, s.audit.Write(ctx, event)
}

// succeed puts a key in the place of a current one that has just been withdrawn, and returns its kid.
func (s *Signer) succeed(ctx context.Context, actor string, keys []storage.SigningKey, withdrawn []string, fresh storage.SigningKey) (string, error) {
	known := Schedule{Ahead: LeastAhead} // not the schedule's patience: this is an emergency
	next, has := only(keys, fresh.Alg, storage.KeyNext)
	if !has || slices.Contains(withdrawn, next.KID) || s.clock.Now().Before(SignsAt(next, known)) {
		next = fresh
		if err := s.publish(ctx, actor, next); err != nil {
			return "", err
		}
	}
	if err := s.move(ctx, next.KID, storage.KeyNext, storage.KeyCurrent); err != nil {
		return "", err
	}
	event := keyEvent(audit.KeyActivated, actor, next)
	event.Data["state"] = string(storage.KeyCurrent)
	return next.KID, s.audit.Write(ctx, event)
}
