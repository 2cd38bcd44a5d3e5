package login

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// atPasscode brings a new browser to the passcode page and returns the passcode that arrived.
func (s *site) atPasscode(changes ...func(*storage.AuthRequest)) (b *browser, id, passcode string) {
	s.t.Helper()
	seen := len(s.handset.Inbox(annasPhone))
	b = s.newBrowser()
	id = b.request("bank", changes...)
	b.open(id)
	b.typePassword("anna", annasPassword)
	b.wantPage(http.StatusOK, pathPasscode)
	return b, id, s.arrived(annasPhone, seen).Passcode
}

func TestWrongPasscodeSaysHowManyTriesAreLeft(t *testing.T) {
	s := newSite(t)
	b, _, passcode := s.atPasscode()
	b.typePasscode(wrongPasscode(passcode))
	b.wantPage(http.StatusForbidden, pathPasscode)
	b.wantText("4 tries left")
	b.typePasscode(passcode)
	b.wantPage(http.StatusOK, resumePath)
}

func TestOTP10_WhatCannotBeAPasscodeIsNotCounted(t *testing.T) {
	s := newSite(t)
	b, id, passcode := s.atPasscode()
	for _, typed := range []string{"", "12345", "1234567", "abcdef", strings.Repeat("1", 5000)} {
		b.typePasscode(typed)
		b.wantPage(http.StatusUnprocessableEntity, pathPasscode)
	}
	p, err := s.mfa.Progress(t.Context(), s.saved(id).Progress.ChallengeID)
	must(t, err)
	if p.TriesLeft != mfa.Defaults().Tries {
		t.Errorf("%d tries left", p.TriesLeft)
	}
	b.typePasscode(passcode[:3] + "-" + passcode[3:])
	b.wantPage(http.StatusOK, resumePath)
}

func TestOTP22_ExhaustedAsksForThePasswordAgain(t *testing.T) {
	s := newSite(t)
	b, id, passcode := s.atPasscode()
	for range mfa.Defaults().Tries {
		b.typePasscode(wrongPasscode(passcode))
	}
	b.wantPage(http.StatusOK, pathPasscode)
	b.wantText("Too many wrong codes")
	first := s.saved(id).Progress.ChallengeID

	// Neither the right passcode nor a resend helps now.
	form := map[string][]string{"csrf": {s.login.formToken(s.saved(id))}, "passcode": {passcode}}
	b.post(pathPasscode+"?r="+id, form)
	b.wantText("Too many wrong codes")
	b.post(pathAgain+"?r="+id, form)
	if got := s.saved(id).Progress.ChallengeID; got != first {
		t.Fatal("a new challenge began without the password")
	}

	b.get(pathPasscode + "?r=" + id)
	b.submit(pathRestart)
	b.wantPage(http.StatusOK, pathPassword)
	b.wantText("anna")
	b.submit(pathPassword, "password", annasPassword)
	b.wantPage(http.StatusOK, pathPasscode)
	b.typePasscode(s.arrived(annasPhone, 1).Passcode)
	b.wantPage(http.StatusOK, resumePath)
}

func TestOTP22_ExpiredAsksForThePasswordAgain(t *testing.T) {
	s := newSite(t)
	b, _, passcode := s.atPasscode()
	s.clock.Advance(mfa.Defaults().PasscodeLife)
	b.typePasscode(passcode)
	b.wantPage(http.StatusOK, pathPasscode)
	b.wantText("expired")
	b.submit(pathRestart)
	b.wantPage(http.StatusOK, pathPassword)
}

func TestOTP21_WrongPasscodesAreLimitedOverAllRequests(t *testing.T) {
	s := newSite(t, func(o *options) { o.limits = func(l *throttle.Limits) { l.WrongPasscodesPerHour = 3 } })
	b, _, passcode := s.atPasscode()
	for range 2 {
		b.typePasscode(wrongPasscode(passcode))
	}
	b, _, passcode = s.atPasscode()
	b.typePasscode(wrongPasscode(passcode))
	p := b.typePasscode(passcode)
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", p.status, p.header.Get("Retry-After"))
	}
}

func TestOTP21_ADisabledFactorBlocksTheLogin(t *testing.T) {
	s := newSite(t, func(o *options) { o.limits = func(l *throttle.Limits) { l.FactorFailures = 2 } })
	b, id, passcode := s.atPasscode()
	for range 2 {
		b.typePasscode(wrongPasscode(passcode))
	}
	b.wantPage(http.StatusForbidden, pathPasscode)
	b.wantText("Codes are switched off for your account")
	// The password is still right, and no further message goes out.
	b.open(id)
	b.submit(pathPassword, "password", annasPassword)
	b.wantPage(http.StatusForbidden, pathPassword)
	if n := len(s.events(audit.PasscodeQueued)); n != 1 {
		t.Errorf("%d messages were queued", n)
	}
	b.submit(pathLeave)
	b.wantPage(http.StatusOK, resumePath)
}

func TestOTP23_ADisableBetweenPasswordAndPasscodeCounts(t *testing.T) {
	s := newSite(t)
	b, id, passcode := s.atPasscode()
	s.disable("anna")
	b.typePasscode(passcode)
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(id).Progress; p.Refusal != errAccessDenied || !p.ReadyAt.IsZero() {
		t.Errorf("saved progress %+v", p)
	}
	sessions, err := s.store.ListSessions(t.Context(), "anna", false, s.clock.Now(), 10)
	if err != nil || len(sessions) != 0 {
		t.Errorf("sessions %+v (%v)", sessions, err)
	}
}

func TestOTP04_APasscodeIsWorthNothingInAnotherRequest(t *testing.T) {
	s := newSite(t)
	_, _, first := s.atPasscode()
	b, _, second := s.atPasscode()
	for first == second { // once in a million
		b, _, second = s.atPasscode()
	}
	b.typePasscode(first)
	b.wantPage(http.StatusForbidden, pathPasscode)
}

func TestSES02_TheSecondFactorGivesANewTokenAndEndsWhoWasSignedIn(t *testing.T) {
	s := newSite(t)
	s.addPerson("bruno", "bruno's own password", "+393331234568")
	b := s.newBrowser()
	b.signIn("bank")
	annas := b.current()
	grants := map[string][]string{"lives with the session": {"openid"}, "goes on offline": {"openid", "offline_access"}}
	must(t, s.store.InTx(t.Context(), func(ctx context.Context) error {
		for id, scopes := range grants {
			g := storage.Grant{ID: id, ClientID: "bank", PersonID: annas.PersonID, SessionID: annas.ID, Scopes: scopes, CreatedAt: s.clock.Now()}
			if err := s.store.InsertGrant(ctx, g); err != nil {
				return err
			}
		}
		return nil
	}))

	id := b.request("bank", func(a *storage.AuthRequest) { a.Request.Prompt = []string{"select_account"} })
	b.open(id)
	b.wantPage(http.StatusOK, pathAccount)
	b.submit(pathAccount, "decision", "other")
	b.wantPage(http.StatusOK, pathPassword)
	if b.current().ID != annas.ID {
		t.Error("asking for another account ended the session")
	}
	b.typePassword("bruno", "bruno's own password")
	b.typePasscode(s.arrived("+393331234568", 0).Passcode)
	b.wantPage(http.StatusOK, resumePath)
	if got := b.current(); got.PersonID != "bruno" || got.ID == annas.ID {
		t.Errorf("session %+v", got)
	}
	ended, err := s.store.Session(t.Context(), annas.ID)
	if err != nil || ended.EndReason != "replaced" {
		t.Errorf("anna's session in bruno's browser is %+v (%v)", ended, err)
	}
	for id, scopes := range grants {
		g, err := s.store.Grant(t.Context(), id)
		if must(t, err); g.RevokedAt.IsZero() != slices.Contains(scopes, "offline_access") {
			t.Errorf("OA-57: the grant that %s: revoked at %v", id, g.RevokedAt)
		}
	}
	if got := s.events(audit.TokenRevoked); len(got) != 1 || got[0].Reason != "replaced" || got[0].PersonID != annas.PersonID {
		t.Errorf("events %+v", got)
	}
}

func TestOA71_PromptLoginAsksAgainAndKeepsTheSessionID(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	b.signIn("bank")
	before := b.current()
	s.clock.Advance(time.Minute)
	id := b.request("bank", func(a *storage.AuthRequest) { a.Request.Prompt = []string{"login"} })
	b.open(id)
	b.wantPage(http.StatusOK, pathPassword)
	b.wantText("anna")
	b.submit(pathPassword, "password", annasPassword)
	b.typePasscode(s.arrived(annasPhone, 1).Passcode)
	b.wantPage(http.StatusOK, resumePath)
	after, saved := b.current(), s.saved(id)
	if after.ID != before.ID || after.TokenHash == before.TokenHash || !after.AuthTime.After(before.AuthTime) {
		t.Errorf("session before %+v, after %+v", before, after)
	}
	if after.AuthTime.Before(saved.CreatedAt) {
		t.Error("auth_time is before the request")
	}
}

func TestOA76_StepUpAsksForThePasscodeOnly(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	// A login that went by SMS.
	must(t, s.handset.SetSwitches(annasPhone, handset.Switches{NoWhatsApp: "refused"}))
	b.signIn("bank")
	before := b.current()
	if before.ACR != acr.Phone || !slices.Contains(before.AMR, "sms") || before.Channel != "sms" {
		t.Fatalf("a login by SMS is told as %+v", before)
	}
	must(t, s.handset.SetSwitches(annasPhone, handset.Switches{}))

	s.clock.Advance(time.Minute)
	seen := len(s.handset.Inbox(annasPhone))
	id := b.request("bank", func(a *storage.AuthRequest) { a.Request.EssentialACR = []string{acr.PhoneNoSMS} })
	b.open(id)
	b.wantPage(http.StatusOK, pathPasscode)
	b.wantText("anna")
	message := s.arrived(annasPhone, seen)
	b.typePasscode(message.Passcode)
	b.wantPage(http.StatusOK, resumePath)
	after := b.current()
	if after.ID != before.ID || after.TokenHash == before.TokenHash || after.ACR != acr.PhoneNoSMS || !after.AuthTime.Equal(before.AuthTime) {
		t.Errorf("session before %+v, after %+v", before, after)
	}
	if p := s.saved(id).Progress; !p.PasswordAt.IsZero() || p.ReadyAt.IsZero() {
		t.Errorf("saved progress %+v", p)
	}
	if e := s.events(audit.SessionStepUp); len(e) == 0 || e[len(e)-1].AuthRequestID != id {
		t.Errorf("events %+v", e)
	}
}

func TestOA73_NothingGoesBySMSWhenTheClassForbidsIt(t *testing.T) {
	s := newSite(t)
	b, id, _ := s.atPasscode(func(a *storage.AuthRequest) { a.Request.EssentialACR = []string{acr.PhoneNoSMS} })
	s.clock.Advance(time.Minute)
	form := map[string][]string{"csrf": {s.login.formToken(s.saved(id))}}
	b.post(pathSMS+"?r="+id, form)
	b.wantPage(http.StatusOK, pathPasscode)
	for _, m := range s.handset.Inbox(annasPhone) {
		if m.Channel == "sms" {
			t.Error("an SMS went out")
		}
	}
}

// A limit that outlives the passcode is no wait for the person: the page says that there is no SMS, not when there would be.
func TestSMSByTheButtonThatALimitRefusesForLongIsRefused(t *testing.T) {
	s := newSite(t, func(o *options) { o.limits = func(l *throttle.Limits) { l.SendsPerNumberHour = 1 } })
	b, _, _ := s.atPasscode()
	s.clock.Advance(mfa.Defaults().OfferSMSAfter)
	p := b.submit(pathSMS)
	if wait := p.header.Get("Retry-After"); p.status != http.StatusTooManyRequests || wait != "" {
		t.Errorf("status %d, Retry-After %q", p.status, wait)
	}
	b.wantText("send an SMS to this number right now")
}

func TestSMSByTheButtonIsOfferedAfterAWhile(t *testing.T) {
	s := newSite(t)
	b, _, passcode := s.atPasscode()
	p := b.submit(pathSMS)
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") == "" {
		t.Errorf("at once: status %d, Retry-After %q", p.status, p.header.Get("Retry-After"))
	}
	s.clock.Advance(mfa.Defaults().OfferSMSAfter)
	b.submit(pathSMS)
	b.wantPage(http.StatusOK, pathPasscode)
	message := s.arrived(annasPhone, 1)
	if message.Channel != "sms" || message.Passcode != passcode {
		t.Errorf("arrived %+v, want the same passcode by SMS", message)
	}
	b.typePasscode(passcode)
	b.wantPage(http.StatusOK, resumePath)
	if got := b.current(); got.ACR != acr.Phone || got.Channel != "sms" || !slices.Contains(got.AMR, "sms") {
		t.Errorf("session %+v", got)
	}
}

func TestSendAgainRepeatsThePasscode(t *testing.T) {
	s := newSite(t)
	b, id, passcode := s.atPasscode()
	b.submit(pathAgain)
	b.wantPage(http.StatusTooManyRequests, pathAgain)
	if hits := s.events(audit.RateLimitHit); len(hits) != 1 || hits[0].Reason != "sends" || hits[0].AuthRequestID != id {
		t.Errorf("OTP-24: events of the limit %+v", hits)
	}
	s.clock.Advance(mfa.Defaults().ResendAfter)
	b.submit(pathAgain)
	b.wantPage(http.StatusOK, pathPasscode)
	if again := s.arrived(annasPhone, 1); again.Passcode != passcode {
		t.Error("the second message has another passcode (OTP-05)")
	}
}

func TestAPhoneThatIsOffGetsAnSMS(t *testing.T) {
	s := newSite(t)
	must(t, s.handset.SetSwitches(annasPhone, handset.Switches{PhoneOff: true}))
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	b.typePassword("anna", annasPassword)
	challenge := s.saved(id).Progress.ChallengeID
	s.eventually("WhatsApp to accept", func() bool {
		p, err := s.mfa.Progress(t.Context(), challenge)
		must(t, err)
		return p.Stage == mfa.StageOnItsWay
	})
	s.clock.Advance(mfa.Defaults().TemplateTTL + 6*time.Second)
	b.typePasscode(s.arrived(annasPhone, 0).Passcode)
	b.wantPage(http.StatusOK, resumePath)
	if got := b.current(); got.Channel != "sms" {
		t.Errorf("session %+v", got)
	}
}

func TestBothCarriersDownIsSaidAndCanBeTriedAgain(t *testing.T) {
	for name, down := range map[string]handset.Switches{
		"both refuse us": {Meta: "190", Twilio: "20003"},
		"both answer 500, and the SMS may have gone out": {Meta: "500", Twilio: "500"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			must(t, s.handset.SetSwitches("", down))
			b := s.newBrowser()
			id := b.request("bank")
			b.open(id)
			b.typePassword("anna", annasPassword)
			s.eventually("both to fail", func() bool {
				b.get(pathPasscode + "?r=" + id)
				return b.page.status == http.StatusServiceUnavailable
			})
			b.wantText("The services that carry our messages")
			must(t, s.handset.SetSwitches("", handset.Switches{}))
			b.submit(pathAgain)
			b.wantPage(http.StatusOK, pathPasscode)
			b.typePasscode(s.arrived(annasPhone, 0).Passcode)
			b.wantPage(http.StatusOK, resumePath)
		})
	}
}

func TestAPhoneThatTakesNothingIsNotTheCarriersFault(t *testing.T) {
	s := newSite(t)
	must(t, s.handset.SetSwitches(annasPhone, handset.Switches{WhatsAppFails: "131000", SMSFails: "30003"}))
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	b.typePassword("anna", annasPassword)
	s.eventually("both to fail", func() bool {
		b.get(pathPasscode + "?r=" + id)
		return strings.Contains(b.page.body, "reach the number ending in")
	})
	b.wantPage(http.StatusOK, pathPasscode)
	b.wantText("Is the phone on?")
}

func TestTryAgainWithNoMessageLeftAsksForThePassword(t *testing.T) {
	s := newSite(t, func(o *options) { o.settings = func(m *mfa.Settings) { m.MaxMessages = 2 } })
	must(t, s.handset.SetSwitches("", handset.Switches{Meta: "500", Twilio: "500"}))
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	b.typePassword("anna", annasPassword)
	s.eventually("both to fail", func() bool {
		b.get(pathPasscode + "?r=" + id)
		return b.page.status == http.StatusServiceUnavailable
	})
	b.submit(pathAgain)
	b.wantPage(http.StatusOK, pathPassword)
}

func TestAPersonWithoutAVerifiedPhoneCannotFinish(t *testing.T) {
	s := newSite(t)
	s.addPerson("carla", "carla's password", "")
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	b.typePassword("carla", "carla's password")
	b.wantPage(http.StatusForbidden, pathPassword)
	b.wantText("No phone")
	b.wantText("carla")
	b.submit(pathLeave)
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(id).Progress; p.Refusal != errAccessDenied {
		t.Errorf("saved progress %+v", p)
	}
}

func TestPolicyThatLeavesNoChannelRefuses(t *testing.T) {
	s := newSite(t, func(o *options) { o.settings = func(m *mfa.Settings) { m.Countries = []string{"FR"} } })
	b := s.newBrowser()
	id := b.request("bank", func(a *storage.AuthRequest) { a.Request.EssentialACR = []string{acr.PhoneNoSMS} })
	b.open(id)
	b.typePassword("anna", annasPassword)
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(id).Progress; p.Refusal != errUnmetRequirements {
		t.Errorf("saved progress %+v", p)
	}
}

func TestOTP09_NothingSecretIsLogged(t *testing.T) {
	s := newSite(t)
	b, _, passcode := s.atPasscode()
	b.typePasscode(passcode)
	b.wantPage(http.StatusOK, resumePath)
	log := s.written()
	for _, secret := range []string{`"` + passcode, strings.TrimPrefix(annasPhone, "+"), annasPassword} {
		if strings.Contains(log, secret) {
			t.Errorf("the audit log holds %q", secret)
		}
	}
	for _, hop := range b.page.hops {
		if strings.Contains(hop.Header.Get("Location"), passcode) {
			t.Error("a URL holds the passcode")
		}
	}
}

func TestAnUnwantedSMSIsNotSentToAPersonWhoForbidsIt(t *testing.T) {
	s := newSite(t)
	s.tx(func(ctx context.Context) error {
		p, err := s.store.Person(ctx, "anna")
		if err != nil {
			return err
		}
		p.SMSForbidden = true
		return s.store.UpdatePerson(ctx, p)
	})
	b, id, _ := s.atPasscode()
	s.clock.Advance(time.Minute)
	b.post(pathSMS+"?r="+id, map[string][]string{"csrf": {s.login.formToken(s.saved(id))}})
	b.get(pathPasscode + "?r=" + id)
	b.wantPage(http.StatusOK, pathPasscode)
	if n := len(s.handset.Inbox(annasPhone)); n != 1 {
		t.Errorf("%d messages", n)
	}
}
