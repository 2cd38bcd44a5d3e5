package login

import (
	"slices"
	"time"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/storage"
)

// Kind is what happens next in a login.
type Kind string

// The kinds. All but the last two are pages.
const (
	AskPassword Kind = "password"
	AskPasscode Kind = "passcode"
	AskAccount  Kind = "account"
	AskConsent  Kind = "consent"
	TellNoPhone Kind = "no_phone" // the person has no verified phone
	TellBlocked Kind = "blocked"  // the person's phone factor is disabled
	// TellUnreachable: policy or our defence leaves no channel to the person's phone.
	TellUnreachable Kind = "unreachable"
	Refuse          Kind = "refuse" // the client gets Step.Error
	Finish          Kind = "finish" // the client gets an AuthCode
)

// The errors a login may end with (OpenID Connect Core §3.1.2.6, RFC 6749 §4.1.2.1, OpenID Connect Unmet Authentication
// Requirements 1.0).
const (
	errAccessDenied             = "access_denied"
	errLoginRequired            = "login_required"
	errInteractionRequired      = "interaction_required"
	errConsentRequired          = "consent_required"
	errAccountSelectionRequired = "account_selection_required"
	errUnmetRequirements        = "unmet_authentication_requirements"
)

// Step is the one next step of a login.
type Step struct {
	Kind Kind
	// PersonID is whom the step is about; empty when any person may answer.
	PersonID string
	// Purpose is what a passcode is for: login, or step-up of a session that lives.
	Purpose storage.Purpose
	// NoSMS says that nothing of this passcode may go by SMS; AskSMS that it goes by SMS only when the person asks.
	NoSMS, AskSMS bool
	// Error is for Refuse.
	Error string
}

// ChallengeState is how far the latest challenge of the AuthRequest has come.
type ChallengeState int

// The states.
const (
	NoChallenge ChallengeState = iota
	ChallengeOpen
	ChallengeOver // without having been passed
)

// PhoneState is what mfa said when it was asked to start a challenge.
type PhoneState int

// The states.
const (
	PhoneNotAsked    PhoneState = iota // or it started
	PhoneMissing                       // none, or not verified
	PhoneDisabled                      // after too many wrong passcodes (OTP-21)
	PhoneUnreachable                   // policy leaves no channel to it
)

// Input is everything that Next looks at.
type Input struct {
	Request storage.AuthRequest
	Client  storage.Client
	// Session is the live session of this browser; the zero one when there is none.
	Session storage.Session
	// Consent is what the person allowed this client earlier; the zero one when there is none.
	Consent   storage.Consent
	Challenge ChallengeState
	Phone     PhoneState
	Now       time.Time
}

// Next decides the one next step of a login from saved state. It is the only place that knows the order of the steps,
// and what prompt, max_age, acr_values, the claims parameter and id_token_hint do to it.
func Next(in Input) Step {
	if refusal := in.Request.Progress.Refusal; refusal != "" {
		return refuse(refusal)
	}
	if !in.reachable() {
		return refuse(errUnmetRequirements) // before anybody types anything (OA-73)
	}
	step := in.next()
	if in.prompts("none") {
		return step.silently()
	}
	return step
}

func (in Input) next() Step {
	if in.hintedAnother() {
		return refuse(errLoginRequired)
	}
	if in.prompts("select_account") && in.hasSession() && in.undecided() {
		return Step{Kind: AskAccount, PersonID: in.Session.PersonID}
	}
	if in.hasSession() && in.fresh() && in.strongEnough() {
		if in.impersonable() && in.undecided() {
			return Step{Kind: AskAccount, PersonID: in.Session.PersonID}
		}
		return in.afterLogin()
	}
	return in.login()
}

// login says which factor is missing.
func (in Input) login() Step {
	p := in.Request.Progress
	switch {
	case in.hasSession() && in.passedHere():
		return refuse(errUnmetRequirements) // a whole login, and still not what must be: another one would not be either
	case in.Challenge == ChallengeOver:
		return in.askPassword() // exhausted or expired: the password again, at a step-up too (OTP-22)
	case !p.PasswordAt.IsZero() && p.SecondFactorAt.IsZero():
		return in.askPasscode(p.PersonID, storage.PurposeLogin)
	case in.hasSession() && in.fresh():
		return in.askPasscode(in.Session.PersonID, storage.PurposeStepUp) // only the missing factor (OA-76)
	default:
		return in.askPassword()
	}
}

// askPassword fixes the person when one is known: that of the session to be confirmed, or who had given the password
// here before.
func (in Input) askPassword() Step {
	step := Step{Kind: AskPassword, PersonID: in.Request.Progress.PersonID}
	if in.hasSession() {
		step.PersonID = in.Session.PersonID
	}
	return step
}

func (in Input) askPasscode(personID string, purpose storage.Purpose) Step {
	noSMS := acr.ForbidsSMS(in.required())
	switch in.Phone {
	case PhoneMissing:
		return Step{Kind: TellNoPhone, PersonID: personID}
	case PhoneDisabled:
		return Step{Kind: TellBlocked, PersonID: personID}
	case PhoneUnreachable:
		if noSMS {
			return refuse(errUnmetRequirements)
		}
		return Step{Kind: TellUnreachable, PersonID: personID}
	}
	return Step{Kind: AskPasscode, PersonID: personID, Purpose: purpose, NoSMS: noSMS, AskSMS: !noSMS && acr.ForbidsSMS(in.wished())}
}

// afterLogin is what remains when the person is known for certain.
func (in Input) afterLogin() Step {
	if in.consentMissing() {
		return Step{Kind: AskConsent, PersonID: in.Session.PersonID}
	}
	return Step{Kind: Finish, PersonID: in.Session.PersonID}
}

// silently turns a page into the error that prompt=none wants instead (OA-70).
func (s Step) silently() Step {
	switch s.Kind {
	case AskPassword:
		return refuse(errLoginRequired)
	case AskPasscode, TellNoPhone, TellBlocked, TellUnreachable:
		return refuse(errInteractionRequired)
	case AskAccount:
		return refuse(errAccountSelectionRequired)
	case AskConsent:
		return refuse(errConsentRequired)
	default:
		return s
	}
}

func refuse(code string) Step { return Step{Kind: Refuse, Error: code} }

func (in Input) prompts(value string) bool { return slices.Contains(in.Request.Request.Prompt, value) }

// hasSession says whether the browser's session may carry this login: it is the session of the person this request is
// about, or of whoever signed in last as long as nobody said "Not you?" or "another account".
func (in Input) hasSession() bool {
	p := in.Request.Progress
	return in.Session.ID != "" && (p.PersonID == in.Session.PersonID || in.undecided()) && !in.hintedAway()
}

// impersonable says that any program on the person's machine can pass itself off as this client: its identity is
// nothing but a public id and a loopback address. A session alone must not hand it a code; a person presses a button
// (RFC 8252 §8.6).
func (in Input) impersonable() bool { return in.Client.Native && in.Client.AuthMethod == "none" }

// undecided says that nobody has said yet whom this request is about.
func (in Input) undecided() bool {
	return in.Request.Progress.PersonID == "" && !in.Request.Progress.AccountChosen
}

// hintedAway says that the session belongs to somebody other than the id_token_hint names, and that the client wants
// the person asked rather than refused.
func (in Input) hintedAway() bool {
	hint := in.Request.Request.HintSubject
	return hint != "" && hint != in.Session.PersonID && (in.prompts("login") || in.prompts("select_account"))
}

// hintedAnother says that the client named a person by id_token_hint and somebody else is here (OA-72).
func (in Input) hintedAnother() bool {
	hint, person := in.Request.Request.HintSubject, in.Request.Progress.PersonID
	if person == "" && in.hasSession() {
		person = in.Session.PersonID
	}
	return hint != "" && person != "" && person != hint
}

// passedHere says that the session carries a second factor passed for this very request.
func (in Input) passedHere() bool {
	p := in.Request.Progress
	return !p.SecondFactorAt.IsZero() && p.SessionID == in.Session.ID && p.PersonID == in.Session.PersonID
}

// fresh says whether the login of the session is recent enough (OA-71). A factor passed for this request is, however
// long the consent page was looked at afterwards: otherwise a short max_age would ask in circles.
func (in Input) fresh() bool {
	if in.passedHere() {
		return true
	}
	if in.prompts("login") {
		return false
	}
	if in.Request.Request.MaxAge == nil {
		return true
	}
	most := *in.Request.Request.MaxAge // in seconds, and too large a number to be a Duration if the client likes
	return most > 0 && int64(in.Now.Sub(in.Session.AuthTime)/time.Second) < most
}

// strongEnough says whether the class of the session is what must be, and also what the client would like where asking
// for more may help: not twice in one request, and not without a page.
func (in Input) strongEnough() bool {
	have := in.Session.ACR
	if !acr.Satisfies(have, in.required()) {
		return false
	}
	return in.passedHere() || in.prompts("none") || acr.SatisfiesAny(have, in.wishes())
}

// required is the weakest class that satisfies the client's registration and the essential claim.
func (in Input) required() string {
	return acr.Stronger(in.Client.RequiredACR, acr.Weakest(in.Request.Request.EssentialACR))
}

func (in Input) reachable() bool {
	essential := in.Request.Request.EssentialACR
	return acr.Reachable(in.Client.RequiredACR) && (len(essential) == 0 || acr.Weakest(essential) != "")
}

// wishes are the voluntary classes that can be reached; others are ignored (OA-73).
func (in Input) wishes() []string {
	var wishes []string
	for _, class := range in.Request.Request.ACRValues {
		if acr.Known(class) && acr.Reachable(class) {
			wishes = append(wishes, class)
		}
	}
	return wishes
}

// wished is the class the client would like best; empty when it has no wish that can be met.
func (in Input) wished() string {
	if wishes := in.wishes(); len(wishes) > 0 {
		return wishes[0]
	}
	return ""
}

// consentMissing says whether the person must be asked what this client may have (OA-16).
func (in Input) consentMissing() bool {
	p, scopes := in.Request.Progress, in.Request.Request.Scopes
	again := in.prompts("consent")
	if in.Client.FirstParty && !again || !p.ConsentAt.IsZero() && covers(p.ConsentScopes, scopes) {
		return false
	}
	remembered := !in.Consent.GrantedAt.IsZero() && in.Now.Before(in.Consent.ExpiresAt) && covers(in.Consent.Scopes, scopes)
	return again || !remembered
}

func covers(allowed, wanted []string) bool {
	for _, s := range wanted {
		if !slices.Contains(allowed, s) {
			return false
		}
	}
	return true
}
