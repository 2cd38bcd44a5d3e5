package login

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/storage"
)

var now = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// state builds an Input: a first-party client, a request of a minute ago, nobody signed in.
func state(changes ...func(*Input)) Input {
	in := Input{
		Request: storage.AuthRequest{ID: "r", CreatedAt: now.Add(-time.Minute), ExpiresAt: now.Add(14 * time.Minute),
			Request: storage.AuthRequestParams{Scopes: []string{"openid", "profile"}}},
		Client: storage.Client{ID: "c", FirstParty: true},
		Now:    now,
	}
	for _, change := range changes {
		change(&in)
	}
	return in
}

func prompt(values ...string) func(*Input) {
	return func(in *Input) { in.Request.Request.Prompt = values }
}

func maxAge(seconds int64) func(*Input) {
	return func(in *Input) { in.Request.Request.MaxAge = &seconds }
}

func wish(classes ...string) func(*Input) {
	return func(in *Input) { in.Request.Request.ACRValues = classes }
}

func essential(classes ...string) func(*Input) {
	return func(in *Input) { in.Request.Request.EssentialACR = classes }
}

func hint(person string) func(*Input) {
	return func(in *Input) { in.Request.Request.HintSubject = person }
}

func progress(change func(*storage.AuthRequestProgress)) func(*Input) {
	return func(in *Input) { change(&in.Request.Progress) }
}

// inSession gives the browser a session of anna, ten minutes old.
func inSession(class string) func(*Input) {
	return func(in *Input) {
		in.Session = storage.Session{ID: "s", PersonID: "anna", ACR: class, AuthTime: now.Add(-10 * time.Minute)}
	}
}

// passwordGiven is anna's right password in this request, with the state of the challenge that followed it.
func passwordGiven(c ChallengeState) func(*Input) {
	return func(in *Input) {
		in.Request.Progress.PersonID, in.Request.Progress.PasswordAt = "anna", now.Add(-20*time.Second)
		in.Challenge = c
	}
}

// passedHere is a whole login in this request.
func passedHere(class string) func(*Input) {
	return func(in *Input) {
		inSession(class)(in)
		in.Session.AuthTime = now.Add(-5 * time.Second)
		passwordGiven(NoChallenge)(in)
		in.Request.Progress.SecondFactorAt, in.Request.Progress.SessionID = in.Session.AuthTime, "s"
	}
}

func thirdParty(in *Input) { in.Client.FirstParty = false }

func remembered(scopes ...string) func(*Input) {
	return func(in *Input) {
		in.Consent = storage.Consent{Scopes: scopes, GrantedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour)}
	}
}

func consented(scopes ...string) func(*Input) {
	return progress(func(p *storage.AuthRequestProgress) { p.ConsentAt, p.ConsentScopes = now, scopes })
}

func required(class string) func(*Input) { return func(in *Input) { in.Client.RequiredACR = class } }

func phone(s PhoneState) func(*Input) { return func(in *Input) { in.Phone = s } }

// nativeClient is a public client on the person's own machine (RFC 8252 §8.6).
func nativeClient(in *Input) { in.Client.Native, in.Client.AuthMethod = true, "none" }

func otherAccount(in *Input) { in.Request.Progress.AccountChosen = true }

func askPassword(person string) Step { return Step{Kind: AskPassword, PersonID: person} }

func askPasscode(p storage.Purpose) Step {
	return Step{Kind: AskPasscode, PersonID: "anna", Purpose: p}
}

func passcodeNoSMS(p storage.Purpose) Step {
	return Step{Kind: AskPasscode, PersonID: "anna", Purpose: p, NoSMS: true}
}

func passcodeAskSMS(p storage.Purpose) Step {
	return Step{Kind: AskPasscode, PersonID: "anna", Purpose: p, AskSMS: true}
}

var (
	finish    = Step{Kind: Finish, PersonID: "anna"}
	askForAll = Step{Kind: AskConsent, PersonID: "anna"}
)

type nextTest struct {
	name string
	in   Input
	want Step
}

func runNext(t *testing.T, tests []nextTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Next(tt.in); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestNextInOrder(t *testing.T) {
	runNext(t, []nextTest{
		{"a stranger is asked for the password", state(), askPassword("")},
		{"after the password comes the passcode", state(passwordGiven(ChallengeOpen)), askPasscode(storage.PurposeLogin)},
		{"before its challenge has begun too", state(passwordGiven(NoChallenge)), askPasscode(storage.PurposeLogin)},
		{"after the passcode nothing is left to ask", state(passedHere(acr.PhoneNoSMS)), finish},
		{"a live session goes straight through", state(inSession(acr.Phone)), finish},
		{"a right password alone is not a session", state(passwordGiven(ChallengeOpen), prompt("none")), refuse(errInteractionRequired)},
		{"a session that ended meanwhile asks for the password of the same person", state(passedHere(acr.Phone), func(in *Input) { in.Session = storage.Session{} }), askPassword("anna")},
		{"a login in another tab is taken up", state(inSession(acr.Phone), func(in *Input) { in.Challenge = NoChallenge }), finish},
		{"a decided refusal stays decided", state(inSession(acr.Phone), progress(func(p *storage.AuthRequestProgress) { p.Refusal = errAccessDenied })), refuse(errAccessDenied)},
		{"somebody else's session does not answer for who gave the password", state(passwordGiven(ChallengeOpen), func(in *Input) {
			in.Session = storage.Session{ID: "s", PersonID: "bruno", ACR: acr.PhoneNoSMS, AuthTime: now}
		}), askPasscode(storage.PurposeLogin)},
	})
}

func TestOTP22_AnEndedChallengeAsksForThePasswordAgain(t *testing.T) {
	runNext(t, []nextTest{
		{"after a password", state(passwordGiven(ChallengeOver)), askPassword("anna")},
		{"at a step-up too", state(inSession(acr.Phone), essential(acr.PhoneNoSMS), func(in *Input) { in.Challenge = ChallengeOver }), askPassword("anna")},
		{"not once the session became enough in another tab", state(inSession(acr.PhoneNoSMS), essential(acr.PhoneNoSMS), func(in *Input) { in.Challenge = ChallengeOver }), finish},
	})
}

func TestOA70_PromptNoneNeverShowsAPage(t *testing.T) {
	none := prompt("none")
	runNext(t, []nextTest{
		{"nobody signed in", state(none), refuse(errLoginRequired)},
		{"a live session is enough", state(none, inSession(acr.Phone)), finish},
		{"a login too long ago", state(none, inSession(acr.Phone), maxAge(60)), refuse(errLoginRequired)},
		{"an essential class above the session's", state(none, inSession(acr.Phone), essential(acr.PhoneNoSMS)), refuse(errInteractionRequired)},
		{"a wish above the session's is only a wish", state(none, inSession(acr.Phone), wish(acr.PhoneNoSMS)), finish},
		{"consent was never given", state(none, inSession(acr.Phone), thirdParty), refuse(errConsentRequired)},
		{"consent was given earlier", state(none, inSession(acr.Phone), thirdParty, remembered("openid", "profile")), finish},
		{"an account would have to be chosen", state(prompt("none", "select_account"), inSession(acr.Phone)), refuse(errAccountSelectionRequired)},
		{"the hint names another person", state(none, inSession(acr.Phone), hint("bruno")), refuse(errLoginRequired)},
	})
}

func TestOA71_FreshLogin(t *testing.T) {
	runNext(t, []nextTest{
		{"prompt=login asks in spite of a session", state(prompt("login"), inSession(acr.Phone)), askPassword("anna")},
		{"prompt=login is content with a login made here", state(prompt("login"), passedHere(acr.Phone)), finish},
		{"prompt=login goes on to the passcode after the password", state(prompt("login"), inSession(acr.Phone), passwordGiven(ChallengeOpen)), askPasscode(storage.PurposeLogin)},
		{"max_age=0 asks in spite of a session", state(maxAge(0), inSession(acr.Phone), func(in *Input) { in.Session.AuthTime = now }), askPassword("anna")},
		{"max_age=0 is content with a login made here", state(maxAge(0), passedHere(acr.Phone)), finish},
		{"max_age longer than the session is old lets it through", state(maxAge(601), inSession(acr.Phone)), finish},
		{"max_age as old as the session asks", state(maxAge(600), inSession(acr.Phone)), askPassword("anna")},
		{"a huge max_age lets it through", state(maxAge(1<<62), inSession(acr.Phone)), finish},
		{"a short max_age does not ask in circles while consent is read", state(maxAge(1), passedHere(acr.Phone), thirdParty), askForAll},
	})
}

func TestOA72_HintSubject(t *testing.T) {
	runNext(t, []nextTest{
		{"the session is of the person named", state(inSession(acr.Phone), hint("anna")), finish},
		{"the session is somebody else's", state(inSession(acr.Phone), hint("bruno")), refuse(errLoginRequired)},
		{"prompt=login asks instead, whoever is signed in", state(inSession(acr.Phone), hint("bruno"), prompt("login")), askPassword("")},
		{"prompt=select_account asks for a login", state(inSession(acr.Phone), hint("bruno"), prompt("select_account")), askPassword("")},
		{"nobody is signed in", state(hint("bruno")), askPassword("")},
		{"the password was somebody else's: no passcode goes out", state(hint("bruno"), passwordGiven(NoChallenge)), refuse(errLoginRequired)},
		{"the password was the right person's", state(hint("anna"), passwordGiven(ChallengeOpen)), askPasscode(storage.PurposeLogin)},
	})
}

func TestOA73_RequiredClasses(t *testing.T) {
	runNext(t, []nextTest{
		{"an essential class that nothing here reaches", state(essential(acr.PhishingResistant)), refuse(errUnmetRequirements)},
		{"an essential class that nobody knows", state(essential("urn:example:loa3")), refuse(errUnmetRequirements)},
		{"one reachable value among the essential ones is enough", state(essential("urn:example:loa3", acr.Phone), inSession(acr.Phone)), finish},
		{"a class the client requires and nothing reaches", state(required(acr.PhishingResistant), inSession(acr.PhoneNoSMS)), refuse(errUnmetRequirements)},
		{"the client's class forbids SMS at a login", state(required(acr.PhoneNoSMS), passwordGiven(NoChallenge)), passcodeNoSMS(storage.PurposeLogin)},
		{"the stronger of client and claim counts", state(required(acr.PhoneNoSMS), essential(acr.Phone), inSession(acr.Phone)), passcodeNoSMS(storage.PurposeStepUp)},
		{"an unknown voluntary class is ignored", state(wish("urn:example:loa3"), inSession(acr.Phone)), finish},
		{"an unreachable voluntary class is ignored", state(wish(acr.PhishingResistant), inSession(acr.Phone)), finish},
		{"a whole login below what must be is told, not repeated", state(essential(acr.PhoneNoSMS), passedHere(acr.Phone)), refuse(errUnmetRequirements)},
		{"a whole login below a wish goes through with what it is", state(wish(acr.PhoneNoSMS), passedHere(acr.Phone)), finish},
		{"policy leaves no channel for what must be", state(essential(acr.PhoneNoSMS), passwordGiven(NoChallenge), phone(PhoneUnreachable)), refuse(errUnmetRequirements)},
		{"policy leaves no channel at all", state(passwordGiven(NoChallenge), phone(PhoneUnreachable)), Step{Kind: TellUnreachable, PersonID: "anna"}},
	})
}

func TestOA76_StepUpAsksOnlyForTheMissingFactor(t *testing.T) {
	runNext(t, []nextTest{
		{"an essential class above the session's", state(inSession(acr.Phone), essential(acr.PhoneNoSMS)), passcodeNoSMS(storage.PurposeStepUp)},
		{"a wish above the session's sends an SMS only when asked", state(inSession(acr.Phone), wish(acr.PhoneNoSMS)), passcodeAskSMS(storage.PurposeStepUp)},
		{"a wish that the session meets", state(inSession(acr.PhoneNoSMS), wish(acr.Phone)), finish},
		{"any of several wishes is enough", state(inSession(acr.Phone), wish(acr.PhoneNoSMS, acr.Phone)), finish},
		{"a session too old needs the password as well", state(inSession(acr.Phone), essential(acr.PhoneNoSMS), maxAge(60)), askPassword("anna")},
		{"prompt=login needs the password as well", state(inSession(acr.Phone), essential(acr.PhoneNoSMS), prompt("login")), askPassword("anna")},
	})
}

func TestNextAccount(t *testing.T) {
	selectAccount := prompt("select_account")
	runNext(t, []nextTest{
		{"select_account asks who", state(selectAccount, inSession(acr.Phone)), Step{Kind: AskAccount, PersonID: "anna"}},
		{"without a session the password page asks", state(selectAccount), askPassword("")},
		{"going on as the same person", state(selectAccount, inSession(acr.Phone), progress(func(p *storage.AuthRequestProgress) { p.AccountChosen, p.PersonID = true, "anna" })), finish},
		{"another account leaves the session aside", state(selectAccount, inSession(acr.Phone), otherAccount), askPassword("")},
		{"\"Not you?\" leaves the session aside", state(inSession(acr.Phone), otherAccount), askPassword("")},
		{"a login made here answers it", state(selectAccount, passedHere(acr.Phone)), finish},
		{"a program that may be anyone's gets nothing without a click", state(nativeClient, inSession(acr.Phone)), Step{Kind: AskAccount, PersonID: "anna"}},
		{"and nothing at all silently", state(nativeClient, prompt("none"), inSession(acr.Phone)), refuse(errAccountSelectionRequired)},
		{"the click answers it", state(nativeClient, inSession(acr.Phone), progress(func(p *storage.AuthRequestProgress) { p.AccountChosen, p.PersonID = true, "anna" })), finish},
		{"so does a login made here", state(nativeClient, passedHere(acr.Phone)), finish},
	})
}

func TestNextWithoutAUsablePhone(t *testing.T) {
	runNext(t, []nextTest{
		{"no verified phone", state(passwordGiven(NoChallenge), phone(PhoneMissing)), Step{Kind: TellNoPhone, PersonID: "anna"}},
		{"a disabled phone", state(passwordGiven(NoChallenge), phone(PhoneDisabled)), Step{Kind: TellBlocked, PersonID: "anna"}},
	})
}

func TestOA16_Consent(t *testing.T) {
	in := inSession(acr.Phone)
	runNext(t, []nextTest{
		{"a first-party client asks for none", state(in), finish},
		{"another client asks", state(in, thirdParty), askForAll},
		{"consent given here is enough", state(in, thirdParty, consented("openid", "profile")), finish},
		{"consent to less asks again", state(in, thirdParty, consented("openid")), askForAll},
		{"remembered consent is enough", state(in, thirdParty, remembered("profile", "openid", "email")), finish},
		{"remembered consent to less asks again", state(in, thirdParty, remembered("openid")), askForAll},
		{"consent that ran out asks again", state(in, thirdParty, remembered("openid", "profile"), func(in *Input) { in.Consent.ExpiresAt = now }), askForAll},
		{"prompt=consent asks in spite of memory", state(in, thirdParty, remembered("openid", "profile"), prompt("consent")), askForAll},
		{"prompt=consent asks for a first-party client too", state(in, prompt("consent")), askForAll},
		{"prompt=consent asks once", state(in, prompt("consent"), consented("openid", "profile")), finish},
	})
}

// drawInput makes any state, also ones that should never be saved.
func drawInput(t *rapid.T) Input {
	class := rapid.SampledFrom([]string{"", "urn:example:x", acr.Password, acr.Phone, acr.PhoneNoSMS, acr.PhishingResistant})
	classes := rapid.SliceOfN(class, 0, 2)
	person := rapid.SampledFrom([]string{"", "anna", "bruno"})
	scopes := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"openid", "profile", "email"}), 0, 3, rapid.ID)
	at := rapid.Map(rapid.IntRange(0, 3), func(n int) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return now.Add(-time.Duration(n) * time.Minute)
	})
	in := state()
	in.Client.FirstParty, in.Client.RequiredACR = rapid.Bool().Draw(t, "first party"), class.Draw(t, "required")
	q := &in.Request.Request
	q.Prompt = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"none", "login", "consent", "select_account"}), 0, 2, rapid.ID).Draw(t, "prompt")
	if rapid.Bool().Draw(t, "has max_age") {
		age := rapid.Int64Range(0, 1000).Draw(t, "max_age")
		q.MaxAge = &age
	}
	q.ACRValues, q.EssentialACR, q.HintSubject = classes.Draw(t, "wish"), classes.Draw(t, "essential"), person.Draw(t, "hint")
	q.Scopes = scopes.Draw(t, "scopes")
	if rapid.Bool().Draw(t, "signed in") {
		in.Session = storage.Session{ID: "s", PersonID: rapid.SampledFrom([]string{"anna", "bruno"}).Draw(t, "session of"),
			ACR: class.Draw(t, "class"), AuthTime: now.Add(-time.Duration(rapid.IntRange(0, 1200).Draw(t, "age")) * time.Second)}
	}
	p := &in.Request.Progress
	p.PersonID, p.AccountChosen = person.Draw(t, "person"), rapid.Bool().Draw(t, "chosen")
	p.PasswordAt, p.SecondFactorAt, p.ConsentAt = at.Draw(t, "password"), at.Draw(t, "second factor"), at.Draw(t, "consented")
	p.SessionID, p.ConsentScopes = rapid.SampledFrom([]string{"", "s", "t"}).Draw(t, "session id"), scopes.Draw(t, "consent scopes")
	in.Challenge = ChallengeState(rapid.IntRange(0, 2).Draw(t, "challenge"))
	in.Phone = PhoneState(rapid.IntRange(0, 3).Draw(t, "phone"))
	if rapid.Bool().Draw(t, "remembers") {
		remembered(scopes.Draw(t, "remembered")...)(&in)
	}
	return in
}

func TestNextNeverFinishesWithoutASessionThatSatisfies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		step, s, q := Next(in), in.Session, in.Request.Request
		if step.Kind != Finish {
			return
		}
		switch {
		case s.ID == "", step.PersonID != s.PersonID:
			t.Fatal("finished without a session of the person")
		case in.Request.Progress.PersonID != "" && in.Request.Progress.PersonID != s.PersonID:
			t.Fatal("finished with the session of another person than was asked")
		case q.HintSubject != "" && q.HintSubject != s.PersonID:
			t.Fatal("finished with another person than the hint names")
		case !acr.Satisfies(s.ACR, in.Client.RequiredACR), !acr.SatisfiesAny(s.ACR, q.EssentialACR):
			t.Fatal("finished below the required class")
		case slices.Contains(q.Prompt, "login") && !in.passedHere():
			t.Fatal("finished without the login that prompt=login wants")
		case q.MaxAge != nil && !in.passedHere() && now.Sub(s.AuthTime) > time.Duration(*q.MaxAge)*time.Second:
			t.Fatal("finished with a login older than max_age")
		case !in.Client.FirstParty && !covers(in.Consent.Scopes, q.Scopes) && !covers(in.Request.Progress.ConsentScopes, q.Scopes):
			t.Fatal("finished without consent")
		}
	})
}

func TestNextShowsNoPageForPromptNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.Request.Request.Prompt = append(in.Request.Request.Prompt, "none")
		if step := Next(in); step.Kind != Finish && (step.Kind != Refuse || step.Error == "") {
			t.Fatalf("prompt=none leads to %+v", step)
		}
	})
}

func TestNextAsksForAPasscodeOnlyAfterAPasswordOrInASession(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		step, p := Next(in), in.Request.Progress
		if step.Kind != AskPasscode {
			return
		}
		if in.Challenge == ChallengeOver {
			t.Fatal("a passcode is asked for after the challenge ended, without the password (OTP-22)")
		}
		switch step.Purpose {
		case storage.PurposeLogin:
			if p.PasswordAt.IsZero() || step.PersonID != p.PersonID {
				t.Fatal("a passcode is asked for without that person's password (OTP-25)")
			}
		case storage.PurposeStepUp:
			if in.Session.ID == "" || step.PersonID != in.Session.PersonID {
				t.Fatal("a step-up without a session")
			}
		}
		if acr.ForbidsSMS(in.Client.RequiredACR) && !step.NoSMS {
			t.Fatal("an SMS may go out although the client requires a class without")
		}
	})
}
