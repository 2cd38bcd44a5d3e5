package whatsapp_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/whatsapp"
)

var secrets = map[channeltest.Secret]string{
	channeltest.Current: "current app secret", channeltest.Previous: "previous app secret", channeltest.Foreign: "another app's secret",
}

const verifyToken = "verify token"

func config(e channeltest.Env) whatsapp.Config {
	return whatsapp.Config{
		BaseURL: e.CarrierURL, Version: "v25.0", PhoneNumberID: "106000000000001", AccessToken: "access token",
		AppSecrets:  []string{secrets[channeltest.Current], secrets[channeltest.Previous]},
		VerifyToken: verifyToken, Template: "parola_login_code", Languages: []string{"en", "it", "pt_BR"},
		HTTPClient: e.HTTPClient, Log: e.Log, Rejected: e.Rejected,
	}
}

func newHandset(t *testing.T) (*handset.Handset, string) {
	t.Helper()
	h, err := handset.New(handset.Config{
		AccessToken: "access token", AppSecret: secrets[channeltest.Current], PairRateOff: true,
		AccountSID: "AC00000000000000000000000000000000", AuthToken: "auth token", DeliverAfter: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); server.Close() })
	return h, server.URL
}

func newChannel(t *testing.T, e channeltest.Env) *whatsapp.Channel {
	t.Helper()
	c, err := whatsapp.New(config(e))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// unheard fails when a bulletin comes.
func unheard(t *testing.T) func(context.Context, []mfa.Bulletin) error {
	return func(_ context.Context, bs []mfa.Bulletin) error {
		t.Errorf("heard %+v", bs)
		return nil
	}
}

func TestContract(t *testing.T) {
	h, url := newHandset(t)
	refused := func(class mfa.Class, code string, change ...func(*mfa.Refused)) mfa.Refused {
		r := mfa.Refused{Failure: mfa.Failure{Class: class, Code: code, Scope: mfa.ScopeMessage}, NotSent: true}
		for _, f := range change {
			f(&r)
		}
		return r
	}
	down := func(r *mfa.Refused) { r.Scope = mfa.ScopeCarrier }
	sixSeconds := func(r *mfa.Refused) { r.RetryAfter = 6 * time.Second }
	meta := func(code string) map[string]any { return map[string]any{"meta": code} }
	channeltest.Run(t, channeltest.Harness{
		HandsetURL: url, Kind: "whatsapp", Carrier: whatsapp.Carrier, CarrierSwitch: "meta", TooLarge: 3 << 20,
		Proof: channeltest.HeaderProof("X-Hub-Signature-256"),
		Check: func(t *testing.T, e channeltest.Env, right bool) []mfa.Finding {
			return newManager(t, e.CarrierURL, func(c *whatsapp.ManagerConfig) {
				if c.HTTPClient = e.HTTPClient; !right {
					c.AccessToken = "another access token"
				}
			}).Check(t.Context(), wanted())
		},
		New: func(t *testing.T, e channeltest.Env) channeltest.Subject {
			if err := h.SetWebhookURL(e.CallbackURL); err != nil {
				t.Fatal(err)
			}
			c := newChannel(t, e)
			return channeltest.Subject{Channel: c, Handler: func(receive func(context.Context, []mfa.Report) error) http.Handler {
				return c.Handler(receive, unheard(t))
			}}
		},
		Refusals: []channeltest.Refusal{
			{Name: "not on WhatsApp", Switches: map[string]any{"no_whatsapp": "refused"}, Want: refused(mfa.ClassNumber, "131026")},
			{Name: "something went wrong", Switches: meta("131000"), Want: refused(mfa.ClassRetry, "131000", down)},
			{Name: "unavailable", Switches: meta("131016"), Want: refused(mfa.ClassRetry, "131016", down)},
			{Name: "throughput", Switches: meta("130429"), Want: refused(mfa.ClassRetry, "130429", down)},
			{Name: "pair rate: not before 6 s", Switches: meta("131056"), Want: refused(mfa.ClassRetry, "131056", sixSeconds)},
			{Name: "access token", Switches: meta("190"), Want: refused(mfa.ClassConfig, "190", down)},
		},
		Callback: func(t *testing.T, callbackURL string, s channeltest.Secret, deliveryID string, padding int) *http.Request {
			status := fmt.Sprintf(`{"id":"wamid.x","status":"delivered","timestamp":"1790000003","biz_opaque_callback_data":%q}`, deliveryID)
			return signed(t, callbackURL, secrets[s], envelope(`"statuses":[`+status+`]`)+strings.Repeat(" ", padding))
		},
	})
}

func envelope(value string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"12025550100","phone_number_id":"106000000000001"},` + value + `}}]}]}`
}

func signature(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func signed(t *testing.T, url, secret, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", signature(secret, body))
	return req
}

// heard delivers a signed notification and returns what came of it.
func heard(t *testing.T, c *whatsapp.Channel, body string) (reports []mfa.Report, bulletins []mfa.Bulletin, status int) {
	t.Helper()
	w := httptest.NewRecorder()
	c.Handler(func(_ context.Context, r []mfa.Report) error {
		reports = append(reports, r...)
		return nil
	}, func(_ context.Context, b []mfa.Bulletin) error {
		bulletins = append(bulletins, b...)
		return nil
	}).ServeHTTP(w, signed(t, "http://example.com/", secrets[channeltest.Current], body))
	return reports, bulletins, w.Code
}

// reportsOf is heard for what says nothing but of messages.
func reportsOf(t *testing.T, body string) (reports []mfa.Report, status int, rejected []string) {
	t.Helper()
	reports, bulletins, status := heard(t, newChannel(t, channeltest.Env{CarrierURL: "https://example.com", Rejected: func(_ context.Context, reason string) {
		rejected = append(rejected, reason)
	}}), body)
	if len(bulletins) > 0 {
		t.Errorf("heard %+v", bulletins)
	}
	return reports, status, rejected
}

// Meta's documented vector: the signature covers the bytes as they were sent, escapes and all.
func TestWH01_TheSignatureCoversTheRawBody(t *testing.T) {
	const body = `{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[{"field":"messages","value":{"contacts":[{"profile":{"name":"Z\u00fcmr\u00fct"}}]}}]}]}`
	const vector = "sha256=ab4a0cfef026fe823189e7be11ec3fc17d3ed66f6fb84304af5f026fba8d3d47"
	cfg := config(channeltest.Env{})
	cfg.AppSecrets = []string{"test-app-secret"}
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	post := func(body, signature string) int {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("X-Hub-Signature-256", signature)
		w := httptest.NewRecorder()
		c.Handler(func(context.Context, []mfa.Report) error { return nil }, unheard(t)).ServeHTTP(w, req)
		return w.Code
	}
	if got := post(body, vector); got != http.StatusOK {
		t.Errorf("as sent: answered %d", got)
	}
	if got := post(strings.ReplaceAll(body, `\u00fc`, "ü"), vector); got != http.StatusForbidden {
		t.Errorf("written anew: answered %d", got)
	}
	if got := post(body, strings.TrimPrefix(vector, "sha256=")); got != http.StatusUnauthorized {
		t.Errorf("without its algorithm: answered %d", got)
	}
}

func TestWH01_TheHandshakeComparesTheToken(t *testing.T) {
	h, url := newHandset(t)
	c := newChannel(t, channeltest.Env{CarrierURL: url})
	server := httptest.NewServer(c.Handler(nil, nil))
	defer server.Close()
	if err := h.SetWebhookURL(server.URL); err != nil {
		t.Fatal(err)
	}
	if err := h.Handshake(t.Context(), verifyToken); err != nil {
		t.Error(err)
	}
	for _, token := range []string{"", "wrong", verifyToken + " "} {
		if err := h.Handshake(t.Context(), token); err == nil {
			t.Errorf("token %q was taken", token)
		}
	}
	for name, query := range map[string]string{
		"no mode":       "hub.challenge=1&hub.verify_token=verify+token",
		"another mode":  "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=verify+token",
		"too much echo": "hub.mode=subscribe&hub.verify_token=verify+token&hub.challenge=" + strings.Repeat("1", 300),
	} {
		w := httptest.NewRecorder()
		c.Handler(nil, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?"+query, nil))
		if w.Code != http.StatusForbidden || w.Body.Len() != 0 {
			t.Errorf("%s: answered %d %q", name, w.Code, w.Body)
		}
	}
	t.Run("the echo is plain text", func(t *testing.T) {
		w := httptest.NewRecorder()
		c.Handler(nil, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?hub.mode=subscribe&hub.verify_token=verify+token&hub.challenge=%3Cscript%3E", nil))
		if w.Body.String() != "<script>" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("answered %v %q", w.Header(), w.Body)
		}
	})
}

func TestNotification(t *testing.T) {
	status := func(s, more string) string {
		return `{"id":"wamid.1","status":"` + s + `","timestamp":"1790000001","biz_opaque_callback_data":"ours"` + more + `}`
	}
	base := mfa.Report{Channel: mfa.WhatsApp, Carrier: "meta", DeliveryID: "ours", MessageID: "wamid.1", At: time.Unix(1790000001, 0).UTC()}
	with := func(change func(*mfa.Report)) []mfa.Report {
		r := base
		change(&r)
		return []mfa.Report{r}
	}
	failedWith := func(class mfa.Class, code string) []mfa.Report {
		return with(func(r *mfa.Report) {
			r.Status, r.Failure = mfa.StatusFailed, mfa.Failure{Class: class, Code: code, Scope: mfa.ScopeMessage}
		})
	}
	tests := []struct {
		name, body string
		want       []mfa.Report
	}{
		{"sent", envelope(`"statuses":[` + status("sent", `,"conversation":{"id":"c"},"pricing":{"billable":true}`) + `]`), with(func(r *mfa.Report) { r.Status = mfa.StatusSent })},
		{"delivered", envelope(`"statuses":[` + status("delivered", "") + `]`), with(func(r *mfa.Report) { r.Status = mfa.StatusDelivered })},
		{"read", envelope(`"statuses":[` + status("read", "") + `]`), with(func(r *mfa.Report) { r.Status = mfa.StatusRead })},
		{"failed, not on WhatsApp", envelope(`"statuses":[` + status("failed", `,"errors":[{"code":131026,"title":"x"}]`) + `]`), failedWith(mfa.ClassNumber, "131026")},
		{"failed, identity changed", envelope(`"statuses":[` + status("failed", `,"errors":[{"code":137000}]`) + `]`), failedWith(mfa.ClassAlert, "137000")},
		{"failed, a code nobody documented", envelope(`"statuses":[` + status("failed", `,"errors":[{"code":999999}]`) + `]`), failedWith(mfa.ClassConfig, "999999")},
		{"failed without a code", envelope(`"statuses":[` + status("failed", "") + `]`), failedWith(mfa.ClassFallback, "none")},
		{"a time that is a number", envelope(`"statuses":[{"id":"wamid.1","status":"sent","timestamp":1790000001,"biz_opaque_callback_data":"ours"}]`), with(func(r *mfa.Report) { r.Status = mfa.StatusSent })},
		{"no time", envelope(`"statuses":[{"id":"wamid.1","status":"sent","timestamp":"soon","biz_opaque_callback_data":"ours"}]`), with(func(r *mfa.Report) { r.Status, r.At = mfa.StatusSent, time.Time{} })},
		{"WH08 one that cannot be read does not lose the others", envelope(`"statuses":[{"id":7},null,"x",` + status("read", "") + `]`), append([]mfa.Report{{Channel: mfa.WhatsApp, Carrier: "meta"}}, with(func(r *mfa.Report) { r.Status = mfa.StatusRead })...)},
		{"a change that cannot be read does not either", `{"entry":[{"changes":[7,{"field":"messages","value":[]}]},"x",` + strings.TrimPrefix(envelope(`"statuses":[`+status("read", "")+`]`), `{"object":"whatsapp_business_account","entry":[`), with(func(r *mfa.Report) { r.Status = mfa.StatusRead })},
		{"another number of the same app", strings.ReplaceAll(envelope(`"statuses":[`+status("read", "")+`]`), "106000000000001", "106000000000002"), nil},
		{"its identity", envelope(`"statuses":[` + status("sent", `,"recipient_identity_key_hash":"Ub3kQ0yT5pA="`) + `]`), with(func(r *mfa.Report) { r.Status, r.Identity = mfa.StatusSent, "Ub3kQ0yT5pA=" })},
		{"an identity that can be none", envelope(`"statuses":[` + status("sent", `,"recipient_identity_key_hash":"`+strings.Repeat("A", 200)+`"`) + `]`), with(func(r *mfa.Report) { r.Status = mfa.StatusSent })},
		{"a field nobody acts on", strings.ReplaceAll(envelope(`"event":"x"`), `"messages"`, `"flows"`), nil},
		{"a text from the person", envelope(`"messages":[{"from":"39333","type":"text","text":{"body":"hello"}}]`), nil},
		{"another button", envelope(`"messages":[{"type":"button","button":{"payload":"OTHER"},"context":{"id":"wamid.1"}}]`), nil},
		{"I didn't request a code", envelope(`"messages":[{"type":"button","timestamp":"1790000001","button":{"payload":"DID_NOT_REQUEST_CODE","text":"x"},"context":{"id":"wamid.1"}}]`),
			[]mfa.Report{{Channel: mfa.WhatsApp, Carrier: "meta", MessageID: "wamid.1", At: base.At, NotRequested: true}}},
		{"nothing in it", `{}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, code, _ := reportsOf(t, tt.body)
			if code != http.StatusOK || fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("answered %d\n got %+v\nwant %+v", code, got, tt.want)
			}
		})
	}
}

func TestWH04_WhatMetaSignedIsNotAskedForAgain(t *testing.T) {
	for name, body := range map[string]string{"no JSON": "hello", "no object": "[]", "cut off": `{"entry":[`} {
		if reports, code, rejected := reportsOf(t, body); code != http.StatusOK || len(reports) != 0 || len(rejected) != 1 {
			t.Errorf("%s: answered %d, %d reports, rejected %q", name, code, len(reports), rejected)
		}
	}
}

func TestWH08_ABatchIsBounded(t *testing.T) {
	batch := func(n int) string {
		status := `{"id":"wamid.1","status":"sent","timestamp":"1"}`
		return envelope(`"statuses":[` + strings.TrimSuffix(strings.Repeat(status+",", n), ",") + `]`)
	}
	if got, code, _ := reportsOf(t, batch(1000)); code != http.StatusOK || len(got) != 1000 {
		t.Errorf("1,000: answered %d with %d reports", code, len(got))
	}
	if got, code, _ := reportsOf(t, batch(1001)); code != http.StatusRequestEntityTooLarge || len(got) != 0 {
		t.Errorf("1,001: answered %d with %d reports", code, len(got))
	}
}

func TestWH08_OnlyAFewLargeBodiesAreHeldBeforeTheirSignatureIsKnown(t *testing.T) {
	c := newChannel(t, channeltest.Env{CarrierURL: "https://example.com"})
	h := c.Handler(func(context.Context, []mfa.Report) error { return nil }, unheard(t))
	post := func(body io.Reader, length int64) int {
		req := httptest.NewRequest(http.MethodPost, "/", body)
		req.ContentLength = length
		req.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("00", sha256.Size))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w.Code
	}
	var held sync.WaitGroup
	var open []*io.PipeWriter
	for range 8 {
		r, w := io.Pipe()
		open = append(open, w)
		held.Go(func() { post(r, -1) })
		w.Write([]byte("{")) // returns when the handler reads
	}
	if got := post(strings.NewReader("{}"), 1<<20); got != http.StatusServiceUnavailable {
		t.Errorf("one more large body: answered %d, want 503", got)
	}
	if got := post(strings.NewReader("{}"), 2); got != http.StatusForbidden {
		t.Errorf("a small body beside them: answered %d, want its signature refused", got)
	}
	for _, w := range open {
		w.Close()
	}
	held.Wait()
	if got := post(strings.NewReader("{}"), 1<<20); got != http.StatusForbidden {
		t.Errorf("after they ended: answered %d", got)
	}
}

func TestNew_RefusesAnIncompleteConfiguration(t *testing.T) {
	for name, change := range map[string]func(*whatsapp.Config){
		"version":         func(c *whatsapp.Config) { c.Version = "" },
		"phone number id": func(c *whatsapp.Config) { c.PhoneNumberID = "+39 333" },
		"access token":    func(c *whatsapp.Config) { c.AccessToken = "" },
		"app secret":      func(c *whatsapp.Config) { c.AppSecrets = []string{""} },
		"verify token":    func(c *whatsapp.Config) { c.VerifyToken = "" },
		"template":        func(c *whatsapp.Config) { c.Template = "" },
		"languages":       func(c *whatsapp.Config) { c.Languages = nil },
		"a language":      func(c *whatsapp.Config) { c.Languages = []string{"not a language"} },
		"base URL":        func(c *whatsapp.Config) { c.BaseURL = "graph.facebook.com" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(channeltest.Env{})
			change(&cfg)
			if _, err := whatsapp.New(cfg); err == nil {
				t.Error("taken")
			}
		})
	}
}
