package throttle

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// TestKEY06_NoLimitBeginsAnewWithTheRootSecret draws on limits on nodes before, on both sides of, and after a replacement.
func TestKEY06_NoLimitBeginsAnewWithTheRootSecret(t *testing.T) {
	one, two := []byte(strings.Repeat("1", secret.RootSize)), []byte(strings.Repeat("2", secret.RootSize))
	on := func(r secret.Roots) *Throttle {
		t.Helper()
		keys, err := secret.Derive(r)
		if err != nil {
			t.Fatal(err)
		}
		return New(Defaults(), keys)
	}
	store, now := storagetest.New(t), time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	reads, makes, last := on(secret.Roots{Current: one, Next: two}), on(secret.Roots{Current: two, Previous: one}), on(secret.Roots{Current: two})
	send := Send{PersonID: "p", NumberHash: "n", Source: "s", ClientID: "c", Prefix: "+39333", Country: "IT", Cost: map[storage.Channel]storage.Money{storage.SMS: 900}}
	for name, drawn := range map[string]func(th *Throttle) []storage.Throttle{
		"passcodes": func(th *Throttle) []storage.Throttle { return th.Tries("p", "f") },
		"sends":     func(th *Throttle) []storage.Throttle { return th.Sends(send) },
		"passwords": func(th *Throttle) []storage.Throttle { return th.PasswordSource("s") },
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(map[string]bool)
			for _, b := range drawn(makes) {
				if seen[b.Key] {
					t.Errorf("%s is drawn on twice", b.Key)
				}
				seen[b.Key] = true
			}
			for _, b := range drawn(reads) {
				if !seen[b.Key] {
					t.Errorf("%s is counted on one side of the change alone", b.Key)
				}
			}
			for _, b := range drawn(last) {
				if !seen[b.Key] {
					t.Errorf("%s begins anew when the old root secret goes", b.Key)
				}
			}
		})
	}
	t.Run("wrong passwords", func(t *testing.T) {
		limit := Defaults().PasswordFailures
		for i := range limit {
			budgets, _ := []*Throttle{reads, makes}[i%2].PasswordTry("ada", "browser", "s")
			now = now.Add(24 * time.Hour)
			err := store.InTx(t.Context(), func(ctx context.Context) error {
				_, refused, err := store.CountFailures(ctx, now, budgets...)
				if refused != nil {
					t.Errorf("try %d is refused: %+v", i+1, refused)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(24 * time.Hour)
		budgets, _ := last.PasswordTry("ada", "browser", "s")
		err := store.InTx(t.Context(), func(ctx context.Context) error {
			_, refused, err := store.CountFailures(ctx, now, budgets...)
			if err == nil && refused == nil {
				t.Error("a password that was shut during the replacement is open after it")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
