package storagetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testChallenges(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	count := func(t *testing.T, id string, now time.Time) (c storage.Challenge, counted bool) {
		write(t, s, func(ctx context.Context) (err error) {
			c, counted, err = s.CountTry(ctx, id, now)
			return err
		})
		return c, counted
	}
	end := func(t *testing.T, id string, as storage.ChallengeEnd, now time.Time) (ended bool) {
		write(t, s, func(ctx context.Context) (err error) {
			ended, err = s.EndChallenge(ctx, id, as, now)
			return err
		})
		return ended
	}

	t.Run("a challenge comes back as it was stored", func(t *testing.T) {
		c := seedChallenge(t, s)
		same(t, must(s.Challenge(ctx, c.ID))(t), c)
		_, err := s.Challenge(ctx, "none")
		isError(t, err, storage.ErrNotFound)
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error {
			_, _, err := s.CountTry(ctx, "none", noon)
			return err
		})
	})
	t.Run("a try is counted while the challenge is open and has tries left", func(t *testing.T) {
		c := seedChallenge(t, s)
		for i := range c.MaxTries {
			got, counted := count(t, c.ID, noon)
			same(t, []any{got.Tries, counted}, []any{i + 1, true})
		}
		got, counted := count(t, c.ID, noon)
		same(t, []any{got.Tries, counted}, []any{c.MaxTries, false})
	})
	t.Run("a try is not counted at the end of its time or after its end", func(t *testing.T) {
		c := seedChallenge(t, s)
		if _, counted := count(t, c.ID, c.ExpiresAt); counted {
			t.Error("counted when expired")
		}
		if _, counted := count(t, c.ID, c.ExpiresAt.Add(-time.Millisecond)); !counted {
			t.Error("not counted in the last millisecond")
		}
		end(t, c.ID, storage.ChallengeCancelled, noon)
		if got, counted := count(t, c.ID, noon); counted || got.End != storage.ChallengeCancelled {
			t.Errorf("counted %t, end %s", counted, got.End)
		}
	})
	t.Run("fifty tries in parallel count to exactly the limit", func(t *testing.T) {
		c := seedChallenge(t, s)
		if n := race(t, 50, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			_, counted, err := s.CountTry(ctx, c.ID, noon)
			return counted, err
		}); n != c.MaxTries {
			t.Errorf("%d were counted, want %d", n, c.MaxTries)
		}
		same(t, must(s.Challenge(ctx, c.ID))(t).Tries, c.MaxTries)
	})
	t.Run("OTP-05 of eight right passcodes exactly one is consumed", func(t *testing.T) {
		c := seedChallenge(t, s)
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.EndChallenge(ctx, c.ID, storage.ChallengeVerified, noon)
		}); wins != 1 {
			t.Errorf("%d won", wins)
		}
		got := must(s.Challenge(ctx, c.ID))(t)
		same(t, []any{got.End, got.EndedAt, got.DueAt}, []any{storage.ChallengeVerified, noon, time.Time{}})
	})
	t.Run("an expired challenge can end in any way but verified", func(t *testing.T) {
		c := seedChallenge(t, s)
		same(t, end(t, c.ID, storage.ChallengeVerified, c.ExpiresAt), false)
		same(t, end(t, c.ID, storage.ChallengeExpired, c.ExpiresAt), true)
		same(t, end(t, c.ID, storage.ChallengeCancelled, c.ExpiresAt), false)
	})
	t.Run("all open challenges of an authorization request end together", func(t *testing.T) {
		a, b, other := challengeRecord(), challengeRecord(), seedChallenge(t, s)
		b.AuthRequestID = a.AuthRequestID
		write(t, s, func(ctx context.Context) error {
			if err := s.InsertChallenge(ctx, a); err != nil {
				return err
			}
			return s.InsertChallenge(ctx, b)
		})
		end(t, a.ID, storage.ChallengeExhausted, noon)
		write(t, s, func(ctx context.Context) error {
			return s.EndChallengesOf(ctx, a.AuthRequestID, storage.ChallengeReplaced, noon)
		})
		var ends []storage.ChallengeEnd
		for _, c := range []storage.Challenge{a, b, other} {
			ends = append(ends, must(s.Challenge(ctx, c.ID))(t).End)
		}
		same(t, ends, []storage.ChallengeEnd{storage.ChallengeExhausted, storage.ChallengeReplaced, ""})
	})
	t.Run("OTP-06 the automatic fallback is taken once, and not when the challenge is over", func(t *testing.T) {
		c, over, late := seedChallenge(t, s), seedChallenge(t, s), seedChallenge(t, s)
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.TakeFallback(ctx, c.ID, noon)
		}); wins != 1 {
			t.Errorf("%d took it", wins)
		}
		same(t, must(s.Challenge(ctx, c.ID))(t).FallbackAt, noon)
		end(t, over.ID, storage.ChallengeVerified, noon)
		write(t, s, func(ctx context.Context) error {
			a, err := s.TakeFallback(ctx, over.ID, noon)
			if err != nil {
				return err
			}
			b, err := s.TakeFallback(ctx, late.ID, late.ExpiresAt)
			same(t, []bool{a, b}, []bool{false, false})
			return err
		})
	})
	t.Run("all open challenges of a person are ended, and nobody else's", func(t *testing.T) {
		a, b, other := challengeRecord(), challengeRecord(), challengeRecord()
		a.PersonID = storage.NewID()
		b.PersonID = a.PersonID
		for _, c := range []storage.Challenge{a, b, other} {
			write(t, s, func(ctx context.Context) error { return s.InsertChallenge(ctx, c) })
		}
		write(t, s, func(ctx context.Context) error {
			return s.EndChallengesOfPerson(ctx, a.PersonID, storage.ChallengeCancelled, noon.Add(time.Second))
		})
		for _, c := range []storage.Challenge{a, b} {
			same(t, must(s.Challenge(ctx, c.ID))(t).End, storage.ChallengeCancelled)
		}
		same(t, must(s.Challenge(ctx, other.ID))(t).End, storage.ChallengeEnd(""))
	})
	t.Run("identity, refused SMS and due time are set", func(t *testing.T) {
		c := seedChallenge(t, s)
		write(t, s, func(ctx context.Context) error {
			if err := s.BarIdentity(ctx, c.ID); err != nil {
				return err
			}
			if err := s.NoteSMSRefused(ctx, c.ID, "fraud"); err != nil {
				return err
			}
			return s.ScheduleChallenge(ctx, c.ID, time.Time{})
		})
		c.IdentityBar, c.SMSRefused, c.DueAt = true, "fraud", time.Time{}
		same(t, must(s.Challenge(ctx, c.ID))(t), c)
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error { return s.NoteSMSRefused(ctx, "none", "fraud") })
	})
	t.Run("open challenges are brought forward, never put off", func(t *testing.T) {
		at := func(d time.Duration) time.Time { return noon.Add(d) }
		dues := map[string]time.Time{"none": noon}
		want := make(map[string]time.Time)
		var over string
		for name, c := range map[string]struct{ stored, asked, then time.Time }{
			"later":     {at(time.Hour), at(time.Second), at(time.Second)},
			"earlier":   {at(time.Second), at(time.Hour), at(time.Second)},
			"never":     {time.Time{}, at(time.Minute), at(time.Minute)},
			"unasked":   {at(time.Hour), time.Time{}, at(time.Hour)},
			"after end": {time.Time{}, at(time.Minute), time.Time{}},
		} {
			challenge := challengeRecord()
			challenge.DueAt = c.stored
			write(t, s, func(ctx context.Context) error { return s.InsertChallenge(ctx, challenge) })
			if name == "after end" {
				over = challenge.ID
				end(t, over, storage.ChallengeVerified, noon)
			}
			dues[challenge.ID], want[challenge.ID] = c.asked, c.then
		}
		write(t, s, func(ctx context.Context) error { return s.AdvanceChallenges(ctx, nil) })
		write(t, s, func(ctx context.Context) error { return s.AdvanceChallenges(ctx, dues) })
		got := make(map[string]time.Time)
		for id := range want {
			got[id] = must(s.Challenge(ctx, id))(t).DueAt
		}
		same(t, got, want)
	})
	t.Run("a challenge is read with its deliveries, oldest first", func(t *testing.T) {
		c := seedChallenge(t, s)
		got, ds, err := s.ChallengeWithDeliveries(ctx, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, c)
		same(t, len(ds), 0)
		first, second := deliveryRecord(c.ID), deliveryRecord(c.ID)
		second.CreatedAt, second.Channel, second.Automatic = noon.Add(time.Second), storage.SMS, true
		write(t, s, func(ctx context.Context) error { return s.InsertDelivery(ctx, second) })
		write(t, s, func(ctx context.Context) error { return s.InsertDelivery(ctx, first) })
		if _, ds, err = s.ChallengeWithDeliveries(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		same(t, ds, []storage.Delivery{first, second})
		_, _, err = s.ChallengeWithDeliveries(ctx, "none")
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("a locked challenge comes with its phone, as long as there is one", func(t *testing.T) {
		p := seedPerson(t, s)
		f := seedPhone(t, s, p.ID)
		c := challengeRecord()
		c.PersonID, c.PhoneID = p.ID, f.ID
		write(t, s, func(ctx context.Context) error { return s.InsertChallenge(ctx, c) })
		lock := func(id string) (got storage.Challenge, phone storage.PhoneFactor) {
			write(t, s, func(ctx context.Context) (err error) {
				got, phone, err = s.LockChallenge(ctx, id, noon.Add(time.Minute))
				return err
			})
			return got, phone
		}
		got, phone := lock(c.ID)
		c.DueAt = noon.Add(time.Minute)
		same(t, got, c)
		same(t, phone.Sealed, f.Sealed)
		same(t, phone.ID, f.ID)
		same(t, phone.DisabledAt, f.DisabledAt)
		same(t, phone.Identity, f.Identity)
		f.Sealed, f.Identity = nil, nil // its row is there all the same
		write(t, s, func(ctx context.Context) error { return s.PutPhone(ctx, f) })
		_, phone = lock(c.ID)
		same(t, phone, storage.PhoneFactor{ID: f.ID, PersonID: p.ID, Hash: c.PhoneHash, Country: c.PhoneCountry, LastTwo: c.PhoneLastTwo})
		_, gone := lock(seedChallenge(t, s).ID)
		same(t, gone, storage.PhoneFactor{})
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error {
			_, _, err := s.LockChallenge(ctx, "none", noon)
			return err
		})
	})
}

// testDue is part of the deliveries' contract, because it needs a database in which nothing else is due.
func testDue(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	due := func(t *testing.T) time.Time { return must(s.NextDue(ctx))(t) }
	claim := func(t *testing.T, s storage.Store, now time.Time, limit int) (ids []string) {
		write(t, s, func(ctx context.Context) error {
			claimed, err := s.ClaimDueChallenges(ctx, now, now.Add(15*time.Second), limit)
			for _, c := range claimed {
				ids = append(ids, c.ID)
				same(t, c.DueAt, now.Add(15*time.Second))
			}
			return err
		})
		return ids
	}

	t.Run("nothing is due in an empty database", func(t *testing.T) {
		same(t, due(t), time.Time{})
		same(t, claim(t, s, noon, 10), []string{})
	})
	t.Run("an expired challenge is returned until somebody ends it", func(t *testing.T) {
		c := seedChallenge(t, s)
		same(t, claim(t, s, c.ExpiresAt, 10), []string{c.ID})
		if due(t).IsZero() {
			t.Error("a challenge that nobody has ended is not due any more")
		}
		write(t, s, func(ctx context.Context) error {
			_, err := s.EndChallenge(ctx, c.ID, storage.ChallengeExpired, c.ExpiresAt)
			return err
		})
		same(t, due(t), time.Time{})
	})
	t.Run("a due challenge is claimed once per lease", func(t *testing.T) {
		c := seedChallenge(t, s)
		same(t, due(t), c.DueAt)
		same(t, claim(t, s, c.DueAt.Add(-time.Millisecond), 10), []string{})
		same(t, claim(t, s, c.DueAt, 10), []string{c.ID})
		same(t, claim(t, s, c.DueAt, 10), []string{})
		same(t, due(t), c.DueAt.Add(15*time.Second))
		same(t, claim(t, s, c.DueAt.Add(15*time.Second), 10), []string{c.ID})
		write(t, s, func(ctx context.Context) error {
			_, err := s.EndChallenge(ctx, c.ID, storage.ChallengeVerified, noon)
			return err
		})
		same(t, due(t), time.Time{})
	})
	t.Run("two nodes never claim the same challenge", func(t *testing.T) {
		for range 40 {
			seedChallenge(t, s)
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		times := make(map[string]int)
		for _, node := range append(db.two(t), db.two(t)...) {
			wg.Go(func() {
				for range 10 {
					ids := claim(t, node, noon.Add(20*time.Second), 3)
					if len(ids) > 3 {
						t.Errorf("claimed %d, more than asked for", len(ids))
					}
					mu.Lock()
					for _, id := range ids {
						times[id]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		onlyOnce(t, times, 40)
	})
}

func onlyOnce(t *testing.T, times map[string]int, want int) {
	t.Helper()
	if len(times) != want {
		t.Errorf("%d were claimed, want %d", len(times), want)
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
}
