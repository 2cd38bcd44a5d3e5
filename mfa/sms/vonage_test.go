package sms_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/sms"
)

var vonageSecrets = map[channeltest.Secret]string{
	channeltest.Current: "current secret", channeltest.Previous: "previous secret", channeltest.Foreign: "another account's secret",
}

func vonageConfig(e channeltest.Env) sms.VonageConfig {
	return sms.VonageConfig{
		Config: config(e), APIKey: "abcd1234", APISecret: "api secret", SignatureMethod: "sha256", From: "+12025550123",
		SignatureSecrets: []string{vonageSecrets[channeltest.Current], vonageSecrets[channeltest.Previous]}, Clock: clock.System{},
	}
}

func newVonage(t *testing.T, e channeltest.Env, change ...func(*sms.VonageConfig)) *sms.Vonage {
	t.Helper()
	cfg := vonageConfig(e)
	for _, f := range change {
		f(&cfg)
	}
	c, err := sms.NewVonage(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestVonage_Contract(t *testing.T) {
	_, url := newHandset(t, func(c *handset.Config) {
		c.Vonage = handset.VonageAccount{Key: "abcd1234", Secret: "api secret", SignatureSecret: vonageSecrets[channeltest.Current]}
	})
	vonage := func(status string, class mfa.Class, scope mfa.Scope) channeltest.Refusal {
		return channeltest.Refusal{
			Name: status, Switches: map[string]any{"vonage": status}, OK: true,
			Want: mfa.Refused{Failure: mfa.Failure{Class: class, Code: status, Scope: scope}, NotSent: true},
		}
	}
	channeltest.Run(t, channeltest.Harness{
		HandsetURL: url, Kind: "sms", Carrier: "vonage", CarrierSwitch: "vonage", TooLarge: 64 << 10, Proof: channeltest.JSONProof("sig"),
		New: func(t *testing.T, e channeltest.Env) channeltest.Subject {
			c := newVonage(t, e)
			return channeltest.Subject{Channel: c, Handler: c.Handler}
		},
		Check: func(t *testing.T, e channeltest.Env, right bool) []mfa.Finding {
			return newVonage(t, e, func(c *sms.VonageConfig) {
				if !right {
					c.APISecret = "another"
				}
			}).Check(t.Context())
		},
		Refusals: []channeltest.Refusal{
			vonage("1", mfa.ClassRetry, mfa.ScopeCarrier), vonage("3", mfa.ClassNumber, mfa.ScopeMessage),
			vonage("4", mfa.ClassConfig, mfa.ScopeCarrier), vonage("7", mfa.ClassFallback, mfa.ScopeMessage),
			vonage("9", mfa.ClassConfig, mfa.ScopeCarrier),
		},
		Callback: func(t *testing.T, callbackURL string, s channeltest.Secret, deliveryID string, padding int) *http.Request {
			receipt := vonageReceipt("delivered", time.Now())
			receipt.Set("client-ref", deliveryID)
			receipt.Set("future", strings.Repeat("x", padding))
			return vonageJSON(t, callbackURL, vonageSecrets[s], receipt)
		},
	})
}

func vonageReceipt(status string, at time.Time) url.Values {
	return url.Values{
		"msisdn": {"393331234567"}, "to": {"12025550123"}, "messageId": {"0A0000000123ABCD1"}, "status": {status}, "err-code": {"0"},
		"scts": {"2609141203"}, "message-timestamp": {"2026-09-14 12:03:00"}, "api-key": {"abcd1234"}, "client-ref": {"ours"},
		"timestamp": {strconv.FormatInt(at.Unix(), 10)},
	}
}

// vonageSign is Vonage's HMAC-SHA-256, written a second time.
func vonageSign(secret string, receipt url.Values) string {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, name := range slices.Sorted(maps.Keys(receipt)) {
		if name != "sig" {
			_, _ = io.WriteString(mac, "&"+name+"="+strings.NewReplacer("&", "_", "=", "_").Replace(receipt.Get(name)))
		}
	}
	return hex.EncodeToString(mac.Sum(nil))
}

func vonageJSON(t *testing.T, address, secret string, receipt url.Values) *http.Request {
	t.Helper()
	receipt.Set("sig", vonageSign(secret, receipt))
	flat := map[string]string{}
	for name := range receipt {
		flat[name] = receipt.Get(name)
	}
	body, err := json.Marshal(flat)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return req
}

// The vector of a receipt with the secret "sigsecret", in every form in which Vonage may call.
func TestWH03_Vonage_TheSignatureCoversAllParameters(t *testing.T) {
	vector := url.Values{
		"msisdn": {"12025550100"}, "to": {"12025550123"}, "messageId": {"0A0000000123ABCD1"}, "status": {"delivered"}, "err-code": {"0"},
		"scts": {"2609141203"}, "message-timestamp": {"2026-09-14 12:03:00"}, "timestamp": {"1789387380"},
	}
	const md5hash, hmac256 = "5f570541b0c5308445f300c9ec95d3fe", "f266697015f93697c3ffb2aea0b7a2d3723f61f9c88395c5c8b0a693fee1211a"
	with := func(change func(v url.Values)) url.Values {
		v := url.Values{}
		for name, values := range vector {
			v[name] = slices.Clone(values)
		}
		v.Set("sig", hmac256)
		change(v)
		return v
	}
	get := func(v url.Values) *http.Request { return httptest.NewRequest(http.MethodGet, "/?"+v.Encode(), nil) }
	form := func(v url.Values) *http.Request {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(v.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return req
	}
	raw := func(body string) *http.Request {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		return req
	}
	flat := func(v url.Values, number string) *http.Request {
		members := ""
		for name := range v {
			value := fmt.Sprintf("%q", v.Get(name))
			if name == number {
				value = v.Get(name)
			}
			members += fmt.Sprintf("%q:%s,", name, value)
		}
		return raw("{" + strings.TrimSuffix(members, ",") + "}")
	}
	same := func(url.Values) {}
	for name, tt := range map[string]struct {
		method string
		req    *http.Request
		want   int
	}{
		"by GET":                            {"sha256", get(with(same)), http.StatusNoContent},
		"as a form":                         {"sha256", form(with(same)), http.StatusNoContent},
		"as JSON":                           {"sha256", flat(with(same), ""), http.StatusNoContent},
		"as JSON with a number":             {"sha256", flat(with(same), "timestamp"), http.StatusNoContent},
		"in capitals":                       {"sha256", get(with(func(v url.Values) { v.Set("sig", strings.ToUpper(hmac256)) })), http.StatusNoContent},
		"by MD5 hash":                       {"md5hash", get(with(func(v url.Values) { v.Set("sig", md5hash) })), http.StatusNoContent},
		"by another method":                 {"sha512", get(with(same)), http.StatusForbidden},
		"a value changed":                   {"sha256", get(with(func(v url.Values) { v.Set("status", "failed") })), http.StatusForbidden},
		"a parameter added":                 {"sha256", get(with(func(v url.Values) { v.Set("more", "1") })), http.StatusForbidden},
		"a parameter twice":                 {"sha256", get(with(func(v url.Values) { v.Add("status", "failed") })), http.StatusForbidden},
		"a member twice":                    {"sha256", raw(`{"status":"delivered","status":"failed","sig":"` + hmac256 + `"}`), http.StatusForbidden},
		"a member that is an object":        {"sha256", raw(`{"status":{},"sig":"` + hmac256 + `"}`), http.StatusForbidden},
		"something after the object":        {"sha256", raw(`{"sig":"` + hmac256 + `"}{}`), http.StatusForbidden},
		"an array":                          {"sha256", raw(`[]`), http.StatusForbidden},
		"no signature":                      {"sha256", get(with(func(v url.Values) { v.Del("sig") })), http.StatusUnauthorized},
		"a signature that is not in digits": {"sha256", get(with(func(v url.Values) { v.Set("sig", "zz") })), http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			c := newVonage(t, channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/vonage"}, func(c *sms.VonageConfig) {
				c.SignatureSecrets, c.SignatureMethod = []string{"sigsecret"}, tt.method
				c.Clock = clock.NewManual(time.Unix(1789387380, 0).Add(time.Minute))
			})
			code, reports := answer(t, c, tt.req)
			if code != tt.want || (code == http.StatusNoContent) != (len(reports) == 1) {
				t.Errorf("answered %d with %d reports, want %d", code, len(reports), tt.want)
			}
		})
	}
}

func TestWH03_Vonage_AReceiptIsFreshAndOfOurAccount(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	for name, tt := range map[string]struct {
		at   time.Time
		key  string
		want int
	}{
		"just now":           {now, "abcd1234", http.StatusNoContent},
		"five minutes ago":   {now.Add(-5 * time.Minute), "abcd1234", http.StatusNoContent},
		"longer ago":         {now.Add(-5*time.Minute - time.Second), "abcd1234", http.StatusForbidden},
		"of the future":      {now.Add(5*time.Minute + time.Second), "abcd1234", http.StatusForbidden},
		"of another account": {now, "other", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			c := newVonage(t, channeltest.Env{CallbackURL: "https://otp.example.com/vonage"}, func(c *sms.VonageConfig) { c.Clock = clock.NewManual(now) })
			receipt := vonageReceipt("delivered", tt.at)
			receipt.Set("api-key", tt.key)
			if code, _ := answer(t, c, vonageJSON(t, "http://example.com/", vonageSecrets[channeltest.Current], receipt)); code != tt.want {
				t.Errorf("answered %d, want %d", code, tt.want)
			}
		})
	}
}

func TestVonage_Receipt(t *testing.T) {
	failed := func(class mfa.Class, code string) *mfa.Report {
		return &mfa.Report{Status: mfa.StatusFailed, Failure: mfa.Failure{Class: class, Code: code, Scope: mfa.ScopeMessage}}
	}
	for name, tt := range map[string]struct {
		status, code string
		want         *mfa.Report
	}{
		"accepted by the operator":       {"accepted", "0", &mfa.Report{Status: mfa.StatusSent}},
		"buffered for the phone":         {"buffered", "0", &mfa.Report{Status: mfa.StatusSent}},
		"delivered":                      {"delivered", "0", &mfa.Report{Status: mfa.StatusDelivered}},
		"unknown":                        {"unknown", "0", nil},
		"a status of tomorrow":           {"teleported", "0", nil},
		"expired":                        {"expired", "2", failed(mfa.ClassFallback, "err-expired")},
		"failed: phone off":              {"failed", "2", failed(mfa.ClassFallback, "err-2")},
		"failed: number gone":            {"failed", "3", failed(mfa.ClassNumber, "err-3")},
		"rejected as spam":               {"rejected", "6", failed(mfa.ClassFallback, "err-6")},
		"failed with a code of tomorrow": {"failed", "77", failed(mfa.ClassFallback, "err-77")},
		"failed with no number as code":  {"failed", "x y", failed(mfa.ClassFallback, "err-none")},
	} {
		t.Run(name, func(t *testing.T) {
			c := newVonage(t, channeltest.Env{CallbackURL: "https://otp.example.com/vonage"})
			receipt := vonageReceipt(tt.status, time.Now())
			receipt.Set("err-code", tt.code)
			code, reports := answer(t, c, vonageJSON(t, "http://example.com/", vonageSecrets[channeltest.Current], receipt))
			wantReports(t, code, reports, tt.want, mfa.Report{
				Carrier: "vonage", DeliveryID: "ours", MessageID: "0A0000000123ABCD1", At: time.Date(2026, 9, 14, 12, 3, 0, 0, time.UTC),
			})
		})
	}
}

func TestVonage_TheRequest(t *testing.T) {
	var form url.Values
	var user, password string
	carrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		form = r.PostForm
		user, password, _ = r.BasicAuth()
		fmt.Fprint(w, `{"message-count":"1","messages":[{"status":"0","message-id":"0A1"}]}`)
	}))
	defer carrier.Close()
	m := channeltest.Message(t)
	m.ValidFor = 299*time.Second + 900*time.Millisecond
	env := channeltest.Env{CarrierURL: carrier.URL, CallbackURL: "https://otp.example.com/vonage"}
	sent, err := newVonage(t, env).Send(t.Context(), m)
	if err != nil || sent.MessageID != "0A1" {
		t.Fatalf("got %+v, %v", sent, err)
	}
	want := url.Values{
		"to": {channeltest.Number[1:]}, "from": {"12025550123"}, "ttl": {"299900"}, "client-ref": {m.DeliveryID},
		"text": {"049302 (it)\n\n@login.example.com #049302"}, "callback": {"https://otp.example.com/vonage"},
	}
	if form.Encode() != want.Encode() || user != "abcd1234" || password != "api secret" {
		t.Errorf("%s got %v\nwant %v", user, form, want)
	}
	t.Run("Unicode only when it must", func(t *testing.T) {
		c := newVonage(t, env, func(c *sms.VonageConfig) {
			c.Text = func(_, passcode string) (string, error) {
				return passcode + " यह आपका कोड है", nil
			}
		})
		if _, err := c.Send(t.Context(), m); err != nil || form.Get("type") != "unicode" {
			t.Errorf("%v, type %q", err, form.Get("type"))
		}
	})
	t.Run("a life below what Vonage takes", func(t *testing.T) {
		m := channeltest.Message(t)
		m.ValidFor = time.Second
		if _, err := newVonage(t, env).Send(t.Context(), m); err != nil || form.Get("ttl") != "20000" {
			t.Errorf("%v, ttl %s", err, form.Get("ttl"))
		}
	})
	t.Run("signed instead of a password", func(t *testing.T) {
		_, url := newHandset(t, func(c *handset.Config) {
			c.Vonage = handset.VonageAccount{Key: "abcd1234", Secret: "x", SignatureSecret: vonageSecrets[channeltest.Current]}
		})
		for secret, want := range map[channeltest.Secret]bool{channeltest.Current: true, channeltest.Foreign: false} {
			c := newVonage(t, channeltest.Env{CarrierURL: url, CallbackURL: "https://otp.example.com/vonage"}, func(c *sms.VonageConfig) {
				c.APISecret, c.SignatureSecrets = "", []string{vonageSecrets[secret]}
			})
			if _, err := c.Send(t.Context(), m); (err == nil) != want {
				t.Errorf("secret %d: %v", secret, err)
			}
		}
	})
}

func TestVonage_AnswersThatAreNotInTheBook(t *testing.T) {
	refused := func(class mfa.Class, code string, scope mfa.Scope) mfa.Refused {
		return mfa.Refused{Failure: mfa.Failure{Class: class, Code: code, Scope: scope}, NotSent: true}
	}
	for name, tt := range map[string]struct {
		status int
		body   string
		want   mfa.Refused // zero: unknown
	}{
		"a status of tomorrow":               {200, `{"messages":[{"status":"77"}]}`, refused(mfa.ClassConfig, "77", mfa.ScopeMessage)},
		"a status that is no number":         {200, `{"messages":[{"status":"<b>"}]}`, refused(mfa.ClassConfig, "none", mfa.ScopeMessage)},
		"its own fault":                      {200, `{"messages":[{"status":"5"}]}`, mfa.Refused{}},
		"every part refused":                 {200, `{"messages":[{"status":"7"},{"status":"7"}]}`, refused(mfa.ClassFallback, "7", mfa.ScopeMessage)},
		"one part taken and one refused":     {200, `{"messages":[{"status":"0","message-id":"1"},{"status":"1"}]}`, mfa.Refused{}},
		"taken without an id":                {200, `{"messages":[{"status":"0"}]}`, mfa.Refused{}},
		"no parts":                           {200, `{"messages":[]}`, mfa.Refused{}},
		"credentials refused before the API": {401, `<html>`, refused(mfa.ClassConfig, "http_401", mfa.ScopeCarrier)},
		"too many requests":                  {429, ``, refused(mfa.ClassRetry, "http_429", mfa.ScopeCarrier)},
		"a gateway that had no answer":       {504, `<html>`, mfa.Refused{}},
	} {
		t.Run(name, func(t *testing.T) {
			wantAnswerRead(t, tt.status, tt.body, tt.want, func(e channeltest.Env) mfa.Channel { return newVonage(t, e) })
		})
	}
}

func TestNewVonage_RefusesAnIncompleteConfiguration(t *testing.T) {
	for name, change := range map[string]func(*sms.VonageConfig){
		"key":            func(c *sms.VonageConfig) { c.APIKey = "" },
		"no signature":   func(c *sms.VonageConfig) { c.SignatureSecrets = nil },
		"an empty one":   func(c *sms.VonageConfig) { c.SignatureSecrets = []string{"a", ""} },
		"unknown method": func(c *sms.VonageConfig) { c.SignatureMethod = "crc32" },
		"no method":      func(c *sms.VonageConfig) { c.SignatureMethod = "" },
		"sender":         func(c *sms.VonageConfig) { c.From = "" },
		"clock":          func(c *sms.VonageConfig) { c.Clock = nil },
		"callback":       func(c *sms.VonageConfig) { c.CallbackURL = "https://otp.example.com/?a=b" },
		"text":           func(c *sms.VonageConfig) { c.Text = nil },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := vonageConfig(channeltest.Env{CallbackURL: "https://otp.example.com/vonage"})
			change(&cfg)
			if _, err := sms.NewVonage(cfg); err == nil {
				t.Error("taken")
			}
		})
	}
}

func FuzzVonageReceipt(f *testing.F) {
	f.Add(true, `{"status":"delivered","timestamp":"1790000000","client-ref":"ours"}`)
	f.Add(false, `status=failed&err-code=2&timestamp=1790000000`)
	f.Add(true, `{"status":"failed","status":"delivered"}`)
	f.Add(true, `{"a":1e400,"b":null,"c":[`)
	cfg := vonageConfig(channeltest.Env{CallbackURL: "https://otp.example.com/vonage"})
	cfg.Clock = clock.NewManual(time.Unix(1_790_000_000, 0))
	c, err := sms.NewVonage(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, isJSON bool, body string) {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if isJSON {
			req.Header.Set("Content-Type", "application/json")
		} else if form, err := url.ParseQuery(body); err == nil {
			form.Set("sig", vonageSign(vonageSecrets[channeltest.Current], form))
			req = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		code, reports := answer(t, c, req)
		if code != http.StatusNoContent && code != http.StatusForbidden && code != http.StatusUnauthorized || code != http.StatusNoContent && reports != nil || len(reports) > 1 {
			t.Fatalf("answered %d with %d reports", code, len(reports))
		}
	})
}
