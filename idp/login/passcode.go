package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parola-id/parola/idp/session"
	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// paramStream marks a passcode page that was loaded by itself, because its event stream ended. If that was by the right
// passcode, it was typed in another tab, which is on its way to the client at this moment: this one must not carry the
// same answer there beside it (OA-24).
const paramStream = "stream"

// showPasscode shows where the challenge stands, or that it is over.
func (l *Login) showPasscode(v *visit) {
	// The request says it, not the session, whose cookie may still be on its way to the other tab.
	if v.r.URL.Query().Has(paramStream) && !v.in.Request.Progress.SecondFactorAt.IsZero() {
		l.render(v, http.StatusOK, templates.PasscodeEnded{Client: v.client(), Reason: templates.PasscodeElsewhere})
		return
	}
	step, err := l.decide(v)
	if err != nil {
		l.fail(v, "decide the next step", err)
		return
	}
	l.knows(v, v.in.Request.Progress.Username)
	switch {
	case step.Kind == AskPassword && v.in.Challenge == ChallengeOver:
		l.render(v, http.StatusOK, templates.PasscodeEnded{
			Client: v.client(), Reason: endShown(v.progress.End), StartAgainURL: l.url(pathRestart, v.id())})
	case step.Kind != AskPasscode || v.in.Challenge != ChallengeOpen:
		l.follow(v, step)
	default:
		l.showStatus(v, http.StatusOK, templates.Passcode{})
	}
}

func endShown(end storage.ChallengeEnd) templates.PasscodeEnd {
	switch end {
	case storage.ChallengeExhausted:
		return templates.PasscodeExhausted
	case storage.ChallengeExpired:
		return templates.PasscodeExpired
	case storage.ChallengeNotRequested:
		return templates.PasscodeNotRequested
	default:
		return templates.PasscodeElsewhere
	}
}

// showStatus renders the passcode page with what p says went wrong, or the page that says that no passcode can come: by
// no fault of the person's phone, or for their safety.
func (l *Login) showStatus(v *visit, status int, p templates.Passcode) {
	switch {
	case v.progress.Stage == mfa.StageBarred:
		l.render(v, http.StatusForbidden, templates.PasscodeEnded{
			Client: v.client(), Reason: templates.PasscodeBarred, ReturnURL: l.url(pathLeave, v.id())})
		return
	case v.progress.CarriersDown && p.Error == templates.PasscodeNoError:
		l.render(v, http.StatusServiceUnavailable, templates.ChannelsDown{Client: v.client(), RetryURL: l.url(pathAgain, v.id())})
		return
	}
	p.Client, p.Length, p.Status, p.ExpiresIn = v.client(), mfa.Digits, statusOf(v.progress), v.progress.ExpiresIn
	p.VerifyURL, p.RefreshURL = l.url(pathPasscode, v.id()), l.url(pathPasscode, v.id())
	p.SMSURL, p.ResendURL, p.EventsURL = l.url(pathSMS, v.id()), l.url(pathAgain, v.id()), l.url(pathEvents, v.id())
	p.EndedURL = p.RefreshURL + "&" + paramStream + "=ended"
	p.StartAgainURL = p.ResendURL // which starts again once there is nothing to send
	if p.RetryIn > 0 {
		l.renderLater(v, status, p.RetryIn, p)
		return
	}
	l.render(v, status, p)
}

// onItsOwnPage says that the passcode page has nothing more to offer and another one is shown in its place.
func onItsOwnPage(p mfa.Progress) bool { return p.CarriersDown || p.Stage == mfa.StageBarred }

// statusOf translates where a challenge stands into what the page shows. The stages are the same, one for one, but for
// those with a page of their own.
func statusOf(p mfa.Progress) templates.PasscodeStatus {
	return templates.PasscodeStatus{
		Stage: stages[p.Stage], PhoneEnding: p.LastTwo, WhatsApp: p.WhatsApp, SMS: p.SMS, WhatsAppDelivered: p.WhatsAppDelivered,
		WhatsAppRefused: p.WhatsAppRefused, WhatsAppSkipped: p.WhatsAppSkipped,
		SMSIn: orNever(p.SMSIn), SMSOfferIn: orNever(p.OfferSMSIn), ResendIn: orNever(p.ResendIn),
	}
}

var stages = map[mfa.Stage]templates.Stage{
	mfa.StageSending: templates.StageSending, mfa.StageOnItsWay: templates.StageOnItsWay, mfa.StageDelivered: templates.StageDelivered,
	mfa.StageSMSSoon: templates.StageSMSSoon, mfa.StageSMSSending: templates.StageSMSSending, mfa.StageSMSSent: templates.StageSMSSent,
	mfa.StageSMSDelivered: templates.StageSMSDelivered, mfa.StageNotArriving: templates.StageNotArriving,
	mfa.StageUnknown: templates.StageUnknown, mfa.StageSMSRefused: templates.StageSMSRefused,
}

func orNever(d time.Duration) time.Duration {
	if d == mfa.Never {
		return templates.Never
	}
	return max(d, 0)
}

// checkPasscode takes a typed passcode. mfa counts, compares and consumes; signIn is this package's part of that one
// transaction.
func (l *Login) checkPasscode(v *visit) {
	step, ok := l.passcodeStep(v)
	if !ok {
		return
	}
	var in signedIn
	attempt := mfa.Attempt{
		ChallengeID: v.in.Request.Progress.ChallengeID, AuthRequestID: v.id(), BrowserHash: v.in.Request.BrowserHash,
		Purpose: step.Purpose, Passcode: v.r.PostForm.Get(templates.FieldPasscode),
	}
	if step.Purpose == storage.PurposeLogin {
		attempt.GiveBack = l.Throttle.PasswordSource(reqinfo.From(v.r.Context()).Source)
	}
	_, err := l.MFA.Verify(v.r.Context(), attempt, func(ctx context.Context, verified mfa.Verified) (err error) {
		in, err = l.signIn(ctx, v, step, verified)
		return err
	})
	if err != nil {
		l.refusePasscode(v, err)
		return
	}
	if in.cookie != nil {
		http.SetCookie(v.w, in.cookie)
		http.SetCookie(v.w, l.Sessions.RememberBrowser(v.r, step.PersonID))
	}
	l.arrive(v, in.moved)
}

// passcodeStep says whether a passcode is what is next, and leads elsewhere if not. Whether the challenge is still open
// is left to mfa, which decides it by the row it consumes.
func (l *Login) passcodeStep(v *visit) (Step, bool) {
	if err := l.loadConsent(v.r.Context(), &v.in); err != nil {
		l.fail(v, "decide the next step", err)
		return Step{}, false
	}
	step := Next(v.in)
	if step.Kind != AskPasscode || v.in.Request.Progress.ChallengeID == "" {
		l.proceed(v)
		return Step{}, false
	}
	v.in.Challenge = ChallengeOpen
	return step, true
}

// signedIn is what signIn did.
type signedIn struct {
	moved
	cookie *http.Cookie // of the session; nil when there is none
}

// signIn is what a right passcode does: the session begins, or is renewed under its ID with a new token (SES-02), and
// the request moves on, both in the transaction that consumes the passcode.
func (l *Login) signIn(ctx context.Context, v *visit, step Step, verified mfa.Verified) (signedIn, error) {
	in := v.in
	p := &in.Request.Progress
	cookie, err := l.beginSession(ctx, &in, step, verified)
	if err != nil {
		return signedIn{}, err
	}
	p.PersonID, p.SecondFactorAt, p.SessionID = verified.PersonID, in.Now, in.Session.ID
	in.Challenge = NoChallenge
	if err := l.loadConsent(ctx, &in); err != nil {
		return signedIn{}, err
	}
	m, err := l.advance(ctx, v, in, known{})
	return signedIn{moved: m, cookie: cookie}, err
}

// beginSession puts the login facts into the browser's session if that is the same person's, and otherwise into a new
// one, which replaces that of whoever was signed in before.
func (l *Login) beginSession(ctx context.Context, in *Input, step Step, verified mfa.Verified) (*http.Cookie, error) {
	about := session.Login{AuthRequestID: in.Request.ID, ClientID: in.Client.ID, CorrelationID: in.Request.CorrelationID}
	s := in.Session
	if s.PersonID != verified.PersonID {
		if s.ID != "" {
			if err := l.endReplaced(ctx, s, about); err != nil {
				return nil, err
			}
		}
		s = storage.Session{PersonID: verified.PersonID}
	}
	facts := acr.Passcode(verified.SMSUsed)
	s.ACR, s.AMR, s.Channel = facts.ACR, facts.AMR, facts.Channel
	if step.Purpose == storage.PurposeLogin {
		s.AuthTime = in.Now // a step-up proves one factor now; the login is as old as its older one
	}
	var cookie *http.Cookie
	var err error
	if s.ID == "" {
		s, cookie, err = l.Sessions.Begin(ctx, s, about)
	} else {
		cookie, err = l.Sessions.Renew(ctx, s, about)
	}
	in.Session = s
	return cookie, err
}

// endReplaced signs out whoever used this browser before, with the tokens that live from that session (OA-57).
func (l *Login) endReplaced(ctx context.Context, s storage.Session, about session.Login) error {
	if _, err := l.Sessions.End(ctx, s.ID, session.EndedReplaced); err != nil {
		return err
	}
	revoked, err := l.Store.RevokeGrantsOf(ctx, s.PersonID, "", s.ID, true, session.EndedReplaced, l.Clock.Now())
	if err != nil {
		return fmt.Errorf("revoke grants of the replaced session: %w", err)
	}
	var events []storage.Event
	for _, id := range revoked {
		events = append(events, storage.Event{Kind: audit.TokenRevoked, Reason: session.EndedReplaced, PersonID: s.PersonID,
			SessionID: s.ID, GrantID: id, CorrelationID: about.CorrelationID, SourceAddr: reqinfo.From(ctx).Source})
	}
	if len(events) == 0 {
		return nil
	}
	return l.Audit.Write(ctx, events...)
}

// refusePasscode tells why a passcode was not accepted.
func (l *Login) refusePasscode(v *visit, err error) {
	var (
		wrong     *mfa.WrongError
		ended     *mfa.EndedError
		throttled *mfa.ThrottledError
	)
	switch {
	case errors.Is(err, mfa.ErrMalformed):
		l.showAgain(v, http.StatusUnprocessableEntity, templates.Passcode{Error: templates.PasscodeMalformed})
	case errors.As(err, &wrong):
		l.showAgain(v, http.StatusForbidden, templates.Passcode{Error: templates.PasscodeWrong, TriesLeft: wrong.TriesLeft})
	case errors.As(err, &throttled):
		l.showAgain(v, http.StatusTooManyRequests, templates.Passcode{
			Error: templates.PasscodeThrottled, RetryIn: v.wait(later(throttled.RetryAt, v.in.Now))})
	case errors.Is(err, mfa.ErrFactorDisabled):
		l.blocked(v)
	case errors.As(err, &ended), errors.Is(err, storage.ErrConflict), errors.Is(err, storage.ErrNotFound):
		// Over, won by another tab, or the session to be renewed has ended: the page knows what to say.
		v.redirect(l.url(pathPasscode, v.id()))
	default:
		l.fail(v, "verify passcode", err)
	}
}

// blocked ends the login of a person who is disabled since the password was given (OTP-23), and tells one whose factor is.
func (l *Login) blocked(v *visit) {
	person, err := l.Store.Person(v.r.Context(), v.in.Request.Progress.PersonID)
	switch {
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		l.fail(v, "read person", err)
	case err != nil || !person.DisabledAt.IsZero():
		l.move(v, func(_ context.Context, in *Input) error {
			in.Request.Progress.Refusal = errAccessDenied
			return nil
		}, nil)
	default:
		l.knows(v, person.Username)
		l.follow(v, Step{Kind: TellBlocked})
	}
}

// showAgain shows the passcode page after a post that did not lead on.
func (l *Login) showAgain(v *visit, status int, p templates.Passcode) {
	if l.goesOn(v) {
		l.showStatus(v, status, p)
	}
}

// goesOn reads where the challenge of the visit stands, and answers itself when that is over.
func (l *Login) goesOn(v *visit) bool {
	progress, err := l.MFA.Progress(v.r.Context(), v.in.Request.Progress.ChallengeID)
	var gone *mfa.EndedError
	if errors.As(err, &gone) || err == nil && progress.Ended {
		v.redirect(l.url(pathPasscode, v.id()))
		return false
	}
	if err != nil {
		l.fail(v, "read challenge", err)
		return false
	}
	v.progress = progress
	l.knows(v, v.in.Request.Progress.Username)
	return true
}
