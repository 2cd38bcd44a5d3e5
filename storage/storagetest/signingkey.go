package storagetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testSigningKeys(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	key := func(alg string, state storage.KeyState, age time.Duration) storage.SigningKey {
		return storage.SigningKey{
			KID: storage.NewID(), Alg: alg, State: state, Public: []byte(`{"kty":"EC"}`), Sealed: []byte{0, 1},
			CreatedAt: noon.Add(-age), ActivatedAt: noon.Add(-age),
		}
	}
	insert := func(k storage.SigningKey) error {
		return s.InTx(ctx, func(ctx context.Context) error { return s.InsertSigningKey(ctx, k) })
	}

	t.Run("keys come newest first", func(t *testing.T) {
		old, fresh := key("ES256", storage.KeyPrevious, time.Hour), key("ES256", storage.KeyCurrent, 0)
		for _, k := range []storage.SigningKey{old, fresh} {
			if err := insert(k); err != nil {
				t.Fatal(err)
			}
		}
		same(t, must(s.SigningKeys(ctx))(t), []storage.SigningKey{fresh, old})
	})
	t.Run("of eight nodes that make the first key of an algorithm exactly one does", func(t *testing.T) {
		won := make(chan bool, 8)
		for _, node := range append(append(db.two(t), db.two(t)...), append(db.two(t), db.two(t)...)...) {
			go func() {
				err := node.InTx(ctx, func(ctx context.Context) error {
					return node.InsertSigningKey(ctx, key("RS256", storage.KeyCurrent, 0))
				})
				if err != nil && !errors.Is(err, storage.ErrConflict) {
					t.Error(err)
				}
				won <- err == nil
			}()
		}
		wins := 0
		for range 8 {
			if <-won {
				wins++
			}
		}
		same(t, wins, 1)
	})
	move := func(kid string, from, to storage.KeyState, at time.Time) (moved bool) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			moved, err = s.MoveSigningKey(ctx, kid, from, to, at)
			return err
		})
		return moved
	}
	t.Run("a key moves on with its times, and a retired one keeps no private half", func(t *testing.T) {
		next := key("EdDSA", storage.KeyNext, 0)
		next.ActivatedAt = time.Time{}
		if err := insert(next); err != nil {
			t.Fatal(err)
		}
		for i, states := range [][2]storage.KeyState{
			{storage.KeyNext, storage.KeyCurrent}, {storage.KeyCurrent, storage.KeyPrevious}, {storage.KeyPrevious, storage.KeyRetired},
		} {
			same(t, move(next.KID, states[0], states[1], noon.Add(time.Duration(i+1)*time.Hour)), true)
		}
		next.State, next.ActivatedAt, next.RetiredAt, next.Sealed = storage.KeyRetired, noon.Add(time.Hour), noon.Add(3*time.Hour), nil
		for _, k := range must(s.SigningKeys(ctx))(t) {
			if k.KID == next.KID {
				same(t, k, next)
			}
		}
		same(t, move(next.KID, storage.KeyNext, storage.KeyCurrent, noon), false)
		same(t, move("none", storage.KeyNext, storage.KeyCurrent, noon), false)
	})
	t.Run("of eight that move a key exactly one does", func(t *testing.T) {
		k := key("EdDSA", storage.KeyNext, 0)
		if err := insert(k); err != nil {
			t.Fatal(err)
		}
		won := make(chan bool, 8)
		for _, node := range append(append(db.two(t), db.two(t)...), append(db.two(t), db.two(t)...)...) {
			go func() {
				moved := false
				if err := node.InTx(ctx, func(ctx context.Context) (err error) {
					moved, err = node.MoveSigningKey(ctx, k.KID, storage.KeyNext, storage.KeyRetired, noon)
					return err
				}); err != nil {
					t.Error(err)
				}
				won <- moved
			}()
		}
		wins := 0
		for range 8 {
			if <-won {
				wins++
			}
		}
		same(t, wins, 1)
	})
	t.Run("a second current key of one algorithm is a conflict", func(t *testing.T) {
		next := key("ES256", storage.KeyNext, 0)
		if err := insert(next); err != nil {
			t.Fatal(err)
		}
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error {
			_, err := s.MoveSigningKey(ctx, next.KID, storage.KeyNext, storage.KeyCurrent, noon)
			return err
		})
	})
}
