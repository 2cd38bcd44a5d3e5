package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/parola-id/parola/idp/password"
	"github.com/parola-id/parola/idp/session"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// Store is what a login reads and writes. Sessions and challenges belong to the rooms that keep them; deliveries are
// only read, to tell a person that it is not their phone.
type Store interface {
	storage.Transactor
	storage.AuthRequests
	storage.Persons
	storage.Clients
	storage.Consents
	storage.Throttles
	storage.Deliveries
	// RevokeGrantsOf is all of storage.Grants that a login needs: whoever is signed out by another person's login loses
	// the tokens that lived with the session.
	RevokeGrantsOf(ctx context.Context, personID, clientID, sessionID string, keepOffline bool, reason string, now time.Time) ([]string, error)
}

// MFA is the second factor; *mfa.Service is one.
type MFA interface {
	Start(ctx context.Context, st mfa.Start) (storage.Challenge, error)
	SendAgain(ctx context.Context, challengeID, authRequestID string) error
	SendBySMS(ctx context.Context, challengeID, authRequestID string) error
	Verify(ctx context.Context, a mfa.Attempt, then func(context.Context, mfa.Verified) error) (mfa.Verified, error)
	Cancel(ctx context.Context, authRequestID string) error
	Progress(ctx context.Context, challengeID string) (mfa.Progress, error)
	Watch(challengeID string) (changed <-chan struct{}, stop func())
	Settings() mfa.Settings
}

// Passwords checks what was typed against a stored factor; *password.Hasher is one. Every call costs one hash, with a
// zero factor too, and fails with a *password.BusyError when too many run already.
type Passwords interface {
	Check(ctx context.Context, f storage.PasswordFactor, typed string, known bool) (password.Result, error)
}

// Config is what a Login needs.
type Config struct {
	Store     Store
	MFA       MFA
	Sessions  *session.Manager
	Passwords Passwords
	Throttle  *throttle.Throttle
	Keys      *secret.Keys
	Audit     *audit.Writer
	Clock     clock.Clock
	Templates *templates.Templates
	// BasePath is the path of the issuer, empty for the root. Every URL of this package is below BasePath + "/login".
	BasePath string
	// ResumePath is where idp/oidc takes a request up again, with BasePath.
	ResumePath string
	// ConsentLife is how long a consent is remembered; 0 means 90 days.
	ConsentLife time.Duration
	Log         *slog.Logger
}

// Login serves the pages of a login.
type Login struct {
	Config
	streams *streams
}

// New returns a Login, or says that a part is missing.
func New(c Config) (*Login, error) {
	if c.Store == nil || c.MFA == nil || c.Sessions == nil || c.Passwords == nil || c.Throttle == nil || c.Keys == nil ||
		c.Audit == nil || c.Clock == nil || c.Templates == nil || c.Log == nil {
		return nil, errors.New("login: a required part is missing")
	}
	if c.ResumePath == "" {
		return nil, errors.New("login: ResumePath is required")
	}
	if c.ConsentLife <= 0 {
		c.ConsentLife = 90 * 24 * time.Hour
	}
	return &Login{Config: c, streams: newStreams()}, nil
}

// Close ends the event streams, which would otherwise keep a stopping server waiting (REL-12). Give it to
// http.Server.RegisterOnShutdown.
func (l *Login) Close() { l.streams.close() }

// Streams is how many event streams are open on this node (DOS-08).
func (l *Login) Streams() int { return l.streams.count() }

// EventsPath is where the event stream of the passcode page is, below BasePath: an answer that lasts.
const EventsPath = "/login/passcode/events"

// The paths, below BasePath. Every one takes ?r=, the ID of an AuthRequest: a reference, which proves nothing; the
// request's own cookie proves the browser.
const (
	pathPassword = "/login"
	pathAccount  = "/login/account"
	pathPasscode = "/login/passcode"
	pathSMS      = "/login/passcode/sms"
	pathAgain    = "/login/passcode/again"
	pathEvents   = EventsPath
	pathRestart  = "/login/restart"
	pathConsent  = "/login/consent"
	pathNotYou   = "/login/notyou"
	pathLeave    = "/login/leave"
)

// Routes returns the handlers by path.
func (l *Login) Routes() map[string]http.HandlerFunc {
	routes := make(map[string]http.HandlerFunc)
	for path, f := range map[string]http.HandlerFunc{
		pathPassword: l.page(l.showPassword, l.checkPassword),
		pathAccount:  l.page(l.showAccount, l.chooseAccount),
		pathPasscode: l.page(l.showPasscode, l.checkPasscode),
		pathSMS:      l.page(nil, l.sendBySMS),
		pathAgain:    l.page(nil, l.sendAgain),
		pathEvents:   l.page(l.streamStatus, nil),
		pathRestart:  l.page(nil, l.proceed),
		pathConsent:  l.page(l.showConsent, l.decideConsent),
		pathNotYou:   l.page(nil, l.forgetPerson),
		pathLeave:    l.page(nil, l.leave),
	} {
		routes[l.BasePath+path] = f
	}
	return routes
}

// page serves one path: it answers other methods with 405 (WEB-02), opens the visit and hands it on.
func (l *Login) page(get, post func(*visit)) http.HandlerFunc {
	allow := "GET, POST"
	switch {
	case get == nil:
		allow = "POST"
	case post == nil:
		allow = "GET"
	}
	return func(w http.ResponseWriter, r *http.Request) {
		serve := map[string]func(*visit){http.MethodGet: get, http.MethodPost: post}[r.Method]
		if serve == nil {
			w.Header().Set("Allow", allow)
			l.stop(&visit{w: w, r: r}, http.StatusMethodNotAllowed, templates.Error{Kind: templates.ErrorMethod})
			return
		}
		if v, ok := l.open(w, r); ok {
			serve(v)
		}
	}
}

// url is the address of one of our pages for an AuthRequest.
func (l *Login) url(path, requestID string) string {
	return l.BasePath + path + "?r=" + url.QueryEscape(requestID)
}
