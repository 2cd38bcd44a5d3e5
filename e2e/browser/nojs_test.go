package browser

import "testing"

// TestLoginWithoutJavaScript is the same login where the browser runs no script: everything is there, behind one more
// click.
func TestLoginWithoutJavaScript(t *testing.T) {
	t.Parallel()
	s := open(t, quick)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *site)
	}{
		{"the SMS follows, and Check again tells", smsFollowsWithoutScript},
		{"the person asks for the SMS", smsAsked},
		{"a wrong passcode counts and says so", wrongWithoutScript},
		{"consent is asked and allowed", consentWithoutScript},
		{"form_post waits for a click", formPostWithoutScript},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, s)
		})
	}
}

func smsFollowsWithoutScript(t *testing.T, s *site) {
	ada := s.person(t)
	ada.Phone.Switch(`"phone_off":true`)
	b := newTab(t).withoutJavaScript().open(s.Facts.WebAppURL).press("Sign in").password(ada)
	b.until("Enter your code", "Check again")
	b.fill("passcode", "12")
	ada.Phone.Passcode("sms", patience)
	if b.value("passcode") != "12" {
		t.Errorf("the typed digits are now %q: the page was loaded by itself", b.value("passcode"))
	}
	b.eventually("Check again tells of the SMS", func() bool {
		return b.press("Check again").offers("Continue") && b.says("Your code has arrived by SMS")
	})
	b.passcode(ada, "sms").until("Hello", "urn:parola:acr:phone", "by text message")
}

func wrongWithoutScript(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).withoutJavaScript().open(s.first.Begin().URL).password(ada)
	b.fill("passcode", wrong(ada)).press("Continue").until("That code isn’t right. You have 4 tries left.")
	b.passcode(ada, "whatsapp").until(backAtClient, "An AuthCode came")
}

func consentWithoutScript(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).withoutJavaScript().login(s.partner.Begin().URL, ada).until("Allow " + partnerName)
	b.press("Allow").until(backAtClient, "An AuthCode came")
}

func formPostWithoutScript(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).withoutJavaScript().login(s.first.Begin("response_mode", "form_post").URL, ada)
	b.until("If nothing happens, press Continue.").press("Continue").until("Back at the client by POST", "An AuthCode came")
}
