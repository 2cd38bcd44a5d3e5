package login

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// showConsent asks what the client may have: by name, by where the answer goes, by scope, and for how long (OA-16).
func (l *Login) showConsent(v *visit) {
	step, ok := l.sessionStep(v, AskConsent)
	if !ok {
		return
	}
	if !l.namePerson(v, step.PersonID) {
		return
	}
	l.render(v, http.StatusOK, templates.Consent{
		Action: l.aboutURL(v, pathConsent), Client: v.client(), RedirectHost: redirectHost(v.in.Request.Request.RedirectURI),
		Scopes: v.in.Request.Request.Scopes, Lasts: l.ConsentLife,
	})
}

// redirectHost is what a person can check of a redirect URI: its host, or the scheme of a native client's own.
func redirectHost(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	if u.Host == "" {
		return u.Scheme + ":"
	}
	return u.Host
}

// decideConsent takes the answer.
func (l *Login) decideConsent(v *visit) {
	step, ok := l.sessionStep(v, AskConsent)
	if !ok {
		return
	}
	switch v.r.PostForm.Get(templates.FieldDecision) {
	case templates.DecisionAllow:
		l.move(v, func(ctx context.Context, in *Input) error { return l.allow(ctx, v, in, step.PersonID) }, nil)
	case templates.DecisionDeny:
		l.move(v, func(ctx context.Context, in *Input) error {
			in.Request.Progress.Refusal = errAccessDenied
			return l.Audit.Write(ctx, consentEvent(v, audit.ConsentDenied, step.PersonID))
		}, nil)
	default:
		l.stop(v, http.StatusBadRequest, templates.Error{Kind: templates.ErrorBadRequest})
	}
}

// allow remembers the scopes, beside what the person had allowed this client before and is still good.
func (l *Login) allow(ctx context.Context, v *visit, in *Input, personID string) error {
	scopes := slices.Clone(in.Request.Request.Scopes)
	in.Request.Progress.ConsentScopes, in.Request.Progress.ConsentAt = scopes, in.Now
	c := storage.Consent{PersonID: personID, ClientID: in.Client.ID, Scopes: scopes, GrantedAt: in.Now, ExpiresAt: in.Now.Add(l.ConsentLife)}
	if in.Now.Before(in.Consent.ExpiresAt) {
		for _, s := range in.Consent.Scopes {
			if !slices.Contains(c.Scopes, s) {
				c.Scopes = append(c.Scopes, s)
			}
		}
	}
	if err := l.Store.PutConsent(ctx, c); err != nil {
		return err
	}
	return l.Audit.Write(ctx, consentEvent(v, audit.ConsentGranted, personID))
}

func consentEvent(v *visit, kind, personID string) storage.Event {
	e := v.event(kind)
	e.PersonID, e.SessionID = personID, v.in.Session.ID
	e.Data = map[string]string{"scopes": strings.Join(v.in.Request.Request.Scopes, " ")}
	return e
}
