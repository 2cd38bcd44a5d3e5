package e2e_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/internal/audit"
)

// TestBoundIdentity binds the WhatsApp account that a first login proved. When the account behind the number is another
// one, nothing is sent to whoever has it now: not by SMS either, because the SIM card may be theirs too. An administrator
// who has made sure lets the next login bind anew.
func TestBoundIdentity(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		tr := troubled(t, harness.Options{DSN: dsn, Environment: []string{"PAROLA_MFA_BIND_IDENTITY=true"}})
		tr.Meta(`"identity_check":true`)
		bound := func(n int) {
			t.Helper()
			harness.Eventually(t, deadline, "the account is bound", func() bool { return len(events(t, tr.store, audit.IdentityBound)) == n })
		}
		d := tr.day(t, "")
		d.says("Your code has arrived on WhatsApp", deadline)
		d.finish("whatsapp")
		bound(1)
		d.anew("")
		d.says("Your code has arrived on WhatsApp", deadline)
		d.finish("whatsapp")

		d.who.Phone.ChangeAccount()
		d.anew("")
		early := d.page // still offers what a page of a message on its way does
		d.says("We can’t send a code to this number now", deadline)
		d.page.MustSay(t, "For your safety, no code can be sent to your number for this sign-in.")
		if d.page.Status != http.StatusForbidden {
			t.Errorf("the page comes with %d", d.page.Status)
		}
		for _, button := range []string{"Send it by SMS instead", "Send again"} {
			if d.page.Offers(button) {
				t.Errorf("the page offers %q", button)
			}
			if early.Offers(button) {
				d.browser.Press(early, button).MustSay(t, "We can’t send a code to this number now")
			}
		}
		if told := d.told(audit.IdentityChanged); len(told) != 1 || told[0].Severity != audit.High {
			t.Errorf("the change is told as %+v", told)
		}
		time.Sleep(tr.Config.MFA.TemplateTTL + 6*time.Second) // past the deadline after which an SMS follows any other failure
		if n := len(d.who.Phone.Sent("sms")); n != 0 || len(d.who.Phone.Inbox()) != 0 {
			t.Errorf("%d SMS went out, the phone has %+v", n, d.who.Phone.Inbox())
		}
		if page := d.browser.Press(d.page, "Return to"); !page.Stopped || page.URL.Query().Get("error") != "access_denied" {
			t.Errorf("the way back leads to %s", page.URL)
		}

		tr.Command(func(ctx context.Context, b *app.Base) error {
			_, err := b.ForgetWhatsApp(ctx, d.who.Username)
			return err
		})
		d.anew("")
		d.says("Your code has arrived on WhatsApp", deadline)
		d.finish("whatsapp")
		bound(2)
		if told := events(t, tr.store, audit.IdentityForgotten); len(told) != 1 || told[0].Severity != audit.High {
			t.Errorf("the administrator's word is told as %+v", told)
		}
		d.anew("")
		d.says("Your code has arrived on WhatsApp", deadline)
		d.finish("whatsapp")
	})
}

// TestIdentityIsNotBoundUnlessAsked lets a person change phones freely where the operator has not turned the binding on.
func TestIdentityIsNotBoundUnlessAsked(t *testing.T) {
	t.Parallel()
	tr := troubled(t, harness.Options{})
	tr.Meta(`"identity_check":true`)
	d := tr.day(t, "")
	for range 2 {
		d.says("Your code has arrived on WhatsApp", deadline)
		d.finish("whatsapp")
		d.who.Phone.ChangeAccount()
		d.anew("")
	}
	if told := events(t, tr.store, audit.IdentityBound); len(told) != 0 {
		t.Errorf("bound: %+v", told)
	}
}
