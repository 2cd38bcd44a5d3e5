package handset

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPhoneOffDropsAtTheTTLWithoutAWord(t *testing.T) {
	w := newWorld(t, nil)
	w.throw(`{"phone":"` + anna + `","phone_off":true}`)
	w.whatsApp(anna, "493027")
	w.expect("sent")
	w.clock.advance(31 * time.Second)
	w.throw(`{"phone":"` + anna + `"}`)
	w.clock.advance(time.Hour)
	w.expect("sent")
	if in := w.inbox(anna); len(in) != 0 {
		t.Errorf("a dropped message arrived: %v", in)
	}
	if v := w.h.pageState(anna).Messages[0]; v.State != stateDropped {
		t.Errorf("state %s", v.State)
	}
}

func TestPhoneSwitchedOnWithinTheTTLReceives(t *testing.T) {
	w := newWorld(t, nil)
	w.throw(`{"phone":"","phone_off":true}`)
	w.whatsApp(anna, "493027")
	w.clock.advance(29 * time.Second)
	w.expect("sent")
	w.call(http.MethodDelete, "/switches", "")
	w.clock.advance(300 * time.Millisecond)
	w.expect("sent", "delivered")
	if in := w.inbox(anna); len(in) != 1 || in[0].Passcode != "493027" {
		t.Errorf("inbox %v", in)
	}
}

func TestPhoneOffLetsSMSThrough(t *testing.T) {
	w := newWorld(t, nil)
	w.throw(`{"phone":"` + anna + `","phone_off":true}`)
	w.sms(anna, "493027")
	w.clock.advance(time.Second)
	w.expect("sent", "delivered")
}

func TestNoWhatsAppRefusedAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.throw(`{"phone":"` + anna + `","no_whatsapp":"refused"}`)
	a := w.send(sendBody(anna, "493027"))
	if a.status != http.StatusBadRequest || !strings.Contains(string(a.body), `"code":131026`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	sameShape(t, "error.response.json", a.body)
	w.whatsApp(bruno, "118822")
	w.expect("sent")
}

func TestFailuresThatComeByWebhook(t *testing.T) {
	for switches, want := range map[string]string{
		`"no_whatsapp":"webhook"`:   "failed 131026",
		`"identity_changed":true`:   "failed 137000",
		`"whatsapp_fails":"131000"`: "failed 131000",
		`"whatsapp_fails":"131049"`: "failed 131049",
	} {
		t.Run(want, func(t *testing.T) {
			w := newWorld(t, nil)
			w.throw(`{"phone":"` + anna + `",` + switches + `}`)
			w.whatsApp(anna, "493027")
			w.clock.advance(time.Hour)
			w.expect(want)
			sameShape(t, "webhook-failed.json", w.provider.received()[0].body)
			if len(w.inbox(anna)) != 0 {
				t.Error("it arrived nevertheless")
			}
		})
	}
}

func TestReading(t *testing.T) {
	for _, c := range []struct {
		name, read string
		open       bool
		want       []string
	}{
		{"is reported when the person opens the thread", "", true, []string{"sent", "delivered", "read"}},
		{"is not reported before", "", false, []string{"sent", "delivered"}},
		{"happens by itself", "auto", false, []string{"sent", "delivered", "read"}},
		{"is never reported by a person who keeps it to themselves", "never", true, []string{"sent", "delivered"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.throw(`{"phone":"","read":"` + c.read + `"}`)
			w.whatsApp(anna, "493027")
			w.clock.advance(2 * time.Second)
			if c.open {
				w.call(http.MethodPost, "/read", `{"phone":"`+anna+`"}`)
				w.call(http.MethodPost, "/read", `{"phone":"`+anna+`"}`)
			}
			w.expect(c.want...)
		})
	}
}

func TestLateMessagesComeLateOrNotAtAll(t *testing.T) {
	w := newWorld(t, nil)
	w.throw(`{"phone":"` + anna + `","whatsapp_late_seconds":12.5,"sms_late_seconds":60}`)
	w.whatsApp(anna, "1111")
	w.sms(anna, "2222")
	w.clock.advance(12 * time.Second)
	w.expect("sent", "sent")
	w.clock.advance(time.Second)
	w.expect("sent", "sent", "delivered")
	w.clock.advance(time.Minute)
	w.expect("sent", "sent", "delivered", "delivered")

	w.throw(`{"phone":"` + anna + `","whatsapp_late_seconds":40}`)
	w.whatsApp(anna, "3333")
	w.clock.advance(time.Hour)
	w.expect("sent", "sent", "delivered", "delivered", "sent")
}

func TestWebhooksTwice(t *testing.T) {
	w := newWorld(t, nil)
	w.throw(`{"phone":"","webhooks_twice":true}`)
	w.whatsApp(anna, "493027")
	w.clock.advance(time.Second)
	w.expect("sent", "sent", "delivered", "delivered")
	w.sms(anna, "493027")
	w.clock.advance(time.Second)
	w.expect("sent", "sent", "delivered", "delivered", "sent", "sent", "delivered", "delivered")
}

func TestWebhooksOutOfOrder(t *testing.T) {
	for name, send := range map[string]func(*world){
		"WhatsApp": func(w *world) { w.whatsApp(anna, "493027") },
		"SMS":      func(w *world) { w.sms(anna, "493027") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.throw(`{"phone":"","webhooks_out_of_order":true}`)
			send(w)
			w.clock.advance(400 * time.Millisecond)
			w.expect("delivered")
			w.clock.advance(time.Second)
			w.expect("delivered", "sent")
			if got := w.provider.statuses(); !slices.Equal(got, []string{"delivered", "sent"}) {
				t.Errorf("order %q", got)
			}
		})
	}
}

func TestMetaAnswersAsTheSwitchSays(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		meta   string
		status int
		code   int
	}{{"131000", 500, 131000}, {"131016", 500, 131016}, {"190", 401, 190}, {"130429", 400, 130429}, {"131056", 400, 131056}} {
		w.throw(`{"phone":"` + anna + `","meta":"` + c.meta + `"}`)
		a := w.send(sendBody(anna, "493027"))
		var got struct{ Error graphErrorBody }
		if err := json.Unmarshal(a.body, &got); err != nil || got.Error.Code != c.code || a.status != c.status {
			t.Errorf("%s: %d %s", c.meta, a.status, a.body)
		}
	}
	w.throw(`{"phone":"` + anna + `","meta":"500"}`)
	if a := w.send(sendBody(anna, "493027")); a.status != 500 || json.Valid(a.body) {
		t.Errorf("500: %d %s", a.status, a.body)
	}
	w.clock.advance(time.Hour)
	w.expect()
}

func TestTimeOutHoldsTheRequestAndTakesNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.throw(`{"phone":"","meta":"timeout","twilio":"timeout"}`)
	impatient := &http.Client{Timeout: 100 * time.Millisecond}
	for _, path := range []string{"/v25.0/106000000000001/messages", twilioPath + ".json"} {
		body, headers := sendBody(anna, "493027"), graphHeaders
		if path == twilioPath+".json" {
			body = w.smsForm(anna, "493027").Encode()
			headers = func(r *http.Request) {
				r.SetBasicAuth(testSID, testAuth)
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
		}
		req, _ := http.NewRequest(http.MethodPost, w.server.URL+path, strings.NewReader(body))
		headers(req)
		resp, err := impatient.Do(req)
		var timeout net.Error
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s: answered %d", path, resp.StatusCode)
		} else if !asNetError(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%s: %v", path, err)
		}
	}
	if sent := w.h.pageState(anna).Messages; len(sent) != 0 {
		t.Errorf("taken: %v", sent)
	}
}

func asNetError(err error, into *net.Error) bool {
	n, ok := err.(net.Error)
	*into = n
	return ok
}

func TestLostAnswerTakesTheMessage(t *testing.T) {
	w := newWorld(t, nil)
	w.throw(`{"phone":"","meta":"lost_answer","twilio":"lost_answer"}`)
	if a, err := w.do(http.MethodPost, "/v25.0/106000000000001/messages", sendBody(anna, "493027"), graphHeaders); err == nil {
		t.Errorf("Meta answered %d", a.status)
	}
	if a, err := w.twilio(w.smsForm(anna, "493027")); err == nil {
		t.Errorf("Twilio answered %d", a.status)
	}
	w.clock.advance(time.Second)
	w.expect("sent", "delivered", "sent", "delivered")
	if in := w.inbox(anna); len(in) != 2 {
		t.Errorf("inbox %v", in)
	}
}

func TestSMSFails(t *testing.T) {
	for code, want := range map[string]string{"30003": "undelivered", "30005": "undelivered", "30007": "undelivered", "30008": "failed"} {
		w := newWorld(t, nil)
		w.throw(`{"phone":"` + anna + `","sms_fails":"` + code + `"}`)
		sid := w.sms(anna, "493027")
		w.clock.advance(time.Second)
		w.expect("sent", want)
		for _, k := range w.provider.received() {
			if k.status() == want && k.form.Get("ErrorCode") != code {
				t.Errorf("%s: %v", code, k.form)
			}
		}
		if a := w.fetch(sid); !strings.Contains(string(a.body), `"error_code":`+code) || !strings.Contains(string(a.body), `"status":"`+want+`"`) {
			t.Errorf("%s: resource %s", code, a.body)
		}
		if len(w.inbox(anna)) != 0 {
			t.Errorf("%s: it arrived", code)
		}
	}
}

func TestTwilioAnswersAsTheSwitchSays(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		twilio string
		status int
		code   int
	}{{"21610", 400, 21610}, {"21614", 400, 21614}, {"30450", 400, 30450}, {"20003", 401, 20003}, {"20429", 429, 20429}, {"500", 500, 20500}} {
		w.throw(`{"phone":"` + anna + `","twilio":"` + c.twilio + `"}`)
		a, err := w.twilio(w.smsForm(anna, "493027"))
		var got twilioError
		if err != nil || json.Unmarshal(a.body, &got) != nil || got.Code != c.code || got.Status != c.status || a.status != c.status {
			t.Errorf("%s: %v %d %s", c.twilio, err, a.status, a.body)
		}
	}
	w.clock.advance(time.Hour)
	w.expect()
}

func TestSwitchesOfOneNumberLieOverThoseForAll(t *testing.T) {
	w := newWorld(t, nil)
	w.throw(`{"phone":"","read":"never","webhooks_twice":true}`)
	w.throw(`{"phone":"` + anna + `","read":"auto"}`)
	w.call(http.MethodPatch, "/switches", `{"phone":"`+anna+`","phone_off":true}`)
	if got := w.h.effective(anna); got != (Switches{Read: "auto", PhoneOff: true, WebhooksTwice: true}) {
		t.Errorf("Anna's: %+v", got)
	}
	if got := w.h.effective(bruno); got != (Switches{Read: "never", WebhooksTwice: true}) {
		t.Errorf("Bruno's: %+v", got)
	}
	w.throw(`{"phone":"` + anna + `"}`)
	if got := w.h.effective(anna); got != w.h.effective(bruno) {
		t.Errorf("PUT left something behind: %+v", got)
	}
	w.call(http.MethodDelete, "/switches", "")
	if got := w.h.effective(anna); got != (Switches{}) {
		t.Errorf("after the reset: %+v", got)
	}
}

func TestSwitchesRefuseWhatTheyDoNotKnow(t *testing.T) {
	w := newWorld(t, nil)
	for _, body := range []string{
		`{"phone":"","phone_of":true}`, `{"phone":"","meta":"42"}`, `{"phone":"","read":"maybe"}`, `{"phone":"","phone_off":"yes"}`,
		`{"phone":"","whatsapp_late_seconds":-1}`, `{"phone":"","sms_late_seconds":1e9}`, `{"phone":"anna"}`, `[]`, `null`, `{}{}`, ``,
		`{"phone":"","meta":"` + strings.Repeat("x", apiBody) + `"}`,
	} {
		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			if a := w.call(method, "/switches", body); a.status < 400 || a.status > 499 {
				t.Errorf("%s %.60s: %d", method, body, a.status)
			}
		}
	}
	if got := w.h.effective(anna); got != (Switches{}) {
		t.Errorf("something was thrown: %+v", got)
	}
}
