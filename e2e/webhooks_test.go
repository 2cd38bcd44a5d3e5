package e2e_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// statuses is a webhook of Meta's about messages, for this business number.
func statuses(in *harness.Installation, entries ...string) string {
	return fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"102000000000001","changes":[{"field":"messages","value":`+
		`{"messaging_product":"whatsapp","metadata":{"display_phone_number":"12025550100","phone_number_id":"%s"},"statuses":[%s]}}]}]}`,
		in.Config.WhatsApp.PhoneNumberID, strings.Join(entries, ","))
}

func failedStatus(id, mark string) string {
	return fmt.Sprintf(`{"id":%q,"status":"failed","timestamp":"%d","recipient_id":"393471234567","biz_opaque_callback_data":%q,`+
		`"errors":[{"code":131026,"title":"Message undeliverable"}]}`, id, time.Now().Unix(), mark)
}

// vonageReceipt is a receipt of Vonage's, signed at a time.
func vonageReceipt(in *harness.Installation, deliveryID string, at time.Time) probe {
	form := url.Values{"msisdn": {"393471234567"}, "to": {"12025550123"}, "messageId": {"0A0000000123ABCD1"}, "status": {"failed"},
		"err-code": {"6"}, "client-ref": {deliveryID}, "api-key": {in.Config.SMS.Vonage.APIKey}, "timestamp": {strconv.FormatInt(at.Unix(), 10)}}
	text := ""
	for _, name := range slices.Sorted(maps.Keys(form)) {
		text += "&" + name + "=" + strings.NewReplacer("&", "_", "=", "_").Replace(form.Get(name))
	}
	mac := hmac.New(sha256.New, []byte(in.Config.SMS.Vonage.SignatureSecret.Reveal()))
	mac.Write([]byte(text))
	form.Set("sig", hex.EncodeToString(mac.Sum(nil)))
	return probe{method: http.MethodPost, path: "/webhooks/sms/vonage", header: formHeader, body: form.Encode(), status: http.StatusForbidden}
}

// TestWebhookFaults posts what no carrier would, or what one would not now. Nothing changes, every refusal is counted under
// its reason, and the login goes on to its end.
func TestWebhookFaults(t *testing.T) {
	t.Parallel()
	tr := troubled(t, harness.Options{Internal: true, Carriers: []string{"twilio", "vonage", "infobip", "kannel", "gateway", "aws"},
		Environment: []string{"PAROLA_MFA_TEMPLATE_TTL=5m"}})
	in := tr.Installation
	d := tr.day(t, "")
	d.says("Your code has arrived on WhatsApp", deadline)
	challengeID := d.told(audit.PasscodeQueued)[0].ChallengeID
	challenge, deliveries, err := tr.store.ChallengeWithDeliveries(context.Background(), challengeID)
	if err != nil || len(deliveries) != 1 {
		t.Fatal(err, deliveries)
	}
	ours, wamid := deliveries[0], d.who.Phone.Sent("whatsapp")[0].ID
	post := func(p probe, status int) probe {
		p.method, p.status = http.MethodPost, status
		return p
	}
	stranger := storage.NewID()
	for name, c := range map[string]struct {
		probe           probe
		channel, reason string // empty: dropped quietly, there is nobody to blame
	}{
		"Meta's, forged": {post(probe{path: "/webhooks/whatsapp", body: statuses(in, failedStatus(wamid, ours.ID)),
			header: "X-Hub-Signature-256: sha256=" + strings.Repeat("0", 64)}, 403), "whatsapp", "signature_wrong"},
		"Meta's, unsigned": {post(probe{path: "/webhooks/whatsapp", body: statuses(in, failedStatus(wamid, ours.ID))}, 401), "whatsapp", "signature_missing"},
		"Meta's, too large": {post(probe{path: "/webhooks/whatsapp", body: strings.Repeat(" ", 4<<20),
			header: "X-Hub-Signature-256: sha256=" + strings.Repeat("0", 64)}, 413), "whatsapp", "too_large"},
		"Meta's, signed and no JSON":                   {signed(in, `{"entry":[`, 200), "whatsapp", "unreadable"},
		"Meta's, of a thousand and one":                {signed(in, statuses(in, slices.Repeat([]string{failedStatus("wamid.unknown", stranger)}, 1001)...), 413), "whatsapp", "too_many_updates"},
		"Meta's, about a message that nobody sent":     {signed(in, statuses(in, failedStatus("wamid.unknown", stranger), failedStatus("wamid.unknown", "no id at all")), 200), "", ""},
		"Meta's, of another business number":           {signed(in, strings.Replace(statuses(in, failedStatus(wamid, ours.ID)), in.Config.WhatsApp.PhoneNumberID, "106000000000002", 1), 200), "", ""},
		"Meta's, with members of other kinds":          {signed(in, `{"entry":[1,{"changes":"none"},{"changes":[{"field":"messages","value":[]}]}]}`, 200), "", ""},
		"Meta's, an unknown status":                    {signed(in, statuses(in, fmt.Sprintf(`{"id":%q,"status":"exploded","biz_opaque_callback_data":%q}`, wamid, ours.ID)), 200), "", ""},
		"Vonage's, stale":                              {vonageReceipt(in, stranger, time.Now().Add(-time.Hour)), "sms", "stale"},
		"Vonage's, from the future":                    {vonageReceipt(in, stranger, time.Now().Add(time.Hour)), "sms", "stale"},
		"Vonage's, genuine but about Meta's message":   {func() probe { p := vonageReceipt(in, ours.ID, time.Now()); p.status = 204; return p }(), "", ""},
		"Twilio's, forged":                             {post(probe{path: "/webhooks/sms/twilio?delivery=" + ours.ID, header: formHeader + "\nX-Twilio-Signature: AAAA", body: "MessageStatus=failed&MessageSid=SM1"}, 403), "sms", "signature_wrong"},
		"Twilio's, too large":                          {post(probe{path: "/webhooks/sms/twilio", header: formHeader + "\nX-Twilio-Signature: AAAA", body: strings.Repeat("a", 1<<20)}, 413), "sms", "too_large"},
		"Infobip's, with a token of another delivery":  {post(probe{path: "/webhooks/sms/infobip?delivery=" + ours.ID + "&token=AAAAAAAAAAAAAAAAAAAAAA", header: "Content-Type: application/json", body: `{"results":[]}`}, 403), "sms", ""},
		"Kannel's, without a token":                    {probe{path: "/webhooks/sms/kannel?delivery=" + ours.ID + "&event=2", status: 403}, "sms", ""},
		"the gateway's, forged":                        {post(probe{path: "/webhooks/sms/gateway", header: "Content-Type: application/json\nX-Gateway-Signature: sha256=" + strings.Repeat("0", 64), body: `{"receipts":[]}`}, 403), "sms", "signature_wrong"},
		"AWS's, with a certificate of somebody else's": {post(probe{path: "/webhooks/sms/aws", header: "Content-Type: text/plain", body: `{"Type":"Notification","MessageId":"1","TopicArn":"` + in.Config.SMS.AWS.TopicARN + `","Message":"{}","Timestamp":"2026-11-25T00:00:00.000Z","SignatureVersion":"2","Signature":"AAAA","SigningCertURL":"https://evil.example/SimpleNotificationService-0a.pem"}`}, 403), "sms", "signature_wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			count := func() float64 {
				if c.channel == "" {
					return tr.For(t).Metric("parola_webhooks_rejected_total")
				}
				if c.reason == "" {
					return tr.For(t).Metric("parola_webhooks_rejected_total", "channel", c.channel)
				}
				return tr.For(t).Metric("parola_webhooks_rejected_total", "channel", c.channel, "reason", c.reason)
			}
			before, want := count(), 0.0
			if c.channel != "" {
				want = 1
			}
			if resp, body := c.probe.send(t, in.Issuer); resp.StatusCode != c.probe.status || body != "" {
				t.Errorf("answered with %d %q, want %d", resp.StatusCode, body, c.probe.status)
			}
			if counted := count() - before; counted != want {
				t.Errorf("counted %v times, want %v", counted, want)
			}
		})
	}
	after, messages, err := tr.store.ChallengeWithDeliveries(context.Background(), challengeID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(challenge, after) + cmp.Diff(deliveries, messages); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
	sampled := map[string]bool{}
	for _, e := range events(t, tr.store, audit.WebhookRejected) {
		sampled[e.Channel+"/"+e.Reason] = true
		if e.Severity != audit.Warning || len(e.Data) > 0 {
			t.Errorf("a rejected webhook is told as %+v", e)
		}
	}
	for _, want := range []string{"whatsapp/signature_wrong", "whatsapp/too_large", "whatsapp/unreadable", "sms/stale", "sms/signature_wrong"} {
		if !sampled[want] {
			t.Errorf("no event tells of %s", want)
		}
	}
	for _, secret := range []string{"wamid.unknown", "exploded", wamid} {
		if log := tr.LogText(); strings.Contains(log, secret) {
			t.Errorf("the log holds %q of a webhook's body", secret)
		}
	}
	d.finish("whatsapp")
	d.sent(1, 0)
}
