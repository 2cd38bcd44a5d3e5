package storagetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testAuthRequests(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	seed := func(t *testing.T) storage.AuthRequest {
		r := authRequestRecord()
		write(t, s, func(ctx context.Context) error { return s.InsertAuthRequest(ctx, r) })
		return r
	}

	t.Run("a request comes back as it was stored", func(t *testing.T) {
		r := seed(t)
		same(t, must(s.AuthRequest(ctx, r.ID))(t), r)
		_, err := s.AuthRequest(ctx, "none")
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("times inside the progress are kept to the millisecond in UTC", func(t *testing.T) {
		r := seed(t)
		r.Progress.ReadyAt = noon.Add(999 * time.Nanosecond).In(time.FixedZone("Rome", 3600))
		write(t, s, func(ctx context.Context) error { return s.UpdateAuthRequest(ctx, r) })
		if got := must(s.AuthRequest(ctx, r.ID))(t).Progress.ReadyAt; got != noon {
			t.Errorf("got %s, want %s", got, noon)
		}
	})
	t.Run("an update stores hash, progress and end, never the request, and counts", func(t *testing.T) {
		r := seed(t)
		changed := r
		changed.BrowserHash, changed.Progress.ChallengeID = []byte{7}, "c"
		changed.Request.State = "other"
		write(t, s, func(ctx context.Context) error { return s.UpdateAuthRequest(ctx, changed) })
		want := r
		want.BrowserHash, want.Progress.ChallengeID, want.Version = []byte{7}, "c", r.Version+1
		same(t, must(s.AuthRequest(ctx, r.ID))(t), want)
	})
	t.Run("a stale or ended request is not moved", func(t *testing.T) {
		r := seed(t)
		write(t, s, func(ctx context.Context) error { return s.UpdateAuthRequest(ctx, r) })
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.UpdateAuthRequest(ctx, r) })
		r.Version++
		r.EndedAt = noon.Add(time.Minute)
		write(t, s, func(ctx context.Context) error { return s.UpdateAuthRequest(ctx, r) })
		r.Version++
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.UpdateAuthRequest(ctx, r) })
		same(t, must(s.AuthRequest(ctx, r.ID))(t).EndedAt, r.EndedAt)
	})
	t.Run("of eight tabs exactly one moves the request", func(t *testing.T) {
		r := seed(t)
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			err := s.UpdateAuthRequest(ctx, r)
			if errors.Is(err, storage.ErrConflict) {
				return false, nil
			}
			return err == nil, err
		}); wins != 1 {
			t.Errorf("%d moved it", wins)
		}
	})
}
