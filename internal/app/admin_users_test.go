package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// signIn gives a person a session and two grants, one of them with offline_access.
func signIn(t testing.TB, b *Base, personID string) (sid string) {
	t.Helper()
	c, _, err := b.AddClient(t.Context(), ClientMetadata{ClientName: "App", RedirectURIs: []string{"https://app.test/cb"}})
	if err != nil {
		t.Fatal(err)
	}
	sid = storage.NewID()
	now := b.clock.Now()
	err = b.store.InTx(t.Context(), func(ctx context.Context) error {
		err := b.store.InsertSession(ctx, storage.Session{
			ID: sid, TokenHash: storage.NewID(), PersonID: personID, AuthTime: now, CreatedAt: now, LastSeenAt: now,
			ExpiresAt: now.Add(time.Hour),
		})
		for _, scopes := range [][]string{{"openid"}, {"openid", "offline_access"}} {
			if err == nil {
				err = b.store.InsertGrant(ctx, storage.Grant{
					ID: storage.NewID(), ClientID: c.ID, PersonID: personID, SessionID: sid, Scopes: scopes,
					CreatedAt: now, RefreshUntil: now.Add(time.Hour),
				})
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sid
}

func TestOA57_SES08_WhatEndsAPersonsSessionsAndGrants(t *testing.T) {
	for name, c := range map[string]struct {
		act    func(*Base) (Ended, error)
		want   Ended
		reason string
	}{
		"a new password ends all": {func(b *Base) (Ended, error) {
			return b.SetPassword(t.Context(), "ada", "another good password")
		}, Ended{1, 2}, "password_changed"},
		"another phone ends all": {func(b *Base) (Ended, error) {
			_, ended, err := b.SetPhone(t.Context(), "ada", "+39 347 765 4321", true)
			return ended, err
		}, Ended{1, 2}, "administrator"},
		"the same phone ends nothing": {func(b *Base) (Ended, error) {
			_, ended, err := b.SetPhone(t.Context(), "ada", "+393471234567", true)
			return ended, err
		}, Ended{}, ""},
		"disabling ends all": {func(b *Base) (Ended, error) { return b.Disable(t.Context(), "ada") }, Ended{1, 2}, "disabled"},
		"signing out everywhere ends all": {func(b *Base) (Ended, error) {
			return b.EndSessionsOf(t.Context(), "ada")
		}, Ended{1, 2}, "administrator"},
		"ending one session keeps offline grants": {func(b *Base) (Ended, error) {
			open, err := b.Sessions(t.Context(), "ada", false, 10)
			if err != nil {
				return Ended{}, err
			}
			return b.EndSession(t.Context(), open[0].ID)
		}, Ended{1, 1}, "administrator"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := openBase(t)
			p := addAda(t, b)
			sid := signIn(t, b, p.ID)
			ended, err := c.act(b)
			if err != nil || ended != c.want {
				t.Fatalf("ended %+v, %v; want %+v", ended, err, c.want)
			}
			s, err := b.store.Session(t.Context(), sid)
			if err != nil || s.EndReason != c.reason || s.EndedAt.IsZero() != (c.reason == "") {
				t.Errorf("session %+v, %v", s, err)
			}
			revoked, err := b.store.ListEvents(t.Context(), storage.EventFilter{PersonID: p.ID, Kind: audit.TokenRevoked})
			if err != nil || len(revoked) != c.want.Grants {
				t.Errorf("%d events of revocation, %v; want %d", len(revoked), err, c.want.Grants)
			}
		})
	}
}

func TestLOG01_AChangeWhoseEventCannotBeWrittenDoesNotHappen(t *testing.T) {
	b, _ := openBase(t)
	p := addAda(t, b)
	sid := signIn(t, b, p.ID)
	b.audit = audit.NewWriter(audit.Config{Events: failingEvents{b.store}, Clock: b.clock})
	for name, act := range map[string]func() error{
		"add":          func() error { _, err := b.AddUser(t.Context(), NewUser{Username: "bob"}); return err },
		"disable":      func() error { _, err := b.Disable(t.Context(), "ada"); return err },
		"set-password": func() error { _, err := b.SetPassword(t.Context(), "ada", "another good password"); return err },
		"end session":  func() error { _, err := b.EndSession(t.Context(), sid); return err },
		"reveal":       func() error { _, err := b.RevealPhone(t.Context(), "ada", "because"); return err },
		"read the log": func() error { _, err := b.Events(t.Context(), "", storage.EventFilter{}); return err },
	} {
		if err := act(); !errors.Is(err, errLogFull) {
			t.Errorf("%s: %v, want the log's error", name, err)
		}
	}
	if _, err := b.User(t.Context(), "bob"); !isRefusal(err) {
		t.Errorf("bob exists: %v", err)
	}
	u, err := b.User(t.Context(), "ada")
	if err != nil || u.State != "active" || u.OpenSessions != 1 {
		t.Errorf("ada is %+v, %v", u, err)
	}
	_, f, err := b.store.PersonByUsername(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := b.hasher.Check(t.Context(), f.Password, "correct horse battery", false); err != nil || !r.OK {
		t.Errorf("the old password is %+v, %v", r, err)
	}
}

var errLogFull = errors.New("the log is full")

// failingEvents reads events and writes none.
type failingEvents struct{ storage.Events }

func (failingEvents) AppendEvents(context.Context, ...storage.Event) error { return errLogFull }

func TestPW15_UnlockClearsWhatStrangersDid(t *testing.T) {
	b, now := openBase(t, func(c *Config) { c.Limits.WrongPasscodesPerHour, c.Limits.WrongPasscodesPerDay = 2, 3 })
	p := addAda(t, b)
	phone, _, err := b.phoneOf(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	budgets, _ := b.throttle.PasswordTry("ada", "", "192.0.2.1")
	tries := b.throttle.Tries(p.ID, phone.ID)
	err = b.store.InTx(t.Context(), func(ctx context.Context) error {
		for range 3 {
			if _, _, err := b.store.CountFailures(ctx, now.Now(), budgets...); err != nil {
				return err
			}
		}
		for range 2 {
			if _, err := b.store.Take(ctx, now.Now(), tries...); err != nil {
				return err
			}
		}
		for range 2 { // the second is over the limit and disables
			if _, _, err := b.store.CountPhoneFailure(ctx, phone.ID, 1, now.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if u, err := b.User(t.Context(), "ada"); err != nil || u.Phone.DisabledAt.IsZero() {
		t.Fatalf("the phone was to be disabled: %+v, %v", u.Phone, err)
	}
	got, err := b.Unlock(t.Context(), "ADA")
	if want := (Unlocked{PasswordFailures: 3, PasscodeFailures: 2, PhoneEnabled: true}); err != nil || got != want {
		t.Fatalf("unlocked %+v, %v; want %+v", got, err, want)
	}
	err = b.store.InTx(t.Context(), func(ctx context.Context) error {
		refusal, err := b.store.Take(ctx, now.Now(), tries...)
		if err == nil && refusal != nil {
			t.Errorf("a passcode try is still refused: %+v", refusal)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if u, err := b.User(t.Context(), "ada"); err != nil || u.Phone.Failures != 0 || !u.Phone.DisabledAt.IsZero() {
		t.Errorf("phone %+v, %v", u.Phone, err)
	}
}

func TestPhoneThatWasDisabledIsBoundAfresh(t *testing.T) {
	b, now := openBase(t)
	p := addAda(t, b)
	old, _, err := b.phoneOf(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = b.store.InTx(t.Context(), func(ctx context.Context) error {
		for range 2 {
			if _, _, err := b.store.CountPhoneFailure(ctx, old.ID, 1, now.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.SetPhone(t.Context(), "ada", "+39 347 123 4567", true); err != nil {
		t.Fatal(err)
	}
	bound, _, err := b.phoneOf(t.Context(), p.ID)
	if err != nil || bound.ID == old.ID || !bound.DisabledAt.IsZero() || bound.Failures != 0 {
		t.Errorf("phone %+v, %v", bound, err)
	}
	if got := kinds(t, b, storage.EventFilter{PersonID: p.ID}); !slices.Contains(got, audit.FactorRebound) || !slices.Contains(got, audit.PhoneChanged) {
		t.Errorf("events %v", got)
	}
}

func TestADM04_NumberIsRevealedWithAReasonAlone(t *testing.T) {
	b, _ := openBase(t)
	p := addAda(t, b)
	for _, reason := range []string{"", "because\x1b[2J", strings.Repeat("x", maxClaim+1)} {
		if number, err := b.RevealPhone(t.Context(), "ada", reason); !isRefusal(err) || number != "" {
			t.Errorf("reason %q: %q, %v", reason, number, err)
		}
	}
	if number, err := b.RevealPhone(t.Context(), "ada", "ticket 4711"); err != nil || number != "+393471234567" {
		t.Fatalf("got %q, %v", number, err)
	}
	events, err := b.store.ListEvents(t.Context(), storage.EventFilter{PersonID: p.ID, Kind: audit.AdminReveal})
	if err != nil || len(events) != 1 || events[0].Data["reason"] != "ticket 4711" || strings.Contains(events[0].Data["phone"], "347") {
		t.Errorf("events %+v, %v", events, err)
	}
}

func TestLOG08_ReadingTheLogIsItselfLogged(t *testing.T) {
	b, _ := openBase(t)
	p := addAda(t, b)
	events, err := b.Events(t.Context(), "ada", storage.EventFilter{Kind: "account."})
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	read, err := b.store.ListEvents(t.Context(), storage.EventFilter{Kind: audit.AdminAuditRead})
	if err != nil || len(read) != 1 || read[0].PersonID != p.ID || read[0].Data["kind"] != "account." || read[0].Data["events"] != "2" {
		t.Errorf("read events %+v, %v", read, err)
	}
}

func TestOA33_TwoSecretsAreValidAtATime(t *testing.T) {
	b, now := openBase(t)
	c, first, err := b.AddClient(t.Context(), ClientMetadata{ClientName: "App", RedirectURIs: []string{"https://app.test/cb"}})
	if err != nil {
		t.Fatal(err)
	}
	rotate := func(expireOld time.Duration) string {
		t.Helper()
		now.Advance(time.Minute)
		clear, _, err := b.RotateSecret(t.Context(), c.ID, expireOld)
		if err != nil {
			t.Fatal(err)
		}
		return clear
	}
	valid := func() (list []string) {
		t.Helper()
		stored, err := b.Client(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stillValid(stored.Secrets, now.Now()) {
			list = append(list, s.Hash)
		}
		return list
	}
	second := rotate(24 * time.Hour)
	if n := len(valid()); n != 2 {
		t.Errorf("%d secrets are valid after a rotation, want two", n)
	}
	now.Advance(24 * time.Hour)
	if n := len(valid()); n != 1 {
		t.Errorf("%d secrets are valid when the old one has ended, want one", n)
	}
	third := rotate(time.Hour)
	fourth := rotate(time.Hour)
	if n := len(valid()); n != 2 {
		t.Errorf("%d secrets are valid after two rotations, want two", n)
	}
	stored, err := b.Client(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]bool{first: false, second: false, third: true, fourth: true} {
		if ok, err := b.hasSecret(t.Context(), stored, secret); err != nil || ok != want {
			t.Errorf("a secret is %v, %v; want %v", ok, err, want)
		}
	}
	rotate(0)
	if n := len(valid()); n != 1 {
		t.Errorf("%d secrets are valid when the old ones end at once, want one", n)
	}
}

func TestRemovedClientTakesItsGrantsAlong(t *testing.T) {
	b, _ := openBase(t)
	p := addAda(t, b)
	signIn(t, b, p.ID)
	clients, err := b.Clients(t.Context(), "", 10)
	if err != nil || len(clients) != 1 {
		t.Fatalf("%d clients, %v", len(clients), err)
	}
	if err := b.RemoveClient(t.Context(), clients[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveClient(t.Context(), clients[0].ID); !isRefusal(err) {
		t.Errorf("removed twice: %v", err)
	}
	ended, err := b.Disable(t.Context(), "ada")
	if err != nil || ended.Grants != 0 {
		t.Errorf("grants left: %+v, %v", ended, err)
	}
}
