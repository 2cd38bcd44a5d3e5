package login

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/templates"
)

type page interface {
	Render(w io.Writer, t *templates.Templates, v templates.View) error
}

// render writes a page. It returns false, for the handlers that stop with it.
func (l *Login) render(v *visit, status int, p page) bool {
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	// The redirect that follows the last form goes to the client, and browsers apply form-action to it (WEB-04).
	h.Set("Content-Security-Policy", templates.ContentSecurityPolicy(
		append([]string{v.in.Request.Request.RedirectURI}, v.in.Client.FormOrigins...)...))
	v.w.WriteHeader(status)
	if err := p.Render(v.w, l.Templates, v.view); err != nil {
		l.Log.ErrorContext(v.r.Context(), "render page", "err", err)
	}
	return false
}

// renderLater writes a page that says when to come back.
func (l *Login) renderLater(v *visit, status int, wait time.Duration, p page) bool {
	v.w.Header().Set("Retry-After", strconv.FormatInt(int64((max(wait, time.Second)+time.Second-1)/time.Second), 10))
	return l.render(v, status, p)
}

// stop writes an error page. It works before the AuthRequest is known.
func (l *Login) stop(v *visit, status int, p templates.Error) bool {
	if v.view.Language == "" {
		v.view.Language = l.Templates.Match(nil, v.r.Header.Get("Accept-Language"))
	}
	if v.view.CorrelationID == "" {
		v.view.CorrelationID = reqinfo.From(v.r.Context()).CorrelationID
	}
	return l.render(v, status, p)
}

// outageWait is what a person is told to wait when storage does not answer.
const outageWait = 5 * time.Second

// fail answers an outage: 503 and a way to try again, never a refusal (REL-08). The text goes to the log alone.
func (l *Login) fail(v *visit, attempted string, err error) bool {
	if errors.Is(v.r.Context().Err(), context.Canceled) {
		return false // the browser has gone, and took the query with it
	}
	l.Log.ErrorContext(v.r.Context(), "login: "+attempted, "err", err)
	again := ""
	if v.id() != "" {
		again = l.url(pathPassword, v.id())
	}
	v.w.Header().Set("Retry-After", strconv.Itoa(int(outageWait/time.Second)))
	return l.stop(v, http.StatusServiceUnavailable, templates.Error{Kind: templates.ErrorUnavailable, RetryURL: again})
}

// redirect sends the browser on by 303, so that what was posted is not posted there (OA-11).
func (v *visit) redirect(location string) {
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.Header().Set("Location", location)
	v.w.WriteHeader(http.StatusSeeOther)
}

// wait is how long until a time, at least a moment.
func (v *visit) wait(until time.Time) time.Duration { return max(until.Sub(v.in.Now), time.Second) }
