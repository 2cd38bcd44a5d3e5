// Package channeltest is the contract that every channel keeps, tried against the handset over HTTP: what is sent arrives,
// what is refused is classified, what is cut off stays unknown and is never repeated, and of callbacks only those count
// that the carrier signed. A channel's own test describes itself as a Harness and calls Run.
package channeltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/mfa"
)

// Number is whom the suite writes to.
const Number = "+393331234567"

// Env is what a channel under test is configured with.
type Env struct {
	// CarrierURL is the base URL of the carrier: the handset, or a server of the suite.
	CarrierURL string
	// CallbackURL is where callbacks go.
	CallbackURL string
	HTTPClient  *http.Client
	// Rejected is the channel's hook for callbacks that were not taken.
	Rejected func(ctx context.Context, reason string)
}

// Subject is a channel under test.
type Subject struct {
	Channel mfa.Channel
	Handler func(receive func(context.Context, []mfa.Report) error) http.Handler
}

// Secret names what signs a callback.
type Secret int

// The secrets. A channel under test is configured with Current and Previous, as while a rotation lasts.
const (
	Current Secret = iota
	Previous
	Foreign
)

// Refusal is a position of the handset's switches and what the channel must make of the answer.
type Refusal struct {
	Name     string
	Switches map[string]any
	Want     mfa.Refused
}

// Harness describes a channel to the suite.
type Harness struct {
	// HandsetURL is a running handset, not used by anyone else.
	HandsetURL string
	// Kind is the channel's name in the handset's inbox.
	Kind string
	// New makes a channel with the secrets Current and Previous. The handset signs with Current.
	New func(t *testing.T, e Env) Subject
	// CarrierSwitch is the handset's switch for the answers of this carrier.
	CarrierSwitch string
	Refusals      []Refusal
	// Callback makes a signed callback that says delivered about a delivery. padding bytes are added to its body in a
	// place that the carrier might use.
	Callback func(t *testing.T, callbackURL string, s Secret, deliveryID string, padding int) *http.Request
	// SignatureHeader carries the signature of a callback.
	SignatureHeader string
	// TooLarge is a padding beyond what the channel reads.
	TooLarge int
}

// Run tries every clause of the contract.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"a message that is sent arrives as it was asked", testArrives},
		{"its receipts come back with our own mark", testReceipts},
		{"receipts that come twice and out of order are all taken", testDisorder},
		{"a refusal is classified", testRefusals},
		{"a call that is cut off is unknown and not repeated", testTimeout},
		{"a message whose answer was lost is recognised by its receipts", testLostAnswer},
		{"a page instead of an answer is not taken for a yes", testPage},
		{"without a connection nothing was sent, and that is known", testNoConnection},
		{"a redirect is not followed", testRedirect},
		{"an answer without end is not read to its end", testEndlessAnswer},
		{"errors tell neither passcode nor number", testErrors},
		{"WH03 a callback with a wrong signature changes nothing", testWrongSignature},
		{"WH03 both secrets are good while a rotation lasts", testRotation},
		{"WH04 when storage is down the carrier must send again", testStorageDown},
		{"WH08 a callback that is too large is refused", testTooLarge},
		{"other methods are refused", testMethods},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newBench(t, h)) })
	}
}

// bench is one channel with its callbacks caught and its calls counted.
type bench struct {
	Harness
	Subject
	callbackURL string

	mu       sync.Mutex
	reports  []mfa.Report
	rejected []string
	calls    int
	storage  error
}

func newBench(t *testing.T, h Harness) *bench {
	b := &bench{Harness: h}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	b.callbackURL = server.URL + "/callback"
	b.Subject = h.New(t, b.env(h.HandsetURL))
	handler = b.Handler(b.receive)
	b.handset(t, http.MethodDelete, "/switches", nil)
	b.handset(t, http.MethodDelete, "/inbox?phone=%2B"+Number[1:], nil)
	return b
}

func (b *bench) env(carrier string) Env {
	return Env{
		CarrierURL: carrier, CallbackURL: b.callbackURL,
		HTTPClient: &http.Client{Transport: counting{b, http.DefaultTransport}},
		Rejected: func(_ context.Context, reason string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.rejected = append(b.rejected, reason)
		},
	}
}

type counting struct {
	*bench
	next http.RoundTripper
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.calls++
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

func (b *bench) receive(_ context.Context, reports []mfa.Report) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.storage == nil {
		b.reports = append(b.reports, reports...)
	}
	return b.storage
}

// statuses are what was reported of a delivery, in order of arrival.
func (b *bench) statuses(deliveryID string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var got []string
	for _, r := range b.reports {
		if r.DeliveryID == deliveryID {
			got = append(got, string(r.Status))
		}
	}
	return got
}

func (b *bench) wantCalls(t *testing.T, n int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls != n {
		t.Errorf("%d calls to the carrier, want %d", b.calls, n)
	}
}

func (b *bench) handset(t *testing.T, method, path string, body any) []byte {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, b.HandsetURL+path, bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode > 299 {
		t.Fatalf("handset: %s %s: %d %s %v", method, path, resp.StatusCode, answer, err)
	}
	return answer
}

func (b *bench) switches(t *testing.T, s map[string]any) {
	t.Helper()
	all := map[string]any{"phone": ""}
	for name, position := range s {
		all[name] = position
	}
	b.handset(t, http.MethodPut, "/switches", all)
}

type inboxMessage struct {
	Channel  string `json:"channel"`
	To       string `json:"to"`
	Passcode string `json:"passcode"`
	Text     string `json:"text"`
	ID       string `json:"id"`
}

func (b *bench) inbox(t *testing.T) []inboxMessage {
	t.Helper()
	var messages []inboxMessage
	if err := json.Unmarshal(b.handset(t, http.MethodGet, "/inbox?phone=%2B"+Number[1:], nil), &messages); err != nil {
		t.Fatal(err)
	}
	return messages
}

// Message is a message of the suite; every call makes a new delivery.
func Message(t *testing.T) mfa.Message {
	t.Helper()
	to, err := mfa.ParsePhone(Number, "")
	if err != nil {
		t.Fatal(err)
	}
	return mfa.Message{
		DeliveryID: newDeliveryID(), To: to, Passcode: mfa.NewPasscode("049302"), Locale: "it", ValidFor: 5 * time.Minute,
	}
}

var deliveries struct {
	sync.Mutex
	n int
}

// newDeliveryID has the form of our ids.
func newDeliveryID() string {
	deliveries.Lock()
	defer deliveries.Unlock()
	deliveries.n++
	return fmt.Sprintf("%026d", deliveries.n)
}

func testArrives(t *testing.T, b *bench) {
	m := Message(t)
	sent, err := b.Channel.Send(t.Context(), m)
	if err != nil || sent.MessageID == "" {
		t.Fatalf("got %+v, %v", sent, err)
	}
	waitFor(t, func() bool { return len(b.inbox(t)) > 0 })
	got := b.inbox(t)[0]
	if len(b.inbox(t)) != 1 || got.Channel != b.Kind || got.To != Number || got.Passcode != "049302" || got.ID != sent.MessageID {
		t.Errorf("the phone shows %+v, sent %+v", got, sent)
	}
	b.wantCalls(t, 1)
}

func testReceipts(t *testing.T, b *bench) {
	m := Message(t)
	sent, err := b.Channel.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return slices.Contains(b.statuses(m.DeliveryID), "delivered") })
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.reports {
		if r.DeliveryID != m.DeliveryID || r.MessageID != sent.MessageID || string(r.Channel) != b.Kind {
			t.Errorf("report %+v of message %s", r, sent.MessageID)
		}
	}
	if len(b.rejected) != 0 {
		t.Errorf("rejected: %q", b.rejected)
	}
}

func testDisorder(t *testing.T, b *bench) {
	b.switches(t, map[string]any{"webhooks_twice": true, "webhooks_out_of_order": true})
	m := Message(t)
	if _, err := b.Channel.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(b.statuses(m.DeliveryID)) >= 4 })
	for _, status := range []string{"sent", "delivered"} {
		n := 0
		for _, got := range b.statuses(m.DeliveryID) {
			if got == status {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s came %d times: %q", status, n, b.statuses(m.DeliveryID))
		}
	}
}

func testRefusals(t *testing.T, b *bench) {
	for _, r := range b.Refusals {
		t.Run(r.Name, func(t *testing.T) {
			b.switches(t, r.Switches)
			_, err := b.Channel.Send(t.Context(), Message(t))
			var refused *mfa.Refused
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if *refused != r.Want {
				t.Errorf("got %+v, want %+v", *refused, r.Want)
			}
		})
	}
	b.wantCalls(t, len(b.Refusals))
}

func wantUnknown(t *testing.T, err error) {
	t.Helper()
	var refused *mfa.Refused
	if err == nil || errors.As(err, &refused) {
		t.Errorf("got %v, want an unknown outcome", err)
	}
}

func testTimeout(t *testing.T, b *bench) {
	b.switches(t, map[string]any{b.CarrierSwitch: "timeout"})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err := b.Channel.Send(ctx, Message(t))
	wantUnknown(t, err)
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	b.wantCalls(t, 1)
}

func testLostAnswer(t *testing.T, b *bench) {
	b.switches(t, map[string]any{b.CarrierSwitch: "lost_answer"})
	m := Message(t)
	_, err := b.Channel.Send(t.Context(), m)
	wantUnknown(t, err)
	waitFor(t, func() bool { return slices.Contains(b.statuses(m.DeliveryID), "delivered") })
	b.wantCalls(t, 1)
}

func testPage(t *testing.T, b *bench) {
	b.switches(t, map[string]any{b.CarrierSwitch: "500"})
	_, err := b.Channel.Send(t.Context(), Message(t))
	var refused *mfa.Refused
	if err == nil || errors.As(err, &refused) && (refused.NotSent || !refused.CarrierDown) {
		t.Errorf("got %v (%+v)", err, refused)
	}
	b.wantCalls(t, 1)
	for name, body := range map[string]string{"an empty answer": "", "JSON of something else": `{"hello":[]}`, "an array": `[]`} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			defer server.Close()
			_, err := b.New(t, b.env(server.URL)).Channel.Send(t.Context(), Message(t))
			wantUnknown(t, err)
		})
	}
}

func testNoConnection(t *testing.T, b *bench) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := b.New(t, b.env(server.URL)).Channel.Send(t.Context(), Message(t))
	var refused *mfa.Refused
	if !errors.As(err, &refused) || !refused.NotSent || !refused.CarrierDown || refused.Class != mfa.ClassRetry {
		t.Errorf("got %v (%+v)", err, refused)
	}
}

func testRedirect(t *testing.T, b *bench) {
	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer elsewhere.Close()
	carrier := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer carrier.Close()
	if _, err := b.New(t, b.env(carrier.URL)).Channel.Send(t.Context(), Message(t)); err == nil {
		t.Error("taken for a yes")
	}
	if reached {
		t.Error("the passcode went elsewhere")
	}
}

func testEndlessAnswer(t *testing.T, b *bench) {
	carrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat(" ", 32<<10)); err != nil {
				return
			}
		}
	}))
	defer carrier.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := b.New(t, b.env(carrier.URL)).Channel.Send(ctx, Message(t))
	wantUnknown(t, err)
	if ctx.Err() != nil {
		t.Error("it was read until the deadline")
	}
}

func testErrors(t *testing.T, b *bench) {
	for _, position := range []string{"lost_answer", "timeout", "500"} {
		b.switches(t, map[string]any{b.CarrierSwitch: position})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := b.Channel.Send(ctx, Message(t))
		cancel()
		if err == nil || strings.Contains(err.Error(), Number[1:]) || strings.Contains(err.Error(), "049302") || strings.Contains(err.Error(), "http://") {
			t.Errorf("%s: %v", position, err)
		}
	}
}

// post sends a callback and returns the status of the answer.
func post(t *testing.T, req *http.Request) int {
	t.Helper()
	started := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if took := time.Since(started); took > time.Second {
		t.Errorf("the carrier waited %v (WH-04)", took)
	}
	return resp.StatusCode
}

func testWrongSignature(t *testing.T, b *bench) {
	for name, make := range map[string]func(t *testing.T) *http.Request{
		"of another secret": func(t *testing.T) *http.Request { return b.Callback(t, b.callbackURL, Foreign, newDeliveryID(), 0) },
		"missing": func(t *testing.T) *http.Request {
			req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			req.Header.Del(b.SignatureHeader)
			return req
		},
		"empty": func(t *testing.T) *http.Request {
			req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			req.Header.Set(b.SignatureHeader, "")
			return req
		},
		"cut short": func(t *testing.T) *http.Request {
			req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			signature := req.Header.Get(b.SignatureHeader)
			req.Header.Set(b.SignatureHeader, signature[:len(signature)-4])
			return req
		},
		"of another body": func(t *testing.T) *http.Request {
			req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			other := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 1)
			req.Body, req.ContentLength, req.GetBody = other.Body, other.ContentLength, other.GetBody
			return req
		},
	} {
		t.Run(name, func(t *testing.T) {
			if status := post(t, make(t)); status != http.StatusUnauthorized && status != http.StatusForbidden {
				t.Errorf("answered %d", status)
			}
		})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) != 0 {
		t.Errorf("%d reports were taken", len(b.reports))
	}
	if len(b.rejected) != 5 {
		t.Errorf("%d were counted: %q", len(b.rejected), b.rejected)
	}
}

func testRotation(t *testing.T, b *bench) {
	for _, s := range []Secret{Current, Previous} {
		id := newDeliveryID()
		if status := post(t, b.Callback(t, b.callbackURL, s, id, 0)); status < 200 || status > 299 {
			t.Errorf("secret %d: answered %d", s, status)
		}
		if got := b.statuses(id); len(got) != 1 || got[0] != "delivered" {
			t.Errorf("secret %d: %q", s, got)
		}
	}
}

func testStorageDown(t *testing.T, b *bench) {
	b.mu.Lock()
	b.storage = errors.New("the database is away: " + Number)
	b.mu.Unlock()
	req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusServiceUnavailable || len(body) != 0 {
		t.Errorf("answered %d %q", resp.StatusCode, body)
	}
}

func testTooLarge(t *testing.T, b *bench) {
	if status := post(t, b.Callback(t, b.callbackURL, Current, newDeliveryID(), b.TooLarge)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("answered %d", status)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) != 0 {
		t.Error("it was taken")
	}
}

func testMethods(t *testing.T, b *bench) {
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch} {
		req, err := http.NewRequest(method, b.callbackURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status := post(t, req); status != http.StatusMethodNotAllowed {
			t.Errorf("%s: answered %d", method, status)
		}
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}
