package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// hears waits for a bulletin of a kind among the events of a severity, and returns the newest.
func (n *network) hears(t *testing.T, severity, bulletin string) storage.Event {
	t.Helper()
	var newest storage.Event
	harness.Eventually(t, deadline, bulletin+" is told", func() bool {
		for _, e := range events(t, n.store, severity) {
			if e.Reason == bulletin {
				newest = e
			}
		}
		return newest.ID != ""
	})
	return newest
}

// reads is a login by WhatsApp of somebody who reads Italian, with a word of the message.
func (n *network) reads(t *testing.T, word string) {
	t.Helper()
	in := n.For(t)
	who, browser := in.Person("lia"), in.Browser()
	browser.Language = "it"
	request := in.RelyingParty(harness.WebClient).Begin()
	browser.Press(browser.Get(request.URL), "Continua", "username", who.Username, "password", who.Password)
	who.Phone.Passcode("whatsapp", deadline)
	if text := who.Phone.Inbox()[0].Text; !strings.Contains(text, word) {
		t.Errorf("the message reads %q, want %q in it", text, word)
	}
}

// TestBulletinsOfMeta listens to what Meta says of the template, the account and the number, and acts on it by itself: no
// person waits for a message that Meta has announced it will not deliver.
func TestBulletinsOfMeta(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		n := connected(t, dsn)
		n.ForAll(`"webhooks_twice":true`)

		t.Run("a template that is paused in one language", func(t *testing.T) {
			circuit, italian := mfa.TemplateCircuit("it"), `"message_template_language":"it"`
			n.reads(t, "è il tuo codice")
			n.Emit("template-status-paused", italian)
			told := n.hears(t, audit.CarrierAlarm, "template_paused")
			if told.Severity != audit.High || told.Data["subject"] != "parola_login_code/it" || told.Data["hold"] != circuit {
				t.Errorf("the pause is told as %+v", told)
			}
			n.told(t, audit.CircuitOpened, circuit, 1)
			n.circuit(t, circuit, "held")
			n.reads(t, "is your verification code")
			d := n.through(t, 1)
			d.says("Your code has arrived on WhatsApp", deadline)
			n.Emit("template-status-reinstated", italian)
			n.told(t, audit.CircuitClosed, circuit, 1)
			n.circuit(t, circuit, "")
			n.reads(t, "è il tuo codice")
		})
		t.Run("an account that is disabled", func(t *testing.T) {
			circuit := mfa.CarrierCircuit("meta")
			n.Emit("account-update-disabled", "")
			told := n.hears(t, audit.CarrierAlarm, "account_disabled")
			if told.Severity != audit.High || told.Data["hold"] != circuit {
				t.Errorf("the end of the account is told as %+v", told)
			}
			n.circuit(t, circuit, "held")
			asked := n.CallsTo("meta")
			for i := range n.nodes {
				n.through(t, i).atOnceBySMS()
			}
			n.Forward(24 * time.Hour) // it is not for us to try
			n.through(t, 0).atOnceBySMS()
			if calls := n.CallsTo("meta"); calls != asked {
				t.Errorf("Meta was asked %d times", calls-asked)
			}
			n.Emit("account-update-reinstated", "")
			n.hears(t, audit.CarrierWarning, "account_reinstated")
			n.circuit(t, circuit, "")
			for i := range n.nodes {
				d := n.through(t, i)
				d.says("Your code has arrived on WhatsApp", deadline)
				d.finish("whatsapp")
			}
		})
		for name, b := range map[string]struct{ payload, kind, bulletin, severity string }{
			"somebody changed the PIN of the number": {"security-pin-changed", audit.CarrierAlarm, "pin_changed", audit.High},
			"the template got another category":      {"template-category-update", audit.CarrierAlarm, "template_category", audit.High},
			"the template's quality fell":            {"template-quality-red", audit.CarrierWarning, "template_quality", audit.Warning},
			"our account has a payment problem":      {"value-errors-131042", audit.CarrierAlarm, "account_error", audit.High},
		} {
			t.Run(name, func(t *testing.T) {
				n.Emit(b.payload, "")
				if told := n.hears(t, b.kind, b.bulletin); told.Severity != b.severity || told.Data["carrier"] != "meta" {
					t.Errorf("told as %+v", told)
				}
			})
		}
		heard := map[string]int{}
		for _, e := range events(t, n.store, audit.CarrierAlarm) {
			heard[e.Reason]++
		}
		for bulletin, times := range heard {
			if times != 1 {
				t.Errorf("%s was posted twice and is told %d times", bulletin, times)
			}
		}
		if circuits, err := n.store.Circuits(context.Background()); err != nil || len(circuits) != 0 {
			t.Errorf("circuits are left: %v %v", circuits, err)
		}
	})
}

// TestForgedBulletins has somebody else say that the account is gone. Nothing happens, but that it is counted.
func TestForgedBulletins(t *testing.T) {
	t.Parallel()
	n := connected(t, "")
	body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"102000000000001","time":%d,"changes":[`+
		`{"field":"account_update","value":{"event":"ACCOUNT_DELETED"}},{"field":"security","value":{"event":"PIN_CHANGED"}}]}]}`, time.Now().Unix())
	right := signed(n.Installation, body, http.StatusOK)
	for name, c := range map[string]struct {
		probe  probe
		reason string
	}{
		"without a signature":           {probe{body: body, status: http.StatusUnauthorized}, "signature_missing"},
		"with that of another body":     {probe{body: body + " ", header: right.header, status: http.StatusForbidden}, "signature_wrong"},
		"with one that is no signature": {probe{body: body, header: "X-Hub-Signature-256: sha256=zz", status: http.StatusForbidden}, "signature_wrong"},
		"with SHA-1":                    {probe{body: body, header: "X-Hub-Signature: sha1=" + strings.Repeat("0", 40), status: http.StatusUnauthorized}, "signature_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			before := n.For(t).Metric("parola_webhooks_rejected_total", "channel", "whatsapp", "reason", c.reason)
			c.probe.method, c.probe.path = http.MethodPost, right.path
			if resp, _ := c.probe.send(t, n.Issuer); resp.StatusCode != c.probe.status {
				t.Errorf("answered with %d, want %d", resp.StatusCode, c.probe.status)
			}
			if after := n.For(t).Metric("parola_webhooks_rejected_total", "channel", "whatsapp", "reason", c.reason); after != before+1 {
				t.Errorf("counted %v times", after-before)
			}
		})
	}
	if told := events(t, n.store, "carrier."); len(told) != 0 {
		t.Errorf("something was believed: %+v", told)
	}
	if told := events(t, n.store, audit.WebhookRejected); len(told) == 0 {
		t.Error("no event tells of the forgeries")
	}
	d := n.through(t, 0)
	d.says("Your code has arrived on WhatsApp", deadline)
	d.finish("whatsapp")

	// The same, signed: the test would notice.
	if resp, _ := right.send(t, n.Issuer); resp.StatusCode != http.StatusOK {
		t.Errorf("the genuine one is answered with %d", resp.StatusCode)
	}
	n.hears(t, audit.CarrierAlarm, "account_disabled")
	n.circuit(t, mfa.CarrierCircuit("meta"), "held")
}
