package e2e_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// trouble is a provider on which many people have bad days at the same time, each with a number and switches of their
// own.
type trouble struct {
	*harness.Provider
	store storage.Store
}

// person's bad day: a login as far as the passcode page.
type day struct {
	*trouble
	t       *testing.T
	who     harness.Person
	rp      *harness.RelyingParty
	browser *harness.Browser
	request harness.Authorization
	page    *harness.Page
}

// troubled runs a provider on a new installation.
func troubled(t *testing.T, o harness.Options) *trouble {
	t.Helper()
	in := harness.Install(t, o)
	return &trouble{Provider: in.Run(nil), store: open(t, in)}
}

// day is that of somebody new.
func (tr *trouble) day(t *testing.T, switches string) *day {
	t.Helper()
	return tr.dayOf(t, tr.For(t).Person("dora"), tr.For(t).Browser(), switches)
}

// dayOf is that of somebody who is known, in a browser that they bring.
func (tr *trouble) dayOf(t *testing.T, who harness.Person, browser *harness.Browser, switches string) *day {
	t.Helper()
	d := &day{trouble: tr, t: t, who: who, rp: tr.For(t).RelyingParty(harness.WebClient), browser: browser}
	d.who.Phone.Switch(switches)
	d.again()
	return d
}

// again begins a login of the same person in the same browser, which may know them, and gives the password.
func (d *day) again() {
	d.t.Helper()
	d.request = d.rp.Begin("prompt", "login")
	page := d.browser.Get(d.request.URL)
	typed := []string{"password", d.who.Password}
	if page.Says("Username") {
		typed = append(typed, "username", d.who.Username)
	}
	d.page = d.browser.Press(page, "Continue", typed...)
}

// anew is again on an empty phone.
func (d *day) anew(switches string) {
	d.t.Helper()
	d.who.Phone.Forget()
	d.who.Phone.Switch(switches)
	d.again()
}

// says waits until the page, looked at again and again, says a text.
func (d *day) says(text string, within time.Duration) {
	d.t.Helper()
	d.page = d.browser.Until(d.page, text, within)
}

// finish types the passcode that arrived on a channel; the ID token must name that channel.
func (d *day) finish(channel string) {
	d.t.Helper()
	page := d.browser.Press(d.page, "Continue", "passcode", d.who.Phone.Passcode(channel, 10*time.Second))
	tokens, err := d.rp.Redeem(d.rp.AuthCode(d.t, page, d.request), d.request)
	if err != nil || tokens.Status != http.StatusOK {
		d.t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
	}
	claims := harness.Claims(d.t, tokens.Text("id_token"))
	bySMS := slices.Contains(texts(claims["amr"]), "sms")
	if claims["mfa_channel"] != channel || bySMS != (channel == "sms") {
		d.t.Errorf("the passcode came by %s, but the ID token says mfa_channel %v and amr %v", channel, claims["mfa_channel"], claims["amr"])
	}
}

// sent holds the day to how many messages the carriers took.
func (d *day) sent(whatsApp, sms int) {
	d.t.Helper()
	if w, s := len(d.who.Phone.Sent("whatsapp")), len(d.who.Phone.Sent("sms")); w != whatsApp || s != sms {
		d.t.Errorf("the carriers took %d messages on WhatsApp and %d SMS, want %d and %d", w, s, whatsApp, sms)
	}
}

// told returns the events of a kind about this login.
func (d *day) told(kind string) []storage.Event {
	d.t.Helper()
	id := d.page.URL.Query().Get("r")
	return slices.DeleteFunc(events(d.t, d.store, kind), func(e storage.Event) bool { return e.AuthRequestID != id })
}

// deadline is when a page must have come round to what it says in the end, on a busy machine too. Whether an SMS waited
// for anything is not told by a watch, but by the reason in the audit log.
const deadline = 30 * time.Second

// TestHandsetSwitches throws every switch of the handset, and holds Parola to what a person then reads on the page, to
// what goes out, and to the login ending well. The not-delivered deadline is 6 s here: the template's TTL of 1 s and 5 s.
func TestHandsetSwitches(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{Environment: []string{"PAROLA_MFA_CALL_TIMEOUT=2s"}})
	tr := &trouble{Provider: in.Run(nil), store: open(t, in)}
	for name, c := range map[string]struct {
		switches string
		live     func(d *day)
	}{
		"a good day: arrived on WhatsApp, nothing by SMS": {``, func(d *day) {
			d.says("Your code has arrived on WhatsApp", deadline)
			d.page.MustSay(d.t, "Delivered", "Can’t find it? An SMS follows in")
			d.finish("whatsapp")
			d.sent(1, 0)
		}},
		"phone off: an SMS follows at the deadline": {`"phone_off":true`, func(d *day) {
			d.says("Your code is on its way on WhatsApp", deadline)
			d.page.MustSay(d.t, "If it doesn’t arrive, an SMS follows in")
			d.says("Your code has arrived by SMS", deadline)
			d.fellBack("not_delivered")
			d.page.MustSay(d.t, "Open your messages to read it.", "Not delivered", "SMS delivered")
			d.finish("sms")
			d.sent(1, 1)
		}},
		"phone off, and no patience: the button sends the SMS": {`"phone_off":true`, func(d *day) {
			d.says("Your code is on its way on WhatsApp", deadline)
			d.page = d.browser.Press(d.page, "Send it by SMS instead")
			d.says("Your code has arrived by SMS", deadline)
			d.finish("sms")
			d.sent(1, 1)
		}},
		"no WhatsApp, refused: the SMS at once, and at the next login without asking Meta": {`"no_whatsapp":"refused"`, func(d *day) {
			d.says("Your code has arrived by SMS", deadline)
			d.fellBack("undeliverable")
			d.finish("sms")
			d.sent(0, 1)
			d.remembersNoWhatsApp()
		}},
		"no WhatsApp, told by webhook: the SMS at once, and remembered": {`"no_whatsapp":"webhook"`, func(d *day) {
			d.says("Your code has arrived by SMS", deadline)
			d.fellBack("undeliverable")
			d.finish("sms")
			d.sent(1, 1)
			d.remembersNoWhatsApp()
		}},
		"late, but before the deadline: no SMS": {`"whatsapp_late_seconds":0.5`, func(d *day) {
			d.says("Your code is on its way on WhatsApp", deadline)
			d.says("Your code has arrived on WhatsApp", deadline)
			d.finish("whatsapp")
			d.sent(1, 0)
		}},
		"later than the template allows: WhatsApp drops it, the SMS follows": {`"whatsapp_late_seconds":3`, func(d *day) {
			d.says("Your code has arrived by SMS", deadline)
			if state := d.who.Phone.Sent("whatsapp")[0].State; state != "dropped" {
				d.t.Errorf("WhatsApp still has the message: %s", state)
			}
			d.finish("sms")
			d.sent(1, 1)
		}},
		"webhooks twice: each counts once": {`"webhooks_twice":true,"read":"auto"`, func(d *day) {
			d.says("Your code has arrived on WhatsApp", deadline)
			d.answered(3)
			if told := d.told(audit.PasscodeReceipt); len(told) != 3 {
				d.t.Errorf("%d receipts are told of, want sent, delivered and read", len(told))
			}
			d.finish("whatsapp")
			d.sent(1, 0)
		}},
		"webhooks out of order: delivered stays delivered": {`"webhooks_out_of_order":true`, func(d *day) {
			d.says("Your code has arrived on WhatsApp", deadline)
			d.answered(2)
			d.page = d.browser.Reload(d.page)
			d.page.MustSay(d.t, "Your code has arrived on WhatsApp")
			d.finish("whatsapp")
			d.sent(1, 0)
		}},
		"Meta fails with a page: one retry, then the SMS": {`"meta":"500"`, func(d *day) {
			d.says("Your code has arrived by SMS", deadline)
			if told := d.told(audit.PasscodeSendFailed); len(told) == 0 {
				d.t.Error("the failure of Meta is not told")
			}
			d.finish("sms")
			d.sent(0, 1)
		}},
		"Meta is unavailable": {`"meta":"131016"`, func(d *day) {
			d.says("Your code has arrived by SMS", deadline)
			d.finish("sms")
			d.sent(0, 1)
		}},
		"Meta does not answer in time: unknown, the SMS at the deadline": {`"meta":"timeout"`, func(d *day) {
			d.says("Your code is on its way on WhatsApp", deadline)
			d.says("Your code has arrived by SMS", deadline)
			d.fellBack("unknown")
			d.finish("sms")
			d.sent(0, 1)
		}},
		"Meta's answer is lost, but its receipts are matched up: no SMS": {`"meta":"lost_answer"`, func(d *day) {
			d.says("Your code has arrived on WhatsApp", deadline)
			d.finish("whatsapp")
			d.sent(1, 0)
		}},
		"190, our token is no good: the SMS at once, and an alarm": {`"meta":"190"`, func(d *day) {
			d.says("Your code has arrived by SMS", deadline)
			d.fellBack("refused")
			d.alarmed("190")
			d.finish("sms")
			d.sent(0, 1)
		}},
		"identity changed: no SMS to whoever has the number now, and a high event": {`"identity_changed":true`, func(d *day) {
			d.says("We can’t send a code to this number now", deadline)
			d.page.MustSay(d.t, "For your safety, no code can be sent to your number")
			for _, offered := range []string{"Send it by SMS instead", "Send again"} {
				if d.page.Offers(offered) {
					d.t.Errorf("the page offers %q", offered)
				}
			}
			told := d.told(audit.IdentityChanged)
			if len(told) != 1 || told[0].Severity != audit.High {
				d.t.Errorf("the changed identity is told as %+v", told)
			}
			time.Sleep(2 * time.Second)
			d.sent(1, 0)
		}},
		"SMS fails: the page says so and offers another at once": {`"no_whatsapp":"refused","sms_fails":"30003"`, func(d *day) {
			d.says("We couldn’t reach the number ending in", deadline)
			d.page.MustSay(d.t, "Is the phone on? Then send it again.", "SMS not delivered")
			d.sent(0, 1)
			d.who.Phone.Switch(`"no_whatsapp":"refused"`)
			d.page = d.browser.Press(d.page, "Send again")
			d.says("Your code has arrived by SMS", deadline)
			d.finish("sms")
			d.sent(0, 2)
		}},
		"SMS refused: the page says so and offers another at once": {`"no_whatsapp":"refused","twilio":"21610"`, func(d *day) {
			d.says("We couldn’t reach the number ending in", deadline)
			d.sent(0, 0)
			d.who.Phone.Switch(`"no_whatsapp":"refused"`)
			d.page = d.browser.Press(d.page, "Send again")
			d.finish("sms")
			d.sent(0, 1)
		}},
		"the SMS carrier's answer is lost: it may have gone out, another only when asked": {`"no_whatsapp":"refused","twilio":"timeout"`, func(d *day) {
			d.says("The SMS to the number ending in", deadline)
			d.page.MustSay(d.t, "may not have gone out", "If nothing comes, send it again.")
			time.Sleep(1500 * time.Millisecond)
			d.sent(0, 0)
			d.who.Phone.Switch(`"no_whatsapp":"refused"`)
			d.page = d.browser.Press(d.page, "Send again")
			d.finish("sms")
			d.sent(0, 1)
		}},
		"SMS late": {`"no_whatsapp":"refused","sms_late_seconds":1.5`, func(d *day) {
			d.says("Your code is on its way by SMS", deadline)
			d.page.MustSay(d.t, "An SMS can take up to a minute.")
			d.says("Your code has arrived by SMS", deadline)
			d.finish("sms")
			d.sent(0, 1)
		}},
		"both down: the page says that it is not the phone, and Try again works": {`"meta":"190","twilio":"20003"`, func(d *day) {
			d.says("We can’t send codes right now", deadline)
			if d.page.Status != http.StatusServiceUnavailable {
				d.t.Errorf("the page comes with %d", d.page.Status)
			}
			d.page.MustSay(d.t, "The services that carry our messages aren’t answering. It’s not your phone.")
			d.who.Phone.Switch("")
			d.page = d.browser.Press(d.page, "Try again")
			d.says("Your code has arrived", deadline)
			d.finish(d.who.Phone.Inbox()[0].Channel)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.live(tr.day(t, c.switches))
		})
	}
}

// fellBack holds the one automatic SMS of the login to its reason.
func (d *day) fellBack(trigger string) {
	d.t.Helper()
	if told := d.told(audit.PasscodeFallback); len(told) != 1 || told[0].Data["trigger"] != trigger {
		d.t.Errorf("the fallback is told as %+v, want one because of %q", told, trigger)
	}
}

// remembersNoWhatsApp signs in again: what was learnt of the number holds for 24 h.
func (d *day) remembersNoWhatsApp() {
	d.t.Helper()
	before := len(d.who.Phone.Sent("whatsapp"))
	d.anew("")
	d.page.MustSay(d.t, "by SMS")
	d.page.MustNotSay(d.t, "WhatsApp:")
	d.finish("sms")
	if after := len(d.who.Phone.Sent("whatsapp")); after != before {
		d.t.Error("WhatsApp was tried again within the 24 h")
	}
}

// answered waits until the provider has taken n receipts of the one message, and holds what it did with them to 200.
func (d *day) answered(n int) {
	d.t.Helper()
	harness.Eventually(d.t, 10*time.Second, "the provider takes the receipts", func() bool {
		taken := 0
		for _, s := range d.who.Phone.Sent("whatsapp")[0].Steps {
			switch s.Answered {
			case 0, http.StatusServiceUnavailable: // Meta sends that one again
			case http.StatusOK:
				taken++
			default:
				d.t.Fatalf("the provider answered %d to the report %s", s.Answered, s.State)
			}
		}
		return taken == n
	})
}

// alarmed holds the installation to one alarm for an operator about a code of Meta, however many logins it hits.
func (d *day) alarmed(code string) {
	d.t.Helper()
	for _, e := range events(d.t, d.store, audit.SystemCarrierAlarm) {
		if e.Severity == audit.High && e.Data["failure_code"] == code {
			return
		}
	}
	d.t.Errorf("no alarm about %s: %+v", code, events(d.t, d.store, audit.SystemCarrierAlarm))
}

// TestDeliveredAndNotEntered waits for somebody who has the message and does not type it in: after not_entered_after an
// SMS follows, read or not.
func TestDeliveredAndNotEntered(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{Environment: []string{"PAROLA_MFA_NOT_ENTERED_AFTER=2s"}})
	tr := &trouble{Provider: in.Run(nil), store: open(t, in)}
	for name, switches := range map[string]string{"delivered, not read": `"read":"never"`, "read, not entered": `"read":"auto"`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := tr.day(t, switches)
			d.says("Your code has arrived on WhatsApp", 5*time.Second)
			d.says("Your code has arrived by SMS", 10*time.Second)
			d.page.MustSay(t, "Delivered", "SMS delivered")
			d.finish("sms")
			d.sent(1, 1)
		})
	}
}

// TestMetaAsksForPatience covers the two refusals that another try may cure: within a second or two after 130429, and
// not before 6 s after 131056. The deadline of WhatsApp lies behind both.
func TestMetaAsksForPatience(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{Environment: []string{"PAROLA_MFA_TEMPLATE_TTL=10s"}})
	tr := &trouble{Provider: in.Run(nil), store: open(t, in)}
	for code, wait := range map[string]struct{ least, most time.Duration }{
		"130429": {time.Second, 4 * time.Second}, "131056": {6 * time.Second, 9 * time.Second},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			d := tr.day(t, `"meta":"`+code+`"`)
			harness.Eventually(t, 5*time.Second, "Meta refuses", func() bool { return len(d.told(audit.PasscodeSendFailed)) == 1 })
			refused := d.told(audit.PasscodeSendFailed)[0]
			d.who.Phone.Switch("")
			d.says("Your code has arrived on WhatsApp", 15*time.Second)
			waited := d.who.Phone.Sent("whatsapp")[0].Steps[0].At.Sub(refused.At)
			if waited < wait.least-50*time.Millisecond || waited > wait.most {
				t.Errorf("the second try came after %v, want %v to %v", waited, wait.least, wait.most)
			}
			d.finish("whatsapp")
			d.sent(1, 0)
		})
	}
	t.Run("130429 twice: the SMS instead of a third try", func(t *testing.T) {
		t.Parallel()
		d := tr.day(t, `"meta":"130429"`)
		d.says("Your code has arrived by SMS", 15*time.Second)
		if told := d.told(audit.PasscodeSendFailed); len(told) != 2 {
			t.Errorf("%d failures are told of, want the first and the last", len(told))
		}
		d.finish("sms")
		d.sent(0, 1)
	})
}
