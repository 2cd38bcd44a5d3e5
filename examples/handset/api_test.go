package handset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestInboxIsNewestFirstAndHasEightMembers(t *testing.T) {
	w := newWorld(t, nil)
	w.whatsApp(anna, "1111")
	w.clock.advance(1500 * time.Millisecond)
	w.sms(anna, "2222")
	w.clock.advance(time.Second)
	w.whatsApp(bruno, "3333")
	w.clock.advance(time.Second)
	a := w.call(http.MethodGet, "/inbox?phone=%2B393331234567", "")
	var in []map[string]any
	if err := json.Unmarshal(a.body, &in); err != nil || len(in) != 2 {
		t.Fatalf("%v %s", err, a.body)
	}
	if in[0]["passcode"] != "2222" || in[1]["passcode"] != "1111" {
		t.Errorf("order: %s", a.body)
	}
	want := map[string]any{
		"channel": "whatsapp", "carrier": "meta", "to": anna, "from": "+12025550100", "passcode": "1111", "at": "2026-09-14T12:02:55.300Z", "id": in[1]["id"],
		"text": "*1111* is your verification code. For your security, do not share this code.",
	}
	for k, v := range want {
		if in[1][k] != v {
			t.Errorf("%s is %v, want %v", k, in[1][k], v)
		}
	}
	if len(in[1]) != len(want) {
		t.Errorf("members: %v", in[1])
	}
	if all := w.inbox(""); len(all) != 3 {
		t.Errorf("all phones: %v", all)
	}
	if a := w.call(http.MethodGet, "/inbox?phone=+441234567890", ""); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("an empty inbox is %s", a.body)
	}
	if a := w.call(http.MethodGet, "/inbox?phone=anna", ""); a.status != http.StatusBadRequest {
		t.Errorf("no number: %d", a.status)
	}
	w.call(http.MethodDelete, "/inbox?phone=%2B393331234567", "")
	if len(w.inbox(anna)) != 0 || len(w.inbox(bruno)) != 1 {
		t.Error("the wrong inbox was cleared")
	}
}

func TestTemplateSpeaksItsLanguage(t *testing.T) {
	w := newWorld(t, nil)
	w.send(strings.Replace(sendBody(anna, "493027"), "en_US", "it", 1))
	w.clock.advance(time.Second)
	v := w.h.pageState(anna).Messages[0]
	if !strings.HasPrefix(v.Text, "*493027* è il tuo codice di verifica.") || v.Footer != "Questo codice scade tra 5 minuti." || v.Copy != "Copia codice" {
		t.Errorf("%+v", v)
	}
}

func TestSentTellsWhatTheProviderAnswered(t *testing.T) {
	w := newWorld(t, nil)
	w.provider.answer = func(int) int { return http.StatusTeapot }
	w.whatsApp(anna, "493027")
	w.expect("sent")
	var sent []struct{ Steps []step }
	if err := json.Unmarshal(w.call(http.MethodGet, "/sent", "").body, &sent); err != nil {
		t.Fatal(err)
	}
	if len(sent) != 1 || len(sent[0].Steps) != 2 || sent[0].Steps[1].Answered != http.StatusTeapot {
		t.Errorf("%+v", sent)
	}
}

func TestReadRefusesStrangers(t *testing.T) {
	w := newWorld(t, nil)
	id := w.whatsApp(anna, "493027")
	w.clock.advance(time.Second)
	for body, want := range map[string]int{
		`{"phone":"` + bruno + `","id":"` + id + `"}`: http.StatusNotFound,
		`{"phone":"` + anna + `","id":"x"}`:           http.StatusNotFound,
		`{"phone":"` + anna + `","all":true}`:         http.StatusBadRequest,
		`{"id":"` + id + `"}`:                         http.StatusBadRequest,
		`{"phone":"` + anna + `","id":"` + id + `"}`:  http.StatusOK,
	} {
		if a := w.call(http.MethodPost, "/read", body); a.status != want {
			t.Errorf("%s: %d, want %d", body, a.status, want)
		}
	}
}

func TestOtherPeoplesPagesCannotThrowSwitches(t *testing.T) {
	w := newWorld(t, nil)
	a, err := w.do(http.MethodPut, "/switches", `{"phone":"","phone_off":true}`, func(r *http.Request) {
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	})
	if err != nil || a.status != http.StatusForbidden || w.h.effective(anna).PhoneOff {
		t.Errorf("%v %d", err, a.status)
	}
}

func TestPageIsServedWithAStrictPolicy(t *testing.T) {
	w := newWorld(t, nil)
	for path, kind := range map[string]string{
		"/?phone=+39": "text/html", "/handset.css": "text/css", "/handset.js": "text/javascript", "/icon.svg": "image/svg+xml", "/api": "text/plain",
	} {
		a := w.call(http.MethodGet, path, "")
		if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), kind) || len(a.body) < 100 {
			t.Errorf("%s: %d %s", path, a.status, a.header.Get("Content-Type"))
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self'") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	page := w.call(http.MethodGet, "/", "").body
	for _, inline := range []string{"style=", "<style", "onclick=", "https://", "http://"} {
		if bytes.Contains(bytes.ReplaceAll(page, []byte("http://www.w3.org/2000/svg"), nil), []byte(inline)) {
			t.Errorf("the page has %q", inline)
		}
	}
	if a := w.call(http.MethodGet, "/nothing", ""); a.status != http.StatusNotFound {
		t.Errorf("unknown path: %d", a.status)
	}
}

func TestAPITextNamesEverySwitch(t *testing.T) {
	w := newWorld(t, nil)
	text := string(w.call(http.MethodGet, "/api", "").body)
	page := string(w.call(http.MethodGet, "/", "").body)
	var names map[string]any
	raw, _ := json.Marshal(Switches{})
	if err := json.Unmarshal(raw, &names); err != nil {
		t.Fatal(err)
	}
	for name := range names {
		if !strings.Contains(text, "\n  "+name+" ") || !strings.Contains(page, `name="`+name+`"`) {
			t.Errorf("%s is missing in the text or on the page", name)
		}
	}
	for _, values := range [][]string{noWhatsAppValues, readValues, whatsAppFailsValues, metaValues, smsFailsValues, twilioValues, kannelValues, gatewayValues,
		vonageValues, infobipValues, awsValues} {
		for _, v := range values {
			if !strings.Contains(text, `"`+v+`"`) || !strings.Contains(page, `value="`+v+`"`) {
				t.Errorf("%q is missing in the text or on the page", v)
			}
		}
	}
}

func TestEventsShowMessagesAsTheyArrive(t *testing.T) {
	w := newWorld(t, nil)
	resp, err := http.Get(w.server.URL + "/events?phone=" + anna)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("content type %s", kind)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	next := func() (s pageState) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &s); err != nil {
					t.Fatal(err)
				}
				return s
			}
		}
		t.Fatal("the stream ended")
		return s
	}
	if s := next(); len(s.Messages) != 0 || len(s.Phones) != 1 || s.Phones[0].Name != "Anna" {
		t.Errorf("first state %+v", s)
	}
	w.whatsApp(bruno, "1111")
	w.whatsApp(anna, "493027")
	w.clock.advance(time.Second)
	for s := next(); ; s = next() {
		if len(s.Messages) == 1 && s.Messages[0].Arrived && len(s.Phones) == 2 {
			break
		}
	}
}

func TestEventsAreLimited(t *testing.T) {
	v := &viewers{chans: map[chan struct{}]bool{}}
	for range maxViewers {
		if _, ok := v.add(); !ok {
			t.Fatal("refused too early")
		}
	}
	if _, ok := v.add(); ok {
		t.Error("one page too many")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.WebhookURL = "" })
	h := w.h
	h.mu.Lock()
	for range maxMessages + 50 {
		h.remember(&message{id: "x", to: anna, steps: []step{{State: stateAccepted}}})
	}
	got := len(h.messages)
	h.mu.Unlock()
	if got != maxMessages {
		t.Errorf("%d messages", got)
	}
}

func TestConfigSaysWhatIsMissing(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no access token":      func(c *Config) { c.AccessToken = "" },
		"no app secret":        func(c *Config) { c.AppSecret = "" },
		"no auth token":        func(c *Config) { c.AuthToken = "" },
		"a malformed account":  func(c *Config) { c.AccountSID = "AC1" },
		"a malformed phone":    func(c *Config) { c.Phones = []Phone{{Number: "333"}} },
		"a malformed webhook":  func(c *Config) { c.WebhookURL = "127.0.0.1:8080" },
		"a nameless template":  func(c *Config) { c.Templates = []Template{{Languages: []string{"en"}}} },
		"a malformed business": func(c *Config) { c.DisplayNumber = "+1 202" },
	} {
		cfg := testConfig()
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestLogHasNeitherNumbersNorPasscodes(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	w.provider.answer = func(int) int { return http.StatusForbidden }
	w.whatsApp(anna, "493027")
	w.sms(anna, "493027")
	w.clock.advance(300 * time.Millisecond)
	w.expect("sent", "delivered", "sent", "delivered")
	w.h.Close()
	if text := log.String(); text == "" || strings.Contains(text, "493027") || strings.Contains(text, "3331234567") || strings.Contains(text, "wamid") {
		t.Errorf("log: %s", text)
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	p := newProvider(t)
	cfg := testConfig()
	cfg.WebhookURL = p.URL
	cfg.DeliverAfter = time.Millisecond
	p.answer = func(int) int { return http.StatusInternalServerError }
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	w := &world{t: t, h: h, server: server, provider: p}
	if resp, err := http.Get(server.URL + "/events"); err == nil {
		defer resp.Body.Close()
	}
	for range 20 {
		w.whatsApp(anna, "493027")
		w.sms(bruno, "493027")
	}
	w.throw(`{"phone":"","meta":"timeout"}`)
	held := make(chan error, 1)
	go func() {
		_, err := w.do(http.MethodPost, "/v25.0/106000000000001/messages", sendBody(anna, "1"), graphHeaders)
		held <- err
	}()
	eventually(t, func() bool { return strings.Contains(stacks(), ".hold(") }, func() string { return "the request is not held" })
	h.Close()
	if err := <-held; err == nil {
		t.Error("the held request was answered")
	}
	if a := w.call(http.MethodGet, "/inbox", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("after Close: %d", a.status)
	}
	server.Close()
	eventually(t, func() bool { return !strings.Contains(stacks(), "handset.(*") }, stacks)
	h.Close()
}

// stacks prints the goroutines other than the caller's.
func stacks() string {
	buf := make([]byte, 1<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	return strings.Join(all[1:], "\n\n")
}
