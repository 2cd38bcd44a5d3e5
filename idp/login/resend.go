package login

import (
	"context"
	"errors"
	"net/http"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/templates"
)

// sendBySMS is "Send it by SMS instead": the one thing a browser may say of the delivery (OTP-41).
func (l *Login) sendBySMS(v *visit) { l.sendMore(v, l.MFA.SendBySMS, true) }

// sendAgain is "Send again", "Try again" when no carrier answered, and "Start again" when no message is left.
func (l *Login) sendAgain(v *visit) { l.sendMore(v, l.MFA.SendAgain, false) }

func (l *Login) sendMore(v *visit, send func(ctx context.Context, challengeID, authRequestID string) error, bySMS bool) {
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
		if err := l.noteLimit(v, "sends"); err != nil {
			l.fail(v, "note limit", err)
			return
		}
		if !l.goesOn(v) {
			return
		}
		p := templates.Passcode{Error: templates.PasscodeResendRefused, RetryIn: v.wait(later(throttled.RetryAt, v.in.Now))}
		if bySMS && p.RetryIn > v.progress.ExpiresIn { // the passcode will not live to see it
			p = templates.Passcode{Error: templates.PasscodeSMSRefused}
		}
		l.showStatus(v, http.StatusTooManyRequests, p)
	case errors.Is(err, mfa.ErrSMSRefused):
		l.showAgain(v, http.StatusForbidden, templates.Passcode{Error: templates.PasscodeSMSRefused})
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
	if err == nil && step.Kind == AskPasscode && (v.progress.CarriersDown || statusOf(v.progress).StartAgainIn() == 0) {
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

// noteLimit tells of a limit that a person ran into, within the limit on such events of one source.
func (l *Login) noteLimit(v *visit, reason string) error {
	e := v.event(audit.RateLimitHit)
	e.Outcome, e.Reason, e.ChallengeID = audit.Failure, reason, v.in.Request.Progress.ChallengeID
	return l.Store.InTx(v.r.Context(), func(ctx context.Context) error {
		refused, err := l.Store.Take(ctx, v.in.Now, l.Throttle.Notes(e.Kind, e.SourceAddr))
		if err != nil || refused != nil {
			return err
		}
		return l.Audit.Write(ctx, e)
	})
}
