package browser

import "testing"

// TestLoginEndsInABrowser is about logins that do not succeed at the first go: the page itself says so, without a
// click, and leads back to the password.
func TestLoginEndsInABrowser(t *testing.T) {
	t.Parallel()
	s := open(t, "mfa: {template_ttl: 3s, passcode_life: 30s, tries: 2}")

	t.Run("an expired passcode is told where it was asked for", func(t *testing.T) {
		t.Parallel()
		ada := s.person(t)
		b := newTab(t).open(s.first.Begin().URL).password(ada).until("The code is good for 0:")
		passcode := ada.Phone.Passcode("whatsapp", patience)
		b.withPatience(2*patience).until("This code has expired", "we’ll send you a new one")
		b.press("Start again").until("Password").fill("password", ada.Password).press("Continue").until("Enter your code")
		b.eventually("a second message", func() bool { return len(ada.Phone.Inbox()) == 2 })
		if again := ada.Phone.Inbox()[0].Passcode; again == passcode {
			t.Error("a new challenge has the old passcode")
		}
		b.passcode(ada, "whatsapp").until(backAtClient, "An AuthCode came")
	})
	t.Run("wrong passcodes use the challenge up, and the password is asked again", func(t *testing.T) {
		t.Parallel()
		ada := s.person(t)
		b := newTab(t).open(s.first.Begin().URL).password(ada).until("Enter your code")
		b.fill("passcode", wrong(ada)).press("Continue").until("You have 1 try left.")
		b.fill("passcode", wrong(ada)).press("Continue").until("Too many wrong codes", "Start again with your password.")
		b.press("Start again").until("Password").fill("password", ada.Password).press("Continue").until("Enter your code")
		b.eventually("a second message", func() bool { return len(ada.Phone.Inbox()) == 2 })
		b.passcode(ada, "whatsapp").until(backAtClient, "An AuthCode came")
	})
	t.Run("a sign-in that the phone did not ask for is stopped", func(t *testing.T) {
		t.Parallel()
		ada := s.person(t)
		b := newTab(t).open(s.first.Begin().URL).password(ada).until("Enter your code")
		ada.Phone.Passcode("whatsapp", patience)
		ada.Phone.Tap()
		b.until("This sign-in was stopped", "change your password: somebody may know it")
		b.press("Start again").until("Password")
	})
	t.Run("a number that may be somebody else's gets no code, and without JavaScript it is told too", func(t *testing.T) {
		t.Parallel()
		ada := s.person(t)
		ada.Phone.Switch(`"identity_changed":true`)
		b := newTab(t).open(s.first.Begin().URL).password(ada).until("For your safety, no code can be sent to your number")
		plain := newTab(t).withoutJavaScript().open(s.first.Begin().URL).password(ada)
		plain.eventually("Check again to tell", func() bool {
			return plain.says("For your safety, no code can be sent") || plain.press("Check again").says("For your safety, no code can be sent")
		})
		if n := len(ada.Phone.Inbox()); n != 0 {
			t.Errorf("%d messages arrived", n)
		}
		b.press("Return to").until(backAtClient, `error="access_denied"`)
	})
}
