package handset

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const testTopic = "arn:aws:sns:eu-central-1:123456789012:parola"

// withCarriers gives a handset accounts with the SMS carriers beside Twilio.
func withCarriers(c *Config) {
	c.Vonage = VonageAccount{Key: "abcd1234", Secret: "api secret", SignatureSecret: "sigsecret"}
	c.Infobip.Key = "api key"
	c.AWS = AWSAccount{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", ConfigurationSet: "parola", TopicARN: testTopic}
}

func (w *world) vonageForm(to string) url.Values {
	return url.Values{
		"to": {to}, "from": {"12025550123"}, "text": {"493027 is your code.\n\n@login.example.com #493027"}, "ttl": {"300000"},
		"client-ref": {"attempt-0001"}, "callback": {w.provider.URL + "/vonage"},
	}
}

func (w *world) vonage(form url.Values) answer {
	w.t.Helper()
	a, err := w.do(http.MethodPost, "/sms/json", form.Encode(), func(r *http.Request) {
		r.SetBasicAuth("abcd1234", "api secret")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// The vector of the secret "sigsecret" that the reference has.
func TestVonageSignatureVectors(t *testing.T) {
	receipt := url.Values{
		"msisdn": {"12025550100"}, "to": {"12025550123"}, "messageId": {"0A0000000123ABCD1"}, "status": {"delivered"}, "err-code": {"0"},
		"scts": {"2609141203"}, "message-timestamp": {"2026-09-14 12:03:00"}, "timestamp": {"1789387380"},
	}
	for method, want := range map[string]string{
		"md5hash": "5f570541b0c5308445f300c9ec95d3fe", "sha256": "f266697015f93697c3ffb2aea0b7a2d3723f61f9c88395c5c8b0a693fee1211a",
	} {
		if got := (VonageAccount{SignatureSecret: "sigsecret", SignatureMethod: method}).sign(receipt); got != want {
			t.Errorf("%s: got %s", method, got)
		}
	}
}

func TestVonageAnswersAndReports(t *testing.T) {
	w := newWorld(t, withCarriers)
	sameShape(t, "vonage-send.response.json", w.vonage(w.vonageForm("393331234567")).body)
	w.clock.advance(time.Second)
	eventually(t, func() bool { return len(w.provider.received()) == 2 }, func() string { return "no receipts" })
	for _, k := range w.provider.received() {
		var receipt map[string]string
		if err := json.Unmarshal(k.body, &receipt); err != nil {
			t.Fatal(err)
		}
		parameters := url.Values{}
		for name, value := range receipt {
			parameters.Set(name, value)
		}
		if !strings.EqualFold(receipt["sig"], w.h.cfg.Vonage.sign(parameters)) || receipt["client-ref"] != "attempt-0001" || receipt["msisdn"] != anna[1:] {
			t.Errorf("receipt %s", k.body)
		}
	}
	if in := w.inbox(anna); len(in) != 1 || in[0].Carrier != "vonage" || in[0].Passcode != "493027" {
		t.Errorf("inbox %+v", in)
	}
}

func TestVonageRefusesWhatVonageRefusesWithStatus200(t *testing.T) {
	w := newWorld(t, withCarriers)
	for _, c := range []struct{ name, field, value, status string }{
		{"no recipient", "to", "", "2"},
		{"a recipient with a plus", "to", anna, "3"},
		{"no text", "text", "", "2"},
		{"a life that is too short", "ttl", "19999", "3"},
		{"a reference that is too long", "client-ref", strings.Repeat("x", 41), "3"},
		{"somebody else's number", "from", "12025550199", "15"},
	} {
		t.Run(c.name, func(t *testing.T) {
			form := w.vonageForm("393331234567")
			form.Set(c.field, c.value)
			a := w.vonage(form)
			var got struct{ Messages []struct{ Status string } }
			if err := json.Unmarshal(a.body, &got); err != nil || a.status != http.StatusOK || len(got.Messages) != 1 || got.Messages[0].Status != c.status {
				t.Errorf("%d %s, want %s", a.status, a.body, c.status)
			}
		})
	}
	w.throw(`{"phone":"` + anna + `","vonage":"7"}`)
	sameShape(t, "vonage-error.response.json", w.vonage(w.vonageForm("393331234567")).body)
}

func TestVonageLosesWhatItWasNotToldToSendAsUnicode(t *testing.T) {
	w := newWorld(t, withCarriers)
	form := w.vonageForm("393331234567")
	form.Set("text", "493027 ẞ")
	w.vonage(form)
	form.Set("type", "unicode")
	w.vonage(form)
	w.clock.advance(time.Second)
	texts := []string{}
	for _, m := range w.inbox(anna) {
		texts = append(texts, m.Text)
	}
	slices.Sort(texts)
	if !slices.Equal(texts, []string{"493027 ?", "493027 ẞ"}) {
		t.Errorf("arrived %q", texts)
	}
}

func (w *world) infobip(to, change string) answer {
	w.t.Helper()
	body := `{"messages":[{"sender":"12025550123","destinations":[{"to":"` + to + `","messageId":"attempt-0001"}],` +
		`"content":{"text":"493027 is your code."},"options":{"validityPeriod":{"amount":300,"timeUnit":"SECONDS"}},` +
		`"webhooks":{"delivery":{"url":"` + w.provider.URL + `/infobip"},"contentType":"application/json","callbackData":"attempt-0001"}}]}`
	if old, new, ok := strings.Cut(change, "→"); ok {
		body = strings.Replace(body, old, new, 1)
	}
	a, err := w.do(http.MethodPost, "/sms/3/messages", body, func(r *http.Request) { r.Header.Set("Authorization", "App api key") })
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func TestInfobipAnswersAndReports(t *testing.T) {
	w := newWorld(t, withCarriers)
	sameShape(t, "infobip-send.response.json", w.infobip("393331234567", "").body)
	w.clock.advance(time.Second)
	eventually(t, func() bool { return len(w.provider.received()) == 1 }, func() string { return "not one report: only the last was asked for" })
	sameShape(t, "infobip-report.json", w.provider.received()[0].body)
	w.infobip("393331234567", `/infobip"→/infobip","intermediateReport":true`)
	w.clock.advance(time.Second)
	eventually(t, func() bool { return len(w.provider.received()) == 3 }, func() string { return "no intermediate report" })
}

func TestInfobipRefusals(t *testing.T) {
	w := newWorld(t, withCarriers)
	for _, c := range []struct {
		name, to, change string
		status           int
		want             string
	}{
		{"a recipient that is no number", "39anna", "", http.StatusOK, "REJECTED_DESTINATION"},
		{"somebody else's sender", "393331234567", `12025550123→12025550199`, http.StatusOK, "REJECTED_SENDER"},
		{"no text", "393331234567", `493027 is your code.→`, http.StatusBadRequest, "BAD_REQUEST"},
		{"a life that is too long", "393331234567", `"SECONDS"→"HOURS"`, http.StatusBadRequest, "BAD_REQUEST"},
		{"a unit that is none", "393331234567", `"SECONDS"→"DAYS"`, http.StatusBadRequest, "BAD_REQUEST"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := w.infobip(c.to, c.change); a.status != c.status || !strings.Contains(string(a.body), `"`+c.want+`"`) {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	if a, err := w.do(http.MethodPost, "/sms/3/messages", "{}", nil); err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("without a key: %v %d", err, a.status)
	}
}

func TestAWSWantsASignature(t *testing.T) {
	w := newWorld(t, withCarriers)
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"an action": {func(*http.Request) {}, "UnknownOperationException"},
		"a signature": {func(r *http.Request) { r.Header.Set("X-Amz-Target", "PinpointSMSVoiceV2.SendTextMessage") },
			"MissingAuthenticationTokenException"},
		"the account's key": {func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "PinpointSMSVoiceV2.SendTextMessage")
			r.Header.Set("X-Amz-Date", "20260914T120255Z")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=OTHER/20260914/eu-central-1/sms-voice/aws4_request, SignedHeaders=host, Signature=00")
		}, "UnrecognizedClientException"},
		"the right one": {func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "PinpointSMSVoiceV2.SendTextMessage")
			r.Header.Set("X-Amz-Date", "20260914T120255Z")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260914/eu-central-1/sms-voice/aws4_request, SignedHeaders=host, Signature=00")
		}, "InvalidSignatureException"},
		"one of today": {func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "PinpointSMSVoiceV2.SendTextMessage")
			r.Header.Set("X-Amz-Date", "20260913T120255Z")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260913/eu-central-1/sms-voice/aws4_request, SignedHeaders=host, Signature=00")
		}, "InvalidSignatureException"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := w.do(http.MethodPost, "/", "{}", c.change)
			if err != nil || a.status != http.StatusBadRequest || !strings.Contains(string(a.body), c.want) {
				t.Errorf("%v %d %s", err, a.status, a.body)
			}
		})
	}
}

func TestAWSEventsHaveTheirShape(t *testing.T) {
	w := newWorld(t, withCarriers)
	m := &message{id: "theirs", to: anna, from: "+12025550123", callback: w.provider.URL, steps: []step{{State: stateAccepted}, {State: stateDelivered}}}
	w.h.mu.Lock()
	r := w.h.awsReport(m, 1, map[string]string{"attempt": "attempt-0001"})
	w.h.mu.Unlock()
	var notification struct{ Type, Message, TopicArn, Signature string }
	if err := json.Unmarshal(r.body, &notification); err != nil || notification.TopicArn != testTopic || notification.Signature == "" {
		t.Fatalf("%v %s", err, r.body)
	}
	sameShape(t, "aws-event.json", []byte(notification.Message))
}

func TestSMSFailuresAreToldInEachCarriersWords(t *testing.T) {
	for code, want := range map[string]struct{ vonage, infobip string }{
		"30003": {`"err-code":"2"`, `"EC_ABSENT_SUBSCRIBER"`},
		"30005": {`"err-code":"3"`, `"EC_UNKNOWN_SUBSCRIBER"`},
		"30008": {`"err-code":"1"`, `"EC_SM_DELIVERY_FAILURE"`},
	} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t, withCarriers)
			w.throw(`{"phone":"` + anna + `","sms_fails":"` + code + `"}`)
			w.vonage(w.vonageForm("393331234567"))
			w.infobip("393331234567", "")
			w.clock.advance(time.Second)
			all := ""
			eventually(t, func() bool {
				all = ""
				for _, k := range w.provider.received() {
					all += string(k.body)
				}
				return strings.Contains(all, want.vonage) && strings.Contains(all, want.infobip)
			}, func() string { return all })
		})
	}
}
