package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testPruning(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	_, err := s.CheckpointBefore(ctx, noon, 100)
	isError(t, err, storage.ErrNotFound)
	same(t, must(s.LeastCursor(ctx))(t), int64(0))

	// Six sealed events, a checkpoint after every second one, an hour apart, and one event that is not sealed.
	write(t, s, func(ctx context.Context) error {
		for i := range 7 {
			if err := s.AppendEvents(ctx, eventRecord(noon.Add(time.Duration(i)*time.Hour))); err != nil {
				return err
			}
		}
		return nil
	})
	write(t, s, func(ctx context.Context) error {
		waiting, err := s.UnsealedEvents(ctx, 6)
		if err != nil {
			return err
		}
		for i := range waiting {
			waiting[i].Sequence, waiting[i].PrevHash, waiting[i].Hash = int64(i+1), []byte{byte(i)}, []byte{byte(i + 1)}
		}
		if err := s.SealEvents(ctx, waiting); err != nil {
			return err
		}
		for i := int64(2); i <= 6; i += 2 {
			if err := s.InsertCheckpoint(ctx, storage.Checkpoint{Sequence: i, Head: []byte{byte(i)}, KeyID: "k", Signature: []byte{1},
				At: noon.Add(time.Duration(i) * time.Hour)}); err != nil {
				return err
			}
		}
		return nil
	})
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	same(t, must(s.CheckpointBefore(ctx, hour(5), 100))(t).Sequence, int64(4))
	same(t, must(s.CheckpointBefore(ctx, hour(4), 100))(t).Sequence, int64(2))
	same(t, must(s.CheckpointBefore(ctx, hour(9), 3))(t).Sequence, int64(2))
	write(t, s, func(ctx context.Context) error {
		for name, at := range map[string]int64{"fast": 6, "slow": 4} {
			if _, err := s.MoveCursor(ctx, name, 0, at); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, must(s.LeastCursor(ctx))(t), int64(4))

	var steps []int
	for {
		var n int
		write(t, s, func(ctx context.Context) (err error) {
			n, err = s.PruneEvents(ctx, 4, 3)
			return err
		})
		if n == 0 {
			break
		}
		steps = append(steps, n)
	}
	same(t, steps, []int{3, 1, 1}) // four events, then the one checkpoint below the new beginning
	left := must(s.SealedEvents(ctx, 0, 10))(t)
	same(t, len(left), 2)
	same(t, left[0].Sequence, int64(5))
	same(t, len(must(s.UnsealedEvents(ctx, 10))(t)), 1)
	checkpoints := must(s.Checkpoints(ctx, 0, 10))(t)
	same(t, len(checkpoints), 2)
	same(t, checkpoints[0].Sequence, int64(4))
}
