package templates

import (
	"html/template"
	"io"
	"time"
)

// ErrorKind is what a person is told of an error; the inner text never is (WEB-13).
type ErrorKind int

// The kinds.
const (
	ErrorBadRequest      ErrorKind = iota // a request that cannot be read
	ErrorUnknownClient                    // no such client: nobody is sent anywhere
	ErrorBadRedirectURI                   // not registered for the client: nobody is sent there
	ErrorExpiredRequest                   // the login took too long, or is over
	ErrorSessionMismatch                  // the browser is not the one that began, or keeps no cookies
	ErrorForbidden                        // a form sent from another site, or too old
	ErrorNotFound                         // no such page
	ErrorMethod                           // a page that is asked for in a way it is not made for
	ErrorTooLarge                         // more was sent than anything here needs
	ErrorTooManyRequests                  // Error.RetryIn
	ErrorTooManyCodes                     // a sending limit, before the first message: Error.RetryIn
	ErrorUnavailable                      // 503: try again
	ErrorInternal                         // a fault of ours
)

// Error is the page for everything that cannot go on.
type Error struct {
	Kind ErrorKind
	// RetryIn is how long to wait; 0 when unknown.
	RetryIn time.Duration
	// RetryURL is a link for "Try again"; empty for none.
	RetryURL string
}

// Render writes the page to w in the language of v.
func (p Error) Render(w io.Writer, t *Templates, v View) error { return t.render(w, v, "error", p) }

// TitleKey is the headline of the kind.
func (p Error) TitleKey() string { return p.keys()[0] }

// TextKey is what the kind means for the person.
func (p Error) TextKey() string { return p.keys()[1] }

func (p Error) keys() [2]string {
	return [...][2]string{
		ErrorBadRequest:      {"error.bad_request.title", "error.bad_request.text"},
		ErrorUnknownClient:   {"error.unknown_client.title", "error.unknown_client.text"},
		ErrorBadRedirectURI:  {"error.bad_redirect_uri.title", "error.bad_redirect_uri.text"},
		ErrorExpiredRequest:  {"error.expired_request.title", "error.expired_request.text"},
		ErrorSessionMismatch: {"error.session_mismatch.title", "error.session_mismatch.text"},
		ErrorForbidden:       {"error.forbidden.title", "error.forbidden.text"},
		ErrorNotFound:        {"error.not_found.title", "error.not_found.text"},
		ErrorMethod:          {"error.method.title", "error.method.text"},
		ErrorTooLarge:        {"error.too_large.title", "error.too_large.text"},
		ErrorTooManyRequests: {"error.too_many_requests.title", "error.too_many_requests.text"},
		ErrorTooManyCodes:    {"error.too_many_codes.title", "error.too_many_codes.text"},
		ErrorUnavailable:     {"error.unavailable.title", "error.unavailable.text"},
		ErrorInternal:        {"error.internal.title", "error.internal.text"},
	}[p.Kind]
}

// Interstitial stands between a failed authorization request and a client that no administrator has marked trusted, so
// that nobody is sent to a stranger's address without a click (OA-14).
type Interstitial struct {
	Client Client
	// RedirectHost is where the button leads.
	RedirectHost string
	// ReturnURL is the validated redirect URI with the error response; it may have a scheme of the client's own.
	ReturnURL template.URL
}

// Render writes the page to w in the language of v.
func (p Interstitial) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "interstitial", p)
}

// FormField is one hidden field of FormPost.
type FormField struct{ Name, Value string }

// FormPost carries an authorization response by POST (OAuth 2.0 Form Post Response Mode). A script sends it; without one
// there is a button.
type FormPost struct {
	// Action is the validated redirect URI; it may have a scheme of the client's own.
	Action template.URL
	Fields []FormField
	Client Client
	// ByHand leaves the script out: a person must press the button (OA-14).
	ByHand bool
}

// Render writes the page to w in the language of v.
func (p FormPost) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "form_post", p)
}
