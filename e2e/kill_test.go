package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// killed is a login whose provider gets SIGKILL in the middle of it. The handset, which lives in the test, stays.
type killed struct {
	*harness.Installation
	t       *testing.T
	store   storage.Store
	process *harness.Process
	who     harness.Person
	rp      *harness.RelyingParty
	browser *harness.Browser
	request harness.Authorization
	page    *harness.Page
}

// begin gets a person as far as the passcode page, with the carriers in a bad mood.
func begin(t *testing.T, dsn, mood string, environment ...string) *killed {
	t.Helper()
	in := harness.Install(t, harness.Options{DSN: dsn, Environment: environment})
	k := &killed{Installation: in, t: t, who: in.Person("kim"), rp: in.RelyingParty(harness.WebClient), browser: in.Browser()}
	k.store = open(t, in)
	k.who.Phone.Switch(mood)
	k.process = in.Serve()
	k.request = k.rp.Begin()
	k.page = k.browser.Password(k.request.URL, k.who)
	k.page.MustSay(t, "Enter your code")
	return k
}

// restart starts the provider again, and holds it to nobody being signed in who did not finish.
func (k *killed) restart() {
	k.t.Helper()
	k.process = k.Serve()
	silent := k.rp.Begin("prompt", "none")
	if answer := k.browser.Get(silent.URL); answer.URL.Query().Get("error") != "login_required" {
		k.t.Fatalf("after the restart somebody is signed in who did not finish: %s", answer.URL)
	}
	k.page = k.browser.Reload(k.page)
	k.page.MustSay(k.t, "Enter your code")
}

// finish types a passcode and returns the claims of the ID token.
func (k *killed) finish(passcode string) map[string]any {
	k.t.Helper()
	page := k.browser.Press(k.page, "Continue", "passcode", passcode)
	answer, err := k.rp.Redeem(k.rp.AuthCode(k.t, page, k.request), k.request)
	if err != nil || answer.Status != http.StatusOK {
		k.t.Fatalf("redeem: %d %v %s", answer.Status, err, answer.Body)
	}
	return harness.Claims(k.t, answer.Text("id_token"))
}

// calls holds the installation to what the carriers were asked for.
func (k *killed) calls(whatsApp, sms int) {
	k.t.Helper()
	if w, s := k.Calls("whatsapp"), k.Calls("sms"); w != whatsApp || s != sms {
		k.t.Fatalf("the carriers were called %d times for WhatsApp and %d times for SMS, want %d and %d", w, s, whatsApp, sms)
	}
}

// TestKilledInQueued kills the provider while a message that Meta refused for the moment waits for its second try:
// whoever claims the row next repeats it.
func TestKilledInQueued(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		k := begin(t, dsn, `"meta":"130429"`)
		harness.Eventually(t, 5*time.Second, "the message is queued again", func() bool {
			failed := events(t, k.store, audit.PasscodeSendFailed)
			return len(failed) == 1 && failed[0].Reason == "will_retry"
		})
		k.process.Kill()
		k.calls(1, 0)
		k.who.Phone.Switch("")
		k.restart()
		claims := k.finish(k.who.Phone.Passcode("whatsapp", 10*time.Second))
		k.calls(2, 0)
		if claims["mfa_channel"] != "whatsapp" {
			t.Errorf("mfa_channel is %v", claims["mfa_channel"])
		}
		holds(t, k.Installation)
	})
}

// TestKilledInSending kills the provider while Meta holds its request: nobody knows whether the message went out, so it
// is never repeated on WhatsApp, and the SMS follows at the deadline that was counted from sending.
func TestKilledInSending(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		k := begin(t, dsn, `"meta":"timeout"`)
		harness.Eventually(t, 5*time.Second, "Meta holds the request", func() bool { return k.Calls("whatsapp") == 1 })
		k.process.Kill()
		k.who.Phone.Switch("")
		k.restart()
		k.page.MustSay(t, "Sending your code on WhatsApp")
		claims := k.finish(k.who.Phone.Passcode("sms", 25*time.Second))
		k.calls(1, 1)
		if claims["mfa_channel"] != "sms" {
			t.Errorf("mfa_channel is %v", claims["mfa_channel"])
		}
		holds(t, k.Installation)
	})
}

// TestKilledInFallbackWait kills the provider while it waits for WhatsApp to deliver. The deadline is a row: it holds
// across a restart, whether it passes after the restart or while nothing runs; and the passcode is the one that WhatsApp
// still holds.
func TestKilledInFallbackWait(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]time.Duration{"the deadline comes after the restart": 0, "the deadline passes while it is down": 7 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, dsn string) {
				k := begin(t, dsn, `"phone_off":true`)
				harness.Eventually(t, 5*time.Second, "WhatsApp takes the message", func() bool {
					return len(k.who.Phone.Sent("whatsapp")) == 1 && len(events(t, k.store, audit.PasscodeSent)) == 1
				})
				k.process.Kill()
				k.calls(1, 0)
				time.Sleep(down) // a machine that is down for longer than the wait
				k.restart()
				passcode := k.who.Phone.Passcode("sms", 20*time.Second)
				whatsApp, sms := k.who.Phone.Sent("whatsapp")[0], k.who.Phone.Sent("sms")[0]
				if whatsApp.Passcode != passcode {
					t.Errorf("the SMS has passcode %s, WhatsApp had %s", passcode, whatsApp.Passcode)
				}
				// The template's TTL of 1 s and 5 s, so that a late copy cannot follow.
				if waited := sms.Steps[0].At.Sub(whatsApp.Steps[0].At); waited < 6*time.Second-50*time.Millisecond {
					t.Errorf("the SMS came %v after WhatsApp took the message", waited)
				}
				k.finish(passcode)
				time.Sleep(1500 * time.Millisecond) // the dispatcher looks for what it missed every second
				k.calls(1, 1)
				holds(t, k.Installation)
			})
		})
	}
}

// TestKilledInSMSCall kills the provider while the SMS carrier holds its request. This is the one case without an
// automatic SMS: it may have gone out, so that a second could follow it. The page says so and offers another at once.
func TestKilledInSMSCall(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		k := begin(t, dsn, `"no_whatsapp":"refused","twilio":"timeout"`, "PAROLA_MFA_RESEND_AFTER=5m")
		harness.Eventually(t, 5*time.Second, "the SMS carrier holds the request", func() bool { return k.Calls("sms") == 1 })
		k.process.Kill()
		k.who.Phone.Switch("")
		k.restart()
		// The lease of the call that died must be over first.
		k.page = k.browser.Until(k.page, "may not have gone out", 25*time.Second)
		k.calls(1, 1)
		k.page = k.browser.Press(k.page, "Send again")
		k.finish(k.who.Phone.Passcode("sms", 10*time.Second))
		k.calls(1, 2)
		if sent := len(k.who.Phone.Sent("sms")); sent != 1 {
			t.Errorf("%d SMS reached the carrier", sent)
		}
		holds(t, k.Installation)
	})
}

// TestKilledAgainAndAgain kills the provider around the one call of a login, over and over. Each login ends with a passcode
// that works. bench/kills kills at any moment.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		k := begin(t, dsn, "")
		for i := range 6 {
			if i > 0 {
				k.request = k.rp.Begin("prompt", "login")
				k.page = k.browser.Get(k.request.URL)
				k.page = k.browser.Press(k.page, "Continue", "password", k.who.Password)
				k.page.MustSay(t, "Enter your code")
			}
			time.Sleep(time.Duration(i*i*7) * time.Millisecond) // 0 to 175 ms: before, during and after the one call
			k.process.Kill()
			k.process = k.Serve()
			k.page = k.browser.Reload(k.page)
			k.page.MustSay(t, "Enter your code")
			passcode := ""
			harness.Eventually(t, 25*time.Second, "a passcode on some channel", func() bool {
				inbox := k.who.Phone.Inbox()
				if len(inbox) == 0 {
					return false
				}
				passcode = inbox[0].Passcode
				return true
			})
			k.finish(passcode)
			k.who.Phone.Forget()
		}
		holds(t, k.Installation)
		if w := k.Calls("whatsapp"); w > 6 {
			t.Errorf("WhatsApp was called %d times for 6 logins", w)
		}
	})
}
