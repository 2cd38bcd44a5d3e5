package sms_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/sms"
)

// gatewayConfig describes the small gateway of the handset, which answers refusals with status 200.
func gatewayConfig(e channeltest.Env) sms.GatewayConfig {
	return sms.GatewayConfig{
		Config: config(e), URL: e.CarrierURL + "/gateway/messages", BodyType: "json",
		Body: `{"to": "{to_digits}", "from": "{from}", "text": "{text}", "encoding": {encoding}, "reference": "{id}",
			"notify_url": "{callback}", "ttl": {validity_seconds}}`,
		Auth: "header", AuthHeader: "X-Api-Key", Token: "gateway key", From: "Parola",
		Encodings: sms.GatewayEncodings{GSM: "text"},
		Success:   sms.GatewaySuccess{Selector: sms.Selector{JSON: "result.code"}, Values: []string{"0"}},
		MessageID: sms.Selector{JSON: "result.id"},
		Refusal: sms.GatewayRefusal{
			Classes:  map[string]string{"12": "N", "20": "C", "30": "S", "40": "R", "50": "C/country"},
			Statuses: map[int]string{503: "R"},
		},
		Receipt: sms.GatewayReceipt{
			Items: "receipts", ID: "reference", MessageID: "id", Status: "status", Error: "error",
			Outcomes: map[string]string{"ENROUTE": "sent", "DELIVRD": "delivered", "UNDELIV": "failed", "REJECTD": "failed", "BUFFRED": "ignored"},
			Classes:  map[string]string{"30005": "N"},
			Auth:     "hmac", Header: "X-Gateway-Signature", Prefix: "sha256=",
		},
		CallbackSecrets: []string{receiptSecrets[channeltest.Current], receiptSecrets[channeltest.Previous]},
		CheckURL:        e.CarrierURL + "/gateway/balance",
	}
}

func newGateway(t *testing.T, e channeltest.Env, change ...func(*sms.GatewayConfig)) *sms.Gateway {
	t.Helper()
	cfg := gatewayConfig(e)
	for _, f := range change {
		f(&cfg)
	}
	c, err := sms.NewGateway(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func bodySignature(secret string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return mac.Sum(nil)
}

func TestGateway_Contract(t *testing.T) {
	_, handsetURL := newHandset(t, func(c *handset.Config) {
		c.GatewayKey, c.GatewaySecret = "gateway key", receiptSecrets[channeltest.Current]
	})
	refusal := func(code string, class mfa.Class, scope mfa.Scope) channeltest.Refusal {
		return channeltest.Refusal{
			Name: code, Switches: map[string]any{"gateway": code}, OK: true,
			Want: mfa.Refused{Failure: mfa.Failure{Class: class, Code: code, Scope: scope}, NotSent: true},
		}
	}
	channeltest.Run(t, channeltest.Harness{
		HandsetURL: handsetURL, Kind: "sms", Carrier: "gateway", CarrierSwitch: "gateway", TooLarge: 256 << 10,
		Proof: channeltest.HeaderProof("X-Gateway-Signature"),
		Check: func(t *testing.T, e channeltest.Env, right bool) []mfa.Finding {
			return newGateway(t, e, func(c *sms.GatewayConfig) {
				if !right {
					c.Token = "another key"
				}
			}).Check(t.Context())
		},
		New: func(t *testing.T, e channeltest.Env) channeltest.Subject {
			c := newGateway(t, e)
			return channeltest.Subject{Channel: c, Handler: c.Handler}
		},
		Refusals: []channeltest.Refusal{
			refusal("12", mfa.ClassNumber, mfa.ScopeMessage), refusal("20", mfa.ClassConfig, mfa.ScopeCarrier),
			refusal("30", mfa.ClassFallback, mfa.ScopeMessage), refusal("40", mfa.ClassRetry, mfa.ScopeCarrier),
			refusal("50", mfa.ClassConfig, mfa.ScopeCountry),
		},
		Callback: func(t *testing.T, callbackURL string, s channeltest.Secret, deliveryID string, padding int) *http.Request {
			body := `{"receipts":[{"reference":"` + deliveryID + `","status":"DELIVRD"}],"future":"` + strings.Repeat("x", padding) + `"}`
			req, err := http.NewRequest(http.MethodPost, callbackURL, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Gateway-Signature", "sha256="+hex.EncodeToString(bodySignature(receiptSecrets[s], []byte(body))))
			return req
		},
	})
}

// hostile is a text that would break out of its place if it were written there raw.
const hostile = "12\"3456', \"to\": \"+1900\" \\ &to=1900#<to>1900</to>%26 {from}\n@id.example #123456"

func TestGateway_PlaceholdersAreEncodedForTheirPlace(t *testing.T) {
	e, asked := recordedEnv(t, http.StatusOK, `{"result":{"code":0,"id":"m1"}}`)
	for _, c := range []struct {
		name, bodyType, url, body, contentType string
		text                                   func(t *testing.T, r *http.Request, body []byte) string
	}{
		{"JSON", "json", "/send", `{"message":{"text":"<{text}>","to":"{to}"},"callback":"{callback}"}`, "application/json",
			func(t *testing.T, _ *http.Request, body []byte) string {
				var got struct{ Message struct{ Text, To string } }
				if err := json.Unmarshal(body, &got); err != nil || got.Message.To != channeltest.Number {
					t.Errorf("%v: %s", err, body)
				}
				return strings.TrimSuffix(strings.TrimPrefix(got.Message.Text, "<"), ">")
			}},
		{"JSON without quotes", "json", "/send", `{"text":{text},"to":[{to}],"callback":"{callback}"}`, "application/json",
			func(t *testing.T, _ *http.Request, body []byte) string {
				var got struct {
					Text string
					To   []string
				}
				if err := json.Unmarshal(body, &got); err != nil || got.To[0] != channeltest.Number {
					t.Errorf("%v: %s", err, body)
				}
				return got.Text
			}},
		{"a form", "form", "/send", "to={to}&text={text}&cb={callback}", "application/x-www-form-urlencoded",
			func(t *testing.T, _ *http.Request, body []byte) string {
				form, err := url.ParseQuery(string(body))
				if err != nil || len(form) != 3 || form.Get("to") != channeltest.Number {
					t.Errorf("%v: %s", err, body)
				}
				return form.Get("text")
			}},
		{"a query", "query", "/send?v=2", "to={to}&text={text}&cb={callback}", "",
			func(t *testing.T, r *http.Request, body []byte) string {
				query := r.URL.Query()
				if len(query) != 4 || query.Get("to") != channeltest.Number || query.Get("v") != "2" || len(body) != 0 {
					t.Errorf("%s: %s", r.URL, body)
				}
				return query.Get("text")
			}},
		{"a path", "form", "/send/{to}/{text}", "cb={callback}", "application/x-www-form-urlencoded",
			func(t *testing.T, r *http.Request, _ []byte) string {
				path := strings.SplitN(r.URL.EscapedPath(), "/", 4)
				if path[2] != channeltest.Number && path[2] != "%2B"+channeltest.Number[1:] {
					t.Errorf("path %q", path)
				}
				text, err := url.PathUnescape(path[3])
				if err != nil || strings.Contains(path[3], "/") {
					t.Errorf("%v: %q", err, path)
				}
				return text
			}},
		{"XML", "xml", "/send", `<sms to="{to}" cb="{callback}"><text>{text}</text></sms>`, "application/xml",
			func(t *testing.T, _ *http.Request, body []byte) string {
				var got struct {
					To   string `xml:"to,attr"`
					Text string `xml:"text"`
				}
				if err := xml.Unmarshal(body, &got); err != nil || got.To != channeltest.Number {
					t.Errorf("%v: %s", err, body)
				}
				return got.Text
			}},
		{"plain text", "text", "/send?to={to}&cb={callback}", "{text}", "text/plain; charset=utf-8",
			func(_ *testing.T, _ *http.Request, body []byte) string { return string(body) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGateway(t, e, func(cfg *sms.GatewayConfig) {
				cfg.URL, cfg.BodyType, cfg.Body, cfg.Receipt.Auth = e.CarrierURL+c.url, c.bodyType, c.body, ""
				cfg.Text = func(string, string) (string, error) { return hostile, nil }
			})
			if _, err := g.Send(t.Context(), channeltest.Message(t)); err != nil {
				t.Fatal(err)
			}
			call := asked()
			body, _ := io.ReadAll(call.Body)
			if got := c.text(t, call, body); got != hostile {
				t.Errorf("got %q", got)
			}
			if got := call.Header.Get("Content-Type"); got != c.contentType {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestGateway_CredentialsStandWhereTheyAreWanted(t *testing.T) {
	e, asked := recordedEnv(t, http.StatusOK, `{"result":{"code":0,"id":"m1"}}`)
	for name, c := range map[string]struct {
		change func(*sms.GatewayConfig)
		want   func(*http.Request) bool
	}{
		"basic": {
			func(c *sms.GatewayConfig) { c.Auth, c.Username, c.Password = "basic", "me", "pa:ss" },
			func(r *http.Request) bool { u, p, _ := r.BasicAuth(); return u == "me" && p == "pa:ss" },
		},
		"bearer": {
			func(c *sms.GatewayConfig) { c.Auth, c.Token = "bearer", "tok" },
			func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer tok" },
		},
		"header": {
			func(c *sms.GatewayConfig) { c.Auth, c.AuthHeader, c.Token = "header", "X-Key", "tok" },
			func(r *http.Request) bool { return r.Header.Get("X-Key") == "tok" },
		},
		"in a header of one's own, and in the URL": {
			func(c *sms.GatewayConfig) {
				c.Auth, c.Token, c.Username, c.Password = "", "tok", "me", "pa&ss"
				c.Headers = map[string]string{"X-Signed-By": "Key {token}", "Accept": "application/json"}
				c.URL += "?user={username}&password={password}"
			},
			func(r *http.Request) bool {
				return r.Header.Get("X-Signed-By") == "Key tok" && r.Header.Get("Accept") == "application/json" &&
					r.URL.Query().Get("user") == "me" && r.URL.Query().Get("password") == "pa&ss"
			},
		},
	} {
		if _, err := newGateway(t, e, c.change).Send(t.Context(), channeltest.Message(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if call := asked(); !c.want(call) {
			t.Errorf("%s: %s %v", name, call.URL, call.Header)
		}
	}
}

func TestGateway_AnswersAreRead(t *testing.T) {
	refused := func(class mfa.Class, code string, scope mfa.Scope) *mfa.Refused {
		return &mfa.Refused{Failure: mfa.Failure{Class: class, Code: code, Scope: scope}, NotSent: true}
	}
	byPattern := func(c *sms.GatewayConfig) {
		c.Success = sms.GatewaySuccess{Selector: sms.Selector{Pattern: `^(OK|ERR)\b`}, Values: []string{"OK"}}
		c.MessageID = sms.Selector{Pattern: `^OK (\S+)`}
		c.Refusal.Selector = sms.Selector{Pattern: `^ERR (\d+)`}
	}
	byHeader := func(c *sms.GatewayConfig) {
		c.Success = sms.GatewaySuccess{Statuses: []int{201}}
		c.MessageID = sms.Selector{Header: "X-Message"}
		c.Refusal.Selector = sms.Selector{JSON: "errors.0.code"}
	}
	for _, c := range []struct {
		name    string
		change  func(*sms.GatewayConfig)
		status  int
		body    string
		id      string
		refused *mfa.Refused
	}{
		{"a yes", nil, 200, `{"result":{"code":0,"id":"m1"}}`, "m1", nil},
		{"a code that is text", nil, 200, `{"result":{"code":"0","id":7}}`, "7", nil},
		{"a yes without an id", nil, 200, `{"result":{"code":0}}`, "", nil},
		{"a no with status 200", nil, 200, `{"result":{"code":12}}`, "", refused(mfa.ClassNumber, "12", mfa.ScopeMessage)},
		{"a no that is in no table", nil, 200, `{"result":{"code":99}}`, "", refused(mfa.ClassConfig, "99", mfa.ScopeMessage)},
		{"a code that is no code", nil, 200, `{"result":{"code":"to 393331234567: 049302"}}`, "", refused(mfa.ClassConfig, "none", mfa.ScopeMessage)},
		{"a code that is a number of somebody", nil, 200, `{"result":{"code":393331234567}}`, "", refused(mfa.ClassConfig, "none", mfa.ScopeMessage)},
		{"a page with status 200", nil, 200, `<html>welcome</html>`, "", nil},
		{"JSON and more behind it", nil, 200, `{"result":{"code":0,"id":"m1"}} trailer`, "", nil},
		{"a server error", nil, 500, `{"result":{"code":99}}`, "", nil},
		{"a server error with a code that is known", nil, 500, `{"result":{"code":40}}`, "", nil},
		{"a 503, as configured", nil, 503, `busy`, "", refused(mfa.ClassRetry, "http_503", mfa.ScopeCarrier)},
		{"a 429", nil, 429, ``, "", refused(mfa.ClassRetry, "http_429", mfa.ScopeCarrier)},
		{"a 401", nil, 401, ``, "", refused(mfa.ClassConfig, "http_401", mfa.ScopeCarrier)},
		{"a yes in words", byPattern, 200, "OK abc-1\n", "abc-1", nil},
		{"a no in words", byPattern, 200, "ERR 30 blocked", "", refused(mfa.ClassFallback, "30", mfa.ScopeMessage)},
		{"a no in words without a code", byPattern, 200, "ERR blocked", "", refused(mfa.ClassConfig, "ERR", mfa.ScopeMessage)},
		{"neither in words", byPattern, 200, "hello", "", nil},
		{"an id in a header", byHeader, 201, "", "from-header-1", nil},
		{"another success than the one configured", byHeader, 200, "", "", nil},
		{"a code beside an error status", byHeader, 400, `{"errors":[{"code":"12"}]}`, "", refused(mfa.ClassNumber, "12", mfa.ScopeMessage)},
		{"a known code beside a server error", byHeader, 500, `{"errors":[{"code":"40"}]}`, "", refused(mfa.ClassRetry, "40", mfa.ScopeCarrier)},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, _ := recordedEnv(t, c.status, c.body)
			changes := []func(*sms.GatewayConfig){}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			sent, err := newGateway(t, e, changes...).Send(t.Context(), channeltest.Message(t))
			wantVerdict(t, err, c.refused == nil && (c.id != "" || c.name == "a yes without an id"), c.refused)
			if sent.MessageID != c.id {
				t.Errorf("id %q, want %q", sent.MessageID, c.id)
			}
		})
	}
}

func TestGateway_ConfigurationIsLookedAt(t *testing.T) {
	e, _ := recordedEnv(t, http.StatusOK, "")
	for name, change := range map[string]func(*sms.GatewayConfig){
		"no URL":                           func(c *sms.GatewayConfig) { c.URL = "" },
		"a placeholder in the host":        func(c *sms.GatewayConfig) { c.URL = "https://{to_digits}.example/send" },
		"a placeholder before the host":    func(c *sms.GatewayConfig) { c.URL = "{callback}" },
		"an unknown placeholder":           func(c *sms.GatewayConfig) { c.Body = strings.Replace(c.Body, "{text}", "{message}", 1) },
		"an unknown one in the URL":        func(c *sms.GatewayConfig) { c.URL += "?k={key}" },
		"an unknown one in a header":       func(c *sms.GatewayConfig) { c.Headers = map[string]string{"X-K": "{key}"} },
		"the text in a header":             func(c *sms.GatewayConfig) { c.Headers = map[string]string{"X-T": "{text}"} },
		"a header with a line end":         func(c *sms.GatewayConfig) { c.Headers = map[string]string{"X-T": "a\r\nb: c"} },
		"a body that is no JSON":           func(c *sms.GatewayConfig) { c.Body = `{"to":"{to}","text":"{text}","c":"{callback}"` },
		"XML that does not end":            func(c *sms.GatewayConfig) { c.BodyType, c.Body = "xml", "<a>{to}{text}{callback}" },
		"a body without the text":          func(c *sms.GatewayConfig) { c.Body = `{"to":"{to}","c":"{callback}"}` },
		"a body without the number":        func(c *sms.GatewayConfig) { c.Body = `{"text":"{text}","c":"{callback}"}` },
		"an unknown type of body":          func(c *sms.GatewayConfig) { c.BodyType = "yaml" },
		"a GET with a body":                func(c *sms.GatewayConfig) { c.Method = "GET" },
		"another method":                   func(c *sms.GatewayConfig) { c.Method = "PATCH" },
		"an unknown auth":                  func(c *sms.GatewayConfig) { c.Auth = "digest" },
		"basic without a password":         func(c *sms.GatewayConfig) { c.Auth, c.Username = "basic", "me" },
		"a key with a line end":            func(c *sms.GatewayConfig) { c.Token = "a\nb" },
		"status 200 alone as a yes":        func(c *sms.GatewayConfig) { c.Success, c.MessageID = sms.GatewaySuccess{}, sms.Selector{} },
		"two selectors":                    func(c *sms.GatewayConfig) { c.MessageID.Header = "X-Id" },
		"a pattern without a group":        func(c *sms.GatewayConfig) { c.MessageID = sms.Selector{Pattern: "id=[0-9]+"} },
		"a pattern that is none":           func(c *sms.GatewayConfig) { c.MessageID = sms.Selector{Pattern: "(id"} },
		"an unknown class":                 func(c *sms.GatewayConfig) { c.Refusal.Classes["7"] = "X" },
		"class A, which is for WhatsApp":   func(c *sms.GatewayConfig) { c.Refusal.Classes["7"] = "A" },
		"an unknown scope":                 func(c *sms.GatewayConfig) { c.Refusal.Statuses[402] = "C/world" },
		"an unknown outcome":               func(c *sms.GatewayConfig) { c.Receipt.Outcomes["X"] = "arrived" },
		"an unknown class of a failure":    func(c *sms.GatewayConfig) { c.Receipt.Classes["X"] = "bad" },
		"receipts without a status":        func(c *sms.GatewayConfig) { c.Receipt.Status = "" },
		"receipts about nothing":           func(c *sms.GatewayConfig) { c.Receipt.ID, c.Receipt.MessageID = "", "" },
		"receipts that anybody may send":   func(c *sms.GatewayConfig) { c.CallbackSecrets = nil },
		"an hmac without a header":         func(c *sms.GatewayConfig) { c.Receipt.Header = "" },
		"an hmac of MD5":                   func(c *sms.GatewayConfig) { c.Receipt.Algorithm = "md5" },
		"an hmac over no body":             func(c *sms.GatewayConfig) { c.Receipt.Method, c.Receipt.Items = "GET", "" },
		"a token that nobody is told":      func(c *sms.GatewayConfig) { c.Receipt.Auth, c.Body = "token", `{"to":"{to}","text":"{text}"}` },
		"a callback without receipts":      func(c *sms.GatewayConfig) { c.Receipt = sms.GatewayReceipt{} },
		"a check URL with a message in it": func(c *sms.GatewayConfig) { c.CheckURL += "?to={to}" },
	} {
		cfg := gatewayConfig(e)
		change(&cfg)
		if _, err := sms.NewGateway(cfg); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

const someDelivery = "01234567890123456789012345"

func TestGateway_ReceiptsOfEveryKindAreRead(t *testing.T) {
	e, _ := recordedEnv(t, http.StatusOK, "")
	secret := receiptSecrets[channeltest.Previous] // as good as the current one
	post := func(kind, target, body string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		return r
	}
	token := "/x?delivery=" + someDelivery + "&token=" + receiptToken(secret, "gateway", someDelivery)
	delivered := mfa.Report{Channel: mfa.SMS, Carrier: "gateway", DeliveryID: someDelivery, MessageID: "m1", Status: mfa.StatusDelivered}
	failed := func(class mfa.Class, code string) mfa.Report {
		r := delivered
		r.Status, r.Failure = mfa.StatusFailed, mfa.Failure{Class: class, Code: code, Scope: mfa.ScopeMessage}
		return r
	}
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name   string
		change func(*sms.GatewayReceipt)
		req    *http.Request
		status int
		want   []mfa.Report
	}{
		{"a token, JSON", func(c *sms.GatewayReceipt) { c.Auth, c.Items = "token", "" },
			post("application/json", token, `{"id":"m1","status":"DELIVRD"}`), 200, []mfa.Report{delivered}},
		{"a token outweighs what the body says", func(c *sms.GatewayReceipt) { c.Auth, c.Items = "token", "" },
			post("application/json", token, `{"id":"m1","reference":"99999999999999999999999999","status":"DELIVRD"}`), 200, []mfa.Report{delivered}},
		{"a token for another delivery", func(c *sms.GatewayReceipt) { c.Auth, c.Items = "token", "" },
			post("application/json", strings.Replace(token, someDelivery, "9"+someDelivery[1:], 1), `{"id":"m1","status":"DELIVRD"}`), 403, nil},
		{"a token, GET", func(c *sms.GatewayReceipt) { c.Auth, c.Items, c.Method = "token", "", "GET" },
			httptest.NewRequest(http.MethodGet, token+"&id=m1&status=DELIVRD", nil), 200, []mfa.Report{delivered}},
		{"a secret, form", func(c *sms.GatewayReceipt) { c.Auth, c.Items, c.Type = "secret", "", "form" },
			post(form, "/x?secret="+url.QueryEscape(secret), "id=m1&reference="+someDelivery+"&status=UNDELIV&error=30005"), 200,
			[]mfa.Report{failed(mfa.ClassNumber, "30005")}},
		{"a failure in no table", func(c *sms.GatewayReceipt) { c.Auth, c.Items, c.Type = "secret", "", "form" },
			post(form, "/x?secret="+url.QueryEscape(secret), "id=m1&reference="+someDelivery+"&status=UNDELIV&error=9"), 200,
			[]mfa.Report{failed(mfa.ClassFallback, "9")}},
		{"a failure without a code", func(c *sms.GatewayReceipt) { c.Auth, c.Items, c.Type = "secret", "", "form" },
			post(form, "/x?secret="+url.QueryEscape(secret), "id=m1&reference="+someDelivery+"&status=UNDELIV"), 200,
			[]mfa.Report{failed(mfa.ClassFallback, "none")}},
		{"a field that comes twice is none", func(c *sms.GatewayReceipt) { c.Auth, c.Items, c.Type = "secret", "", "form" },
			post(form, "/x?secret="+url.QueryEscape(secret), "id=m1&reference="+someDelivery+"&status=DELIVRD&status=UNDELIV"), 200, nil},
		{"another secret", func(c *sms.GatewayReceipt) { c.Auth, c.Items, c.Type = "secret", "", "form" },
			post(form, "/x?secret=another", "id=m1&status=DELIVRD"), 403, nil},
		{"no secret", func(c *sms.GatewayReceipt) { c.Auth, c.Items, c.Type = "secret", "", "form" },
			post(form, "/x", "id=m1&status=DELIVRD"), 403, nil},
		{"basic", func(c *sms.GatewayReceipt) { c.Auth, c.Username = "basic", "carrier" },
			withBasic(post("application/json", "/x", `{"receipts":[{"id":"m1","reference":"`+someDelivery+`","status":"DELIVRD"}]}`), "carrier", secret),
			200, []mfa.Report{delivered}},
		{"basic with another name", func(c *sms.GatewayReceipt) { c.Auth, c.Username = "basic", "carrier" },
			withBasic(post("application/json", "/x", `{"receipts":[]}`), "me", secret), 401, nil},
		{"an hmac in base64", func(c *sms.GatewayReceipt) { c.Encoding, c.Prefix = "base64", "" },
			withSignature(post("application/json", "/x", `{"receipts":[{"id":"m1","reference":"`+someDelivery+`","status":"DELIVRD"}]}`), secret),
			200, []mfa.Report{delivered}},
		{"a status that is in no table", func(c *sms.GatewayReceipt) { c.Auth, c.Items = "token", "" },
			post("application/json", token, `{"id":"m1","status":"NEWWORD"}`), 200, nil},
		{"a status to be ignored", func(c *sms.GatewayReceipt) { c.Auth, c.Items = "token", "" },
			post("application/json", token, `{"id":"m1","status":"BUFFRED"}`), 200, nil},
		{"no JSON", func(c *sms.GatewayReceipt) { c.Auth, c.Items = "token", "" }, post("application/json", token, `{"id":`), 400, nil},
		{"no list", func(c *sms.GatewayReceipt) { c.Auth = "token" }, post("application/json", token, `{"receipts":{}}`), 400, nil},
		{"a form that is none", func(c *sms.GatewayReceipt) { c.Auth, c.Items, c.Type = "token", "", "form" }, post("text/plain", token, `a=b`), 400, nil},
		{"more than one call may have", func(c *sms.GatewayReceipt) { c.Auth = "token" },
			post("application/json", token, `{"receipts":[`+strings.Repeat("{},", mfa.MaxReports)+`{}]}`), 413, nil},
		{"a method that is not configured", func(c *sms.GatewayReceipt) { c.Auth = "token" }, httptest.NewRequest(http.MethodGet, token, nil), 405, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGateway(t, e, func(cfg *sms.GatewayConfig) { c.change(&cfg.Receipt) })
			status, reports := answer(t, g, c.req)
			if status != c.status {
				t.Errorf("answered %d, want %d", status, c.status)
			}
			if len(reports) != len(c.want) || len(reports) == 1 && reports[0] != c.want[0] {
				t.Errorf("got %+v, want %+v", reports, c.want)
			}
		})
	}
}

func withBasic(r *http.Request, username, password string) *http.Request {
	r.SetBasicAuth(username, password)
	return r
}

func withSignature(r *http.Request, secret string) *http.Request {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	r.Header.Set("X-Gateway-Signature", base64.StdEncoding.EncodeToString(bodySignature(secret, body)))
	return r
}

func TestGateway_WithoutReceiptsNoneAreTaken(t *testing.T) {
	e, _ := recordedEnv(t, http.StatusOK, "")
	g := newGateway(t, e, func(c *sms.GatewayConfig) {
		c.Receipt, c.CallbackSecrets = sms.GatewayReceipt{}, nil
		c.Body = `{"to":"{to}","text":"{text}"}`
	})
	status, reports := answer(t, g, httptest.NewRequest(http.MethodPost, "/x?secret=&delivery=&token=", strings.NewReader(`{}`)))
	if status != http.StatusNotFound || len(reports) != 0 {
		t.Errorf("answered %d with %v", status, reports)
	}
	found := false
	for _, f := range g.Check(t.Context()) {
		found = found || f.Status == mfa.FindingWarning && strings.Contains(f.Name, "receipts")
	}
	if !found {
		t.Error("Check does not say that nobody learns whether an SMS arrived")
	}
}
