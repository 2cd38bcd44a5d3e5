package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testVerdicts(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	put := func(t *testing.T, v storage.Verdict) {
		t.Helper()
		write(t, s, func(ctx context.Context) error { return s.PutVerdict(ctx, v) })
	}
	sms := storage.Verdict{
		Prefix: "+39333", Country: "IT", Edge: "sms", State: storage.VerdictObserve, Sent: 40, Verified: 3, Since: noon,
		UpdatedAt: noon.Add(time.Second),
	}
	instant := sms
	instant.Edge, instant.State, instant.Override = "instant", "", storage.OverrideBlock
	other := storage.Verdict{Prefix: "+34600", Country: "ES", Edge: "sms", State: storage.VerdictEnforce}

	t.Run("verdicts come by prefix and edge, as they were stored", func(t *testing.T) {
		same(t, must(s.Verdicts(ctx))(t), []storage.Verdict{})
		for _, v := range []storage.Verdict{sms, instant, other} {
			put(t, v)
		}
		same(t, must(s.Verdicts(ctx))(t), []storage.Verdict{other, instant, sms})
	})
	t.Run("there is one per prefix and edge", func(t *testing.T) {
		sms.State, sms.Override, sms.Sent, sms.UpdatedAt = storage.VerdictEnforce, storage.OverrideAllow, 90, noon.Add(time.Hour)
		put(t, sms)
		same(t, must(s.Verdicts(ctx))(t), []storage.Verdict{other, instant, sms})
	})
	t.Run("of eight who remove one exactly one did", func(t *testing.T) {
		same(t, race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.RemoveVerdict(ctx, sms.Prefix, sms.Edge)
		}), 1)
		same(t, must(s.Verdicts(ctx))(t), []storage.Verdict{other, instant})
	})
}
