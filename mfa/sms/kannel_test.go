package sms_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/sms"
)

// receiptSecrets authenticate receipts of carriers that sign nothing.
var receiptSecrets = map[channeltest.Secret]string{
	channeltest.Current: "current receipt secret", channeltest.Previous: "previous receipt secret", channeltest.Foreign: "somebody else's",
}

// receiptToken is what carriers without a signature carry, written a second time.
func receiptToken(secret, carrier, deliveryID string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, "parola receipt\n"+carrier+"\n"+deliveryID)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

func kannelConfig(e channeltest.Env) sms.KannelConfig {
	c := sms.KannelConfig{
		Config: config(e), Username: "parola", Password: "sendsms password", From: "Parola",
		CallbackSecrets: []string{receiptSecrets[channeltest.Current], receiptSecrets[channeltest.Previous]},
	}
	c.BaseURL += "/cgi-bin/sendsms"
	return c
}

func newKannel(t *testing.T, e channeltest.Env, change ...func(*sms.KannelConfig)) *sms.Kannel {
	t.Helper()
	cfg := kannelConfig(e)
	for _, f := range change {
		f(&cfg)
	}
	c, err := sms.NewKannel(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func kannelReceipt(t *testing.T, callbackURL string, s channeltest.Secret, deliveryID, event string) *http.Request {
	t.Helper()
	query := url.Values{"delivery": {deliveryID}, "token": {receiptToken(receiptSecrets[s], "kannel", deliveryID)}, "d": {event}}
	req, err := http.NewRequest(http.MethodGet, callbackURL+"?"+query.Encode(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestKannel_Contract(t *testing.T) {
	_, handsetURL := newHandset(t, func(c *handset.Config) { c.KannelUsername, c.KannelPassword = "parola", "sendsms password" })
	kannel := func(name string, class mfa.Class, scope mfa.Scope) channeltest.Refusal {
		return channeltest.Refusal{
			Name: name, Switches: map[string]any{"kannel": name},
			Want: mfa.Refused{Failure: mfa.Failure{Class: class, Code: name, Scope: scope}, NotSent: true},
		}
	}
	channeltest.Run(t, channeltest.Harness{
		HandsetURL: handsetURL, Kind: "sms", Carrier: "kannel", NoID: true, CarrierSwitch: "kannel", TooLarge: 2 << 10,
		Proof: channeltest.QueryProof("token"),
		Check: func(t *testing.T, e channeltest.Env, right bool) []mfa.Finding {
			return newKannel(t, e, func(c *sms.KannelConfig) {
				if !right {
					c.Password = "another password"
				}
			}).Check(t.Context())
		},
		New: func(t *testing.T, e channeltest.Env) channeltest.Subject {
			c := newKannel(t, e)
			return channeltest.Subject{Channel: c, Handler: c.Handler}
		},
		Refusals: []channeltest.Refusal{
			kannel("auth", mfa.ClassConfig, mfa.ScopeCarrier), kannel("not_routable", mfa.ClassConfig, mfa.ScopeCountry),
			kannel("denied", mfa.ClassFallback, mfa.ScopeMessage), kannel("temporary", mfa.ClassRetry, mfa.ScopeCarrier),
		},
		Callback: func(t *testing.T, callbackURL string, s channeltest.Secret, deliveryID string, padding int) *http.Request {
			req := kannelReceipt(t, callbackURL, s, deliveryID, "1")
			if padding > 0 {
				req.Body, req.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", padding))), int64(padding)
			}
			return req
		},
	})
}

// recordedEnv is an environment whose carrier gives one answer, and the calls that it got, one after the other.
func recordedEnv(t *testing.T, status int, body string) (channeltest.Env, func() *http.Request) {
	t.Helper()
	calls := make(chan *http.Request, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		call := r.Clone(context.Background())
		call.Body = io.NopCloser(bytes.NewReader(raw))
		calls <- call
		w.Header().Set("X-Message", "from-header-1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	e := channeltest.Env{
		CarrierURL: server.URL, CallbackURL: "https://login.example.com/webhooks/sms/x", Rejected: func(context.Context, string) {},
	}
	return e, func() *http.Request {
		select {
		case call := <-calls:
			return call
		default:
			t.Fatal("the carrier was not called")
			return nil
		}
	}
}

func TestKannel_SendWritesWhatKannelReads(t *testing.T) {
	for _, c := range []struct {
		name, text, coding string
		change             func(*sms.KannelConfig)
		left               time.Duration
		want               map[string]string
	}{
		{name: "the alphabet of GSM", text: "caffè 123456 €", left: 5 * time.Minute, want: map[string]string{
			"coding": "0", "validity": "5", "from": "Parola", "smsc": "", "priority": "",
		}},
		{name: "another alphabet", text: "код 123456", left: 4*time.Minute + 59*time.Second, want: map[string]string{"coding": "2", "validity": "4"}},
		{name: "ç, on which centres differ", text: "força 123456", left: 20 * time.Second, want: map[string]string{"coding": "2", "validity": "1"}},
		{name: "a link and a priority", text: "x", left: time.Minute, change: func(c *sms.KannelConfig) { c.SMSC, c.Priority = "FAKE1", 3 },
			want: map[string]string{"smsc": "FAKE1", "priority": "3"}},
		{name: "Kannel's own sender", text: "x", left: time.Minute, change: func(c *sms.KannelConfig) { c.From = "" },
			want: map[string]string{"from": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, asked := recordedEnv(t, http.StatusAccepted, "0: Accepted for delivery")
			k := newKannel(t, e, func(cfg *sms.KannelConfig) {
				cfg.Text = func(string, string) (string, error) { return c.text, nil }
				if c.change != nil {
					c.change(cfg)
				}
			})
			m := channeltest.Message(t)
			m.ValidFor = c.left
			if _, err := k.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			call := asked()
			query := call.URL.Query()
			for name, want := range c.want {
				if got := query.Get(name); got != want || query.Has(name) != (want != "") {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if call.Method != http.MethodGet || query.Get("to") != channeltest.Number || query.Get("text") != c.text ||
				query.Get("charset") != "UTF-8" || query.Get("dlr-mask") != "27" {
				t.Errorf("asked %s %s", call.Method, call.URL)
			}
			dlr := query.Get("dlr-url")
			want := e.CallbackURL + "?delivery=" + m.DeliveryID + "&token=" + receiptToken("current receipt secret", "kannel", m.DeliveryID) + "&d=%d"
			if dlr != want {
				t.Errorf("dlr-url %s, want %s", dlr, want)
			}
		})
	}
}

func TestKannel_AnswersAreRead(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int
		body    string
		sent    bool
		refused *mfa.Refused // nil is unknown
	}{
		{"accepted", 202, "0: Accepted for delivery", true, nil},
		{"accepted, with an id behind it", 202, "0: Accepted for delivery: 8d3b", true, nil},
		{"queued while the link is down, which must not be sent again", 202, "3: Queued for later delivery", true, nil},
		{"another digit", 202, "7: Something new", false, nil},
		{"an old Kannel with status 200", 200, "Sent.", false, nil},
		{"not in the book of a 503", 503, "<html>busy</html>", false, nil},
		{"a parameter", 400, "Charset or body misformed, rejected", false,
			&mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: "http_400", Scope: mfa.ScopeMessage}, NotSent: true}},
		{"a wrong path", 404, "Unknown request.", false,
			&mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: "http_404", Scope: mfa.ScopeMessage}, NotSent: true}},
		{"a 403 of somebody in between", 403, "<html>forbidden</html>", false,
			&mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: "http_403", Scope: mfa.ScopeCarrier}, NotSent: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, _ := recordedEnv(t, c.status, c.body)
			_, err := newKannel(t, e).Send(t.Context(), channeltest.Message(t))
			wantVerdict(t, err, c.sent, c.refused)
		})
	}
}

func wantVerdict(t *testing.T, err error, sent bool, want *mfa.Refused) {
	t.Helper()
	var refused *mfa.Refused
	errors.As(err, &refused)
	switch {
	case sent != (err == nil):
		t.Errorf("got %v, sent %v", err, sent)
	case (refused == nil) != (want == nil) || refused != nil && *refused != *want:
		t.Errorf("got %+v, want %+v", refused, want)
	}
}

func TestKannel_ReceiptsAreRead(t *testing.T) {
	e, _ := recordedEnv(t, http.StatusAccepted, "")
	k := newKannel(t, e)
	failed := func(code string) mfa.Report {
		return mfa.Report{Status: mfa.StatusFailed, Failure: mfa.Failure{Class: mfa.ClassFallback, Code: code, Scope: mfa.ScopeMessage}}
	}
	id := strings.Repeat("1", 26)
	for event, want := range map[string]mfa.Report{
		"1": {Status: mfa.StatusDelivered}, "2": failed("dlr_2"), "8": {Status: mfa.StatusSent}, "16": failed("dlr_16"),
		"4": {}, "32": {}, "": {}, "delivered": {}, "%d": {},
	} {
		status, reports := answer(t, k, kannelReceipt(t, e.CallbackURL, channeltest.Current, id, event))
		if status != http.StatusOK {
			t.Errorf("event %q: answered %d: Kannel repeats what is not answered with 200", event, status)
		}
		if want.Status == "" {
			if len(reports) != 0 {
				t.Errorf("event %q: %+v", event, reports)
			}
			continue
		}
		want.Channel, want.Carrier, want.DeliveryID = mfa.SMS, "kannel", id
		if len(reports) != 1 || reports[0] != want {
			t.Errorf("event %q: %+v, want %+v", event, reports, want)
		}
	}
}

func TestKannel_ConfigurationIsLookedAt(t *testing.T) {
	e, _ := recordedEnv(t, http.StatusAccepted, "")
	for name, change := range map[string]func(*sms.KannelConfig){
		"no address":                  func(c *sms.KannelConfig) { c.BaseURL = "" },
		"an address with a query":     func(c *sms.KannelConfig) { c.BaseURL += "?username=x" },
		"no username":                 func(c *sms.KannelConfig) { c.Username = "" },
		"no password":                 func(c *sms.KannelConfig) { c.Password = "" },
		"no callback secret":          func(c *sms.KannelConfig) { c.CallbackSecrets = nil },
		"an empty callback secret":    func(c *sms.KannelConfig) { c.CallbackSecrets = []string{"x", ""} },
		"a callback URL with escapes": func(c *sms.KannelConfig) { c.CallbackURL += "/%20" },
		"a priority of SMPP 5":        func(c *sms.KannelConfig) { c.Priority = 4 },
		"no text":                     func(c *sms.KannelConfig) { c.Text = nil },
	} {
		cfg := kannelConfig(e)
		change(&cfg)
		if _, err := sms.NewKannel(cfg); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzKannelReceipt(f *testing.F) {
	id := strings.Repeat("1", 26)
	f.Add("delivery=" + id + "&token=" + receiptToken("current receipt secret", "kannel", id) + "&d=1")
	f.Add("delivery=&token=&d=1")
	f.Add("%zz;&d=16")
	k, err := sms.NewKannel(kannelConfig(channeltest.Env{CarrierURL: "http://127.0.0.1:1", CallbackURL: "https://login.example.com/x"}))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		req := httptest.NewRequest(http.MethodGet, "/x", nil)
		req.URL.RawQuery = query
		status, reports := answer(t, k, req)
		given := req.URL.Query()
		genuine := given.Get("token") == receiptToken("current receipt secret", "kannel", given.Get("delivery")) ||
			given.Get("token") == receiptToken("previous receipt secret", "kannel", given.Get("delivery"))
		if genuine != (status == http.StatusOK) || !genuine && len(reports) != 0 {
			t.Errorf("%q: answered %d with %+v", query, status, reports)
		}
	})
}
