package harness

import (
	"time"
)

// Password goes to a client's authorization request and gives the password; what comes back is the next page.
func (b *Browser) Password(address string, who Person) *Page {
	b.t.Helper()
	page := b.Get(address)
	page.MustSay(b.t, "Username")
	return b.Press(page, "Continue", "username", who.Username, "password", who.Password)
}

// Login goes through a whole login with the passcode that arrives by channel; what comes back is what follows it.
func (b *Browser) Login(address string, who Person, channel string) *Page {
	b.t.Helper()
	who.Phone.Forget()
	page := b.Password(address, who)
	page.MustSay(b.t, "Enter your code")
	return b.Press(page, "Continue", "passcode", who.Phone.Passcode(channel, 20*time.Second))
}
