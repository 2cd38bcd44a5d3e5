package harness

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Phone is one number on a handset, over HTTP.
type Phone struct {
	Number  string
	handset string
	t       testing.TB
}

// Message is one of a handset's messages: from GET /inbox, or with its states from GET /sent.
type Message struct {
	Channel  string `json:"channel"`
	Carrier  string `json:"carrier"`
	To       string `json:"to"`
	Text     string `json:"text"`
	Passcode string `json:"passcode"`
	ID       string `json:"id"`
	State    string `json:"state"`
	Steps    []struct {
		State    string    `json:"state"`
		At       time.Time `json:"at"`
		Answered int       `json:"answered"`
	} `json:"steps"`
}

// NewPhone is the phone with a number on the handset at an address.
func NewPhone(t testing.TB, handset, number string) *Phone {
	return &Phone{Number: number, handset: handset, t: t}
}

// Inbox are the messages that reached the phone, newest first.
func (p *Phone) Inbox() []Message {
	p.t.Helper()
	return p.messages("/inbox")
}

// Sent are the messages that the carriers took, newest first, whether they arrived or not.
func (p *Phone) Sent(channel string) []Message {
	p.t.Helper()
	var sent []Message
	for _, m := range p.messages("/sent") {
		if m.Channel == channel {
			sent = append(sent, m)
		}
	}
	return sent
}

// Passcode waits for a message on a channel and returns the passcode in it.
func (p *Phone) Passcode(channel string, within time.Duration) string {
	p.t.Helper()
	passcode := ""
	Eventually(p.t, within, "a passcode by "+channel+" for "+p.Number, func() bool {
		for _, m := range p.Inbox() {
			if m.Channel == channel && m.Passcode != "" {
				passcode = m.Passcode
				return true
			}
		}
		return false
	})
	return passcode
}

// Forget empties the inbox.
func (p *Phone) Forget() {
	p.t.Helper()
	p.call(http.MethodDelete, "/inbox?"+url.Values{"phone": {p.Number}}.Encode(), nil, http.StatusNoContent)
}

// Switch sets the switches of this number, given as JSON members: Switch(`"phone_off":true`); with none it is a good day
// again.
func (p *Phone) Switch(members string) {
	p.t.Helper()
	if members != "" {
		members = "," + members
	}
	p.call(http.MethodPut, "/switches", []byte(`{"phone":"`+p.Number+`"`+members+`}`), http.StatusOK)
}

// Tap taps "I didn't request a code" under the newest message.
func (p *Phone) Tap() {
	p.t.Helper()
	body, err := json.Marshal(map[string]string{"phone": p.Number, "id": p.Inbox()[0].ID})
	if err != nil {
		p.t.Fatal(err)
	}
	p.call(http.MethodPost, "/button", body, http.StatusNoContent)
}

// ChangeAccount puts another WhatsApp account behind the number.
func (p *Phone) ChangeAccount() {
	p.t.Helper()
	p.call(http.MethodPost, "/identity", []byte(`{"phone":"`+p.Number+`"}`), http.StatusNoContent)
}

func (p *Phone) messages(path string) []Message {
	p.t.Helper()
	var all []Message
	body := p.call(http.MethodGet, path+"?"+url.Values{"phone": {p.Number}}.Encode(), nil, http.StatusOK)
	if err := json.Unmarshal(body, &all); err != nil {
		p.t.Fatalf("read %s of the handset: %v", path, err)
	}
	return all
}

func (p *Phone) call(method, path string, body []byte, want int) []byte {
	p.t.Helper()
	return ask(p.t, method, p.handset+path, string(body), want)
}

// ask makes a request with a JSON body.
func ask(t testing.TB, method, address, body string, want int) []byte {
	t.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %d, %v: %s", method, address, resp.StatusCode, err, answer)
	}
	return answer
}
