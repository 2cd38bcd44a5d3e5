package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

// Benchmark measures what every login does, on a store opened as in production. Each iteration of a write is one
// committed transaction.
func Benchmark(b *testing.B, s storage.Store) {
	ctx := context.Background()
	tx := func(b *testing.B, fn func(ctx context.Context) error) {
		if err := s.InTx(ctx, fn); err != nil {
			b.Fatal(err)
		}
	}
	g := seedGrant(b, s)

	b.Run("insert AuthRequest", func(b *testing.B) {
		for b.Loop() {
			tx(b, func(ctx context.Context) error { return s.InsertAuthRequest(ctx, authRequestRecord()) })
		}
	})
	b.Run("use AuthCode", func(b *testing.B) {
		for b.Loop() {
			next := grantRecord(g.ClientID, g.PersonID)
			next.SessionID = g.SessionID
			tx(b, func(ctx context.Context) error {
				if err := s.InsertGrant(ctx, next); err != nil {
					return err
				}
				_, used, err := s.UseAuthCode(ctx, next.AuthCodeHash, next.ClientID, noon)
				if err == nil && !used {
					b.Fatal("not used")
				}
				return err
			})
		}
	})
	b.Run("look up Token", func(b *testing.B) {
		k := tokenRecord(storage.AccessToken, g)
		tx(b, func(ctx context.Context) error { return s.InsertTokens(ctx, k) })
		for b.Loop() {
			if _, err := s.Token(ctx, k.Kind, k.Hash); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("CountTry", func(b *testing.B) {
		c := challengeRecord()
		c.MaxTries = 1 << 30
		tx(b, func(ctx context.Context) error { return s.InsertChallenge(ctx, c) })
		for b.Loop() {
			tx(b, func(ctx context.Context) error {
				_, _, err := s.CountTry(ctx, c.ID, noon)
				return err
			})
		}
	})
	b.Run("receive 50 receipts", func(b *testing.B) {
		var ids []string
		for range 50 {
			ids = append(ids, seedDelivery(b, s).ID)
		}
		status := []storage.DeliveryState{storage.DeliverySent, storage.DeliveryDelivered}
		for i := 0; b.Loop(); i++ {
			tx(b, func(ctx context.Context) error { return receive(ctx, s, ids, status[i%2]) })
		}
		b.ReportMetric(float64(50*b.N)/b.Elapsed().Seconds(), "receipts/s")
	})
	b.Run("take from six buckets", func(b *testing.B) {
		var buckets []storage.Throttle
		for range 6 {
			buckets = append(buckets, storage.Throttle{Key: storage.NewID(), Interval: time.Microsecond, Burst: 1 << 30})
		}
		for b.Loop() {
			tx(b, func(ctx context.Context) error {
				_, err := s.Take(ctx, noon, buckets...)
				return err
			})
		}
	})
}
