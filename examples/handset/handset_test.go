package handset

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	anna       = "+393331234567"
	bruno      = "+12025550143"
	testSecret = "test-app-secret"
	testToken  = "test-access-token"
	testSID    = "AC00000000000000000000000000000000"
	testAuth   = "12345"
)

// fakeClock moves only when it is told to, and then runs what falls due in order, in the caller's goroutine.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer
}

type fakeTimer struct {
	at time.Time
	f  func()
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 9, 14, 12, 2, 55, 0, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := &fakeTimer{at: c.now.Add(d), f: f}
	c.timers = append(c.timers, timer)
	return func() bool { return c.take(timer) }
}

func (c *fakeClock) take(timer *fakeTimer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.timers)
	c.timers = slices.DeleteFunc(c.timers, func(t *fakeTimer) bool { return t == timer })
	return len(c.timers) < before
}

func (c *fakeClock) next(until time.Time) *fakeTimer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return nil
	}
	first := slices.MinFunc(c.timers, func(a, b *fakeTimer) int { return a.at.Compare(b.at) })
	if first.at.After(until) {
		return nil
	}
	c.now = first.at
	return first
}

func (c *fakeClock) advance(d time.Duration) {
	until := c.Now().Add(d)
	for timer := c.next(until); timer != nil; timer = c.next(until) {
		if c.take(timer) {
			timer.f()
		}
	}
	c.mu.Lock()
	c.now = until
	c.mu.Unlock()
}

// hook is one report as the provider received it.
type hook struct {
	path   string
	header http.Header
	body   []byte
	form   url.Values
}

// status names the state that a report is about.
func (k hook) status() string {
	if k.form != nil {
		return k.form.Get("MessageStatus")
	}
	var body hookBody
	_ = json.Unmarshal(k.body, &body)
	value := body.Entry[0].Changes[0].Value
	if len(value.Statuses) == 0 {
		return value.Messages[0].Type
	}
	s := value.Statuses[0]
	if len(s.Errors) > 0 {
		return fmt.Sprintf("%s %d", s.Status, s.Errors[0].Code)
	}
	return s.Status
}

// provider receives reports, as the thing under test at the other end of the wire would.
type provider struct {
	*httptest.Server
	mu     sync.Mutex
	hooks  []hook
	answer func(n int) int // status for the n-th report, counted from 1
}

func newProvider(t *testing.T) *provider {
	p := &provider{answer: func(int) int { return http.StatusOK }}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	k := hook{path: r.URL.String(), header: r.Header, body: body}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		k.form, _ = url.ParseQuery(string(body))
	}
	p.mu.Lock()
	p.hooks = append(p.hooks, k)
	status := p.answer(len(p.hooks))
	p.mu.Unlock()
	w.WriteHeader(status)
}

func (p *provider) received() []hook {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hooks)
}

func (p *provider) statuses() []string {
	var all []string
	for _, k := range p.received() {
		all = append(all, k.status())
	}
	return all
}

// world is a handset with a provider that listens to it.
type world struct {
	t        *testing.T
	h        *Handset
	clock    *fakeClock
	server   *httptest.Server
	provider *provider
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clock: newFakeClock(), provider: newProvider(t)}
	cfg := testConfig()
	cfg.Clock, cfg.WebhookURL = w.clock, w.provider.URL+"/webhooks/whatsapp"
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.h, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(w.h)
	t.Cleanup(func() { w.h.Close(); w.server.Close() })
	return w
}

func testConfig() Config {
	return Config{
		AccessToken: testToken, AppSecret: testSecret, AccountSID: testSID, AuthToken: testAuth,
		Phones: []Phone{{Number: anna, Name: "Anna"}},
	}
}

func sendBody(to, passcode string) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","recipient_type":"individual","to":%q,"type":"template","template":{`+
		`"name":"parola_login_code","language":{"code":"en_US"},"components":[`+
		`{"type":"body","parameters":[{"type":"text","text":%[2]q}]},`+
		`{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":%[2]q}]}]},`+
		`"biz_opaque_callback_data":"delivery-1"}`, to, passcode)
}

// answer is what came back, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (w *world) do(method, path, body string, change func(*http.Request)) (answer, error) {
	req, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, raw}, err
}

func (w *world) call(method, path, body string) answer {
	w.t.Helper()
	a, err := w.do(method, path, body, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func graphHeaders(r *http.Request) {
	r.Header.Set("Authorization", "Bearer "+testToken)
	r.Header.Set("Content-Type", "application/json")
}

func (w *world) send(body string) answer {
	w.t.Helper()
	a, err := w.do(http.MethodPost, "/v25.0/106000000000001/messages", body, graphHeaders)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// whatsApp sends a passcode that must be accepted, and returns its id.
func (w *world) whatsApp(to, passcode string) string {
	w.t.Helper()
	a := w.send(sendBody(to, passcode))
	var ok struct{ Messages []struct{ ID string } }
	if err := json.Unmarshal(a.body, &ok); err != nil || a.status != http.StatusOK || len(ok.Messages) != 1 {
		w.t.Fatalf("send: %d %s", a.status, a.body)
	}
	return ok.Messages[0].ID
}

const twilioPath = "/2010-04-01/Accounts/" + testSID + "/Messages"

func (w *world) twilio(form url.Values) (answer, error) {
	return w.do(http.MethodPost, twilioPath+".json", form.Encode(), func(r *http.Request) {
		r.SetBasicAuth(testSID, testAuth)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	})
}

func (w *world) smsForm(to, passcode string) url.Values {
	return url.Values{
		"To": {to}, "From": {"+12025550123"}, "Body": {passcode + " is your code.\n\n@login.example.com #" + passcode},
		"StatusCallback": {w.provider.URL + "/webhooks/twilio?d=1"}, "ValidityPeriod": {"300"},
	}
}

// sms sends a passcode that must be accepted, and returns its sid.
func (w *world) sms(to, passcode string) string {
	w.t.Helper()
	a, err := w.twilio(w.smsForm(to, passcode))
	var ok struct{ SID string }
	if err != nil || a.status != http.StatusCreated || json.Unmarshal(a.body, &ok) != nil {
		w.t.Fatalf("send: %v %d %s", err, a.status, a.body)
	}
	return ok.SID
}

func (w *world) throw(switches string) {
	w.t.Helper()
	if a := w.call(http.MethodPut, "/switches", switches); a.status != http.StatusOK {
		w.t.Fatalf("switches: %d %s", a.status, a.body)
	}
}

// expect waits until the provider has received exactly these reports, in any order, and nothing is on its way.
func (w *world) expect(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	var got []string
	eventually(w.t, func() bool {
		got = w.provider.statuses()
		slices.Sort(got)
		return slices.Equal(got, want) && w.idle()
	}, func() string { return fmt.Sprintf("the provider received %q, want %q", got, want) })
}

func (w *world) idle() bool {
	w.h.courier.mu.Lock()
	defer w.h.courier.mu.Unlock()
	return w.h.courier.running == 0 && len(w.h.courier.queue) == 0
}

func (w *world) inbox(number string) []InboxMessage {
	w.t.Helper()
	a := w.call(http.MethodGet, "/inbox?phone="+number, "")
	var in []struct{ Channel, Carrier, To, From, Text, Passcode, ID, At string }
	if err := json.Unmarshal(a.body, &in); err != nil || in == nil {
		w.t.Fatalf("inbox: %v %s", err, a.body)
	}
	var out []InboxMessage
	for _, m := range in {
		at, err := time.Parse("2006-01-02T15:04:05.000Z", m.At)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, InboxMessage{m.Channel, m.Carrier, m.To, m.From, m.Text, m.Passcode, m.ID, Stamp{at}})
	}
	return out
}

func eventually(t *testing.T, ok func() bool, why func() string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal(why())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// sameShape compares members and types with a file of testdata, not values.
func sameShape(t *testing.T, name string, got []byte) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := cmp.Or(json.Unmarshal(want, &a), json.Unmarshal(bytes.TrimSpace(got), &b)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !reflect.DeepEqual(shape(a), shape(b)) {
		t.Errorf("%s: shape differs\n got %v\nwant %v", name, shape(b), shape(a))
	}
}

func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, member := range v {
			out[k] = shape(member)
		}
		return out
	case []any:
		out := []any{}
		for _, element := range v {
			out = append(out, shape(element))
		}
		return out
	default:
		return fmt.Sprintf("%T", v)
	}
}
