package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testSessions(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()

	t.Run("a session is found by token and by ID", func(t *testing.T) {
		x := seedSession(t, s, seedPerson(t, s).ID)
		same(t, must(s.Session(ctx, x.ID))(t), x)
		got, barred, err := s.SessionByToken(ctx, x.TokenHash)
		if err != nil || barred {
			t.Fatal(barred, err)
		}
		same(t, got, x)
		_, err = s.Session(ctx, "none")
		isError(t, err, storage.ErrNotFound)
		_, _, err = s.SessionByToken(ctx, "none")
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("OTP-23 a disabled person or phone bars the session", func(t *testing.T) {
		testBarred(t, s, func(personID string) func() bool {
			x := seedSession(t, s, personID)
			return func() bool {
				_, barred, err := s.SessionByToken(ctx, x.TokenHash)
				if err != nil {
					t.Fatal(err)
				}
				return barred
			}
		})
	})
	t.Run("a renewed session has a new token and the same ID", func(t *testing.T) {
		x := seedSession(t, s, seedPerson(t, s).ID)
		renewed := x
		renewed.TokenHash, renewed.ACR, renewed.AMR = "new of "+x.ID, "urn:parola:acr:phone-no-sms", []string{"pwd", "mca"}
		renewed.AuthTime, renewed.ExpiresAt = noon.Add(time.Hour), noon.Add(9*time.Hour)
		write(t, s, func(ctx context.Context) error { return s.RenewSession(ctx, renewed) })
		same(t, must(s.Session(ctx, x.ID))(t), renewed)
		_, _, err := s.SessionByToken(ctx, x.TokenHash)
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("an ended session stays to be seen, is ended once and not renewed or touched", func(t *testing.T) {
		x := seedSession(t, s, seedPerson(t, s).ID)
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.EndSession(ctx, x.ID, "logout", noon.Add(time.Minute))
		}); wins != 1 {
			t.Errorf("ended %d times", wins)
		}
		x.EndedAt, x.EndReason = noon.Add(time.Minute), "logout"
		write(t, s, func(ctx context.Context) error { return s.TouchSession(ctx, x.ID, noon.Add(time.Hour)) })
		got, _, err := s.SessionByToken(ctx, x.TokenHash)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, x)
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error { return s.RenewSession(ctx, x) })
	})
	t.Run("a touch moves forward only", func(t *testing.T) {
		x := seedSession(t, s, seedPerson(t, s).ID)
		for _, at := range []time.Duration{2 * time.Minute, time.Minute} {
			write(t, s, func(ctx context.Context) error { return s.TouchSession(ctx, x.ID, noon.Add(at)) })
		}
		same(t, must(s.Session(ctx, x.ID))(t).LastSeenAt, noon.Add(2*time.Minute))
	})
	t.Run("all sessions of a person end together", func(t *testing.T) {
		person, other := seedPerson(t, s).ID, seedSession(t, s, seedPerson(t, s).ID)
		a, b := seedSession(t, s, person), seedSession(t, s, person)
		var ended []string
		write(t, s, func(ctx context.Context) (err error) {
			if _, err := s.EndSession(ctx, a.ID, "logout", noon); err != nil {
				return err
			}
			ended, err = s.EndSessionsOf(ctx, person, "disabled", noon)
			return err
		})
		same(t, ended, []string{b.ID})
		same(t, must(s.Session(ctx, a.ID))(t).EndReason, "logout")
		same(t, must(s.Session(ctx, other.ID))(t), other)
	})
	t.Run("sessions are listed newest first", func(t *testing.T) {
		person := seedPerson(t, s).ID
		old, ended, expired, fresh := sessionRecord(person), sessionRecord(person), sessionRecord(person), sessionRecord(person)
		ended.CreatedAt, ended.EndedAt = noon.Add(time.Second), noon
		expired.CreatedAt, expired.ExpiresAt = noon.Add(2*time.Second), noon
		fresh.CreatedAt = noon.Add(3 * time.Second)
		for _, x := range []storage.Session{old, ended, expired, fresh} {
			write(t, s, func(ctx context.Context) error { return s.InsertSession(ctx, x) })
		}
		same(t, must(s.ListSessions(ctx, person, false, noon, 10))(t), []storage.Session{fresh, expired, ended, old})
		same(t, must(s.ListSessions(ctx, person, true, noon, 10))(t), []storage.Session{fresh, old})
		same(t, must(s.ListSessions(ctx, "", true, noon, 1))(t), []storage.Session{fresh})
	})
}

// testBarred walks one person through disable and enable, of the person and of the phone; read tells what a record of
// that person says.
func testBarred(t *testing.T, s storage.Store, of func(personID string) (read func() bool)) {
	t.Helper()
	p := seedPerson(t, s)
	f := phoneRecord(p.ID)
	f.Failures = 0
	read := of(p.ID)
	step := func(want bool, what string, fn func(ctx context.Context) error) {
		t.Helper()
		write(t, s, fn)
		if got := read(); got != want {
			t.Errorf("barred is %t after %s", got, what)
		}
	}
	step(false, "a phone", func(ctx context.Context) error { return s.PutPhone(ctx, f) })
	disabled := p
	disabled.DisabledAt = noon
	step(true, "the person is disabled", func(ctx context.Context) error { return s.UpdatePerson(ctx, disabled) })
	step(false, "the person is enabled", func(ctx context.Context) error { return s.UpdatePerson(ctx, p) })
	step(true, "the phone is disabled", func(ctx context.Context) error {
		_, _, err := s.CountPhoneFailure(ctx, f.ID, 0, noon)
		return err
	})
	step(false, "the phone is enabled", func(ctx context.Context) error { return s.EnablePhone(ctx, f.ID) })
}
