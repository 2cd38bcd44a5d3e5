package signing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// actorSystem names the schedule, rather than a person, in events.
const actorSystem = "system"

// Tend does what the schedule says is due. Of several nodes the one with the lease does it, so that one makes the key.
func (s *Signer) Tend(ctx context.Context) error {
	keys, err := s.keys.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	if len(Plan(keys, s.clock.Now(), s.schedule)) == 0 {
		return nil
	}
	held, now := false, s.clock.Now()
	err = s.keys.InTx(ctx, func(ctx context.Context) (err error) {
		held, err = s.keys.AcquireLease(ctx, "key keeper", s.holder, now, now.Add(time.Minute))
		return err
	})
	if err != nil || !held {
		return err
	}
	fresh := make(map[string]storage.SigningKey)
	for _, step := range Plan(keys, now, s.schedule) {
		if step.Act != Create {
			continue
		}
		if fresh[step.Alg], err = s.generate(step.Alg); err != nil { // a second of work for RSA: not in the transaction
			return err
		}
	}
	return s.change(ctx, func(ctx context.Context, keys []storage.SigningKey) error {
		for _, step := range Plan(keys, s.clock.Now(), s.schedule) { // again: a command may have been faster
			if err := s.take(ctx, keys, step, fresh); err != nil {
				return fmt.Errorf("%s %s signing key: %w", step.Act, step.Alg, err)
			}
		}
		return nil
	})
}

// take does one step in the transaction of ctx.
func (s *Signer) take(ctx context.Context, keys []storage.SigningKey, step Step, fresh map[string]storage.SigningKey) error {
	switch step.Act {
	case Create:
		if k, made := fresh[step.Alg]; made {
			return s.publish(ctx, actorSystem, k)
		}
		return nil // due since a moment ago: the next time
	case Activate:
		return s.activate(ctx, actorSystem, keys, step.KID)
	default:
		return s.retire(ctx, keys, step.KID)
	}
}

// change runs fn in a transaction, alone among all nodes and commands, with the keys as they are then: the row of the
// lease, which all of them hold under one name, makes them wait for each other.
func (s *Signer) change(ctx context.Context, fn func(ctx context.Context, keys []storage.SigningKey) error) error {
	err := s.keys.InTx(ctx, func(ctx context.Context) error {
		now := s.clock.Now()
		if _, err := s.keys.AcquireLease(ctx, "signing keys", "one at a time", now, now); err != nil {
			return err
		}
		keys, err := s.keys.SigningKeys(ctx)
		if err != nil {
			return err
		}
		return fn(ctx, keys)
	})
	if err != nil {
		return fmt.Errorf("change signing keys: %w", err)
	}
	if _, err := s.snapshot(ctx, 0); err != nil {
		s.log.WarnContext(ctx, "read signing keys after a change", "err", err)
	}
	return nil
}

// errMoved says that a key was not in the state that the transaction had read: it rolls back, and the next try sees more.
var errMoved = errors.New("another node moved the key")

func (s *Signer) move(ctx context.Context, kid string, from, to storage.KeyState) error {
	moved, err := s.keys.MoveSigningKey(ctx, kid, from, to, s.clock.Now())
	if err == nil && !moved {
		err = errMoved
	}
	return err
}

// publish stores a next key.
func (s *Signer) publish(ctx context.Context, actor string, k storage.SigningKey) error {
	if err := s.keys.InsertSigningKey(ctx, k); err != nil {
		return err
	}
	return s.audit.Write(ctx, keyEvent(audit.KeyCreated, actor, k))
}

// activate makes a next key the current one, and the current one a previous key.
func (s *Signer) activate(ctx context.Context, actor string, keys []storage.SigningKey, kid string) error {
	next, found := byKID(keys, kid)
	if !found {
		return errMoved
	}
	event := keyEvent(audit.KeyActivated, actor, next)
	event.Data["state"] = string(storage.KeyCurrent)
	if current, has := only(keys, next.Alg, storage.KeyCurrent); has {
		if err := s.move(ctx, current.KID, storage.KeyCurrent, storage.KeyPrevious); err != nil {
			return err
		}
		event.Data["previous"] = current.KID
	}
	if err := s.move(ctx, kid, storage.KeyNext, storage.KeyCurrent); err != nil {
		return err
	}
	return s.audit.Write(ctx, event)
}

// retire ends a previous key whose tokens have ended.
func (s *Signer) retire(ctx context.Context, keys []storage.SigningKey, kid string) error {
	k, found := byKID(keys, kid)
	if !found {
		return errMoved
	}
	if err := s.move(ctx, kid, storage.KeyPrevious, storage.KeyRetired); err != nil {
		return err
	}
	event := keyEvent(audit.KeyRetired, actorSystem, k)
	event.Data["state"] = string(storage.KeyRetired)
	return s.audit.Write(ctx, event)
}

func byKID(keys []storage.SigningKey, kid string) (storage.SigningKey, bool) {
	i := slices.IndexFunc(keys, func(k storage.SigningKey) bool { return k.KID == kid })
	if i < 0 {
		return storage.SigningKey{}, false
	}
	return keys[i], true
}

func keyEvent(kind, actor string, k storage.SigningKey) storage.Event {
	return storage.Event{Kind: kind, ActorID: actor, Data: map[string]string{"kid": k.KID, "alg": k.Alg, "state": string(k.State)}}
}

// Rotated is what Rotate came to for one algorithm.
type Rotated struct {
	Alg string
	KID string
	// SignsAt is when the key begins to sign; zero when it does now.
	SignsAt time.Time
}

// Rotate begins to replace the current keys of algs, or of every algorithm that has one. A next key is made and published
// where there is none; one that has been published long enough takes over. With atOnce it takes over in any case: relying
// parties that read the keys a moment ago then refuse its tokens until they read them again. ErrNoKey says that an
// algorithm has no current key.
func (s *Signer) Rotate(ctx context.Context, actor string, algs []string, atOnce bool) ([]Rotated, error) {
	keys, err := s.keys.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	if len(algs) == 0 {
		algs = slices.DeleteFunc(Algorithms(), func(alg string) bool { _, has := only(keys, alg, storage.KeyCurrent); return !has })
	}
	fresh := make(map[string]storage.SigningKey)
	for _, alg := range algs {
		if _, has := only(keys, alg, storage.KeyCurrent); !has {
			return nil, fmt.Errorf("rotate %s: %w", alg, ErrNoKey)
		}
		if _, has := only(keys, alg, storage.KeyNext); has {
			continue
		}
		if fresh[alg], err = s.generate(alg); err != nil {
			return nil, err
		}
	}
	var done []Rotated
	err = s.change(ctx, func(ctx context.Context, keys []storage.SigningKey) error {
		done = nil
		for _, alg := range algs {
			rotated, err := s.rotate(ctx, actor, keys, alg, fresh, atOnce)
			if err != nil {
				return fmt.Errorf("rotate %s: %w", alg, err)
			}
			done = append(done, rotated)
		}
		return nil
	})
	return done, err
}

func (s *Signer) rotate(ctx context.Context, actor string, keys []storage.SigningKey, alg string, fresh map[string]storage.SigningKey, atOnce bool) (Rotated, error) {
	next, has := only(keys, alg, storage.KeyNext)
	if !has {
		var made bool
		if next, made = fresh[alg]; !made {
			return Rotated{}, errMoved
		}
		if err := s.publish(ctx, actor, next); err != nil {
			return Rotated{}, err
		}
		keys = append(slices.Clone(keys), next)
	}
	if at := SignsAt(next, s.schedule); !atOnce && s.clock.Now().Before(at) {
		return Rotated{Alg: alg, KID: next.KID, SignsAt: at}, nil
	}
	return Rotated{Alg: alg, KID: next.KID}, s.activate(ctx, actor, keys, next.KID)
}
