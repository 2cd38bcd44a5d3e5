package session

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

// Why a session ended.
const (
	EndedLogout        = "logout"
	EndedReplaced      = "replaced" // somebody else signed in with this browser
	EndedDisabled      = "disabled"
	EndedAdministrator = "administrator"
	EndedExpired       = "expired"
)

// Login names the AuthRequest that a session is begun or renewed for, so that its event joins that login's evidence.
type Login struct {
	AuthRequestID string
	ClientID      string
	CorrelationID string
}

// Begin makes a session of s's person and login facts (AuthTime, ACR, AMR, Channel) in the caller's transaction, with a
// new ID, a new token and limits of its own. The cookie is for the response, once that transaction has committed.
func (m *Manager) Begin(ctx context.Context, s storage.Session, l Login) (storage.Session, *http.Cookie, error) {
	now, info := m.Clock.Now(), reqinfo.From(ctx)
	s.ID = storage.NewID()
	s.CreatedAt, s.LastSeenAt, s.ExpiresAt = now, now, s.AuthTime.Add(m.Overall)
	s.EndedAt, s.EndReason = time.Time{}, ""
	s.UserAgent, s.SourceAddr = info.UserAgent, info.Source
	cookie, err := m.commit(ctx, record{Session: s})
	if err != nil {
		return storage.Session{}, nil, fmt.Errorf("begin session: %w", err)
	}
	return s, cookie, m.write(ctx, audit.SessionCreated, s, l)
}

// Renew stores new login facts in a session that has not ended, in the caller's transaction: the ID stays, the token is
// new and the old one dead (SES-02, OA-76). The overall limit counts from AuthTime, so a full login moves it and a
// step-up does not (SES-04). It is storage.ErrNotFound when the session has ended.
func (m *Manager) Renew(ctx context.Context, s storage.Session, l Login) (*http.Cookie, error) {
	info := reqinfo.From(ctx)
	s.LastSeenAt = m.Clock.Now()
	s.UserAgent, s.SourceAddr = info.UserAgent, info.Source
	if until := s.AuthTime.Add(m.Overall); until.After(s.ExpiresAt) {
		s.ExpiresAt = until
	}
	cookie, err := m.commit(ctx, record{Session: s, Renewal: true})
	if err != nil {
		return nil, fmt.Errorf("renew session: %w", err)
	}
	return cookie, m.write(ctx, audit.SessionStepUp, s, l)
}

func (m *Manager) write(ctx context.Context, kind string, s storage.Session, l Login) error {
	e := m.event(ctx, kind, s)
	e.AuthRequestID, e.ClientID, e.CorrelationID = l.AuthRequestID, l.ClientID, l.CorrelationID
	e.Data = map[string]string{"acr": s.ACR}
	return m.Audit.Write(ctx, e)
}

// End ends a session and says whether this call did; false for one that had ended or never was. It joins the
// transaction of ctx, or has one of its own.
func (m *Manager) End(ctx context.Context, id, reason string) (bool, error) {
	var ended bool
	err := m.Store.InTx(ctx, func(ctx context.Context) error {
		s, err := m.Store.Session(ctx, id)
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if ended, err = m.Store.EndSession(ctx, id, reason, m.Clock.Now()); err != nil || !ended {
			return err
		}
		e := m.event(ctx, audit.SessionEnded, s)
		e.Reason = reason
		return m.Audit.Write(ctx, e)
	})
	if err != nil {
		return false, fmt.Errorf("end session: %w", err)
	}
	return ended, nil
}
