package sms_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/sms"
)

const account = "AC00000000000000000000000000000000"

var tokens = map[channeltest.Secret]string{
	channeltest.Current: "current auth token", channeltest.Previous: "previous auth token", channeltest.Foreign: "another account's token",
}

func twilioConfig(e channeltest.Env) sms.TwilioConfig {
	return sms.TwilioConfig{
		Config: config(e), AccountSID: account,
		AuthTokens: []string{tokens[channeltest.Current], tokens[channeltest.Previous]}, From: "+12025550123",
	}
}

func newTwilio(t *testing.T, e channeltest.Env, change ...func(*sms.TwilioConfig)) *sms.Twilio {
	t.Helper()
	cfg := twilioConfig(e)
	for _, f := range change {
		f(&cfg)
	}
	c, err := sms.NewTwilio(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTwilio_Contract(t *testing.T) {
	h, err := handset.New(handset.Config{
		AccessToken: "access token", AppSecret: "app secret", AccountSID: account, AuthToken: tokens[channeltest.Current],
		DeliverAfter: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); server.Close() })
	twilio := func(code string, class mfa.Class, scope mfa.Scope) channeltest.Refusal {
		return channeltest.Refusal{
			Name: code, Switches: map[string]any{"twilio": code},
			Want: mfa.Refused{Failure: mfa.Failure{Class: class, Code: code, Scope: scope}, NotSent: true},
		}
	}
	channeltest.Run(t, channeltest.Harness{
		HandsetURL: server.URL, Kind: "sms", Carrier: "twilio", CarrierSwitch: "twilio", TooLarge: 64 << 10,
		Proof: channeltest.HeaderProof("X-Twilio-Signature"),
		Check: func(t *testing.T, e channeltest.Env, right bool) []mfa.Finding {
			return newTwilio(t, e, func(c *sms.TwilioConfig) {
				if !right {
					c.AuthTokens = []string{tokens[channeltest.Foreign]}
				}
			}).Check(t.Context())
		},
		New: func(t *testing.T, e channeltest.Env) channeltest.Subject {
			c := newTwilio(t, e)
			return channeltest.Subject{Channel: c, Handler: c.Handler}
		},
		Refusals: []channeltest.Refusal{
			twilio("21610", mfa.ClassFallback, mfa.ScopeMessage), twilio("21614", mfa.ClassNumber, mfa.ScopeMessage),
			twilio("30450", mfa.ClassFallback, mfa.ScopeCountry), twilio("20003", mfa.ClassConfig, mfa.ScopeCarrier),
			twilio("20429", mfa.ClassRetry, mfa.ScopeCarrier),
		},
		Callback: func(t *testing.T, callbackURL string, s channeltest.Secret, deliveryID string, padding int) *http.Request {
			form := statusForm("delivered")
			form.Set("Future", strings.Repeat("x", padding))
			return signed(t, callbackURL+"?delivery="+deliveryID, tokens[s], form)
		},
	})
}

func statusForm(status string) url.Values {
	return url.Values{
		"MessageSid": {"SM00000000000000000000000000000001"}, "MessageStatus": {status}, "AccountSid": {account},
		"From": {"+12025550123"}, "To": {"+393331234567"}, "ApiVersion": {"2010-04-01"},
	}
}

func signature(token, address string, form url.Values) string {
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, address)
	for _, name := range names {
		_, _ = io.WriteString(mac, name+form.Get(name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func signed(t *testing.T, address, token string, form url.Values) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Twilio-Signature", signature(token, address, form))
	return req
}

// Twilio's documented vectors, through the handler.
func TestWH02_Twilio_TheSignatureCoversThePublicURLAndTheFields(t *testing.T) {
	undelivered := "ErrorCode=30003&SmsSid=SM00000000000000000000000000000001&SmsStatus=undelivered&MessageStatus=undelivered" +
		"&To=%2B12025550100&MessageSid=SM00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000000" +
		"&From=%2B12025550123&ApiVersion=2010-04-01&RawDlrDoneDate=2609141203"
	const vector = "5cFwJDSc7hgE3qGSnjxWrHBOezQ="
	c := newTwilio(t, channeltest.Env{CallbackURL: "https://otp.example.com/webhooks/twilio"}, func(c *sms.TwilioConfig) { c.AuthTokens = []string{"12345"} })
	post := func(target, body, signature string) int {
		req := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Twilio-Signature", signature)
		code, _ := answer(t, c, req)
		return code
	}
	for name, tt := range map[string]struct {
		target, body, signature string
		want                    int
	}{
		"the vector":                          {"/", undelivered, vector, http.StatusNoContent},
		"whatever Host the proxy left":        {"http://10.0.0.1:8080/elsewhere", undelivered, vector, http.StatusNoContent},
		"with the default port in the URL":    {"/", undelivered, signature("12345", "https://otp.example.com:443/webhooks/twilio", parse(t, undelivered)), http.StatusNoContent},
		"of the URL that the request came to": {"http://evil.example/", undelivered, signature("12345", "http://evil.example/", parse(t, undelivered)), http.StatusForbidden},
		"with another port in the URL":        {"/", undelivered, signature("12345", "https://otp.example.com:8443/webhooks/twilio", parse(t, undelivered)), http.StatusForbidden},
		"with a query that was not signed":    {"/?delivery=1", undelivered, vector, http.StatusForbidden},
		"with a field added":                  {"/", undelivered + "&More=1", vector, http.StatusForbidden},
		"with a field changed":                {"/", strings.Replace(undelivered, "30003", "30004", 1), vector, http.StatusForbidden},
		"with fields in another order":        {"/", "To=%2B12025550100&" + strings.Replace(undelivered, "&To=%2B12025550100", "", 1), vector, http.StatusNoContent},
		"not base64":                          {"/", undelivered, "!", http.StatusForbidden},
		"a body that is no form":              {"/", "%zz", vector, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if got := post(tt.target, tt.body, tt.signature); got != tt.want {
				t.Errorf("answered %d, want %d", got, tt.want)
			}
		})
	}
	t.Run("a configured default port may be left out", func(t *testing.T) {
		c := newTwilio(t, channeltest.Env{CallbackURL: "http://otp.example.com:80/twilio"})
		req := signed(t, "http://otp.example.com/twilio?delivery=ours", tokens[channeltest.Current], statusForm("sent"))
		if code, reports := answer(t, c, req); code != http.StatusNoContent || len(reports) != 1 {
			t.Errorf("answered %d with %d reports", code, len(reports))
		}
	})
}

func parse(t *testing.T, body string) url.Values {
	t.Helper()
	form, err := url.ParseQuery(body)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func TestWH02_Twilio_OfAnotherAccountIsRefused(t *testing.T) {
	c := newTwilio(t, channeltest.Env{CallbackURL: "https://otp.example.com/twilio"})
	form := statusForm("delivered")
	form.Set("AccountSid", "AC00000000000000000000000000000009")
	if code, reports := answer(t, c, signed(t, "https://otp.example.com/twilio", tokens[channeltest.Current], form)); code != http.StatusForbidden || reports != nil {
		t.Errorf("answered %d with %d reports", code, len(reports))
	}
}

func TestTwilio_Callback(t *testing.T) {
	failedWith := func(class mfa.Class, code string, scope mfa.Scope) *mfa.Report {
		return &mfa.Report{Status: mfa.StatusFailed, Failure: mfa.Failure{Class: class, Code: code, Scope: scope}}
	}
	for name, tt := range map[string]struct {
		status, code string
		want         *mfa.Report
	}{
		"queued":                         {"queued", "", nil},
		"sending":                        {"sending", "", nil},
		"a status of tomorrow":           {"teleported", "", nil},
		"sent":                           {"sent", "", &mfa.Report{Status: mfa.StatusSent}},
		"delivered":                      {"delivered", "", &mfa.Report{Status: mfa.StatusDelivered}},
		"undelivered: handset off":       {"undelivered", "30003", failedWith(mfa.ClassFallback, "30003", mfa.ScopeMessage)},
		"undelivered: unknown handset":   {"undelivered", "30005", failedWith(mfa.ClassNumber, "30005", mfa.ScopeMessage)},
		"failed: account suspended":      {"failed", "30002", failedWith(mfa.ClassConfig, "30002", mfa.ScopeCarrier)},
		"failed with a code of tomorrow": {"failed", "39999", failedWith(mfa.ClassFallback, "39999", mfa.ScopeMessage)},
		"failed with a number as a code": {"failed", "393331234567", failedWith(mfa.ClassFallback, "none", mfa.ScopeMessage)},
		"failed without a code":          {"failed", "", failedWith(mfa.ClassFallback, "none", mfa.ScopeMessage)},
		"failed with no number as code":  {"failed", "x y", failedWith(mfa.ClassFallback, "none", mfa.ScopeMessage)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTwilio(t, channeltest.Env{CallbackURL: "https://otp.example.com/twilio"})
			form := statusForm(tt.status)
			if tt.code != "" {
				form.Set("ErrorCode", tt.code)
			}
			code, reports := answer(t, c, signed(t, "https://otp.example.com/twilio?delivery=ours", tokens[channeltest.Current], form))
			var want []mfa.Report
			if tt.want != nil {
				tt.want.Channel, tt.want.Carrier, tt.want.DeliveryID, tt.want.MessageID = mfa.SMS, "twilio", "ours", "SM00000000000000000000000000000001"
				want = []mfa.Report{*tt.want}
			}
			if code != http.StatusNoContent || !slices.Equal(reports, want) {
				t.Errorf("answered %d\n got %+v\nwant %+v", code, reports, want)
			}
		})
	}
}

func TestTwilio_TheRequest(t *testing.T) {
	var form url.Values
	var user, password, path string
	carrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		form, path = r.PostForm, r.URL.Path
		user, password, _ = r.BasicAuth()
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"sid":"SM1","status":"queued"}`)
	}))
	defer carrier.Close()
	m := channeltest.Message(t)
	m.ValidFor = 299*time.Second + 900*time.Millisecond
	env := channeltest.Env{CarrierURL: carrier.URL, CallbackURL: "https://otp.example.com/twilio"}
	sent, err := newTwilio(t, env).Send(t.Context(), m)
	if err != nil || sent.MessageID != "SM1" {
		t.Fatalf("got %+v, %v", sent, err)
	}
	want := url.Values{
		"To": {channeltest.Number}, "From": {"+12025550123"}, "ValidityPeriod": {"299"},
		"Body":           {"049302 (it)\n\n@login.example.com #049302"},
		"StatusCallback": {"https://otp.example.com/twilio?delivery=" + m.DeliveryID},
	}
	if form.Encode() != want.Encode() || path != "/2010-04-01/Accounts/"+account+"/Messages.json" {
		t.Errorf("%s\n got %v\nwant %v", path, form, want)
	}
	if user != account || password != tokens[channeltest.Current] {
		t.Errorf("authenticated as %s", user)
	}
	_, err = newTwilio(t, env, func(c *sms.TwilioConfig) {
		c.APIKeySID, c.APIKeySecret = "SK1", "key secret"
		c.From, c.MessagingServiceSID = "", "MG00000000000000000000000000000001"
	}).Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if user != "SK1" || password != "key secret" || form.Get("MessagingServiceSid") == "" || form.Has("From") {
		t.Errorf("with a key and a service: as %s, form %v", user, form)
	}
}

func TestTwilio_AnswersThatAreNotInTheBook(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   mfa.Refused // zero: unknown
	}{
		"a code of tomorrow":               {400, `{"code":29999,"status":400}`, mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: "29999", Scope: mfa.ScopeMessage}, NotSent: true}},
		"a server error with a code":       {500, `{"code":20500,"status":500}`, mfa.Refused{}},
		"too many requests without a code": {429, `slow down`, mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassRetry, Code: "http_429", Scope: mfa.ScopeCarrier}, NotSent: true}},
		"a refusal that is a page":         {403, `<html>`, mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: "http_403", Scope: mfa.ScopeCarrier}, NotSent: true}},
		"a gateway that had no answer":     {504, `<html>`, mfa.Refused{}},
		"created without an id":            {201, `{"status":"queued"}`, mfa.Refused{}},
	} {
		t.Run(name, func(t *testing.T) {
			carrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer carrier.Close()
			_, err := newTwilio(t, channeltest.Env{CarrierURL: carrier.URL, CallbackURL: "https://otp.example.com/"}).Send(t.Context(), channeltest.Message(t))
			var got mfa.Refused
			if refused, ok := err.(*mfa.Refused); ok {
				got = *refused
			}
			if err == nil || got != tt.want {
				t.Errorf("got %v %+v, want %+v", err, got, tt.want)
			}
		})
	}
}

func TestNewTwilio_RefusesAnIncompleteConfiguration(t *testing.T) {
	for name, change := range map[string]func(*sms.TwilioConfig){
		"account":                     func(c *sms.TwilioConfig) { c.AccountSID = "AC1" },
		"auth token":                  func(c *sms.TwilioConfig) { c.AuthTokens = nil },
		"an empty auth token":         func(c *sms.TwilioConfig) { c.AuthTokens = []string{"a", ""} },
		"half an API key":             func(c *sms.TwilioConfig) { c.APIKeySID = "SK1" },
		"no sender":                   func(c *sms.TwilioConfig) { c.From = "" },
		"two senders":                 func(c *sms.TwilioConfig) { c.MessagingServiceSID = "MG00000000000000000000000000000001" },
		"relative callback":           func(c *sms.TwilioConfig) { c.CallbackURL = "/twilio" },
		"callback with a query":       func(c *sms.TwilioConfig) { c.CallbackURL = "https://otp.example.com/twilio?a=b" },
		"a host that Twilio refuses":  func(c *sms.TwilioConfig) { c.CallbackURL = "https://otp_example.com/twilio" },
		"no text":                     func(c *sms.TwilioConfig) { c.Text = nil },
		"base URL without its scheme": func(c *sms.TwilioConfig) { c.BaseURL = "api.twilio.com" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := twilioConfig(channeltest.Env{CallbackURL: "https://otp.example.com/twilio"})
			change(&cfg)
			if _, err := sms.NewTwilio(cfg); err == nil {
				t.Error("taken")
			}
		})
	}
}

func FuzzTwilioCallback(f *testing.F) {
	f.Add("delivery=ours", statusForm("delivered").Encode())
	f.Add("", "MessageStatus=failed&ErrorCode=30003")
	f.Add("%zz", "a=b;c")
	cfg := twilioConfig(channeltest.Env{CallbackURL: "https://otp.example.com/twilio"})
	c, err := sms.NewTwilio(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			form = url.Values{}
		}
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		req.URL.RawQuery = query
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		form.Set("AccountSid", account)
		req.Header.Set("X-Twilio-Signature", signature(tokens[channeltest.Current], "https://otp.example.com/twilio?"+query, form))
		code, reports := answer(t, c, req)
		if code != http.StatusNoContent && code != http.StatusForbidden || code == http.StatusForbidden && reports != nil || len(reports) > 1 {
			t.Fatalf("answered %d with %d reports", code, len(reports))
		}
	})
}
