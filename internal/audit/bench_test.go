package audit

import (
	"context"
	"fmt"
	"testing"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// BenchmarkSeal is what one event costs the sealer, which works for the whole database: its pace bounds that of logins in the
// long run.
func BenchmarkSeal(b *testing.B) {
	for name, database := range map[string]func(testing.TB) storagetest.Database{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			store, at := database(b).Open(b, storagetest.Options{}), clock.NewManual(noon)
			writer := NewWriter(Config{Events: store, Clock: at, Node: "n", Release: "dev"})
			sealer := NewSealer(SealerConfig{Store: store, Audit: writer, Clock: at, Key: testKey, Holder: "sealer"})
			for n := 0; n < b.N; n += 500 {
				err := store.InTx(context.Background(), func(ctx context.Context) error {
					for i := range min(500, b.N-n) {
						id := fmt.Sprintf("%d-%d", n, i)
						if err := writer.Write(ctx, storage.Event{Kind: PasscodeSent, PersonID: "p" + id, ClientID: "shop",
							AuthRequestID: "a" + id, ChallengeID: "c" + id, CorrelationID: "x" + id, SourceAddr: "192.0.2.1",
							UserAgent: "a browser", Channel: "whatsapp", Data: map[string]string{"carrier": "meta"}}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			if err := sealer.Seal(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
