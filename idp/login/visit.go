package login

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// visit is one HTTP request of a browser that proved itself for one AuthRequest.
type visit struct {
	w    http.ResponseWriter
	r    *http.Request
	in   Input // what Next looks at, as far as it was needed
	view templates.View
	// progress is that of the challenge, once it was asked for.
	progress mfa.Progress
}

func (v *visit) id() string { return v.in.Request.ID }

// client is what pages say of the client. Its logo is at an address of its own choosing and is not loaded (WEB-07).
func (v *visit) client() templates.Client { return templates.Client{Name: v.in.Client.Name} }

// The most of a form (INP-01), and more than any ID we make.
const (
	maxFields = 64
	maxID     = 64
)

// couldBeID says whether s has the characters of our IDs. Databases refuse some others with an error, which would look
// like an outage.
func couldBeID(s string) bool {
	return s != "" && len(s) <= maxID && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz-") == ""
}

// open reads the AuthRequest that r refers to and refuses whoever may not move it, cheapest check first: syntax, then
// the request's own secret, then the token in the form. When it returns false the answer was written.
func (l *Login) open(w http.ResponseWriter, r *http.Request) (*visit, bool) {
	v := &visit{w: w, r: r}
	id, status, kind := reference(r)
	if status != 0 {
		return nil, l.stop(v, status, templates.Error{Kind: kind})
	}
	request, err := l.Store.AuthRequest(r.Context(), id)
	expired := errors.Is(err, storage.ErrNotFound) || err == nil && !l.Clock.Now().Before(request.ExpiresAt)
	switch {
	case expired:
		return nil, l.stop(v, http.StatusGone, templates.Error{Kind: templates.ErrorExpiredRequest})
	case err != nil:
		return nil, l.fail(v, "read authorization request", err)
	case request.EndedAt.IsZero() && !l.Sessions.CheckRequest(r, request):
		return nil, l.stop(v, http.StatusForbidden, templates.Error{Kind: templates.ErrorSessionMismatch})
	}
	// One correlation id and one trace for all requests of a login.
	tracing.Join(r.Context(), request.Request.Trace)
	if ctx := reqinfo.Join(r.Context(), request.CorrelationID); ctx != r.Context() {
		v.r = r.WithContext(ctx)
	}
	v.in = Input{Request: request, Now: l.Clock.Now()}
	v.in.Client, err = l.Store.Client(r.Context(), request.ClientID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && v.in.Client.Disabled {
		return nil, l.stop(v, http.StatusForbidden, templates.Error{Kind: templates.ErrorUnknownClient})
	}
	if err != nil {
		return nil, l.fail(v, "read client", err)
	}
	v.view = l.viewOf(r, v.in)
	return v, l.mayMove(v)
}

// mayMove is the second half of open, once pages can speak the person's language.
func (l *Login) mayMove(v *visit) bool {
	if !v.in.Request.EndedAt.IsZero() {
		v.view.CSRF = ""
		return l.render(v, http.StatusOK, templates.PasscodeEnded{Client: v.client(), Reason: templates.PasscodeElsewhere})
	}
	if v.r.Method == http.MethodPost && !l.formTokenMatches(v.in.Request, v.r.PostForm.Get(templates.FieldCSRF)) {
		// Nothing was changed. A page that was open while another tab moved on leads there.
		return l.stop(v, http.StatusForbidden, templates.Error{Kind: templates.ErrorForbidden, RetryURL: l.url(pathPassword, v.id())})
	}
	s, err := l.Sessions.Current(v.r)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return l.fail(v, "read session", err)
	}
	v.in.Session = s
	return true
}

// reference is the AuthRequest's ID, or the status and page of a request that is not well-formed.
func reference(r *http.Request) (id string, status int, kind templates.ErrorKind) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["r"]) != 1 || !couldBeID(query.Get("r")) {
		return "", http.StatusBadRequest, templates.ErrorBadRequest
	}
	id = query.Get("r")
	if r.Method != http.MethodPost {
		return id, 0, 0
	}
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return "", http.StatusRequestEntityTooLarge, templates.ErrorTooLarge
		}
		return "", http.StatusBadRequest, templates.ErrorBadRequest
	}
	if len(r.PostForm) > maxFields {
		return "", http.StatusBadRequest, templates.ErrorBadRequest
	}
	for _, values := range r.PostForm {
		if len(values) > 1 { // whoever reads the first and whoever reads the last would disagree
			return "", http.StatusBadRequest, templates.ErrorBadRequest
		}
	}
	if posted := r.PostForm.Get(templates.FieldRequest); posted != "" && posted != id {
		return "", http.StatusBadRequest, templates.ErrorBadRequest
	}
	return id, 0, 0
}

// viewOf is what all pages of the request have in common. The language is that of the first answer, once it was saved.
func (l *Login) viewOf(r *http.Request, in Input) templates.View {
	v := templates.View{
		Language:      in.Request.Progress.Locale,
		CSRF:          l.formToken(in.Request),
		Request:       in.Request.ID,
		CorrelationID: in.Request.CorrelationID,
		Brand:         templates.Brand{Colour: in.Client.Colour},
	}
	if v.Language == "" {
		v.Language = l.Templates.Match(in.Request.Request.UILocales, r.Header.Get("Accept-Language"))
	}
	return v
}

// knows puts the person on the page, with the way out for somebody else.
func (l *Login) knows(v *visit, username string) {
	v.view.Person = username
	if username != "" {
		v.view.NotYouURL = l.url(pathNotYou, v.id())
	}
}

// formToken proves that a form was made for the browser that holds the AuthRequest's current secret (WEB-01).
func (l *Login) formToken(a storage.AuthRequest) string {
	return l.Keys.Hash(secret.Forms, formValue(a))
}

func formValue(a storage.AuthRequest) string {
	return "login|" + a.ID + "|" + base64.RawURLEncoding.EncodeToString(a.BrowserHash)
}

func (l *Login) formTokenMatches(a storage.AuthRequest, token string) bool {
	matched := 0
	for _, want := range l.Keys.Hashes(secret.Forms, formValue(a)) {
		matched |= subtle.ConstantTimeCompare([]byte(want), []byte(token))
	}
	return matched == 1
}

// event is one about this login, for the evidence that hangs together by its AuthRequest.
func (v *visit) event(kind string) storage.Event {
	info := reqinfo.From(v.r.Context())
	return storage.Event{
		Kind: kind, AuthRequestID: v.in.Request.ID, ClientID: v.in.Request.ClientID, CorrelationID: info.CorrelationID,
		PersonID: v.in.Request.Progress.PersonID, SourceAddr: info.Source, UserAgent: info.UserAgent,
	}
}
