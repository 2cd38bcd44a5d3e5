// Package errorsx stands in for what fosite uses of github.com/ory/x/errorsx: two functions and the accessors it
// asserts its own error type against. docs/decisions explains why Parola replaces that module.
package errorsx

import "errors"

// WithStack returns err. The original records a stack trace, which Parola never shows and would only pay for.
func WithStack(err error) error { return err }

// Cause returns the innermost error that err wraps.
func Cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

type (
	// DebugCarrier is an error with text for developers.
	DebugCarrier interface{ Debug() string }
	// DetailsCarrier is an error with structured details.
	DetailsCarrier interface{ Details() map[string]interface{} }
	// ReasonCarrier is an error with a reason for the person who reads it.
	ReasonCarrier interface{ Reason() string }
	// RequestIDCarrier is an error that names the request it belongs to.
	RequestIDCarrier interface{ RequestID() string }
	// StatusCarrier is an error with an HTTP status text.
	StatusCarrier interface{ Status() string }
	// StatusCodeCarrier is an error with an HTTP status code.
	StatusCodeCarrier interface{ StatusCode() int }
)
