// Package channeltest is the contract that every channel keeps, tried against the handset over HTTP: what is sent arrives,
// what is refused is classified, what is cut off stays unknown and is never repeated, and of callbacks only those count
// that the carrier signed. A channel's own test describes itself as a Harness and calls Run.
package channeltest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/mfa"
)

// Number is whom the suite writes to.
const Number = "+393331234567"

const passcode = "049302"

// Env is what a channel under test is configured with.
type Env struct {
	// CarrierURL is the base URL of the carrier: the handset, or a server of the suite.
	CarrierURL string
	// CallbackURL is where callbacks go.
	CallbackURL string
	HTTPClient  *http.Client
	// Log is read by the suite: it must never hold a passcode, a number or a carrier's words.
	Log *slog.Logger
	// Rejected is the channel's hook for callbacks that were not taken.
	Rejected func(ctx context.Context, reason string)
}

// Subject is a channel under test.
type Subject struct {
	Channel mfa.Channel
	Handler func(receive func(context.Context, []mfa.Report) error) http.Handler
	// Ready is called when callbacks can come, before anything is sent. It may be nil.
	Ready func(t *testing.T)
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
	// OK says that the carrier answers with HTTP status 200 nevertheless.
	OK bool
}

// Proof gives what a callback proves its origin with to change, and puts back what change returns; with "" the callback
// has none.
type Proof func(t *testing.T, r *http.Request, change func(proof string) string)

// HeaderProof is a proof in a header.
func HeaderProof(name string) Proof {
	return func(_ *testing.T, r *http.Request, change func(string) string) {
		proof := change(r.Header.Get(name))
		if proof == "" {
			r.Header.Del(name)
			return
		}
		r.Header.Set(name, proof)
	}
}

// QueryProof is a proof in the query of the URL.
func QueryProof(name string) Proof {
	return func(_ *testing.T, r *http.Request, change func(string) string) {
		query := r.URL.Query()
		proof := change(query.Get(name))
		query.Del(name)
		if proof != "" {
			query.Set(name, proof)
		}
		r.URL.RawQuery = query.Encode()
	}
}

// JSONProof is a proof in a member of a JSON body.
func JSONProof(name string) Proof {
	return func(t *testing.T, r *http.Request, change func(string) string) {
		t.Helper()
		var members map[string]any
		if err := json.NewDecoder(r.Body).Decode(&members); err != nil {
			t.Fatal(err)
		}
		proof, _ := members[name].(string)
		delete(members, name)
		if proof = change(proof); proof != "" {
			members[name] = proof
		}
		SetBody(t, r, members)
	}
}

// SetBody gives a request another body, in JSON.
func SetBody(t *testing.T, r *http.Request, body any) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len(encoded))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(encoded)), nil }
	r.Body, _ = r.GetBody()
}

// Harness describes a channel to the suite.
type Harness struct {
	// HandsetURL is a running handset, not used by anyone else.
	HandsetURL string
	// Kind is the channel's name in the handset's inbox, Carrier that of the company in front of it.
	Kind    string
	Carrier string
	// NoID says that the carrier gives its messages no id.
	NoID bool
	// New makes a channel with the secrets Current and Previous. The handset signs with Current.
	New func(t *testing.T, e Env) Subject
	// IsSend tells calls that send from others that a channel makes; nil is all.
	IsSend func(*http.Request) bool
	// CarrierSwitch is the handset's switch for the answers of this carrier.
	CarrierSwitch string
	Refusals      []Refusal
	// Callback makes a signed callback that says delivered about a delivery. padding bytes are added to its body in a
	// place that the carrier might use.
	Callback func(t *testing.T, callbackURL string, s Secret, deliveryID string, padding int) *http.Request
	// Proof finds what proves the origin of a callback.
	Proof Proof
	// OneProof says that the proof is the same for all callbacks: a password, not a signature.
	OneProof bool
	// TooLarge is a padding beyond what the channel reads.
	TooLarge int
	// Check makes a channel with the right or with wrong credentials and lets it look at its account on the handset.
	Check func(t *testing.T, e Env, right bool) []mfa.Finding
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
		{"WH03 a callback without the right proof changes nothing", testWrongProof},
		{"WH03 both secrets are good while a rotation lasts", testRotation},
		{"WH04 when storage is down the carrier must send again", testStorageDown},
		{"WH08 a callback that is too large is refused", testTooLarge},
		{"other methods are refused", testMethods},
		{"nothing of a callback is logged", testLog},
		{"right credentials are found to be right", testCheckRight},
		{"wrong credentials are found, with what to do about them", testCheckWrong},
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
	status   int // of the carrier's last answer
	storage  error
	log      bytes.Buffer
}

func newBench(t *testing.T, h Harness) *bench {
	b := &bench{Harness: h}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { b.wantSilence(t) })
	b.callbackURL = server.URL + "/callback"
	b.Subject = h.New(t, b.env(h.HandsetURL))
	handler = b.Handler(b.receive)
	if b.Ready != nil {
		b.Ready(t)
	}
	b.handset(t, http.MethodDelete, "/switches", nil)
	b.handset(t, http.MethodDelete, "/inbox?phone=%2B"+Number[1:], nil)
	return b
}

func (b *bench) env(carrier string) Env {
	return Env{
		CarrierURL: carrier, CallbackURL: b.callbackURL,
		HTTPClient: &http.Client{Transport: counting{b, http.DefaultTransport}},
		Log:        slog.New(slog.NewTextHandler(logWriter{b}, &slog.HandlerOptions{Level: slog.LevelDebug})),
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
	if c.IsSend == nil || c.IsSend(r) {
		c.mu.Lock()
		c.calls++
		c.mu.Unlock()
	}
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		c.mu.Lock()
		c.status = resp.StatusCode
		c.mu.Unlock()
	}
	return resp, err
}

type logWriter struct{ *bench }

func (w logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (b *bench) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// wantSilence holds after every clause.
func (b *bench) wantSilence(t *testing.T) {
	for _, secret := range []string{Number[1:], passcode} {
		if strings.Contains(b.logged(), secret) {
			t.Errorf("%q was logged:\n%s", secret, b.logged())
		}
	}
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
	Carrier  string `json:"carrier"`
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
		DeliveryID: newDeliveryID(), To: to, Passcode: mfa.NewPasscode(passcode), Locale: "it", ValidFor: 5 * time.Minute,
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

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}
