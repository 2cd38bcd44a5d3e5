package storagetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func noticeRecord(challengeID string) storage.Notice {
	return storage.Notice{
		ID: storage.NewID(), ChallengeID: challengeID, PersonID: "p", PhoneID: "f", Channel: storage.WhatsApp, Carrier: "meta",
		Kind: storage.NoticeNotRequested, Locale: "pt-BR", State: storage.DeliveryQueued, CreatedAt: noon, DueAt: noon,
	}
}

func testNotices(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	challenge := challengeRecord()
	challenge.DueAt = time.Time{} // only notices are due here
	write(t, s, func(ctx context.Context) error { return s.InsertChallenge(ctx, challenge) })
	seed := func(t *testing.T) storage.Notice {
		t.Helper()
		n := noticeRecord(challenge.ID)
		write(t, s, func(ctx context.Context) error { return s.InsertNotice(ctx, n) })
		return n
	}
	claim := func(t *testing.T, s storage.Store, now time.Time, limit int) (claimed []storage.Notice) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			claimed, err = s.ClaimNotices(ctx, now, now.Add(15*time.Second), limit)
			return err
		})
		return claimed
	}
	settle := func(t *testing.T, n storage.Notice) {
		t.Helper()
		write(t, s, func(ctx context.Context) error { return s.SettleNotice(ctx, n) })
	}

	t.Run("a notice is claimed for sending when it is due, and settled", func(t *testing.T) {
		n := seed(t)
		same(t, must(s.NextDue(ctx, "meta"))(t), n.DueAt)
		same(t, claim(t, s, noon.Add(-time.Millisecond), 10), []storage.Notice{})
		n.State, n.SendingAt, n.LeaseUntil, n.Calls = storage.DeliverySending, noon, noon.Add(15*time.Second), 1
		same(t, claim(t, s, noon, 10), []storage.Notice{n})
		same(t, claim(t, s, noon, 10), []storage.Notice{})
		same(t, must(s.NextDue(ctx))(t), n.LeaseUntil)
		n.State = storage.DeliveryAccepted
		settle(t, n)
		same(t, must(s.NextDue(ctx))(t), time.Time{})
	})
	t.Run("one that is put back is due again", func(t *testing.T) {
		n := seed(t)
		claim(t, s, noon, 10)
		n.State, n.DueAt, n.FailureCode = storage.DeliveryQueued, noon.Add(2*time.Second), "131056"
		settle(t, n)
		same(t, must(s.NextDue(ctx))(t), n.DueAt)
		again := claim(t, s, n.DueAt, 10)
		if len(again) != 1 || again[0].Calls != 2 || again[0].FailureCode != "131056" {
			t.Fatalf("claimed %+v", again)
		}
		n.State = storage.DeliveryFailed
		settle(t, n)
	})
	t.Run("one left in sending past its lease is unknown: neither sent again nor settled", func(t *testing.T) {
		n := seed(t)
		claim(t, s, noon, 10)
		same(t, claim(t, s, noon.Add(16*time.Second), 10), []storage.Notice{})
		same(t, must(s.NextDue(ctx))(t), time.Time{})
		n.State, n.DueAt = storage.DeliveryQueued, noon
		settle(t, n)
		same(t, claim(t, s, noon.Add(time.Hour), 10), []storage.Notice{})
	})
	t.Run("two nodes never claim the same notice", func(t *testing.T) {
		for range 40 {
			seed(t)
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		times := make(map[string]int)
		for _, node := range append(db.two(t), db.two(t)...) {
			wg.Go(func() {
				for range 10 {
					claimed := claim(t, node, noon, 3)
					if len(claimed) > 3 {
						t.Errorf("claimed %d, more than asked for", len(claimed))
					}
					mu.Lock()
					for _, n := range claimed {
						times[n.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for claimed := claim(t, s, noon, 100); len(claimed) > 0; claimed = claim(t, s, noon, 100) {
			for _, n := range claimed {
				times[n.ID]++
			}
		}
		onlyOnce(t, times, 40)
	})
	t.Run("a notice belongs to a challenge and goes with it", func(t *testing.T) {
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error { return s.InsertNotice(ctx, noticeRecord("none")) })
		seed(t)
		write(t, s, func(ctx context.Context) error {
			_, err := s.Sweep(ctx, storage.SweepChallenges, challenge.ExpiresAt.Add(time.Hour), 10)
			return err
		})
		same(t, must(s.NextDue(ctx))(t), time.Time{})
		same(t, claim(t, s, noon.Add(time.Hour), 10), []storage.Notice{})
	})
}
