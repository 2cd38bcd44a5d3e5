package templates

import (
	"fmt"
	"html/template"
	"time"
)

// Names of the form fields the pages post, and of the values their buttons carry.
const (
	FieldCSRF     = "csrf"     // View.CSRF, in every form
	FieldRequest  = "request"  // View.Request, in every form that belongs to an AuthRequest
	FieldUsername = "username" // Password
	FieldPassword = "password" // Password
	FieldPasscode = "passcode" // Passcode: as typed, with whatever spaces
	FieldDecision = "decision" // Consent, SelectAccount, LogoutConfirm: one of the Decision values

	DecisionAllow    = "allow"    // Consent
	DecisionDeny     = "deny"     // Consent
	DecisionContinue = "continue" // SelectAccount: go on as View.Person
	DecisionOther    = "other"    // SelectAccount: another account
	DecisionSignOut  = "sign-out" // LogoutConfirm
	DecisionStay     = "stay"     // LogoutConfirm
)

// View is what differs from one request to the next, whatever the page. The zero View is English, knows nobody and
// carries no token.
type View struct {
	// Language is a tag returned by [Templates.Match]. Anything else shows English.
	Language string
	// CSRF is the token of every form on the page (WEB-01).
	CSRF string
	// Request refers to the AuthRequest the forms belong to; empty outside of one.
	Request string
	// Person is the username of the person known on this page; empty when nobody is.
	Person string
	// NotYouURL is where "Not you?" posts to; shown when Person is known and this is not empty.
	NotYouURL string
	// CorrelationID is shown small, so that a person can quote it to support (WEB-13).
	CorrelationID string
	// Brand overrides the installation's, field by field, for the pages of one client. One that does not pass
	// Brand.Validate is ignored whole.
	Brand Brand
}

// Client is what pages say of an OAuth client. Both fields come from strangers; they are escaped, and a Logo that does
// not pass the rules of [Brand] is not shown.
type Client struct {
	Name string
	Logo string
}

// LogoURL is the logo when it may be shown, otherwise empty.
func (c Client) LogoURL() template.URL { return logoURL(c.Logo) }

// ceilSeconds rounds up: a page never promises something earlier than it happens.
func ceilSeconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Second - 1) / time.Second)
}

// seconds is a wait as the scripts read it: -1 for Never.
func seconds(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return ceilSeconds(d)
}

// clock is a wait as minutes and seconds, the same in every language; empty when there is none.
func clock(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return minutes(ceilSeconds(d))
}

func minutes(s int64) string { return fmt.Sprintf("%d:%02d", s/60, s%60) }

// timer is a countdown inside a sentence. Without a script it stays at its first value. The timer role keeps its ticking
// out of the live region around it.
func timer(d time.Duration) template.HTML {
	s := ceilSeconds(d)
	return template.HTML(fmt.Sprintf(`<span role="timer" class="timer" data-countdown="%d">%s</span>`, s, minutes(s)))
}
