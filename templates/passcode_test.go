package templates

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPasscodeFieldAcceptsWhatPeoplePaste(t *testing.T) {
	pattern := regexp.MustCompile("^(?:" + Passcode{Length: 6}.Pattern() + ")$")
	for in, want := range map[string]bool{
		"123456": true, "123 456": true, "123-456": true, " 123456 ": true, "1 2 3 4 5 6": true, "١٢٣٤٥٦": true,
		"12345": false, "1234567": false, "12345a": false, "": false,
	} {
		if got := pattern.MatchString(in); got != want {
			t.Errorf("%q is accepted: %v, want %v", in, got, want)
		}
	}
}

func TestPasscodePageHelpsPhonesFillTheField(t *testing.T) {
	page := render(t, newTemplates(t), sample{page: passcodeAt(StageOnItsWay), view: knownPerson}, "en")
	for _, in := range elements(parse(t, page), "input") {
		if value(in, "name") != FieldPasscode {
			continue
		}
		for name, want := range map[string]string{"type": "text", "inputmode": "numeric", "autocomplete": "one-time-code"} {
			if got := value(in, name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if v := value(in, "value"); v != "" {
			t.Errorf("the field is filled with %q", v)
		}
		return
	}
	t.Error("no field for the passcode")
}

func TestPasscodePageWorksWithoutScripts(t *testing.T) {
	p := passcodeAt(StageOnItsWay)
	doc := parse(t, render(t, newTemplates(t), sample{page: p, view: knownPerson}, "en"))
	var actions []string
	for _, f := range elements(doc, "form") {
		if _, hidden := attr(f, "hidden"); !hidden {
			actions = append(actions, value(f, "action"))
		}
	}
	if want := []string{"/login/not-you", p.VerifyURL, p.SMSURL, p.ResendURL}; !slices.Equal(actions, want) {
		t.Errorf("forms go to %q, want %q", actions, want)
	}
	for _, b := range elements(doc, "button") {
		if _, disabled := attr(b, "disabled"); disabled {
			t.Errorf("button %q would stay disabled without a script", textOf(b))
		}
	}
	if links := elements(doc, "a"); len(links) != 1 || value(links[0], "href") != p.RefreshURL {
		t.Errorf("want one link, to check again; got %d", len(links))
	}
	for _, m := range elements(doc, "meta") {
		if _, refresh := attr(m, "http-equiv"); refresh {
			t.Error("the page refreshes itself and eats typed digits")
		}
	}
}

func TestWhatIsNeverOfferedIsHidden(t *testing.T) {
	p := passcodeAt(StageOnItsWay)
	p.Status.SMSOfferIn, p.Status.ResendIn = Never, Never
	doc := parse(t, render(t, newTemplates(t), sample{page: p, view: knownPerson}, "en"))
	for _, f := range elements(doc, "form") {
		_, hidden := attr(f, "hidden")
		if want := value(f, "data-wait-for") != ""; hidden != want {
			t.Errorf("form %q hidden: %v, want %v", value(f, "action"), hidden, want)
		}
	}
}

func TestPasscodeErrorsAreSaidInText(t *testing.T) {
	tmpl := newTemplates(t)
	for _, c := range []struct {
		err  PasscodeError
		left int
		want string
	}{
		{PasscodeWrong, 4, "That code isn’t right. You have 4 tries left."},
		{PasscodeWrong, 1, "That code isn’t right. You have 1 try left."},
		{PasscodeMalformed, 0, "The code is 6 digits. Check the message and try again."},
		{PasscodeThrottled, 0, "Too many wrong codes. You can try again in 2 minutes."},
		{PasscodeResendRefused, 0, "We can’t send another message yet. You can ask again in 2 minutes."},
		{PasscodeSMSRefused, 0, "We can’t send an SMS to this number right now. If nothing comes on WhatsApp, ask your administrator."},
		{PasscodeBusy, 0, "We can’t check codes right now. Your try didn’t count; please try again."},
	} {
		p := passcodeAt(StageOnItsWay)
		p.Error, p.TriesLeft, p.RetryIn = c.err, c.left, 100*time.Second
		doc := parse(t, render(t, tmpl, sample{page: p, view: knownPerson}, "en"))
		var got string
		for _, n := range elements(doc, "p") {
			if value(n, "role") == "alert" {
				got = textOf(n)
			}
		}
		if got != c.want {
			t.Errorf("error %d says %q, want %q", c.err, got, c.want)
		}
	}
}

func TestOTP40_OnlyTheLastTwoDigitsAreShown(t *testing.T) {
	tmpl := newTemplates(t)
	for _, s := range stages {
		page := render(t, tmpl, sample{page: passcodeAt(s.stage), view: knownPerson}, "en")
		if text := textOf(parse(t, page)); !strings.Contains(text, "ending in 47") {
			t.Errorf("%s: the number is not told", s.name)
		}
	}
}

func TestStatusFragmentIsOneLineAndTheSameAsInThePage(t *testing.T) {
	tmpl := newTemplates(t)
	for _, lang := range tmpl.Languages() {
		for _, s := range stages {
			p := passcodeAt(s.stage)
			var b bytes.Buffer
			if err := p.Status.Render(&b, tmpl, View{Language: lang}); err != nil {
				t.Fatal(err)
			}
			if strings.ContainsAny(b.String(), "\r\n") {
				t.Errorf("%s in %s: more than one line would end the event's data", s.name, lang)
			}
			page := render(t, tmpl, sample{page: p, view: knownPerson}, lang)
			if !strings.Contains(strings.ReplaceAll(page, "\n", " "), b.String()) {
				t.Errorf("%s in %s: the page shows another status", s.name, lang)
			}
		}
	}
}

func TestStepsTellHowFarTheMessageCame(t *testing.T) {
	both := PasscodeStatus{WhatsApp: true, SMSIn: time.Second, SMSOfferIn: 0}
	whatsAppOnly := PasscodeStatus{WhatsApp: true, SMSIn: Never, SMSOfferIn: Never}
	fellBack := PasscodeStatus{WhatsApp: true, SMS: true, SMSIn: Never, SMSOfferIn: Never}
	arrivedThenSMS := PasscodeStatus{WhatsApp: true, WhatsAppDelivered: true, SMS: true, SMSIn: Never, SMSOfferIn: Never}
	smsFirst := PasscodeStatus{SMS: true, SMSIn: Never, SMSOfferIn: Never}
	refused := PasscodeStatus{WhatsApp: true, WhatsAppRefused: true, SMSIn: time.Second, SMSOfferIn: 0}
	for _, c := range []struct {
		name   string
		status PasscodeStatus
		stage  Stage
		want   string
	}{
		{"nothing has left yet", both, StageSending, "now next next"},
		{"WhatsApp has it", both, StageOnItsWay, "done now next"},
		{"the phone has it", both, StageDelivered, "done done next"},
		{"WhatsApp did not get through", both, StageSMSSoon, "done missed next"},
		{"SMS takes over", fellBack, StageSMSSending, "done missed now"},
		{"the SMS is on its way", fellBack, StageSMSSent, "done missed now"},
		{"the SMS arrived", fellBack, StageSMSDelivered, "done missed done"},
		{"an SMS follows a message that had arrived", arrivedThenSMS, StageSMSSent, "done done now"},
		{"nothing got through", fellBack, StageNotArriving, "done missed missed"},
		{"the answer to the SMS was lost", fellBack, StageUnknown, "done missed missed"},
		{"the SMS failed after WhatsApp had arrived", arrivedThenSMS, StageDelivered, "done done missed"},
		{"WhatsApp again after an SMS that failed", fellBack, StageOnItsWay, "done now missed"},
		{"WhatsApp did not take it", refused, StageSMSSoon, "missed next"},
		{"WhatsApp did not take it, the SMS arrived", refused, StageSMSDelivered, "missed done"},
		{"WhatsApp did not take it, and is asked again", refused, StageSending, "now next next"},
		{"policy forbids SMS", whatsAppOnly, StageOnItsWay, "done now"},
		{"Meta is down and SMS goes first", smsFirst, StageSMSDelivered, "done"},
		{"the SMS is refused by limits of ours", whatsAppOnly, StageSMSRefused, "done missed missed"},
	} {
		c.status.Stage = c.stage
		var got []string
		for _, s := range c.status.Steps() {
			got = append(got, string(s.State))
			if s.LabelKey == "" {
				t.Errorf("%s: a step has no words", c.name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: steps are %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAnSMSThatMayHaveGoneOutIsNotSaidToBeOnItsWay(t *testing.T) {
	tmpl := newTemplates(t)
	for lang, want := range map[string]string{"en": "SMS uncertain", "it": "SMS incerto"} {
		doc := parse(t, render(t, tmpl, sample{page: passcodeAt(StageUnknown), view: knownPerson}, lang))
		steps := elements(doc, "li")
		if got := textOf(steps[len(steps)-1]); got != want {
			t.Errorf("%s: the last step says %q, want %q", lang, got, want)
		}
	}
}

func TestAnSMSIsAnnouncedOnlyWhenItComes(t *testing.T) {
	for _, c := range []struct {
		stage Stage
		sms   bool
		in    time.Duration
		want  string
	}{
		{StageSending, false, 12 * time.Second, "more.sms_if_not_delivered"},
		{StageOnItsWay, false, 12 * time.Second, "more.sms_if_not_delivered"},
		{StageOnItsWay, false, Never, "more.few_seconds"},
		{StageDelivered, false, time.Minute, "more.sms_if_not_entered"},
		{StageDelivered, false, Never, "more.open_whatsapp"},
		{StageDelivered, true, time.Minute, "more.open_whatsapp"},
		{StageSMSSoon, false, time.Second, "more.sms_soon"},
		{StageSMSSoon, false, 0, "more.sms_now"},
		{StageSMSSent, true, time.Minute, "more.sms_takes_time"},
		{StageSMSDelivered, true, Never, "more.open_messages"},
		{StageNotArriving, true, Never, "more.phone_on"},
		{StageUnknown, true, Never, "more.send_again"},
		{StageSMSRefused, false, Never, "more.sms_refused"},
	} {
		s := PasscodeStatus{Stage: c.stage, WhatsApp: true, SMS: c.sms, SMSIn: c.in}
		if got := s.MoreKey(); got != c.want {
			t.Errorf("stage %d, SMS %v in %v: %s, want %s", c.stage, c.sms, c.in, got, c.want)
		}
	}
}

func TestWhatIsSaidToDoCanBeDone(t *testing.T) {
	tmpl := newTemplates(t)
	for _, stage := range []Stage{StageNotArriving, StageUnknown, StageSMSRefused} {
		for _, c := range []struct {
			name       string
			resend     time.Duration
			action     string
			startAgain bool
		}{
			{"a message is left", 0, "/login/resend", false},
			{"nothing is left", Never, "/login/again", true},
		} {
			s := PasscodeStatus{Stage: stage, PhoneEnding: "47", WhatsApp: true, SMSIn: Never, SMSOfferIn: Never, ResendIn: c.resend}
			if got := s.MoreKey(); (got == "more.start_again") != c.startAgain {
				t.Errorf("stage %d, %s: says %s", stage, c.name, got)
			}
			var offered []string
			for _, f := range elements(parse(t, render(t, tmpl, sample{page: passcodeOf(s), view: unknownPerson}, "en")), "form") {
				if _, hidden := attr(f, "hidden"); !hidden && value(f, "data-wait-for") != "" {
					offered = append(offered, value(f, "action"))
				}
			}
			if !slices.Equal(offered, []string{c.action}) {
				t.Errorf("stage %d, %s: offers %q, want %q", stage, c.name, offered, c.action)
			}
		}
	}
}

// A number without WhatsApp and a WhatsApp that is down look the same.
func TestOTP42_ThatWhatsAppWasSkippedIsSaidAndNotWhy(t *testing.T) {
	for _, stage := range []Stage{StageSMSSending, StageSMSSent} {
		s := PasscodeStatus{Stage: stage, SMS: true, WhatsAppSkipped: true, SMSIn: Never, SMSOfferIn: Never}
		if got := s.MoreKey(); got != "more.sms_at_once" {
			t.Errorf("stage %d says %s", stage, got)
		}
	}
	text, err := mustLocales(t).get("en").text("more.sms_at_once")
	if want := "This time it comes by SMS instead of WhatsApp. It can take up to a minute."; err != nil || text != want {
		t.Errorf("says %q %v, want %q", text, err, want)
	}
}

func TestTimersRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]string{
		Never: "", 0: "", time.Millisecond: "0:01", 12 * time.Second: "0:12", 272 * time.Second: "4:32",
		time.Minute - time.Millisecond: "1:00",
	} {
		if got := clock(d); got != want {
			t.Errorf("%v is shown as %q, want %q", d, got, want)
		}
	}
}
