package browser

import (
	"strings"
	"testing"

	"github.com/parola-id/parola/e2e/harness"
)

// quick are the settings that leave nothing to wait for but the story itself.
const quick = "mfa: {template_ttl: 6s, offer_sms_after: 1s, resend_after: 1s}"

// TestLoginInABrowser is the whole login, its detours and its ends, with JavaScript.
func TestLoginInABrowser(t *testing.T) {
	t.Parallel()
	s := open(t, quick)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *site)
	}{
		{"the passcode arrives on WhatsApp while the person types", arrivesWhileTyping},
		{"the phone is off and the SMS follows, while the person types", smsFollows},
		{"the person asks for the SMS", smsAsked},
		{"the person asks for the message again", sentAgain},
		{"a wrong passcode counts and says so", wrongPasscode},
		{"a second tab of the same login finds it finished", twoTabs},
		{"the back button finds nothing to repeat", backButton},
		{"somebody without a phone goes back to the application", withoutPhone},
		{"consent is asked, denied, allowed and remembered", consent},
		{"select_account continues as the same person or another", selectAccount},
		{"Not you? asks for somebody else's password", notYou},
		{"a stronger login is asked of a person who is signed in", stepUp},
		{"signing out asks first, and ends the session", signOut},
		{"form_post comes back as a form", formPost},
		{"ui_locales brings Italian", italian},
		{"cookies are kept from scripts and from other sites", cookies},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, s)
		})
	}
}

func arrivesWhileTyping(t *testing.T, s *site) {
	ada := s.person(t)
	ada.Phone.Switch(`"whatsapp_late_seconds":2`)
	b := newTab(t).open(s.Facts.WebAppURL).press("Sign in").password(ada)
	b.until("Enter your code", "to continue to Conto", ada.Username, "on WhatsApp to the number ending in "+ada.Phone.Number[11:])
	page := b.birth()
	b.fill("passcode", "12")
	b.until("Your code has arrived on WhatsApp", "Can’t find it? An SMS follows in 0:")
	if b.birth() != page || b.value("passcode") != "12" {
		t.Errorf("the typed digits are now %q; the page was loaded again: %v", b.value("passcode"), b.birth() != page)
	}
	if b.offers("Check again") {
		t.Error("a page that is told everything offers to check again")
	}
	b.passcode(ada, "whatsapp").until("Hello", "urn:parola:acr:phone-no-sms", "whatsapp")
}

func smsFollows(t *testing.T, s *site) {
	ada := s.person(t)
	ada.Phone.Switch(`"phone_off":true`)
	b := newTab(t).open(s.Facts.WebAppURL + "/login").password(ada).until("Enter your code")
	page := b.birth()
	b.fill("passcode", "12")
	b.until("an SMS follows in 0:0")
	b.until("Your code has arrived by SMS", "Open your messages to read it.")
	if b.birth() != page || b.value("passcode") != "12" {
		t.Errorf("the typed digits are now %q; the page was loaded again: %v", b.value("passcode"), b.birth() != page)
	}
	b.passcode(ada, "sms").until("Hello", "urn:parola:acr:phone", "by text message")
}

func smsAsked(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).open(s.first.Begin().URL).password(ada).until("Your code has arrived on WhatsApp")
	b.press("Send it by SMS instead").until("Your code has arrived by SMS")
	if b.offers("Send it by SMS instead") {
		t.Error("the SMS is offered a second time")
	}
	b.passcode(ada, "sms").until(backAtClient, "An AuthCode came")
}

func sentAgain(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).open(s.first.Begin().URL).password(ada).until("Your code has arrived on WhatsApp")
	first := ada.Phone.Passcode("whatsapp", patience)
	b.press("Send again").until("Enter your code")
	b.eventually("a second message", func() bool { return len(ada.Phone.Inbox()) == 2 })
	if again := ada.Phone.Inbox()[0].Passcode; again != first {
		t.Errorf("the second message says %s and the first %s", again, first)
	}
	b.passcode(ada, "whatsapp").until(backAtClient, "An AuthCode came")
}

func wrongPasscode(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).open(s.first.Begin().URL).password(ada).until("Enter your code")
	b.fill("passcode", wrong(ada)).press("Continue").until("That code isn’t right. You have 4 tries left.")
	if invalid := run[string](b, `document.getElementById("passcode").getAttribute("aria-invalid")`); invalid != "true" {
		t.Errorf("the field says aria-invalid=%q", invalid)
	}
	passcode := ada.Phone.Passcode("whatsapp", patience)
	b.fill("passcode", passcode[:3]+" "+passcode[3:]).press("Continue").until(backAtClient, "An AuthCode came")
}

// wrong is six digits that are not the passcode.
func wrong(who harness.Person) string {
	if strings.HasPrefix(who.Phone.Passcode("whatsapp", patience), "1") {
		return "222222"
	}
	return "111111"
}

func twoTabs(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).open(s.first.Begin().URL).password(ada).until("Your code has arrived on WhatsApp")
	second := b.another().open(b.url()).until("Enter your code")
	b.passcode(ada, "whatsapp").until(backAtClient, "An AuthCode came")
	second.untilAny("Already finished", "Please start again", "This sign-in has expired")
	if second.offers("Continue") {
		t.Errorf("the second tab still offers the form:\n%s", second.text())
	}
}

func backButton(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).login(s.first.Begin().URL, ada).until(backAtClient, "An AuthCode came")
	b.back().untilAny("Already finished", "Please start again", "This sign-in has expired")
	if b.offers("Continue") {
		t.Errorf("after the login the back button offers the form again:\n%s", b.text())
	}
	// The session is there: a new request needs no page.
	b.open(s.first.Begin().URL).until(backAtClient, "An AuthCode came")

	other := s.person(t)
	b = newTab(t).open(s.first.Begin().URL).password(other).until("Enter your code").back()
	b.until("Enter your code") // the password was given: the login is where it was
	b.passcode(other, "whatsapp").until(backAtClient, "An AuthCode came")
}

func withoutPhone(t *testing.T, s *site) {
	dario := s.Person("dario")
	b := newTab(t).open(s.first.Begin().URL).password(dario).until("No phone to send a code to", "administrator")
	b.press("Return to Bottega Online").until(backAtClient, `error="access_denied"`)
}

func consent(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).login(s.partner.Begin().URL, ada)
	b.until("Allow "+partnerName+" to use your account?", "See your email address", "Keep access while you are away")
	b.press("Deny").until("was not completed", "The button takes you to 127.0.0.1")
	b.press("Return to "+partnerName).until(backAtClient, `error="access_denied"`)
	b.open(s.partner.Begin().URL).press("Allow").until(backAtClient, "An AuthCode came")
	b.open(s.partner.Begin().URL).until(backAtClient, "An AuthCode came") // remembered
}

func selectAccount(t *testing.T, s *site) {
	ada, bob := s.person(t), s.person(t)
	b := newTab(t).login(s.first.Begin().URL, ada).until(backAtClient)
	b.open(s.first.Begin("prompt", "select_account").URL).until("Choose an account")
	b.press("Continue as "+ada.Username).until(backAtClient, "An AuthCode came")
	b.open(s.first.Begin("prompt", "select_account").URL).press("Use another account").until("Sign in")
	b.password(bob).until("Enter your code", bob.Username)
	b.passcode(bob, "whatsapp").until(backAtClient, "An AuthCode came")
}

func notYou(t *testing.T, s *site) {
	ada, bob := s.person(t), s.person(t)
	b := newTab(t).open(s.first.Begin().URL).password(ada).until("Enter your code", ada.Username)
	b.press("Not you?").until("Sign in", "Username").saysNot(ada.Username)
	b.password(bob).until("Enter your code", bob.Username)
	b.passcode(bob, "whatsapp").until(backAtClient, "An AuthCode came")
}

func stepUp(t *testing.T, s *site) {
	ada := s.person(t)
	ada.Phone.Switch(`"no_whatsapp":"refused"`)
	b := newTab(t).open(s.Facts.WebAppURL + "/login").password(ada).until("Your code has arrived by SMS")
	b.passcode(ada, "sms").until("Hello", "by text message")
	ada.Phone.Switch("")
	b.open(s.Facts.WebAppURL + "/payments").until("One more step")
	b.press("Confirm with a code on WhatsApp").until("Enter your code", ada.Username)
	if b.offers("Send it by SMS instead") {
		t.Error("a login that no SMS may carry offers one")
	}
	b.passcode(ada, "whatsapp").until("that is enough to pay")
}

func signOut(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).login(s.first.Begin().URL, ada).until(backAtClient)
	b.open(s.Facts.Issuer + "/logout").until("Sign out?")
	b.press("Stay signed in")
	b.open(s.first.Begin().URL).until(backAtClient, "An AuthCode came")
	b.open(s.Facts.Issuer + "/logout").press("Sign out").until("You’re signed out")
	b.open(s.first.Begin().URL).until("Sign in", "Username").saysNot(ada.Username)
}

func formPost(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).login(s.first.Begin("response_mode", "form_post").URL, ada)
	b.until("Back at the client by POST", "An AuthCode came", s.Facts.Issuer)
}

func italian(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).open(s.first.Begin("ui_locales", "it").URL).until("Accedi", "Password")
	b.fill("username", ada.Username).fill("password", "sbagliata").press("Continua").until("non corrispondono")
	b.fill("password", ada.Password).press("Continua").until("Inserisci il codice", "WhatsApp")
	if lang := run[string](b, `document.documentElement.lang`); lang != "it" {
		t.Errorf("the page says it is in %q", lang)
	}
	b.fill("passcode", ada.Phone.Passcode("whatsapp", patience)).press("Continua").until(backAtClient, "An AuthCode came")
}

func cookies(t *testing.T, s *site) {
	ada := s.person(t)
	b := newTab(t).open(s.first.Begin().URL)
	b.password(ada).until("Enter your code").passcode(ada, "whatsapp").until(backAtClient)
	found := b.cookies(s.Facts.Issuer)
	if len(found) == 0 {
		t.Fatal("a login left no cookie")
	}
	for _, c := range found {
		// An http issuer on the loopback: no __Host- prefix and no Secure, which need TLS (SES-01).
		if !c.HTTPOnly || c.Path != "/" || (c.SameSite != "Lax" && c.SameSite != "Strict") || !strings.HasPrefix(c.Domain, "127.0.0.1") {
			t.Errorf("cookie %s: HttpOnly %v, Path %q, SameSite %q, Domain %q", c.Name, c.HTTPOnly, c.Path, c.SameSite, c.Domain)
		}
	}
	if seen := run[string](b.open(s.Facts.Issuer), `document.cookie`); seen != "" {
		t.Errorf("scripts can read %q", seen)
	}
}
