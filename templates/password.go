package templates

import (
	"io"
	"time"
)

// PasswordError is what the password page says went wrong. There is one for all reasons of a refusal, so that a wrong
// password, an unknown, a disabled and a locked person look the same (PW-11).
type PasswordError int

const (
	PasswordNoError   PasswordError = iota // the first look, or nothing went wrong
	PasswordWrong                          // any refusal
	PasswordThrottled                      // too many tries: Password.RetryIn says how long to wait
	PasswordBusy                           // the server could not check now; nothing was counted
)

// Password asks for username and password.
type Password struct {
	// Action is where the form posts to.
	Action string
	// Client is the application that asks for the login; its Name may be empty.
	Client Client
	// Username is filled in beforehand (login_hint, or what was typed). Ignored when View.Person is known: the username
	// is then fixed, as for re-authentication and step-up, and is not posted.
	Username string
	Error    PasswordError
	// RetryIn is how long to wait, for PasswordThrottled.
	RetryIn time.Duration
}

// Render writes the page to w in the language of v.
func (p Password) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "password", p)
}

// ErrorKey is the message of the error, empty for none.
func (p Password) ErrorKey() string {
	return [...]string{
		PasswordNoError:   "",
		PasswordWrong:     "password.wrong",
		PasswordThrottled: "password.throttled",
		PasswordBusy:      "password.busy",
	}[p.Error]
}
