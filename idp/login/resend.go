package login

import (
	"context"
	"errors"
	"net/http"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/templates"
)

// sendBySMS is "Send it by SMS instead": the one thing a browser may say of the delivery (OTP-41).
func (l *Login) sendBySMS(v *visit) { l.sendMore(v, l.MFA.SendBySMS) }

// sendAgain is "Send again", and "Try again" when no carrier answered.
func (l *Login) sendAgain(v *visit) { l.sendMore(v, l.MFA.SendAgain) }

func (l *Login) sendMore(v *visit, send func(ctx context.Context, challengeID, authRequestID string) error) {
	if _, ok := l.passcodeStep(v); !ok {
		return
	}
	err := send(v.r.Context(), v.in.Request.Progress.ChallengeID, v.id())
	var (
		ended     *mfa.EndedError
		throttled *mfa.ThrottledError
	)
	switch {
	case errors.As(err, &throttled):
		l.showAgain(v, http.StatusTooManyRequests, templates.Passcode{
			Error: templates.PasscodeResendRefused, RetryIn: v.wait(later(throttled.RetryAt, v.in.Now))})
	case errors.Is(err, mfa.ErrNotOffered):
		l.noMessageLeft(v)
	case err == nil, errors.As(err, &ended):
		v.redirect(l.url(pathPasscode, v.id()))
	default:
		l.fail(v, "send passcode again", err)
	}
}

// noMessageLeft ends a challenge that used up its messages without one getting through, so that the person can start
// another with the password rather than wait for this one to expire.
func (l *Login) noMessageLeft(v *visit) {
	step, err := l.decide(v)
	if err == nil && step.Kind == AskPasscode && v.progress.Stage == mfa.StageNotArriving && v.progress.ResendIn == mfa.Never {
		if err = l.MFA.Cancel(v.r.Context(), v.id()); err == nil {
			v.redirect(l.url(pathPassword, v.id()))
			return
		}
	}
	if err != nil {
		l.fail(v, "send passcode again", err)
		return
	}
	v.redirect(l.url(pathPasscode, v.id()))
}
