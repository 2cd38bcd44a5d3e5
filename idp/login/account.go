package login

import (
	"context"
	"errors"
	"net/http"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// sessionStep says whether the next step is of this kind, and leads elsewhere if not.
func (l *Login) sessionStep(v *visit, kind Kind) (Step, bool) {
	step, err := l.decide(v)
	if err != nil {
		return step, l.fail(v, "decide the next step", err)
	}
	if step.Kind != kind {
		l.follow(v, step)
		return step, false
	}
	if v.r.Method == http.MethodPost && v.r.URL.Query().Get(paramAbout) != l.aboutSession(v) {
		l.follow(v, step) // somebody else has signed in meanwhile: the page is shown again, with their name
		return step, false
	}
	return step, true
}

// paramAbout says in a form's address whose session the page was about. An answer that was meant for one person must not
// count for another, who signed in with the same browser in a second tab.
const paramAbout = "about"

func (l *Login) aboutSession(v *visit) string {
	return l.Keys.Hash(secret.Forms, "about|"+v.in.Session.ID)[:16]
}

// aboutURL is the address of a form that is about the session.
func (l *Login) aboutURL(v *visit, path string) string {
	return l.url(path, v.id()) + "&" + paramAbout + "=" + l.aboutSession(v)
}

// namePerson puts the signed-in person on the page.
func (l *Login) namePerson(v *visit, personID string) bool {
	person, err := l.Store.Person(v.r.Context(), personID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return l.fail(v, "read person", err)
	}
	l.knows(v, person.Username)
	return true
}

// showAccount asks whether to go on as the person who is signed in (prompt=select_account).
func (l *Login) showAccount(v *visit) {
	step, ok := l.sessionStep(v, AskAccount)
	if !ok || !l.namePerson(v, step.PersonID) {
		return
	}
	v.view.NotYouURL = "" // the page's own second button
	l.render(v, http.StatusOK, templates.SelectAccount{Action: l.aboutURL(v, pathAccount), Client: v.client()})
}

// chooseAccount takes the answer.
func (l *Login) chooseAccount(v *visit) {
	step, ok := l.sessionStep(v, AskAccount)
	if !ok {
		return
	}
	switch v.r.PostForm.Get(templates.FieldDecision) {
	case templates.DecisionContinue:
		l.move(v, func(_ context.Context, in *Input) error {
			in.Request.Progress.AccountChosen, in.Request.Progress.PersonID = true, step.PersonID
			return nil
		}, nil)
	case templates.DecisionOther:
		l.forgetPerson(v)
	default:
		l.stop(v, http.StatusBadRequest, templates.Error{Kind: templates.ErrorBadRequest})
	}
}

// forgetPerson is "Not you?": the challenge ends, the request forgets whom it was about and gets a new secret, and the
// browser's session is left alone: it may be the other person's, who did nothing.
func (l *Login) forgetPerson(v *visit) {
	if p := v.in.Request.Progress; p.Refusal != "" || !p.ReadyAt.IsZero() {
		l.proceed(v) // decided already
		return
	}
	cookie, hash := l.Sessions.NewRequestCookie(v.id(), v.in.Request.ExpiresAt)
	l.move(v, func(ctx context.Context, in *Input) error {
		if err := l.abandon(ctx, v); err != nil {
			return err
		}
		in.Request.BrowserHash = hash
		in.Request.Progress = storage.AuthRequestProgress{AccountChosen: true}
		in.Consent, in.Challenge, in.Phone = storage.Consent{}, NoChallenge, PhoneNotAsked
		return nil
	}, func(moved) { http.SetCookie(v.w, cookie) })
}

// leave is "Return to the application" for a person who cannot finish.
func (l *Login) leave(v *visit) {
	if p := v.in.Request.Progress; p.Refusal != "" || !p.ReadyAt.IsZero() {
		l.proceed(v)
		return
	}
	l.move(v, func(ctx context.Context, in *Input) error {
		in.Request.Progress.Refusal = errAccessDenied
		return l.abandon(ctx, v)
	}, nil)
}

// abandon ends the challenge of a request. A right password that nothing followed is worth telling (OTP-27).
func (l *Login) abandon(ctx context.Context, v *visit) error {
	p := v.in.Request.Progress
	if p.ChallengeID == "" || !p.SecondFactorAt.IsZero() {
		return nil
	}
	if err := l.MFA.Cancel(ctx, v.id()); err != nil {
		return err
	}
	if p.PasswordAt.IsZero() {
		return nil
	}
	e := v.event(audit.Partial)
	e.Outcome, e.Reason, e.ChallengeID = audit.Failure, "abandoned", p.ChallengeID
	return l.Audit.Write(ctx, e)
}
