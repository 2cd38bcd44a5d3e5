package handset

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSendIsAcceptedAsMetaDoes(t *testing.T) {
	w := newWorld(t, nil)
	a := w.send(sendBody("+39 333 123-4567", "493027"))
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	sameShape(t, "send.response.json", a.body)
	var ok struct {
		Contacts []struct {
			Input string
			WaID  string `json:"wa_id"`
		}
		Messages []struct{ ID string }
	}
	if err := json.Unmarshal(a.body, &ok); err != nil {
		t.Fatal(err)
	}
	if ok.Contacts[0].Input != "+39 333 123-4567" || ok.Contacts[0].WaID != "393331234567" {
		t.Errorf("contacts: %+v", ok.Contacts)
	}
	encoded, prefixed := strings.CutPrefix(ok.Messages[0].ID, "wamid.")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !prefixed {
		t.Fatalf("id %q: %v", ok.Messages[0].ID, err)
	}
	form := regexp.MustCompile("^\x1c\x18\x0c393331234567\x15\x02\x00\x11\x18\x12[0-9A-F]{18}\x00$")
	if !form.Match(raw) {
		t.Errorf("message id decodes to %q", raw)
	}
}

func TestSendRefusesWhatMetaRefuses(t *testing.T) {
	w := newWorld(t, nil)
	good := sendBody(anna, "493027")
	swap := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to replace: %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	button := `{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"493027"}]}`
	for _, c := range []struct {
		name          string
		path, body    string
		token         string
		code, subcode int
		status        int
	}{
		{name: "no token", token: "none", code: 104, status: 401},
		{name: "a wrong token", token: "Bearer wrong", code: 190, subcode: 463, status: 401},
		{name: "an unknown phone number id", path: "/v25.0/999/messages", code: 100, subcode: 33, status: 400},
		{name: "a path that is no version", path: "/25.0/106000000000001/messages", code: 2500, status: 400},
		{name: "no JSON", body: "to=1", code: 100, status: 400},
		{name: "two JSON values", body: good + good, code: 100, status: 400},
		{name: "an unknown member", body: swap(`"type":"template"`, `"type":"template","priority":1`), code: 100, status: 400},
		{name: "an unknown member deep inside", body: swap(`"index":"0"`, `"index":"0","label":"x"`), code: 100, status: 400},
		{name: "no messaging_product", body: swap(`"messaging_product":"whatsapp",`, ``), code: 100, status: 400},
		{name: "another messaging_product", body: swap(`"whatsapp"`, `"sms"`), code: 100, status: 400},
		{name: "a group", body: swap(`"individual"`, `"group"`), code: 100, status: 400},
		{name: "no recipient", body: swap(`"to":"+393331234567",`, ``), code: 100, status: 400},
		{name: "a business-scoped user id", body: swap(`"to":"+393331234567"`, `"recipient":"IT.123"`), code: 131062, status: 400},
		{name: "a recipient that is no number", body: swap(`+393331234567`, `+39anna`), code: 131009, status: 400},
		{name: "the business itself", body: swap(anna, `+12025550100`), code: 131021, status: 400},
		{name: "a text message without text", body: swap(`"type":"template"`, `"type":"text"`), code: 100, status: 400},
		{name: "a text message with a template", body: swap(`"type":"template"`, `"type":"text","text":{"body":"hello"}`), code: 100, status: 400},
		{name: "a video", body: swap(`"type":"template"`, `"type":"video"`), code: 131051, status: 400},
		{name: "an unknown type", body: swap(`"type":"template"`, `"type":"telegram"`), code: 100, status: 400},
		{name: "an unknown template", body: swap(`parola_login_code`, `other`), code: 132001, status: 404},
		{name: "a language without approval", body: swap(`en_US`, `fi`), code: 132001, status: 404},
		{name: "a hyphen in the language", body: swap(`en_US`, `en-US`), code: 132001, status: 404},
		{name: "no button", body: swap(","+button, ``), code: 132000, status: 400},
		{name: "two buttons", body: swap(button, button+","+button), code: 132000, status: 400},
		{name: "a header", body: swap(`{"type":"body"`, `{"type":"header"},{"type":"body"`), code: 132000, status: 400},
		{name: "two body parameters", body: swap(`[{"type":"text","text":"493027"}]`, `[{"type":"text","text":"1"},{"type":"text","text":"2"}]`), code: 132000, status: 400},
		{name: "another sub_type", body: swap(`"sub_type":"url"`, `"sub_type":"quick_reply"`), code: 132018, status: 400},
		{name: "another index", body: swap(`"index":"0"`, `"index":"1"`), code: 132018, status: 400},
		{name: "a number for the index", body: swap(`"index":"0"`, `"index":0`), code: 100, status: 400},
		{name: "a currency parameter", body: swap(`{"type":"text"`, `{"type":"currency"`), code: 132012, status: 400},
		{name: "a code of 16 characters", body: sendBody(anna, "1234567890123456"), code: 132018, status: 400},
		{name: "a code of 16 characters before v23", path: "/v22.0/106000000000001/messages", body: sendBody(anna, "1234567890123456"), code: 131009, status: 400},
		{name: "an empty code", body: sendBody(anna, ""), code: 132018, status: 400},
		{name: "different codes", body: strings.Replace(good, "493027", "493028", 1), code: 132018, status: 400},
		{name: "too much callback data", body: swap("delivery-1", strings.Repeat("x", 513)), code: 100, status: 400},
		{name: "a body beyond all measure", body: swap("delivery-1", strings.Repeat("x", maxBody)), code: 100, status: 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.path == "" {
				c.path = "/v25.0/106000000000001/messages"
			}
			if c.body == "" {
				c.body = good
			}
			a, err := w.do(http.MethodPost, c.path, c.body, func(r *http.Request) {
				graphHeaders(r)
				switch c.token {
				case "":
				case "none":
					r.Header.Del("Authorization")
				default:
					r.Header.Set("Authorization", c.token)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			var got struct{ Error graphErrorBody }
			if err := json.Unmarshal(a.body, &got); err != nil {
				t.Fatalf("%v: %s", err, a.body)
			}
			if got.Error.Code != c.code || got.Error.Subcode != c.subcode || a.status != c.status {
				t.Errorf("got %d/%d with HTTP %d, want %d/%d with %d: %s", got.Error.Code, got.Error.Subcode, a.status, c.code, c.subcode, c.status, a.body)
			}
			if got.Error.Type == "" || got.Error.TraceID == "" || got.Error.Message == "" {
				t.Errorf("incomplete error: %s", a.body)
			}
		})
	}
	if sent := w.h.pageState("").Messages; len(sent) != 0 {
		t.Errorf("a refused message was kept: %+v", sent)
	}
}

func TestErrorBodiesHaveMetasShape(t *testing.T) {
	w := newWorld(t, nil)
	a := w.send(strings.Replace(sendBody(anna, "493027"), "en_US", "fi", 1))
	sameShape(t, "error.response.json", a.body)
	w.throw(`{"phone":"","meta":"190"}`)
	a = w.send(sendBody(anna, "493027"))
	sameShape(t, "error-token.response.json", a.body)
}

func TestTokenInTheQueryIsTaken(t *testing.T) {
	w := newWorld(t, nil)
	a, err := w.do(http.MethodPost, "/v21.0/106000000000001/messages?access_token="+testToken, sendBody(anna, "1"), func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	})
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("%v %d %s", err, a.status, a.body)
	}
}

func TestNumberWithoutPlusGoesToAStranger(t *testing.T) {
	w := newWorld(t, nil)
	w.whatsApp("393331234567", "493027")
	w.clock.advance(time.Second)
	if len(w.inbox(anna)) != 0 || len(w.inbox("+1393331234567")) != 1 {
		t.Errorf("inbox of Anna %v, of the stranger %v", w.inbox(anna), w.inbox("+1393331234567"))
	}
}

func TestPairLimitAllowsABurstAndWantsItBack(t *testing.T) {
	p := &pairLimit{paid: map[string]time.Time{}}
	now := newFakeClock().now
	for i := range pairBurst {
		if !p.allow(anna, now) {
			t.Fatalf("message %d of the burst was refused", i+1)
		}
	}
	if p.allow(anna, now.Add(5*time.Second)) {
		t.Error("the burst was exceeded before six seconds had passed")
	}
	if !p.allow(bruno, now) {
		t.Error("another person pays for it")
	}
	if !p.allow(anna, now.Add(6*time.Second)) || p.allow(anna, now.Add(6*time.Second)) {
		t.Error("six seconds must buy exactly one message")
	}
}

func TestPairLimitIsMetOverHTTPAndCanBeLifted(t *testing.T) {
	for _, off := range []bool{false, true} {
		w := newWorld(t, func(c *Config) { c.PairRateOff = off })
		for range pairBurst {
			w.whatsApp(anna, "493027")
		}
		a := w.send(sendBody(anna, "493027"))
		if refused := strings.Contains(string(a.body), "131056"); refused == off {
			t.Errorf("off=%v: %d %s", off, a.status, a.body)
		}
	}
}

func FuzzParseSend(f *testing.F) {
	f.Add([]byte(sendBody(anna, "493027")))
	f.Add([]byte(`{"messaging_product":"whatsapp","to":"1","type":"template","template":{"name":"x","language":{"code":"en"},"components":[null]}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		send, refusal := parseSend(body)
		if (send == nil) == (refusal == nil) {
			t.Fatal("a send is either read or refused")
		}
		if refusal != nil {
			if refusal.code == 0 || refusal.status < 400 || refusal.message == "" {
				t.Fatalf("incomplete refusal %+v", refusal)
			}
			return
		}
		if passcode, refusal := send.Template.passcode(132018); refusal == nil && (passcode == "" || len([]rune(passcode)) > 15) {
			t.Fatalf("passcode %q was taken", passcode)
		}
		if to, refusal := recipient(send.To, "1"); refusal == nil && !numberForm.MatchString(to) {
			t.Fatalf("recipient %q was taken", to)
		}
	})
}
