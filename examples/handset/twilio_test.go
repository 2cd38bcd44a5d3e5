package handset

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func (w *world) fetch(sid string) answer {
	w.t.Helper()
	a, err := w.do(http.MethodGet, twilioPath+"/"+sid+".json", "", func(r *http.Request) { r.SetBasicAuth(testSID, testAuth) })
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func TestTwilioSignatureVectors(t *testing.T) {
	call := func(number string) url.Values {
		return url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {number}, "Digits": {"1234"}, "From": {number}, "To": {"+18005551212"}}
	}
	undelivered, err := url.ParseQuery("ErrorCode=30003&SmsSid=SM00000000000000000000000000000001&SmsStatus=undelivered&MessageStatus=undelivered&To=%2B12025550100&" +
		"MessageSid=SM00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000000&From=%2B12025550123&ApiVersion=2010-04-01&RawDlrDoneDate=2609141203")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url    string
		params url.Values
		want   string
	}{
		{"https://mycompany.com/myapp.php?foo=1&bar=2", call("+12349013030"), "0/KCTR6DLpKmkAf8muzZqo1nDgQ="},
		{"https://mycompany.com/myapp.php?foo=1&bar=2", call("+14158675309"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
		{"https://otp.example.com/webhooks/twilio", undelivered, "5cFwJDSc7hgE3qGSnjxWrHBOezQ="},
		{"https://otp.example.com/webhooks/twilio?bodySHA256=015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862", nil, "47WSXAuDcfMWX5r5hLwrS99rGEE="},
	} {
		if got := twilioSignature("12345", c.url, c.params); got != c.want {
			t.Errorf("%s: got %s, want %s", c.url, got, c.want)
		}
	}
}

func TestSMSIsAcceptedReportedAndFound(t *testing.T) {
	w := newWorld(t, nil)
	form := w.smsForm(anna, "493027")
	form.Set("StatusCallback", form.Get("StatusCallback")+"#rc=3") // tunes the connection, is not called
	a, err := w.twilio(form)
	if err != nil || a.status != http.StatusCreated {
		t.Fatalf("%v %d %s", err, a.status, a.body)
	}
	sameShape(t, "twilio-create.response.json", a.body)
	var created twilioResource
	if err := json.Unmarshal(a.body, &created); err != nil || created.Status != "queued" || created.To != anna || created.NumSegments != "1" {
		t.Errorf("%v %+v", err, created)
	}
	if created.DateCreated != "Mon, 14 Sep 2026 12:02:55 +0000" {
		t.Errorf("date %s", created.DateCreated)
	}
	w.expect("sent")
	w.clock.advance(300 * time.Millisecond)
	w.expect("sent", "delivered")
	for _, k := range w.provider.received() {
		if got := k.header.Get("X-Twilio-Signature"); got != twilioSignature(testAuth, w.provider.URL+"/webhooks/twilio?d=1", k.form) {
			t.Errorf("signature %s of %v", got, k.form)
		}
		for name, want := range map[string]string{"MessageSid": created.SID, "SmsSid": created.SID, "SmsStatus": k.status(), "AccountSid": testSID, "To": anna, "From": "+12025550123", "ApiVersion": "2010-04-01"} {
			if k.form.Get(name) != want {
				t.Errorf("%s is %q, want %q", name, k.form.Get(name), want)
			}
		}
		if k.form.Has("RawDlrDoneDate") != (k.status() == "delivered") || k.form.Has("ErrorCode") {
			t.Errorf("%v", k.form)
		}
	}
	if in := w.inbox(anna); len(in) != 1 || in[0].Channel != SMS || in[0].Passcode != "493027" || in[0].ID != created.SID {
		t.Errorf("inbox %+v", in)
	}
	var found twilioResource
	if err := json.Unmarshal(w.fetch(created.SID).body, &found); err != nil || found.Status != "delivered" || found.DateSent == nil {
		t.Errorf("%v %+v", err, found)
	}
	if a := w.fetch("SM00"); a.status != http.StatusNotFound {
		t.Errorf("unknown sid: %d", a.status)
	}
}

func TestMessagingServiceChoosesTheSender(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MessagingServiceSID = "MG00000000000000000000000000000000" })
	form := w.smsForm(anna, "493027")
	form.Del("From")
	form.Set("MessagingServiceSid", "MG00000000000000000000000000000000")
	a, err := w.twilio(form)
	var created twilioResource
	if err != nil || json.Unmarshal(a.body, &created) != nil || created.Status != "accepted" || created.From != nil || created.NumSegments != "0" {
		t.Fatalf("%v %s", err, a.body)
	}
	w.expect("sent")
	if f := w.provider.received()[0].form; f.Get("From") != "+12025550123" || f.Get("MessagingServiceSid") == "" {
		t.Errorf("%v", f)
	}
}

func TestSMSRefusesWhatTwilioRefuses(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		name, field, value string
		code               int
	}{
		{"no recipient", "To", "", 21604},
		{"a recipient that is no number", "To", "+1202555", 0},
		{"a recipient without plus", "To", "393331234567", 21211},
		{"letters for a recipient", "To", "+39anna", 21211},
		{"no text", "Body", "", 21602},
		{"a text that is too long", "Body", strings.Repeat("x", 1601), 21617},
		{"no sender", "From", "", 21603},
		{"an impossible sender", "From", "not a sender at all", 21212},
		{"somebody else's number", "From", "+12025550199", 21606},
		{"the recipient as the sender", "From", anna, 21266},
		{"a relative callback", "StatusCallback", "/webhooks/twilio", 21609},
		{"an underscore in the callback's host", "StatusCallback", "https://my_host.example/x", 21609},
		{"no time at all", "ValidityPeriod", "0", 21624},
		{"too much time", "ValidityPeriod", "36001", 21624},
		{"time that is no number", "ValidityPeriod", "soon", 21624},
		{"an unknown service", "MessagingServiceSid", "MG1", 21701},
	} {
		t.Run(c.name, func(t *testing.T) {
			form := w.smsForm(anna, "493027")
			form.Set(c.field, c.value)
			a, err := w.twilio(form)
			if err != nil {
				t.Fatal(err)
			}
			if c.code == 0 { // seven digits are a number somewhere
				if a.status != http.StatusCreated {
					t.Errorf("%d %s", a.status, a.body)
				}
				return
			}
			sameShape(t, "twilio-error.response.json", a.body)
			var got twilioError
			if err := json.Unmarshal(a.body, &got); err != nil || got.Code != c.code || got.Status != 400 || a.status != 400 {
				t.Errorf("%d %s, want %d", a.status, a.body, c.code)
			}
		})
	}
}

func TestTwilioWantsTheAccountsCredentials(t *testing.T) {
	w := newWorld(t, nil)
	for name, change := range map[string]func(*http.Request){
		"none":             func(*http.Request) {},
		"a wrong password": func(r *http.Request) { r.SetBasicAuth(testSID, "wrong") },
		"another account":  func(r *http.Request) { r.SetBasicAuth("AC11111111111111111111111111111111", testAuth) },
	} {
		a, err := w.do(http.MethodPost, twilioPath+".json", w.smsForm(anna, "1234").Encode(), change)
		if err != nil || a.status != http.StatusUnauthorized || !strings.Contains(string(a.body), "20003") {
			t.Errorf("%s: %v %d %s", name, err, a.status, a.body)
		}
	}
}

func TestCallbacksAreRepeatedOnceOnAServerError(t *testing.T) {
	w := newWorld(t, nil)
	w.provider.answer = func(int) int { return http.StatusServiceUnavailable }
	form := w.smsForm(anna, "493027")
	if _, err := w.twilio(form); err != nil {
		t.Fatal(err)
	}
	w.expect("sent")
	w.clock.advance(time.Second)
	w.expect("sent", "sent", "delivered")
	w.clock.advance(time.Hour)
	w.expect("sent", "sent", "delivered", "delivered")

	w.provider.answer = func(int) int { return http.StatusForbidden }
	w.sms(bruno, "493027")
	w.clock.advance(time.Hour)
	w.expect("sent", "sent", "delivered", "delivered", "sent", "delivered")
}

func TestPasscodeIsFoundInAnSMS(t *testing.T) {
	for text, want := range map[string]string{
		"123456 is your code.\n\n@login.example.com #123456":    "123456",
		"Since 2026: code 998877\n\n@login.example.com #998877": "998877",
		"Your code: 4711":  "4711",
		"No code here, 12": "",
	} {
		if got := passcodeIn(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSegments(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{strings.Repeat("a", 160), 1}, {strings.Repeat("a", 161), 2}, {strings.Repeat("a", 307), 3},
		{strings.Repeat("€", 80), 1}, {strings.Repeat("€", 81), 2},
		{strings.Repeat("ç", 70), 1}, {strings.Repeat("ç", 71), 2}, {strings.Repeat("😀", 36), 2},
		{"è il tuo codice", 1},
	} {
		if got := segments(c.text); got != c.want {
			t.Errorf("%.10q × %d: got %d, want %d", c.text, len([]rune(c.text)), got, c.want)
		}
	}
}
