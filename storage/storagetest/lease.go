package storagetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testLeases(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	acquire := func(t *testing.T, holder string, now time.Time) (held bool) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			held, err = s.AcquireLease(ctx, "sealer", holder, now, now.Add(time.Minute))
			return err
		})
		return held
	}
	t.Run("a lease has one holder until it ends or is given back", func(t *testing.T) {
		same(t, acquire(t, "a", noon), true)
		same(t, acquire(t, "b", noon), false)
		same(t, acquire(t, "a", noon.Add(30*time.Second)), true)
		same(t, acquire(t, "b", noon.Add(89*time.Second)), false)
		same(t, acquire(t, "b", noon.Add(90*time.Second)), true)
		write(t, s, func(ctx context.Context) error { return s.ReleaseLease(ctx, "sealer", "a") })
		same(t, acquire(t, "a", noon.Add(91*time.Second)), false)
		write(t, s, func(ctx context.Context) error { return s.ReleaseLease(ctx, "sealer", "b") })
		same(t, acquire(t, "a", noon.Add(91*time.Second)), true)
	})
	t.Run("everybody can see who has which, and until when", func(t *testing.T) {
		want := []storage.Lease{{Name: "judge", Holder: "node a", ExpiresAt: noon.Add(time.Minute)},
			{Name: "ledger", Holder: "node b", ExpiresAt: noon.Add(time.Hour)}}
		write(t, s, func(ctx context.Context) error {
			for _, l := range want {
				if held, err := s.AcquireLease(ctx, l.Name, l.Holder, noon, l.ExpiresAt); err != nil || !held {
					return fmt.Errorf("%s: %v, %w", l.Name, held, err)
				}
			}
			return nil
		})
		got := must(s.Leases(t.Context()))(t)
		same(t, slices.DeleteFunc(got, func(l storage.Lease) bool { return !strings.HasPrefix(l.Holder, "node ") }), want)
	})
	t.Run("of eight nodes exactly one gets it", func(t *testing.T) {
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.AcquireLease(ctx, "sweeper", storage.NewID(), noon, noon.Add(time.Minute))
		}); wins != 1 {
			t.Errorf("%d hold it", wins)
		}
	})
}
