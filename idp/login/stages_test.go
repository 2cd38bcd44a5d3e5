package login

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// stageTests are all stages as a challenge meets them, and what a person can do at each: paths of forms and links.
var stageTests = []struct {
	name     string
	progress mfa.Progress
	offers   []string
}{
	{"sending", mfa.Progress{Stage: mfa.StageSending, WhatsApp: true, SMSIn: 12 * time.Second, OfferSMSIn: 18 * time.Second, ResendIn: 30 * time.Second},
		[]string{pathPasscode, pathSMS, pathAgain}},
	{"on its way", mfa.Progress{Stage: mfa.StageOnItsWay, WhatsApp: true, SMSIn: 12 * time.Second, OfferSMSIn: 18 * time.Second, ResendIn: 30 * time.Second},
		[]string{pathPasscode, pathSMS, pathAgain}},
	{"delivered", mfa.Progress{Stage: mfa.StageDelivered, WhatsApp: true, WhatsAppDelivered: true, SMSIn: 50 * time.Second, ResendIn: 10 * time.Second},
		[]string{pathPasscode, pathSMS, pathAgain}},
	{"WhatsApp does not get through", mfa.Progress{Stage: mfa.StageSMSSoon, WhatsApp: true, SMSIn: 5 * time.Second, ResendIn: mfa.Never},
		[]string{pathPasscode, pathSMS}},
	{"the SMS is sent at once", mfa.Progress{Stage: mfa.StageSMSSending, SMS: true, WhatsAppSkipped: true, SMSIn: mfa.Never, OfferSMSIn: mfa.Never, ResendIn: 30 * time.Second},
		[]string{pathPasscode, pathAgain}},
	{"the SMS was sent", mfa.Progress{Stage: mfa.StageSMSSent, WhatsApp: true, SMS: true, SMSIn: mfa.Never, OfferSMSIn: mfa.Never, ResendIn: 30 * time.Second},
		[]string{pathPasscode, pathAgain}},
	{"the SMS arrived", mfa.Progress{Stage: mfa.StageSMSDelivered, WhatsApp: true, SMS: true, SMSIn: mfa.Never, OfferSMSIn: mfa.Never, ResendIn: 30 * time.Second},
		[]string{pathPasscode, pathAgain}},
	{"no channel got through", mfa.Progress{Stage: mfa.StageNotArriving, WhatsApp: true, SMS: true, SMSIn: mfa.Never, OfferSMSIn: mfa.Never},
		[]string{pathPasscode, pathAgain}},
	{"no channel got through and no message is left", mfa.Progress{Stage: mfa.StageNotArriving, WhatsApp: true, SMS: true, SMSIn: mfa.Never, OfferSMSIn: mfa.Never, ResendIn: mfa.Never},
		[]string{pathPasscode, pathAgain}},
	{"the answer to the SMS was lost", mfa.Progress{Stage: mfa.StageUnknown, WhatsApp: true, SMS: true, SMSIn: mfa.Never, OfferSMSIn: mfa.Never},
		[]string{pathPasscode, pathAgain}},
	{"the SMS is refused by our limits", mfa.Progress{Stage: mfa.StageSMSRefused, WhatsApp: true, SMSIn: mfa.Never, OfferSMSIn: mfa.Never},
		[]string{pathPasscode, pathAgain}},
	{"the number is barred", mfa.Progress{Stage: mfa.StageBarred, WhatsApp: true, SMSIn: mfa.Never, OfferSMSIn: mfa.Never, ResendIn: mfa.Never},
		[]string{pathLeave}},
	{"the carriers are down", mfa.Progress{Stage: mfa.StageNotArriving, WhatsApp: true, SMS: true, CarriersDown: true, SMSIn: mfa.Never, OfferSMSIn: mfa.Never},
		[]string{pathAgain}},
}

func TestEveryStageSaysWhatHappensAndWhatToDoInEveryLanguage(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank")
	request := s.saved(id)
	told := map[mfa.Stage]bool{}
	for _, lang := range s.login.Templates.Languages() {
		said := map[string]string{}
		for _, c := range stageTests {
			told[c.progress.Stage] = true
			w := httptest.NewRecorder()
			c.progress.LastTwo = "67"
			v := &visit{w: w, r: httptest.NewRequest(http.MethodGet, "/", nil), in: Input{Request: request}, progress: c.progress}
			v.view.Language = lang
			s.login.showStatus(v, http.StatusOK, templates.Passcode{})
			says, offers := readStage(t, w.Body.String())
			if other := said[says]; says == "" || other != "" {
				t.Errorf("%s, %s: says %q, as %q does", lang, c.name, says, other)
			}
			said[says] = c.name
			if got := strings.Join(offers, " "); got != strings.Join(c.offers, " ") {
				t.Errorf("%s, %s: offers %s, want %s", lang, c.name, got, c.offers)
			}
		}
	}
	for stage := mfa.StageSending; stage <= mfa.StageBarred; stage++ {
		if !told[stage] {
			t.Errorf("stage %d is not in the table", stage)
		}
	}
}

// readStage is what a page says of the message, and the paths of the forms that can be seen.
func readStage(t *testing.T, page string) (says string, offers []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	must(t, err)
	var words strings.Builder
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		_, hidden := find(n, "hidden")
		switch class := attr(n, "class"); {
		case n.Data == "form" && !hidden:
			path, _, _ := strings.Cut(attr(n, "action"), "?")
			offers = append(offers, path)
		case n.Data == "p" && (class == "status-text" || class == "status-more"), n.Data == "p" && class == "":
			for c := range n.Descendants() {
				if c.Type == html.TextNode {
					words.WriteString(c.Data)
				}
			}
			words.WriteString(" ")
		}
	}
	return strings.TrimSpace(words.String()), offers
}

func find(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// refusedSMS is a login of a person whose WhatsApp fails while the defence refuses the SMS that would follow.
func refusedSMS(t *testing.T, whatsApp handset.Switches, messages int) (*site, *browser, string) {
	s := newSite(t, func(o *options) { o.settings = func(m *mfa.Settings) { m.MaxMessages = messages } })
	s.defence.up.Store(true)
	must(t, s.handset.SetSwitches(annasPhone, whatsApp))
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	b.typePassword("anna", annasPassword)
	return s, b, id
}

func TestAnSMSThatOurDefenceRefusesIsSaidAndWhatsAppIsLeft(t *testing.T) {
	s, b, id := refusedSMS(t, handset.Switches{WhatsAppFails: "131000"}, mfa.Defaults().MaxMessages)
	s.eventually("the SMS to be refused", func() bool {
		b.get(pathPasscode + "?r=" + id)
		return strings.Contains(b.page.body, "send an SMS to the number ending in")
	})
	b.wantPage(http.StatusOK, pathPasscode)
	b.wantText("Keep an eye on WhatsApp, or send it again there.")
	must(t, s.handset.SetSwitches(annasPhone, handset.Switches{}))
	s.clock.Advance(mfa.Defaults().ResendAfter)
	b.submit(pathAgain)
	b.wantPage(http.StatusOK, pathPasscode)
	b.typePasscode(s.arrived(annasPhone, 0).Passcode)
	b.wantPage(http.StatusOK, resumePath)
}

func TestWithNoMessageLeftThePersonStartsAgain(t *testing.T) {
	s, b, id := refusedSMS(t, handset.Switches{NoWhatsApp: "webhook"}, 1)
	s.eventually("WhatsApp to fail", func() bool {
		b.get(pathPasscode + "?r=" + id)
		return strings.Contains(b.page.body, "Start again later")
	})
	b.submit(pathAgain)
	b.wantPage(http.StatusOK, pathPassword)
}

func TestAskingForAnSMSThatOurDefenceRefusesIsAnswered(t *testing.T) {
	s := newSite(t)
	b, _, passcode := s.atPasscode()
	s.defence.up.Store(true)
	s.clock.Advance(mfa.Defaults().OfferSMSAfter)
	b.submit(pathSMS)
	b.wantPage(http.StatusForbidden, pathSMS)
	b.wantText("send an SMS to this number right now")
	b.typePasscode(passcode)
	b.wantPage(http.StatusOK, resumePath)
}

func TestANumberThatIsBarredGetsAPageOfItsOwn(t *testing.T) {
	s := newSite(t)
	must(t, s.handset.SetSwitches(annasPhone, handset.Switches{IdentityChanged: true}))
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	b.typePassword("anna", annasPassword)
	messages, _ := b.watch(id)
	b.next(messages, "event: end")
	b.get(pathPasscode + "?r=" + id)
	b.wantPage(http.StatusForbidden, pathPasscode)
	b.wantText("For your safety, no code can be sent to your number")
	if n := len(s.handset.Inbox(annasPhone)); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
	b.submit(pathLeave)
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(id).Progress; p.Refusal != errAccessDenied {
		t.Errorf("saved progress %+v", p)
	}
}

func TestASignInThatThePersonSaysIsNotTheirsIsStopped(t *testing.T) {
	s := newSite(t)
	b, id, passcode := s.atPasscode()
	messages, _ := b.watch(id)
	b.next(messages, "arrived on WhatsApp")
	s.tapNotRequested(s.handset.Inbox(annasPhone)[0].ID)
	b.next(messages, "event: end")
	b.typePasscode(passcode)
	b.wantPage(http.StatusOK, pathPasscode)
	b.wantText("This sign-in was stopped")
	b.wantText("change your password: somebody may know it")
	b.submit(pathRestart)
	b.wantPage(http.StatusOK, pathPassword)
}

// tapNotRequested is the person tapping "I didn't request a code".
func (s *site) tapNotRequested(id string) {
	s.t.Helper()
	tap, err := json.Marshal(map[string]string{"phone": annasPhone, "id": id})
	must(s.t, err)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/button", bytes.NewReader(tap))
	r.Header.Set("Content-Type", "application/json")
	s.handset.ServeHTTP(w, r)
	if w.Code != http.StatusNoContent {
		s.t.Fatalf("the handset answers %d: %s", w.Code, w.Body)
	}
}

func TestOTP24_NoMoreCodesIsSaidInWords(t *testing.T) {
	s := newSite(t, func(o *options) { o.limits = func(l *throttle.Limits) { l.SendsPerNumberHour = 1 } })
	s.atPasscode()
	b := s.newBrowser()
	b.open(b.request("bank"))
	p := b.typePassword("anna", annasPassword)
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", p.status, p.header.Get("Retry-After"))
	}
	b.wantText("No more codes for now")
	b.wantText("You can try again in")
}

func TestANumberThatNoChannelMayReachIsTold(t *testing.T) {
	s := newSite(t, func(o *options) { o.settings = func(m *mfa.Settings) { m.Countries = []string{"FR"} } })
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	b.typePassword("anna", annasPassword)
	b.wantPage(http.StatusForbidden, pathPassword)
	b.wantText("can’t be sent to your number")
	b.submit(pathLeave)
	b.wantPage(http.StatusOK, resumePath)
	if got := s.events(audit.PasscodeSendRefused); len(got) != 1 || got[0].Reason != "no_channel" {
		t.Errorf("events %+v", got)
	}
	if p := s.saved(id).Progress; p.Refusal != errAccessDenied || p.ChallengeID != "" {
		t.Errorf("saved progress %+v", p)
	}
}

func TestTheEndsOfAChallengeHaveTheirOwnWords(t *testing.T) {
	for end, want := range map[storage.ChallengeEnd]templates.PasscodeEnd{
		storage.ChallengeExpired: templates.PasscodeExpired, storage.ChallengeExhausted: templates.PasscodeExhausted,
		storage.ChallengeNotRequested: templates.PasscodeNotRequested, storage.ChallengeReplaced: templates.PasscodeElsewhere,
		storage.ChallengeCancelled: templates.PasscodeElsewhere, storage.ChallengeVerified: templates.PasscodeElsewhere,
	} {
		if got := endShown(end); got != want {
			t.Errorf("%s is shown as %d, want %d", end, got, want)
		}
	}
}
