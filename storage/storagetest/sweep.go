package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testSweeps(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	sweep := func(t *testing.T, kind storage.Sweepable, before time.Time, limit int) (n int) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			n, err = s.Sweep(ctx, kind, before, limit)
			return err
		})
		return n
	}
	// drained sweeps in steps of two and checks that the limit holds.
	drained := func(t *testing.T, kind storage.Sweepable, before time.Time) (total int) {
		t.Helper()
		for {
			n := sweep(t, kind, before, 2)
			if n > 2 {
				t.Errorf("swept %d, more than asked for", n)
			}
			if n == 0 {
				return total
			}
			total += n
		}
	}
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }

	t.Run("authorization requests go when they have expired", func(t *testing.T) {
		for i := range 6 {
			r := authRequestRecord()
			r.ExpiresAt = hour(i)
			write(t, s, func(ctx context.Context) error { return s.InsertAuthRequest(ctx, r) })
		}
		same(t, drained(t, storage.SweepAuthRequests, hour(3)), 3)
	})
	t.Run("challenges go with their deliveries and receipts", func(t *testing.T) {
		old, fresh := seedDelivery(t, s), seedDelivery(t, s)
		write(t, s, func(ctx context.Context) error {
			_, err := s.InsertReceipts(ctx, []storage.Receipt{{DeliveryID: old.ID, Status: storage.DeliverySent}})
			return err
		})
		c := challengeRecord()
		c.ID, c.ExpiresAt = fresh.ChallengeID, hour(5)
		write(t, s, func(ctx context.Context) error { // a later end for the second one
			if _, err := s.Sweep(ctx, storage.SweepChallenges, noon, 10); err != nil {
				return err
			}
			c.ID = storage.NewID()
			return s.InsertChallenge(ctx, c)
		})
		same(t, drained(t, storage.SweepChallenges, hour(1)), 2)
		_, err := s.Delivery(ctx, old.ID)
		isError(t, err, storage.ErrNotFound)
		must(s.Challenge(ctx, c.ID))(t)
	})
	t.Run("sessions go when they ended, or expired", func(t *testing.T) {
		person := seedPerson(t, s).ID
		open, ended, expired := sessionRecord(person), sessionRecord(person), sessionRecord(person)
		ended.EndedAt, expired.ExpiresAt = noon, noon
		write(t, s, func(ctx context.Context) error {
			for _, x := range []storage.Session{open, ended, expired} {
				if err := s.InsertSession(ctx, x); err != nil {
					return err
				}
			}
			return nil
		})
		same(t, drained(t, storage.SweepSessions, hour(1)), 2)
		must(s.Session(ctx, open.ID))(t)
	})
	t.Run("tokens go when they have expired", func(t *testing.T) {
		g := seedGrant(t, s)
		old, fresh := tokenRecord(storage.AccessToken, g), tokenRecord(storage.RefreshToken, g)
		fresh.ExpiresAt = hour(20)
		write(t, s, func(ctx context.Context) error { return s.InsertTokens(ctx, old, fresh) })
		same(t, drained(t, storage.SweepTokens, hour(1)), 1)
		_, err := s.Token(ctx, fresh.Kind, fresh.Hash)
		isError(t, err, nil)
	})
	t.Run("grants go at the end of their refresh chain, an unused code at its end", func(t *testing.T) {
		client, person := seedClient(t, s).ID, seedPerson(t, s).ID
		add := func(change func(g *storage.Grant), tokens ...time.Time) string {
			g := grantRecord(client, person)
			change(&g)
			write(t, s, func(ctx context.Context) error {
				if err := s.InsertGrant(ctx, g); err != nil {
					return err
				}
				for _, until := range tokens {
					k := tokenRecord(storage.AccessToken, g)
					k.ExpiresAt = until
					if err := s.InsertTokens(ctx, k); err != nil {
						return err
					}
				}
				return nil
			})
			return g.ID
		}
		gone := map[string]string{
			"chain over":             add(func(g *storage.Grant) { g.AuthCodeUsedAt, g.RefreshUntil = noon, hour(1) }, hour(1)),
			"chain over and revoked": add(func(g *storage.Grant) { g.AuthCodeUsedAt, g.RefreshUntil, g.RevokedAt = noon, hour(1), noon }),
			"code never used":        add(func(g *storage.Grant) {}),
			"no chain, no token":     add(func(g *storage.Grant) { g.AuthCodeUsedAt, g.RefreshUntil = noon, time.Time{} }),
			"client's own, no token": add(func(g *storage.Grant) {
				g.AuthCodeHash, g.AuthCodeExpiresAt, g.RefreshUntil = "", time.Time{}, time.Time{}
			}),
		}
		stay := map[string]string{
			"chain alive":        add(func(g *storage.Grant) { g.AuthCodeUsedAt = noon }, hour(5)),
			"revoked, for reuse": add(func(g *storage.Grant) { g.AuthCodeUsedAt, g.RevokedAt = noon, noon }),
			"code still good":    add(func(g *storage.Grant) { g.AuthCodeExpiresAt = hour(5) }),
			"no chain, token":    add(func(g *storage.Grant) { g.AuthCodeUsedAt, g.RefreshUntil = noon, time.Time{} }, hour(5)),
		}
		if n := drained(t, storage.SweepGrants, hour(2)); n < len(gone) { // and what other tests left
			t.Errorf("swept %d", n)
		}
		for what, id := range gone {
			if _, err := s.Grant(ctx, id); err == nil {
				t.Errorf("%s: still there", what)
			}
		}
		for what, id := range stay {
			if _, err := s.Grant(ctx, id); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
	t.Run("assertions go after their time", func(t *testing.T) {
		for i := range 3 {
			write(t, s, func(ctx context.Context) error {
				_, err := s.UseOnce(ctx, storage.NewID(), hour(i), noon)
				return err
			})
		}
		same(t, drained(t, storage.SweepAssertions, hour(2)), 2)
	})
	t.Run("buckets go when they are full, failures after thirty days", func(t *testing.T) {
		write(t, s, func(ctx context.Context) error {
			for i, key := range []string{"soon", "later"} {
				if _, err := s.Take(ctx, noon, storage.Throttle{Key: key, Interval: time.Duration(i*5+1) * time.Hour, Burst: 1}); err != nil {
					return err
				}
				if _, _, err := s.CountFailures(ctx, hour(i*5), storage.FailureBudget{Key: key, Free: 3}); err != nil {
					return err
				}
			}
			return nil
		})
		same(t, drained(t, storage.SweepThrottles, hour(2)), 1)
		same(t, drained(t, storage.SweepThrottles, hour(2+30*24)), 2)
	})
	t.Run("PW-14 a key that is shut stays shut", func(t *testing.T) {
		shut := storage.FailureBudget{Key: "shut", Free: 5, Limit: 1}
		write(t, s, func(ctx context.Context) error {
			_, _, err := s.CountFailures(ctx, noon, shut)
			return err
		})
		drained(t, storage.SweepThrottles, noon.Add(365*24*time.Hour))
		write(t, s, func(ctx context.Context) error {
			_, r, err := s.CountFailures(ctx, noon.Add(366*24*time.Hour), shut)
			if err == nil && (r == nil || !r.RetryAt.IsZero()) {
				t.Errorf("a year later: %+v, want a refusal that time does not lift", r)
			}
			return err
		})
	})
	t.Run("conversions go by their hour, delivery days by their day", func(t *testing.T) {
		var conversions []storage.Conversion
		var days []storage.DeliveryDay
		for i := range 5 {
			c, d := conversionRecord(), dayRecord()
			c.Hour = noon.Truncate(time.Hour).Add(time.Duration(i) * time.Hour)
			d.Day = noon.AddDate(0, 0, i).Format(time.DateOnly)
			conversions, days = append(conversions, c), append(days, d)
		}
		write(t, s, func(ctx context.Context) error {
			if err := s.AddConversions(ctx, conversions...); err != nil {
				return err
			}
			return s.AddDeliveryDays(ctx, days...)
		})
		same(t, drained(t, storage.SweepConversions, conversions[3].Hour), 3)
		same(t, must(s.Conversions(ctx, time.Time{}))(t)[0].Sent, 2*conversions[0].Sent)
		rome := time.FixedZone("Rome", 2*3600) // where the third day has begun at 23:00 UTC of the second
		same(t, drained(t, storage.SweepDeliveryDays, noon.AddDate(0, 0, 2).Add(11*time.Hour).In(rome)), 2)
		same(t, must(s.DeliveryDays(ctx, storage.DayFilter{}))(t), days[2:])
	})
	t.Run("consents go when they have expired, keys long retired, leases of processes that are gone", func(t *testing.T) {
		person := seedPerson(t, s).ID
		write(t, s, func(ctx context.Context) error {
			return s.InsertSigningKey(ctx, storage.SigningKey{KID: "current", Alg: "ES256", State: storage.KeyCurrent, CreatedAt: noon})
		})
		for i := range 3 {
			client := seedClient(t, s).ID
			until := []time.Time{{}, hour(1), hour(5)}[i] // the first one never ends
			kid, name := storage.NewID(), storage.NewID()
			write(t, s, func(ctx context.Context) error {
				if err := s.PutConsent(ctx, storage.Consent{PersonID: person, ClientID: client, GrantedAt: noon, ExpiresAt: until}); err != nil {
					return err
				}
				if err := s.InsertSigningKey(ctx, storage.SigningKey{KID: kid, Alg: "ES256", State: storage.KeyPrevious, CreatedAt: noon}); err != nil {
					return err
				}
				if _, err := s.MoveSigningKey(ctx, kid, storage.KeyPrevious, storage.KeyRetired, hour(i)); err != nil {
					return err
				}
				_, err := s.AcquireLease(ctx, name, "n", noon, hour(i))
				return err
			})
		}
		same(t, drained(t, storage.SweepConsents, hour(2)), 1)
		same(t, drained(t, storage.SweepSigningKeys, hour(2)), 2)
		same(t, len(must(s.SigningKeys(ctx))(t)), 2)
		same(t, drained(t, storage.SweepLeases, hour(2)), 2)
	})
	t.Run("what does not end cannot be swept", func(t *testing.T) {
		if err := s.InTx(ctx, func(ctx context.Context) error {
			_, err := s.Sweep(ctx, "events", noon, 1)
			return err
		}); err == nil {
			t.Error("events were swept")
		}
	})
}
