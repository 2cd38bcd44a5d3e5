package mfa

import (
	"errors"
	"fmt"
	"time"

	"github.com/parola-id/parola/storage"
)

// Refusals that need no more than their name. Any error of this package that is neither one of these nor one of the
// types below means that storage could not answer: an outage, never a refusal.
var (
	// ErrNoPhone says that the person has no verified phone: no passcode goes to an unproved number (OTP-25).
	ErrNoPhone = errors.New("the person has no verified phone")
	// ErrFactorDisabled says that the phone factor was disabled after too many wrong passcodes (OTP-21).
	ErrFactorDisabled = errors.New("the phone factor is disabled")
	// ErrNoChannel says that policy, the country list or the configuration leaves no channel to this phone.
	ErrNoChannel = errors.New("no channel is allowed for this challenge")
	// ErrNotOffered says that an SMS by the button is not possible: policy forbids it, or no message is left.
	ErrNotOffered = errors.New("sms is not offered for this challenge")
	// ErrSMSRefused says that the defence against SMS pumping refuses an SMS to this number. It is an ErrNotOffered too.
	ErrSMSRefused = fmt.Errorf("%w: the defence against pumping refuses it", ErrNotOffered)
	// ErrMalformed says that what was typed cannot be a passcode. Nothing was counted and no database was asked.
	ErrMalformed = errors.New("not a passcode")
)

// errUnknownKey says that a number was sealed with a root secret that is gone.
var errUnknownKey = errors.New("the phone cannot be opened")

// ThrottledError says that a limit refused, and when to try again; the zero RetryAt means that time alone does not help.
type ThrottledError struct {
	RetryAt time.Time
	budget  bool // of money, not of numbers
}

// Error names the time, for logs.
func (e *ThrottledError) Error() string {
	return "a limit refused until " + e.RetryAt.Format(time.RFC3339)
}

// WrongError says that the passcode was wrong and how many tries are left, always at least one.
type WrongError struct{ TriesLeft int }

// Error says how many tries are left, and nothing of what was typed.
func (e *WrongError) Error() string { return fmt.Sprintf("wrong passcode, %d tries left", e.TriesLeft) }

// EndedError says that the challenge is over, and how. End is empty when there is no such challenge for this
// AuthRequest, browser and purpose; which of these did not match is not told.
type EndedError struct{ End storage.ChallengeEnd }

// Error names the end, for logs.
func (e *EndedError) Error() string { return "the challenge is over: " + string(e.End) }
