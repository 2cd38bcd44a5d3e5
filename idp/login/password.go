package login

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parola-id/parola/idp/password"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/internal/username"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// showPassword is where an AuthRequest arrives from idp/oidc. It shows the password page when that is next, and leads
// on when it is not: through, with a session that is enough; to the passcode page, for a person who went back.
func (l *Login) showPassword(v *visit) {
	for _, c := range l.Sessions.TrimRequestCookies(v.r) {
		http.SetCookie(v.w, c)
	}
	step, err := l.decide(v)
	if err != nil {
		l.fail(v, "decide the next step", err)
		return
	}
	if step.Kind != AskPassword {
		l.follow(v, step)
		return
	}
	if step.PersonID != "" {
		person, err := l.Store.Person(v.r.Context(), step.PersonID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			l.fail(v, "read person", err)
			return
		}
		l.knows(v, person.Username)
	}
	l.render(v, http.StatusOK, l.passwordPage(v, templates.PasswordNoError))
}

func (l *Login) passwordPage(v *visit, e templates.PasswordError) templates.Password {
	p := templates.Password{
		Action: l.url(pathPassword, v.id()), Client: v.client(), Username: v.in.Request.Request.LoginHint, Error: e,
	}
	if v.r.Method == http.MethodPost {
		p.Username = v.r.PostForm.Get(templates.FieldUsername)
	}
	return p
}

// passwordTry is one password that was typed, for one name. All tries take the same path, whoever they are for: known,
// unknown, disabled or without a password (PW-11, PW-12).
type passwordTry struct {
	// name is the canonical user name, or a stand-in for something that cannot be one.
	name    string
	person  storage.Person // zero when nobody has that name
	factor  storage.PasswordFactor
	phone   storage.PhoneFactor
	browser string // a browser the person has used before or is signed in with, or empty
	budgets []storage.FailureBudget
	spray   []storage.Throttle
	counts  []int
}

// checkPassword takes a typed password: counted first, then hashed once, then compared (PW-13).
func (l *Login) checkPassword(v *visit) {
	step, err := l.decide(v)
	if err != nil {
		l.fail(v, "decide the next step", err)
		return
	}
	if step.Kind != AskPassword {
		l.follow(v, step) // sent twice, or from a tab that was left behind
		return
	}
	try, err := l.passwordTry(v, step)
	if err != nil {
		l.fail(v, "read person", err)
		return
	}
	refusal, err := l.countPassword(v, &try)
	if err != nil {
		l.fail(v, "count password try", err)
		return
	}
	if refusal != nil {
		l.refusePassword(v, refusal.RetryAt)
		return
	}
	known := try.browser != "" || v.in.Session.ID != ""
	checking, span := tracing.Start(v.r.Context(), "check password") // waits at the gate, then works
	result, err := l.Passwords.Check(checking, try.factor, v.r.PostForm.Get(templates.FieldPassword), known)
	span.End()
	var busy *password.BusyError
	switch {
	case errors.As(err, &busy):
		if err := l.uncountPassword(v, try); err != nil {
			l.Log.WarnContext(v.r.Context(), "take back a password try that was not checked", "err", err)
		}
		l.renderLater(v, http.StatusServiceUnavailable, busy.RetryAfter, l.passwordPage(v, templates.PasswordBusy))
	case err != nil:
		l.fail(v, "check password", err)
	case !result.OK || !try.person.DisabledAt.IsZero():
		l.wrongPassword(v, try, result.OK)
	default:
		l.rightPassword(v, try, result.Rehash)
	}
}

// passwordTry reads whom the try is for, in one statement on every path of a typed name.
func (l *Login) passwordTry(v *visit, step Step) (passwordTry, error) {
	ctx, try := v.r.Context(), passwordTry{}
	if step.PersonID != "" {
		person, err := l.Store.Person(ctx, step.PersonID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return try, err
		}
		try.name = person.Username
		l.knows(v, person.Username)
	} else {
		try.name = canonical(v.r.PostForm.Get(templates.FieldUsername))
	}
	var err error
	var factors storage.Factors
	try.person, factors, err = l.Store.PersonByUsername(ctx, try.name)
	try.factor, try.phone = factors.Password, factors.Phone
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return try, err
	}
	try.browser = l.Sessions.KnownBrowser(v.r, try.person.ID)
	if s := v.in.Session; try.browser == "" && s.ID != "" && s.PersonID == try.person.ID {
		try.browser = "session " + s.ID // an open session is as good (PW-15)
	}
	try.budgets, try.spray = l.Throttle.PasswordTry(try.name, try.browser, reqinfo.From(ctx).Source)
	return try, nil
}

// canonical is the form of a typed name that limits and look-ups use. What cannot be a name becomes one that nobody has,
// a space being impossible in it, and is then as unknown as any other.
func canonical(typed string) string {
	if name, err := username.Canonical(typed); err == nil {
		return name
	}
	sum := sha256.Sum256([]byte(typed))
	return "not a name " + hex.EncodeToString(sum[:16])
}

// countPassword draws on the limits in one committed transaction, before anything is hashed. A refusal costs no hash
// (PW-14).
func (l *Login) countPassword(v *visit, try *passwordTry) (*storage.Refusal, error) {
	var refusal *storage.Refusal
	err := l.Store.InTx(v.r.Context(), func(ctx context.Context) (err error) {
		if refusal, err = l.Store.Take(ctx, v.in.Now, try.spray...); err != nil {
			return err
		}
		reason := "source"
		if refusal == nil {
			reason = "delay"
			if try.counts, refusal, err = l.Store.CountFailures(ctx, v.in.Now, try.budgets...); err != nil || refusal == nil {
				return err
			}
		}
		if refusal.RetryAt.IsZero() {
			reason = "shut"
		}
		// Whoever is refused can go on asking: what is written of it has a limit of its own.
		full, err := l.Store.Take(ctx, v.in.Now, l.Throttle.Notes(audit.PasswordThrottled, reqinfo.From(ctx).Source))
		if err != nil || full != nil {
			return err
		}
		return l.Audit.Write(ctx, l.passwordEvent(v, *try, audit.PasswordThrottled, reason))
	})
	return refusal, err
}

// uncountPassword takes back what countPassword counted, for a password that nobody looked at: a rush must not shut people
// out who type the right one again and again.
func (l *Login) uncountPassword(v *visit, try passwordTry) error {
	return l.Store.InTx(v.r.Context(), func(ctx context.Context) error {
		if err := l.Store.GiveBack(ctx, v.in.Now, try.spray...); err != nil {
			return err
		}
		return l.Store.UncountFailures(ctx, throttle.FailureKeys(try.budgets)...)
	})
}

// refusePassword says when to try again. A password that is shut until an operator opens it looks like a wrong one.
func (l *Login) refusePassword(v *visit, retryAt time.Time) {
	if retryAt.IsZero() {
		l.render(v, http.StatusForbidden, l.passwordPage(v, templates.PasswordWrong))
		return
	}
	p := l.passwordPage(v, templates.PasswordThrottled)
	p.RetryIn = v.wait(retryAt)
	l.renderLater(v, http.StatusTooManyRequests, p.RetryIn, p)
}

func (l *Login) wrongPassword(v *visit, try passwordTry, right bool) {
	events := []storage.Event{l.passwordEvent(v, try, audit.PasswordFail, try.reason(right))}
	for i, b := range try.budgets {
		if b.Limit > 0 && try.counts[i] == b.Limit {
			events = append(events, l.passwordEvent(v, try, audit.PasswordDisabled, "too_many_failures"))
			break // it is counted under each root secret that is configured
		}
	}
	err := l.Store.InTx(v.r.Context(), func(ctx context.Context) error { return l.Audit.Write(ctx, events...) })
	if err != nil {
		l.fail(v, "record wrong password", err)
		return
	}
	l.render(v, http.StatusForbidden, l.passwordPage(v, templates.PasswordWrong))
}

// reason is for the audit log alone.
func (t passwordTry) reason(right bool) string {
	switch {
	case t.person.ID == "":
		return "unknown"
	case !t.person.DisabledAt.IsZero() && right:
		return "disabled_right_password"
	case !t.person.DisabledAt.IsZero():
		return "disabled"
	case t.factor.Hash == "":
		return "no_password"
	default:
		return "wrong"
	}
}

// passwordEvent names the person when there is one. Otherwise what was typed, which may well be a password, is kept as a
// keyed hash (LOG-03).
func (l *Login) passwordEvent(v *visit, try passwordTry, kind, reason string) storage.Event {
	e := v.event(kind)
	e.PersonID, e.Reason = try.person.ID, reason
	e.Outcome = audit.Failure
	if try.person.ID == "" {
		e.Data = map[string]string{"name_hash": l.Keys.Hash(secret.Names, try.name)}
	}
	return e
}

// rightPassword stores that the password was right, forgets the failures before, and starts the passcode, all in one
// transaction. The request gets a new secret (SES-02): whoever knew the one before is left behind.
func (l *Login) rightPassword(v *visit, try passwordTry, rehash *storage.PasswordFactor) {
	cookie, hash := l.Sessions.NewRequestCookie(v.id(), v.in.Request.ExpiresAt)
	var m moved
	err := l.Store.InTx(v.r.Context(), func(ctx context.Context) error {
		if err := l.rewardPassword(ctx, v, try); err != nil {
			return err
		}
		in := v.in
		in.Challenge = NoChallenge
		in.Request.BrowserHash = hash
		p := &in.Request.Progress
		p.PersonID, p.Username, p.PasswordAt = try.person.ID, try.person.Username, in.Now
		p.ChallengeID, p.SecondFactorAt, p.SessionID = "", time.Time{}, ""
		var err error
		m, err = l.advance(ctx, v, in, known{person: try.person, phone: &try.phone})
		return err
	})
	if errors.Is(err, storage.ErrConflict) {
		v.redirect(l.url(pathPassword, v.id()))
		return
	}
	if err != nil {
		l.fail(v, "store right password", err)
		return
	}
	if rehash != nil {
		l.rehash(v, try, *rehash)
	}
	if m.in.Request.Version != v.in.Request.Version {
		http.SetCookie(v.w, cookie)
	}
	l.arrive(v, m)
}

// manyFailures before a success are worth telling the person (OTP-27).
const manyFailures = 3

func (l *Login) rewardPassword(ctx context.Context, v *visit, try passwordTry) error {
	before, err := l.Store.ClearFailures(ctx, throttle.FailureKeys(try.budgets)...)
	if err != nil {
		return fmt.Errorf("clear password failures: %w", err)
	}
	most := 0
	for _, n := range before {
		most = max(most, n-1) // this try was counted too
	}
	success := v.event(audit.PasswordSuccess)
	success.PersonID = try.person.ID
	events := []storage.Event{success}
	if most >= manyFailures {
		after := v.event(audit.SuccessAfterFailures)
		after.PersonID, after.Data = try.person.ID, map[string]string{"failures": fmt.Sprint(most), "factor": "password"}
		events = append(events, after)
	}
	return l.Audit.Write(ctx, events...)
}

// rehash replaces a hash that is behind, and never fails the login (PW-10). The condition keeps it from undoing a
// password that was changed meanwhile.
func (l *Login) rehash(v *visit, try passwordTry, f storage.PasswordFactor) {
	err := l.Store.InTx(v.r.Context(), func(ctx context.Context) error {
		replaced, err := l.Store.ReplacePassword(ctx, try.factor.Hash, f)
		if err != nil || !replaced {
			return err
		}
		e := v.event(audit.PasswordRehash)
		e.PersonID = try.person.ID
		return l.Audit.Write(ctx, e)
	})
	if err != nil {
		l.Log.WarnContext(v.r.Context(), "rehash password", "err", err)
	}
}
