package handset

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHubSignatureOfTheReferenceVector(t *testing.T) {
	body, err := asciiJSON(json.RawMessage(`{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[{"field":"messages","value":{"contacts":[{"profile":{"name":"Zümrüt"}}]}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256=ab4a0cfef026fe823189e7be11ec3fc17d3ed66f6fb84304af5f026fba8d3d47"
	if got := hubSignature("test-app-secret", body); got != want {
		t.Errorf("got %s over %s", got, body)
	}
}

func TestWebhookJSONIsASCIIWithLowerCaseEscapes(t *testing.T) {
	got, err := asciiJSON("è <b> 😀")
	if err != nil || string(got) != `"\u00e8 <b> \ud83d\ude00"` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestAGoodDayIsSentDeliveredRead(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Phones[0].Name = "Zoë" })
	id := w.whatsApp(anna, "493027")
	w.expect("sent")
	w.clock.advance(299 * time.Millisecond)
	if len(w.inbox(anna)) != 0 {
		t.Error("the message is there before it arrived")
	}
	w.clock.advance(time.Millisecond)
	w.expect("sent", "delivered")
	if a := w.call(http.MethodPost, "/read", `{"phone":"`+anna+`","id":"`+id+`"}`); !strings.Contains(string(a.body), `"read": 1`) {
		t.Errorf("read: %s", a.body)
	}
	w.expect("sent", "delivered", "read")
	for _, k := range w.provider.received() {
		if k.path != "/webhooks/whatsapp" || k.header.Get("X-Hub-Signature-256") != hubSignature(testSecret, k.body) {
			t.Errorf("%s: wrong path or signature", k.path)
		}
		if slices.ContainsFunc(k.body, func(b byte) bool { return b > 0x7e }) {
			t.Errorf("not ASCII: %s", k.body)
		}
		sameShape(t, "webhook-"+k.status()+".json", k.body)
		if !strings.Contains(string(k.body), `"biz_opaque_callback_data":"delivery-1"`) || !strings.Contains(string(k.body), id) {
			t.Errorf("not of this message: %s", k.body)
		}
	}
}

func TestSentTellsTheIdentityWhenTheCheckIsOn(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.IdentityCheck = true })
	w.whatsApp(anna, "493027")
	w.expect("sent")
	body := w.provider.received()[0].body
	sameShape(t, "webhook-sent-identity.json", body)
	var hook hookBody
	if err := json.Unmarshal(body, &hook); err != nil {
		t.Fatal(err)
	}
	hash := hook.Entry[0].Changes[0].Value.Statuses[0].IdentityHash
	bound := func(hash string) string {
		return strings.Replace(sendBody(anna, "493027"), `"type":"template"`, `"type":"template","recipient_identity_key_hash":"`+hash+`"`, 1)
	}
	w.send(bound(hash))
	w.expect("sent", "sent")
	w.send(bound("AAAAAAAAAAA="))
	w.clock.advance(time.Second)
	w.expect("sent", "sent", "delivered", "delivered", "failed 137000")
}

func TestWebhooksAreRepeatedUntilTheyAreAnswered200(t *testing.T) {
	w := newWorld(t, nil)
	w.provider.answer = func(n int) int { return []int{500, 204, 200}[min(n, 3)-1] }
	w.throw(`{"phone":"","phone_off":true}`) // so that sent is the only webhook
	w.whatsApp(anna, "493027")
	w.expect("sent")
	w.clock.advance(time.Second)
	w.expect("sent", "sent")
	w.clock.advance(1999 * time.Millisecond)
	w.expect("sent", "sent")
	w.clock.advance(time.Millisecond)
	w.expect("sent", "sent", "sent")
	w.clock.advance(time.Hour)
	w.expect("sent", "sent", "sent")
}

func TestBackOffGrowsAndEnds(t *testing.T) {
	var total time.Duration
	for attempt := 1; ; attempt++ {
		wait, again := metaAgain(attempt, 500)
		if !again {
			break
		}
		if attempt > 20 {
			t.Fatal("never gives up")
		}
		total += wait
	}
	if total < 10*time.Minute || total > time.Hour {
		t.Errorf("gives up after %v", total)
	}
	if _, again := metaAgain(1, 200); again {
		t.Error("repeats what was taken")
	}
}

func TestWebhookURLMayBeSetAfterTheFirstMessage(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.WebhookURL = "" })
	w.whatsApp(anna, "493027")
	eventually(t, w.waitsForRepetition, func() string { return "the first attempt did not fail" })
	if err := w.h.SetWebhookURL(w.provider.URL + "/hook"); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Second)
	w.expect("sent", "delivered")
	if err := w.h.SetWebhookURL("/relative"); err == nil {
		t.Error("a relative URL was taken")
	}
}

// waitsForRepetition reports that arrival, TTL and one repetition are what is left to happen.
func (w *world) waitsForRepetition() bool {
	w.clock.mu.Lock()
	defer w.clock.mu.Unlock()
	return len(w.clock.timers) == 3
}

func TestHandshakeWantsTheBareChallenge(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(challenge, token string) (int, string)
		ok     bool
	}{
		{"a provider that compares", func(c, token string) (int, string) {
			if token == "right" {
				return 200, c
			}
			return 403, ""
		}, true},
		{"a provider that refuses", func(string, string) (int, string) { return 403, "no" }, false},
		{"a provider that says something else", func(c, _ string) (int, string) { return 200, c + "\n" }, false},
		{"a provider that answers 201", func(c, _ string) (int, string) { return 201, c }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				if r.Method != http.MethodGet || q.Get("hub.mode") != "subscribe" {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				status, body := c.answer(q.Get("hub.challenge"), q.Get("hub.verify_token"))
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
			}))
			defer server.Close()
			w := newWorld(t, func(cfg *Config) { cfg.WebhookURL = server.URL })
			if err := w.h.Handshake(context.Background(), "right"); (err == nil) != c.ok {
				t.Errorf("handshake: %v", err)
			}
		})
	}
}

func TestTheButtonSaysWhoDidNotAsk(t *testing.T) {
	w := newWorld(t, nil)
	id := w.whatsApp(anna, "493027")
	w.expect("sent")
	tap := `{"phone":"` + anna + `","id":"` + id + `"}`
	if a := w.call(http.MethodPost, "/button", tap); a.status != http.StatusNotFound {
		t.Errorf("tapped before it arrived: %d", a.status)
	}
	w.clock.advance(time.Second)
	if a := w.call(http.MethodPost, "/button", tap); a.status != http.StatusNoContent {
		t.Errorf("tap: %d %s", a.status, a.body)
	}
	w.expect("sent", "delivered", "button")
	for _, k := range w.provider.received() {
		if k.status() == "button" {
			sameShape(t, "webhook-button.json", k.body)
			if !strings.Contains(string(k.body), `"payload":"DID_NOT_REQUEST_CODE"`) || !strings.Contains(string(k.body), id) {
				t.Errorf("body %s", k.body)
			}
		}
	}
	if a := w.call(http.MethodPost, "/button", tap); a.status != http.StatusConflict {
		t.Errorf("second tap: %d", a.status)
	}
}
