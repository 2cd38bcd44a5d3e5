// Package session is the signed-in browser: its cookie, its lookup, its end. A session exists only after a complete
// login (SES-03); idp/login begins and renews it, idp/oidc reads and ends it. The package also keeps the two other
// cookies a browser holds for us: the secret of an AuthRequest under way, which ties that request to the browser that
// began it, and the memory of who has signed in here before (PW-15).
//
// Tokens, cookie attributes and the hash at rest are alexedwards/scs's. Its Load and Commit are called explicitly and
// never through its middleware, so that a session row commits in the transaction of the change that made it.
package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// Store is what the package keeps its sessions in.
type Store interface {
	storage.Transactor
	storage.Sessions
	storage.Throttles
}

// Config is what a Manager needs.
type Config struct {
	Store Store
	Keys  *secret.Keys
	Audit *audit.Writer
	Clock clock.Clock
	// Secure is false for an http issuer only, which is allowed on loopback: cookies then have neither the Secure
	// attribute nor the __Host- prefix, and Port keeps the cookies of several servers on one host apart (SES-01).
	Secure bool
	Port   string
	// Idle and Overall end a session; both are always set. Zero means 1 h and 24 h.
	Idle    time.Duration
	Overall time.Duration
	Log     *slog.Logger
}

// Manager finds, begins, renews and ends sessions. It is safe for concurrent use.
type Manager struct {
	Config
	scs *scs.SessionManager
}

// New returns a Manager.
func New(c Config) *Manager {
	if c.Idle <= 0 {
		c.Idle = time.Hour
	}
	if c.Overall <= 0 {
		c.Overall = 24 * time.Hour
	}
	m := &Manager{Config: c, scs: scs.New()}
	m.scs.Store = &scsStore{sessions: c.Store, keys: c.Keys}
	m.scs.Codec = recordCodec{}
	m.scs.HashTokenInStore = true
	m.scs.Lifetime = c.Overall
	m.scs.IdleTimeout = 0 // would write on every request; Current moves LastSeenAt instead
	m.scs.Cookie = scs.SessionCookie{Name: m.cookieName("session"), Path: "/", HttpOnly: true, Secure: c.Secure, SameSite: http.SameSiteLaxMode}
	return m
}

// touchEvery bounds how often activity is written down.
const touchEvery = time.Minute

// Current returns the session of the browser that sent r, or storage.ErrNotFound when it has none that counts: none at
// all, one that ended, one past its idle or overall limit, or one of a person who is disabled or whose phone is
// (OTP-23). A session found past its limits is ended, and one used after its end is noted.
func (m *Manager) Current(r *http.Request) (storage.Session, error) {
	token, ok := m.token(r)
	if !ok {
		return storage.Session{}, storage.ErrNotFound
	}
	ctx := r.Context()
	held, err := m.load(ctx, token)
	if err != nil {
		return storage.Session{}, fmt.Errorf("find session: %w", err)
	}
	s, now := held.Session, m.Clock.Now()
	switch {
	case s.ID == "":
		return storage.Session{}, storage.ErrNotFound
	case !s.EndedAt.IsZero():
		return storage.Session{}, m.usedAfterEnd(ctx, s)
	case !now.Before(s.ExpiresAt), !now.Before(s.LastSeenAt.Add(m.Idle)):
		return storage.Session{}, m.expire(ctx, s, now)
	case held.Barred:
		return storage.Session{}, storage.ErrNotFound
	}
	if now.Sub(s.LastSeenAt) >= touchEvery {
		err := m.Store.InTx(ctx, func(ctx context.Context) error { return m.Store.TouchSession(ctx, s.ID, now) })
		if err != nil {
			return storage.Session{}, fmt.Errorf("touch session: %w", err)
		}
		s.LastSeenAt = now
	}
	return s, nil
}

// afterEndEvents is how often the use of one ended session is written down: whoever still holds its token could
// otherwise fill the audit log with it.
var afterEndEvents = storage.Throttle{Interval: time.Minute, Burst: 3}

// usedAfterEnd notes that somebody still holds the token of a session that was ended on purpose, and returns
// ErrNotFound. A browser that comes back after its session ran out is nothing to note: it was never told.
func (m *Manager) usedAfterEnd(ctx context.Context, s storage.Session) error {
	if s.EndReason != EndedExpired {
		e := m.event(ctx, audit.SessionUsedAfterEnd, s)
		e.Outcome, e.Reason = audit.Failure, s.EndReason
		sample := afterEndEvents
		sample.Key = "session-after-end:" + s.ID
		err := m.Store.InTx(ctx, func(ctx context.Context) error {
			refused, err := m.Store.Take(ctx, m.Clock.Now(), sample)
			if err != nil || refused != nil {
				return err
			}
			return m.Audit.Write(ctx, e)
		})
		if err != nil {
			return fmt.Errorf("note use of ended session: %w", err)
		}
	}
	return storage.ErrNotFound
}

func (m *Manager) expire(ctx context.Context, s storage.Session, now time.Time) error {
	err := m.Store.InTx(ctx, func(ctx context.Context) error {
		ended, err := m.Store.EndSession(ctx, s.ID, EndedExpired, now)
		if err != nil || !ended {
			return err
		}
		e := m.event(ctx, audit.SessionExpired, s)
		e.Reason = "idle"
		if !now.Before(s.ExpiresAt) {
			e.Reason = "overall"
		}
		return m.Audit.Write(ctx, e)
	})
	if err != nil {
		return fmt.Errorf("expire session: %w", err)
	}
	return storage.ErrNotFound
}

// token is the cookie's value when it can be a token at all. Anything else is refused before any database work.
func (m *Manager) token(r *http.Request) (string, bool) {
	c, err := r.Cookie(m.scs.Cookie.Name)
	if err != nil || len(c.Value) != tokenLength {
		return "", false
	}
	return c.Value, true
}

// tokenLength is 256 bits in unpadded base64url, as scs makes tokens.
const tokenLength = 43

func (m *Manager) event(ctx context.Context, kind string, s storage.Session) storage.Event {
	info := reqinfo.From(ctx)
	return storage.Event{Kind: kind, PersonID: s.PersonID, SessionID: s.ID, Channel: s.Channel,
		CorrelationID: info.CorrelationID, SourceAddr: info.Source, UserAgent: info.UserAgent}
}

// isNotFound says that err is a missing record and not an outage.
func isNotFound(err error) bool { return errors.Is(err, storage.ErrNotFound) }
