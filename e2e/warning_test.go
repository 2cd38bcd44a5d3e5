package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/audit"
)

// warnings are the texts on the phone that are no passcodes.
func (d *day) warnings() []string {
	d.t.Helper()
	var texts []string
	for _, m := range d.who.Phone.Inbox() {
		if m.Channel == "whatsapp" && m.Passcode == "" {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// TestNotRequested taps the button under the message: somebody else knows the password. Their sign-in ends, the code is
// worth nothing, an operator hears of it, and the person is told what to do: once a day, however often it happens.
func TestNotRequested(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		tr := troubled(t, harness.Options{DSN: dsn})
		d := tr.day(t, "")
		passcode := d.who.Phone.Passcode("whatsapp", deadline)
		d.says("Your code has arrived on WhatsApp", deadline)
		before := d.page
		d.who.Phone.Tap()
		defer func() {
			if t.Failed() {
				println(tr.LogText())
			}
		}()
		harness.Eventually(t, deadline, "the tap is told", func() bool { return len(d.told(audit.NotRequested)) == 1 })
		if told := d.told(audit.NotRequested)[0]; told.Severity != audit.High || told.Data["challenge"] != "not_requested" {
			t.Errorf("the tap is told as %+v", told)
		}
		if page := d.browser.Press(before, "Continue", "passcode", passcode); page.Stopped {
			t.Fatalf("the passcode still worked: %s", page.URL)
		}
		for _, button := range []string{"Send again", "Send it by SMS instead"} {
			if before.Offers(button) {
				d.browser.Press(before, button)
			}
		}
		d.says("This sign-in was stopped", deadline)
		d.page.MustSay(t, "If you didn’t, change your password: somebody may know it.")
		if len(d.who.Phone.Sent("sms")) != 0 || d.page.Offers("Send again") {
			t.Error("something was sent after the end, or is offered")
		}
		harness.Eventually(t, deadline, "the warning arrives", func() bool { return len(d.warnings()) > 0 })
		if text := d.warnings()[0]; !strings.Contains(text, "Parola e2e: you told us that you didn’t ask for a code.") || !strings.Contains(text, "please change it now") {
			t.Errorf("the warning reads %q", text)
		}
		harness.Eventually(t, deadline, "the warning is told", func() bool { return len(d.told(audit.PersonWarned)) == 1 })

		// The intruder tries again, and so does the owner of the phone.
		if page := d.browser.Press(d.page, "Start again"); !page.Says("Password") {
			t.Errorf("starting again leads to %s: %s", page.URL, page.Text())
		}
		d.again()
		d.says("Your code has arrived on WhatsApp", deadline)
		d.who.Phone.Tap()
		d.says("This sign-in was stopped", deadline)
		time.Sleep(1500 * time.Millisecond) // the dispatcher looks for what it missed every second
		if n := len(d.warnings()); n != 1 {
			t.Errorf("%d warnings arrived, want one", n)
		}
		if told := d.told(audit.PersonWarned); len(told) != 0 {
			t.Errorf("the second sign-in brought a warning: %+v", told)
		}
	})
}

// TestWarning tells people in their language, and tells the worse news where it is. One that Meta does not take costs
// nobody anything but the warning.
func TestWarning(t *testing.T) {
	t.Parallel()
	tr := troubled(t, harness.Options{})
	t.Run("in the language of the sign-in", func(t *testing.T) {
		t.Parallel()
		in := tr.For(t)
		browser := in.Browser()
		browser.Language = "it"
		who := in.Person("rosa")
		request := in.RelyingParty(harness.WebClient).Begin()
		browser.Press(browser.Get(request.URL), "Continua", "username", who.Username, "password", who.Password).MustSay(t, "WhatsApp")
		who.Phone.Passcode("whatsapp", deadline)
		harness.Eventually(t, deadline, "the receipt is told", func() bool {
			return len(who.Phone.Sent("whatsapp")[0].Steps) >= 3 &&
				who.Phone.Sent("whatsapp")[0].Steps[2].Answered == 200
		})
		who.Phone.Tap()
		harness.Eventually(t, deadline, "the warning arrives", func() bool {
			return slices.ContainsFunc(who.Phone.Inbox(), func(m harness.Message) bool {
				return m.Passcode == "" && strings.Contains(m.Text, "password") && !strings.Contains(m.Text, "you told us")
			})
		})
	})
	t.Run("after somebody has signed in with the code", func(t *testing.T) {
		t.Parallel()
		d := tr.day(t, "")
		d.says("Your code has arrived on WhatsApp", deadline)
		d.finish("whatsapp")
		d.who.Phone.Tap()
		harness.Eventually(t, deadline, "the warning arrives", func() bool { return len(d.warnings()) > 0 })
		if text := d.warnings()[0]; !strings.Contains(text, "somebody has already signed in with it") {
			t.Errorf("the warning reads %q", text)
		}
		if told := d.told(audit.NotRequested); len(told) != 1 || told[0].Severity != audit.High || told[0].Data["challenge"] != "verified" {
			t.Errorf("the tap is told as %+v", told)
		}
	})
	t.Run("refused by Meta: the sign-in ends all the same", func(t *testing.T) {
		t.Parallel()
		d := tr.day(t, "")
		d.says("Your code has arrived on WhatsApp", deadline)
		d.who.Phone.Switch(`"meta":"190"`)
		d.who.Phone.Tap()
		d.says("This sign-in was stopped", deadline)
		harness.Eventually(t, deadline, "the loss is told", func() bool {
			told := d.told(audit.PersonWarned)
			return len(told) == 1 && told[0].Reason == "refused" && told[0].Data["failure_code"] == "190"
		})
		d.sent(1, 0)
	})
}
