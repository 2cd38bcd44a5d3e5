package session

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

type fixture struct {
	*Manager
	t     *testing.T
	store storage.Store
	clock *clock.Manual
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, store: storagetest.New(t), clock: clock.NewManual(begin)}
	f.Manager = New(Config{Store: f.store, Keys: newKeys(t, "a"), Clock: f.clock, Secure: true,
		Audit: audit.NewWriter(audit.Config{Events: f.store, Clock: f.clock})})
	for _, id := range []string{"anna", "bruno"} {
		f.tx(func(ctx context.Context) error {
			return f.store.InsertPerson(ctx, storage.Person{ID: id, Username: id, CreatedAt: begin, UpdatedAt: begin})
		})
	}
	return f
}

func (f *fixture) tx(fn func(ctx context.Context) error) {
	f.t.Helper()
	if err := f.store.InTx(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) begin(person string) (storage.Session, *http.Cookie) {
	f.t.Helper()
	var s storage.Session
	var c *http.Cookie
	f.tx(func(ctx context.Context) (err error) {
		s, c, err = f.Begin(ctx, storage.Session{PersonID: person, AuthTime: f.clock.Now(), ACR: "urn:parola:acr:phone",
			AMR: []string{"pwd", "otp"}, Channel: "whatsapp"}, Login{AuthRequestID: "request", ClientID: "client"})
		return err
	})
	return s, c
}

// current is the session of a browser that holds c, empty when there is none.
func (f *fixture) current(c *http.Cookie) storage.Session {
	f.t.Helper()
	s, err := f.Current(requestWith(c))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		f.t.Fatal(err)
	}
	return s
}

func (f *fixture) events(kind string) []storage.Event {
	f.t.Helper()
	events, err := f.store.ListEvents(f.t.Context(), storage.EventFilter{Kind: kind})
	if err != nil {
		f.t.Fatal(err)
	}
	return events
}

func TestSES01_SessionCookieIsNotPersistentAndHoldsARandomToken(t *testing.T) {
	f := newFixture(t)
	s, c := f.begin("anna")
	if c.Name != "__Host-parola-session" || c.MaxAge != 0 || !c.Expires.IsZero() || !c.Secure || !c.HttpOnly {
		t.Errorf("cookie %+v", c)
	}
	if len(c.Value) != tokenLength {
		t.Errorf("token of %d characters", len(c.Value))
	}
	stored, err := f.store.Session(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if stored.TokenHash == "" || stored.TokenHash == c.Value {
		t.Error("the token is stored as it is")
	}
}

func TestBegunSessionIsCurrentWithItsLoginFacts(t *testing.T) {
	f := newFixture(t)
	s, c := f.begin("anna")
	got := f.current(c)
	if got.ID != s.ID || got.PersonID != "anna" || got.ACR != s.ACR || !got.AuthTime.Equal(begin) || len(got.AMR) != 2 || got.Channel != "whatsapp" {
		t.Errorf("current session %+v", got)
	}
	if e := f.events(audit.SessionCreated); len(e) != 1 || e[0].SessionID != s.ID || e[0].AuthRequestID != "request" || e[0].PersonID != "anna" {
		t.Errorf("events %+v", e)
	}
}

func TestNoSessionWithoutAKnownToken(t *testing.T) {
	f := newFixture(t)
	_, c := f.begin("anna")
	for name, value := range map[string]string{
		"an empty cookie":  "",
		"a short one":      "abc",
		"an unknown token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"a longer one":     c.Value + "A",
	} {
		if s := f.current(&http.Cookie{Name: c.Name, Value: value}); s.ID != "" {
			t.Errorf("%s has a session", name)
		}
	}
}

func TestBeginRolledBackLeavesNoSession(t *testing.T) {
	f := newFixture(t)
	var c *http.Cookie
	failed := errors.New("later step")
	err := f.store.InTx(t.Context(), func(ctx context.Context) (err error) {
		if _, c, err = f.Begin(ctx, storage.Session{PersonID: "anna", AuthTime: begin}, Login{}); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if f.current(c).ID != "" || len(f.events(audit.SessionCreated)) != 0 {
		t.Error("a session, or its event, outlived its transaction")
	}
}

func TestSES02_RenewKeepsTheIDAndKillsTheOldToken(t *testing.T) {
	f := newFixture(t)
	s, old := f.begin("anna")
	f.clock.Advance(10 * time.Minute)
	s.ACR = "urn:parola:acr:phone-no-sms"
	var c *http.Cookie
	f.tx(func(ctx context.Context) (err error) {
		c, err = f.Renew(ctx, s, Login{AuthRequestID: "second"})
		return err
	})
	if c.Value == old.Value || f.current(old).ID != "" {
		t.Error("the old token still works")
	}
	got := f.current(c)
	if got.ID != s.ID || got.ACR != s.ACR {
		t.Errorf("renewed session %+v", got)
	}
	if e := f.events(audit.SessionStepUp); len(e) != 1 || e[0].AuthRequestID != "second" || e[0].SessionID != s.ID {
		t.Errorf("events %+v", e)
	}
}

func TestSES04_Limits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		waits  []time.Duration // between requests
		reason string          // of the end; empty when the session lives
	}{
		{"lives inside the idle limit", []time.Duration{59 * time.Minute}, ""},
		{"activity moves the idle limit", []time.Duration{59 * time.Minute, 59 * time.Minute, 59 * time.Minute}, ""},
		{"ends when idle", []time.Duration{time.Hour}, "idle"},
		{"ends at the overall limit however active", every(50*time.Minute, 29), "overall"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			_, c := f.begin("anna")
			var got storage.Session
			for _, wait := range tt.waits {
				f.clock.Advance(wait)
				got = f.current(c)
			}
			if (got.ID != "") != (tt.reason == "") {
				t.Errorf("session %+v", got)
			}
			f.current(c)
			expired := f.events(audit.SessionExpired)
			if tt.reason == "" && len(expired) != 0 || tt.reason != "" && (len(expired) != 1 || expired[0].Reason != tt.reason) {
				t.Errorf("events %+v", expired)
			}
			if e := f.events(audit.SessionUsedAfterEnd); len(e) != 0 {
				t.Errorf("running out is told as misuse: %+v", e)
			}
		})
	}
}

func every(d time.Duration, n int) []time.Duration {
	waits := make([]time.Duration, n)
	for i := range waits {
		waits[i] = d
	}
	return waits
}

func TestSES04_AFullLoginMovesTheOverallLimitAndAStepUpDoesNot(t *testing.T) {
	f := newFixture(t)
	s, _ := f.begin("anna")
	f.clock.Advance(30 * time.Minute)
	f.tx(func(ctx context.Context) error { _, err := f.Renew(ctx, s, Login{}); return err })
	if got, _ := f.store.Session(t.Context(), s.ID); !got.ExpiresAt.Equal(s.ExpiresAt) {
		t.Errorf("a step-up moved the end to %v", got.ExpiresAt)
	}
	s.AuthTime = f.clock.Now()
	f.tx(func(ctx context.Context) error { _, err := f.Renew(ctx, s, Login{}); return err })
	if got, _ := f.store.Session(t.Context(), s.ID); !got.ExpiresAt.Equal(s.AuthTime.Add(24 * time.Hour)) {
		t.Errorf("a full login left the end at %v", got.ExpiresAt)
	}
}

func TestEndedSessionIsGoneAndItsUseIsNoted(t *testing.T) {
	f := newFixture(t)
	s, c := f.begin("anna")
	ended, err := f.End(t.Context(), s.ID, EndedLogout)
	if err != nil || !ended {
		t.Fatalf("End = %v, %v", ended, err)
	}
	if again, err := f.End(t.Context(), s.ID, EndedLogout); err != nil || again {
		t.Errorf("ended twice: %v, %v", again, err)
	}
	if missing, err := f.End(t.Context(), "nobody", EndedLogout); err != nil || missing {
		t.Errorf("ended what never was: %v, %v", missing, err)
	}
	if f.current(c).ID != "" {
		t.Error("an ended session is current")
	}
	if e := f.events(audit.SessionEnded); len(e) != 1 || e[0].Reason != EndedLogout || e[0].PersonID != "anna" {
		t.Errorf("events %+v", e)
	}
	if e := f.events(audit.SessionUsedAfterEnd); len(e) != 1 || e[0].SessionID != s.ID {
		t.Errorf("use after the end: %+v", e)
	}
	for range 50 {
		f.current(c)
	}
	if e := f.events(audit.SessionUsedAfterEnd); len(e) > 5 {
		t.Errorf("an ended session's token wrote %d events", len(e))
	}
	f.tx(func(ctx context.Context) error {
		if _, err := f.Renew(ctx, s, Login{}); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("renewed an ended session: %v", err)
		}
		return nil
	})
}

func TestOTP23_SessionOfADisabledPersonDoesNotCount(t *testing.T) {
	f := newFixture(t)
	_, c := f.begin("anna")
	f.tx(func(ctx context.Context) error {
		return f.store.UpdatePerson(ctx, storage.Person{ID: "anna", Username: "anna", CreatedAt: begin, UpdatedAt: begin, DisabledAt: begin})
	})
	if f.current(c).ID != "" {
		t.Error("a disabled person is signed in")
	}
}

func TestSessionSurvivesANewRootSecret(t *testing.T) {
	f := newFixture(t)
	s, c := f.begin("anna")
	f.Manager = New(Config{Store: f.store, Keys: newKeys(t, "b", "a"), Clock: f.clock, Secure: true, Audit: f.Audit})
	if f.current(c).ID != s.ID {
		t.Error("the session died with the root secret")
	}
}

func TestActivityIsWrittenAtMostOnceAMinute(t *testing.T) {
	f := newFixture(t)
	s, c := f.begin("anna")
	for _, tt := range []struct {
		wait time.Duration
		want time.Time
	}{
		{30 * time.Second, begin},
		{30 * time.Second, begin.Add(time.Minute)},
		{59 * time.Second, begin.Add(time.Minute)},
	} {
		f.clock.Advance(tt.wait)
		f.current(c)
		got, err := f.store.Session(t.Context(), s.ID)
		if err != nil || !got.LastSeenAt.Equal(tt.want) {
			t.Errorf("last seen %v, want %v (%v)", got.LastSeenAt, tt.want, err)
		}
	}
}
