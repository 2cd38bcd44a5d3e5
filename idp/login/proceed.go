package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// proceed asks Next and sends the browser there. Every handler that does not show a page ends here.
func (l *Login) proceed(v *visit) {
	step, err := l.decide(v)
	if err != nil {
		l.fail(v, "decide the next step", err)
		return
	}
	l.follow(v, step)
}

// decide asks Next, having loaded what the answer may hang on and no more.
func (l *Login) decide(v *visit) (Step, error) {
	ctx := v.r.Context()
	if err := l.loadConsent(ctx, &v.in); err != nil {
		return Step{}, err
	}
	step := Next(v.in)
	challengeID := v.in.Request.Progress.ChallengeID
	if step.Kind != AskPasscode || challengeID == "" {
		return step, nil
	}
	progress, err := l.MFA.Progress(ctx, challengeID)
	var gone *mfa.EndedError
	switch {
	case errors.As(err, &gone):
		progress.Ended, progress.End = true, storage.ChallengeExpired
	case err != nil:
		return Step{}, err
	}
	v.progress, v.in.Challenge = progress, ChallengeOpen
	if progress.Ended {
		v.in.Challenge = ChallengeOver
	}
	return Next(v.in), nil
}

// loadConsent reads what the person allowed this client before, where that can matter.
func (l *Login) loadConsent(ctx context.Context, in *Input) error {
	if in.Client.FirstParty || in.Session.ID == "" || in.prompts("consent") || !in.Request.Progress.ConsentAt.IsZero() {
		return nil
	}
	c, err := l.Store.Consent(ctx, in.Session.PersonID, in.Client.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("read consent: %w", err)
	}
	in.Consent = c
	return nil
}

// follow carries a step out: a page by its URL, a decision by handing over to idp/oidc.
func (l *Login) follow(v *visit, step Step) {
	switch step.Kind {
	case AskPassword:
		v.redirect(l.url(pathPassword, v.id()))
	case AskAccount:
		v.redirect(l.url(pathAccount, v.id()))
	case AskConsent:
		v.redirect(l.url(pathConsent, v.id()))
	case AskPasscode:
		if v.in.Challenge == NoChallenge {
			l.move(v, nil, nil)
			return
		}
		v.redirect(l.url(pathPasscode, v.id()))
	case TellNoPhone:
		l.render(v, http.StatusForbidden, templates.NoPhone{Client: v.client(), ReturnURL: l.url(pathLeave, v.id())})
	case TellBlocked:
		l.render(v, http.StatusForbidden, templates.PasscodeEnded{
			Client: v.client(), Reason: templates.PasscodeDisabled, ReturnURL: l.url(pathLeave, v.id())})
	case TellUnreachable:
		l.render(v, http.StatusForbidden, templates.PasscodeEnded{
			Client: v.client(), Reason: templates.PasscodeRefused, ReturnURL: l.url(pathLeave, v.id())})
	case Finish, Refuse:
		if !v.in.settled(step) {
			l.move(v, nil, nil)
			return
		}
		v.redirect(l.ResumePath + "?r=" + v.id())
	}
}

// settled says that the AuthRequest says already what the step does.
func (in Input) settled(step Step) bool {
	p := in.Request.Progress
	if step.Kind == Refuse {
		return p.Refusal == step.Error
	}
	return !p.ReadyAt.IsZero() && p.SessionID == in.Session.ID
}

// known is what the caller of advance has read already of whom the request is about; what is missing is read when it is
// needed.
type known struct {
	person storage.Person
	phone  *storage.PhoneFactor
}

// moved is what became of an AuthRequest.
type moved struct {
	in   Input
	step Step
	// retryAt is set when a sending limit refused the passcode that would be next: nothing was stored.
	retryAt time.Time
	// username is whom a page that follows without being stored is about.
	username string
}

// move stores what change proved, with what Next makes of it, in one transaction with the events; then it follows the
// step. change may be nil, for a step that follows from saved state alone. done runs once that is stored and before
// the browser is sent on: the place for cookies. Of two tabs that move one request the later is led to where the first
// has come.
func (l *Login) move(v *visit, change func(ctx context.Context, in *Input) error, done func(m moved)) {
	var m moved
	err := l.Store.InTx(v.r.Context(), func(ctx context.Context) (err error) {
		in := v.in
		if change != nil {
			if err := change(ctx, &in); err != nil {
				return err
			}
		}
		m, err = l.advance(ctx, v, in, known{})
		return err
	})
	switch {
	case errors.Is(err, storage.ErrConflict):
		v.redirect(l.url(pathPassword, v.id()))
	case err != nil:
		l.fail(v, "move the login on", err)
	default:
		if done != nil {
			done(m)
		}
		l.arrive(v, m)
	}
}

// arrive shows or follows what a transaction has stored.
func (l *Login) arrive(v *visit, m moved) {
	v.in = m.in
	v.view.CSRF = l.formToken(m.in.Request)
	if m.username != "" {
		l.knows(v, m.username)
	}
	if !m.retryAt.IsZero() {
		wait := v.wait(m.retryAt)
		l.renderLater(v, http.StatusTooManyRequests, wait, templates.Error{
			Kind: templates.ErrorTooManyCodes, RetryIn: wait, RetryURL: l.url(pathPassword, v.id())})
		return
	}
	l.follow(v, m.step)
}

// advance stores in, in the caller's transaction, with the step that Next makes of it: a challenge is started for the
// passcode, a request with nothing left to ask is marked ready, a refusal is written down. What only tells the person
// something is not stored.
func (l *Login) advance(ctx context.Context, v *visit, in Input, who known) (moved, error) {
	step, p := Next(in), &in.Request.Progress
	if step.Kind == AskPasscode && in.Challenge == NoChallenge {
		var err error
		if who.person.ID == "" {
			if who.person, err = l.Store.Person(ctx, step.PersonID); err != nil {
				return moved{}, fmt.Errorf("read person: %w", err)
			}
		}
		retryAt, err := l.startChallenge(ctx, v, &in, step, who)
		if err != nil || !retryAt.IsZero() {
			return moved{in: v.in, step: step, retryAt: retryAt, username: who.person.Username}, err
		}
		step = Next(in)
	}
	switch step.Kind {
	case TellNoPhone, TellBlocked, TellUnreachable:
		return moved{in: v.in, step: step, username: who.person.Username}, nil
	case Refuse:
		p.Refusal = step.Error
	case Finish:
		if p.ChallengeID != "" && p.SecondFactorAt.IsZero() { // signed in by another tab meanwhile: owe no message
			if err := l.MFA.Cancel(ctx, in.Request.ID); err != nil {
				return moved{}, err
			}
		}
		p.PersonID, p.SessionID, p.ReadyAt = step.PersonID, in.Session.ID, in.Now
	}
	p.Locale = v.view.Language
	if err := l.Store.UpdateAuthRequest(ctx, in.Request); err != nil {
		return moved{}, fmt.Errorf("store progress: %w", err)
	}
	in.Request.Version++
	return moved{in: in, step: step}, nil
}

// startChallenge starts the challenge of a step and notes it in the request, or what stands in its way. It returns when
// to try again if a sending limit refused.
func (l *Login) startChallenge(ctx context.Context, v *visit, in *Input, step Step, who known) (retryAt time.Time, err error) {
	c, err := l.MFA.Start(ctx, mfa.Start{
		PersonID: step.PersonID, AuthRequestID: in.Request.ID, ClientID: in.Client.ID, BrowserHash: in.Request.BrowserHash,
		Purpose: step.Purpose, Locale: v.view.Language, Policy: l.policy(in.Client, who.person, step),
		Phone: who.phone, First: v.in.Request.Progress.ChallengeID == "",
	})
	var throttled *mfa.ThrottledError
	switch {
	case errors.As(err, &throttled):
		return later(throttled.RetryAt, in.Now), nil
	case errors.Is(err, mfa.ErrNoPhone):
		in.Phone = PhoneMissing
	case errors.Is(err, mfa.ErrFactorDisabled):
		in.Phone = PhoneDisabled
	case errors.Is(err, mfa.ErrNoChannel):
		in.Phone = PhoneUnreachable
	case err != nil:
		return time.Time{}, err
	default:
		in.Challenge = ChallengeOpen
		p := &in.Request.Progress
		p.PersonID, p.Username, p.ChallengeID = step.PersonID, who.person.Username, c.ID
	}
	return time.Time{}, nil
}

// policy is what the client, the person and the step allow for a challenge; mfa reads neither clients nor persons.
func (l *Login) policy(c storage.Client, person storage.Person, step Step) mfa.Policy {
	p := mfa.Policy{Fallback: c.Fallback, SMSForbidden: step.NoSMS || person.SMSForbidden}
	if p.Fallback == "" {
		p.Fallback = l.MFA.Settings().Fallback
	}
	if step.AskSMS && p.Fallback == mfa.FallbackAllow {
		p.Fallback = mfa.FallbackAsk
	}
	return p
}

// later is when to try again; a limit that time alone does not lift is looked at again in an hour.
func later(retryAt, now time.Time) time.Time {
	if retryAt.IsZero() {
		return now.Add(time.Hour)
	}
	return retryAt
}
