package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/audit"
)

// everyCarrier has a country of its own in these tests, with somebody's number there.
var everyCarrier = []struct{ carrier, country, number string }{
	{"twilio", "DE", "+4915112345678"}, {"vonage", "FR", "+33612345678"}, {"infobip", "ES", "+34612345678"},
	{"aws", "GB", "+447400123456"}, {"kannel", "BR", "+5511961234567"}, {"gateway", "IN", "+918123456789"},
}

// everyRoute sends each country's SMS by its carrier alone.
func everyRoute() string {
	var routes []string
	for _, c := range everyCarrier {
		routes = append(routes, fmt.Sprintf("%s: [%s]", c.country, c.carrier))
	}
	return "{" + strings.Join(routes, ", ") + "}"
}

// TestEveryCarrierBringsAPasscodeAndItsReceipts signs people in by SMS, one for each carrier, and follows the route of their
// country: sent, delivered, entered.
func TestEveryCarrierBringsAPasscodeAndItsReceipts(t *testing.T) {
	t.Parallel()
	o := harness.Options{Routes: everyRoute()}
	for _, c := range everyCarrier {
		o.Carriers = append(o.Carriers, c.carrier)
	}
	tr := troubled(t, o)
	tr.SubscribeTopic()
	for _, c := range everyCarrier {
		t.Run(c.carrier, func(t *testing.T) {
			t.Parallel()
			in := tr.For(t)
			d := tr.dayOf(t, in.PersonAt("carla", c.number), in.Browser(), `"no_whatsapp":"refused"`)
			d.says("Your code has arrived by SMS", deadline)
			sms := d.who.Phone.Sent("sms")
			if len(sms) != 1 || sms[0].Carrier != c.carrier {
				t.Fatalf("sent by SMS: %+v", sms)
			}
			if tail := " #" + sms[0].Passcode; !strings.HasSuffix(sms[0].Text, tail) || !strings.Contains(sms[0].Text, "Parola e2e") {
				t.Errorf("the text is %q", sms[0].Text)
			}
			d.finish("sms")
			d.sent(0, 1)
			harness.Eventually(t, deadline, "the provider takes every report", func() bool {
				taken := 0
				for _, step := range d.who.Phone.Sent("sms")[0].Steps[1:] {
					if step.Answered >= 200 && step.Answered <= 299 {
						taken++
					}
				}
				return taken == 2
			})
			reported := map[string]bool{}
			for _, e := range d.told(audit.PasscodeReceipt) {
				if e.Data["carrier"] != c.carrier {
					t.Errorf("a receipt of %s", e.Data["carrier"])
				}
				reported[e.Data["status"]] = true
			}
			if !reported["delivered"] {
				t.Errorf("the receipts told of: %v", reported)
			}
		})
	}
}

// TestFailover loses one of two SMS carriers, in all the ways that must not cost a person their code, and in those where
// another carrier would only be a second message.
func TestFailover(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		// Nobody listens where Kannel should be.
		tr := troubled(t, harness.Options{DSN: dsn, Carriers: []string{"twilio", "kannel", "vonage"},
			Routes:      "{IT: [twilio, vonage], FR: [kannel, vonage], ES: [vonage, twilio], DE: []}",
			Environment: []string{"PAROLA_SMS_KANNEL_URL=http://127.0.0.1:9/cgi-bin/sendsms", "PAROLA_MFA_CALL_TIMEOUT=1s"}})
		for name, c := range map[string]struct {
			number, switches string
			live             func(d *day)
		}{
			"the first refuses our account: the second brings it, and an operator hears of it": {"", `"twilio":"20003"`, func(d *day) {
				d.says("Your code has arrived by SMS", deadline)
				d.wentOnTo("twilio", "20003", "vonage")
				d.alarmed("20003")
				d.finish("sms")
				d.broughtBy("vonage")
			}},
			"the first is busy": {"", `"twilio":"20429"`, func(d *day) {
				d.says("Your code has arrived by SMS", deadline)
				d.wentOnTo("twilio", "20429", "vonage")
				d.finish("sms")
				d.broughtBy("vonage")
			}},
			"the first is down": {"+33612345678", ``, func(d *day) {
				d.says("Your code has arrived by SMS", deadline)
				d.wentOnTo("kannel", "no_connection", "vonage")
				d.finish("sms")
				d.broughtBy("vonage")
			}},
			"a country with another order": {"+34612345678", `"twilio":"20003"`, func(d *day) {
				d.says("Your code has arrived by SMS", deadline)
				d.finish("sms")
				d.broughtBy("vonage")
			}},
			"both refuse: the page says so, and the second try of a person goes the same way": {"", `"twilio":"20003","vonage":"9"`, func(d *day) {
				d.says("We couldn’t reach the number ending in", deadline)
				d.wentOnTo("twilio", "20003", "vonage")
				d.broughtBy()
				d.who.Phone.Switch(`"no_whatsapp":"refused","twilio":"20003"`)
				d.page = d.browser.Press(d.page, "Send again")
				d.says("Your code has arrived by SMS", deadline)
				d.finish("sms")
				d.broughtBy("vonage")
			}},
			"the number is refused: it is the same number everywhere": {"", `"twilio":"21614"`, func(d *day) {
				d.says("We couldn’t reach the number ending in", deadline)
				d.broughtBy()
			}},
			"the first may have sent it: no second message": {"", `"twilio":"timeout"`, func(d *day) {
				d.says("may not have gone out", deadline)
				d.broughtBy()
			}},
			"the first took it, and its answer was lost: no second message": {"", `"twilio":"lost_answer"`, func(d *day) {
				d.says("Your code has arrived by SMS", deadline)
				d.finish("sms")
				d.broughtBy("twilio")
			}},
			"the first reports a failure later: no second message by itself": {"", `"sms_fails":"30005"`, func(d *day) {
				d.says("We couldn’t reach the number ending in", deadline)
				d.broughtBy("twilio")
			}},
			"a country without a route has no SMS": {"+4915112345678", ``, func(d *day) {
				d.says("We couldn’t reach the number ending in", deadline)
				if d.page.Offers("Send it by SMS instead") {
					d.t.Error("the page offers an SMS")
				}
				d.broughtBy()
			}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				in := tr.For(t)
				who := in.Person("fay")
				if c.number != "" {
					who = in.PersonAt("fay", c.number)
				}
				d := tr.dayOf(t, who, in.Browser(), strings.TrimSuffix(`"no_whatsapp":"refused",`+c.switches, ","))
				c.live(d)
				automatic := d.told(audit.PasscodeFallback)
				if len(automatic) > 1 {
					t.Errorf("%d automatic SMS", len(automatic))
				}
			})
		}
	})
}

// wentOnTo holds the events of a refused SMS to the carrier, its code and who is asked next.
func (d *day) wentOnTo(carrier, code, next string) {
	d.t.Helper()
	for _, e := range d.told(audit.PasscodeSendFailed) {
		if e.Reason == "next_carrier" && e.Data["carrier"] == carrier && e.Data["failure_code"] == code && e.Data["next_carrier"] == next {
			return
		}
	}
	d.t.Errorf("no event says that %s refused with %s and %s is next: %+v", carrier, code, next, d.told(audit.PasscodeSendFailed))
}

// broughtBy holds the day to the carriers that took its SMS, oldest first.
func (d *day) broughtBy(carriers ...string) {
	d.t.Helper()
	var took []string
	for _, m := range slices.Backward(d.who.Phone.Sent("sms")) {
		took = append(took, m.Carrier)
	}
	if !slices.Equal(took, carriers) {
		d.t.Errorf("the SMS were taken by %q, want %q", took, carriers)
	}
}

// TestNumberWithoutWhatsAppSkipsItForADay learns of a number that it has no WhatsApp, and asks Meta again only when the
// memory of it has faded: mfa.remember_no_whatsapp.
func TestNumberWithoutWhatsAppSkipsItForADay(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		tr := troubled(t, harness.Options{DSN: dsn})
		d := tr.day(t, `"no_whatsapp":"refused"`)
		d.says("Your code has arrived by SMS", deadline)
		d.finish("sms")
		asked := tr.CallsTo("meta")

		tr.Forward(tr.Config.MFA.RememberNoWhatsApp / 2)
		d.anew(`"no_whatsapp":"refused","sms_late_seconds":0.5`)
		d.page.MustSay(t, "by SMS")
		d.page.MustNotSay(t, "WhatsApp: ")
		d.says("Your code has arrived by SMS", deadline)
		d.fellBack("no_whatsapp")
		d.finish("sms")
		if n := tr.CallsTo("meta"); n != asked {
			t.Errorf("Meta was asked %d times more within the day", n-asked)
		}

		tr.Forward(tr.Config.MFA.RememberNoWhatsApp)
		d.anew("")
		d.says("Your code has arrived on WhatsApp", deadline)
		d.finish("whatsapp")
		if n := tr.CallsTo("meta"); n != asked+1 {
			t.Errorf("after the day Meta was asked %d times more, want once", n-asked)
		}
	})
}

// TestOnlySMS runs an installation without WhatsApp.
func TestOnlySMS(t *testing.T) {
	t.Parallel()
	tr := troubled(t, harness.Options{Carriers: []string{"vonage"}, Environment: []string{"PAROLA_WHATSAPP_ENABLED=false"}})
	d := tr.day(t, "")
	d.says("Your code has arrived by SMS", deadline)
	d.page.MustNotSay(t, "WhatsApp")
	d.finish("sms")
	d.broughtBy("vonage")
	if resp, err := stubborn.Post(tr.Issuer+"/webhooks/whatsapp", "application/json", strings.NewReader("{}")); err != nil {
		t.Error(err)
	} else if resp.Body.Close(); resp.StatusCode != http.StatusNotFound {
		t.Errorf("Meta's webhook answers with %d", resp.StatusCode)
	}
}
