package sms_test

import (
	"bytes"
	"context"
	"encoding/json"
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
	"github.com/parola-id/parola/mfa/sms"
)

func infobipConfig(e channeltest.Env) sms.InfobipConfig {
	return sms.InfobipConfig{
		Config: config(e), APIKey: "api key", From: "+12025550123",
		CallbackSecrets: []string{receiptSecrets[channeltest.Current], receiptSecrets[channeltest.Previous]},
	}
}

func newInfobip(t *testing.T, e channeltest.Env, change ...func(*sms.InfobipConfig)) *sms.Infobip {
	t.Helper()
	cfg := infobipConfig(e)
	for _, f := range change {
		f(&cfg)
	}
	c, err := sms.NewInfobip(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// infobipProof is the token in the callback data of the first result.
func infobipProof(t *testing.T, r *http.Request, change func(string) string) {
	t.Helper()
	var call struct {
		Results []map[string]any `json:"results"`
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		t.Fatal(err)
	}
	id, token, _ := strings.Cut(call.Results[0]["callbackData"].(string), ".")
	call.Results[0]["callbackData"] = id + "." + change(token)
	channeltest.SetBody(t, r, call)
}

func TestInfobip_Contract(t *testing.T) {
	_, url := newHandset(t, func(c *handset.Config) { c.Infobip.Key = "api key" })
	infobip := func(name string, ok bool, class mfa.Class, scope mfa.Scope) channeltest.Refusal {
		return channeltest.Refusal{
			Name: name, Switches: map[string]any{"infobip": name}, OK: ok,
			Want: mfa.Refused{Failure: mfa.Failure{Class: class, Code: name, Scope: scope}, NotSent: true},
		}
	}
	channeltest.Run(t, channeltest.Harness{
		HandsetURL: url, Kind: "sms", Carrier: "infobip", CarrierSwitch: "infobip", TooLarge: 1 << 20, Proof: infobipProof,
		New: func(t *testing.T, e channeltest.Env) channeltest.Subject {
			c := newInfobip(t, e)
			return channeltest.Subject{Channel: c, Handler: c.Handler}
		},
		Check: func(t *testing.T, e channeltest.Env, right bool) []mfa.Finding {
			return newInfobip(t, e, func(c *sms.InfobipConfig) {
				if !right {
					c.APIKey = "another"
				}
			}).Check(t.Context())
		},
		Refusals: []channeltest.Refusal{
			infobip("REJECTED_DESTINATION", true, mfa.ClassFallback, mfa.ScopeMessage),
			infobip("REJECTED_NETWORK", true, mfa.ClassConfig, mfa.ScopeCountry),
			infobip("REJECTED_NOT_ENOUGH_CREDITS", true, mfa.ClassConfig, mfa.ScopeCarrier),
			infobip("REJECTED_SENDER", true, mfa.ClassConfig, mfa.ScopeCarrier),
			infobip("TOO_MANY_REQUESTS", false, mfa.ClassRetry, mfa.ScopeCarrier),
		},
		Callback: func(t *testing.T, callbackURL string, s channeltest.Secret, deliveryID string, padding int) *http.Request {
			result := infobipResult(s, deliveryID, "DELIVERED", "DELIVERED_TO_HANDSET", "NO_ERROR")
			result["future"] = strings.Repeat("x", padding)
			return infobipCall(t, callbackURL, result)
		},
	})
}

func infobipResult(s channeltest.Secret, deliveryID, group, status, cause string) map[string]any {
	return map[string]any{
		"bulkId": "bulk-0001", "messageId": "theirs", "to": "393331234567", "doneAt": "2026-09-14T12:03:00.000+0000",
		"callbackData": deliveryID + "." + receiptToken(receiptSecrets[s], "infobip", deliveryID),
		"status":       map[string]any{"groupName": group, "name": status},
		"error":        map[string]any{"name": cause, "permanent": true},
	}
}

func infobipCall(t *testing.T, address string, results ...any) *http.Request {
	t.Helper()
	body, err := json.Marshal(map[string]any{"results": results})
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

func TestInfobip_Report(t *testing.T) {
	failed := func(class mfa.Class, code string) *mfa.Report {
		return &mfa.Report{Status: mfa.StatusFailed, Failure: mfa.Failure{Class: class, Code: code, Scope: mfa.ScopeMessage}}
	}
	for name, tt := range map[string]struct {
		group, status, cause string
		want                 *mfa.Report
	}{
		"accepted":                       {"ACCEPTED", "MESSAGE_ACCEPTED", "NO_ERROR", nil},
		"waiting at Infobip":             {"PENDING", "PENDING_WAITING_DELIVERY", "NO_ERROR", nil},
		"on its way":                     {"PENDING", "PENDING_ENROUTE", "NO_ERROR", &mfa.Report{Status: mfa.StatusSent}},
		"with the operator":              {"DELIVERED", "DELIVERED_TO_OPERATOR", "NO_ERROR", &mfa.Report{Status: mfa.StatusSent}},
		"on the phone":                   {"DELIVERED", "DELIVERED_TO_HANDSET", "NO_ERROR", &mfa.Report{Status: mfa.StatusDelivered}},
		"number not in use":              {"UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", "EC_UNKNOWN_SUBSCRIBER", failed(mfa.ClassNumber, "EC_UNKNOWN_SUBSCRIBER")},
		"phone off":                      {"UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", "EC_ABSENT_SUBSCRIBER", failed(mfa.ClassFallback, "EC_ABSENT_SUBSCRIBER")},
		"an error of tomorrow":           {"UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", "EC_TELEPORTED", failed(mfa.ClassFallback, "EC_TELEPORTED")},
		"an error that is no word":       {"UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", "<+393331234567>", failed(mfa.ClassFallback, "none")},
		"failed without an error":        {"UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", "", failed(mfa.ClassFallback, "UNDELIVERABLE_NOT_DELIVERED")},
		"expired":                        {"EXPIRED", "EXPIRED_EXPIRED", "NO_ERROR", failed(mfa.ClassFallback, "EXPIRED_EXPIRED")},
		"rejected after it was accepted": {"REJECTED", "REJECTED_DND", "NO_ERROR", failed(mfa.ClassFallback, "REJECTED_DND")},
		"a group of tomorrow":            {"TELEPORTED", "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := newInfobip(t, channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/infobip"})
			code, reports := answer(t, c, infobipCall(t, "/", infobipResult(channeltest.Current, "ours", tt.group, tt.status, tt.cause)))
			wantReports(t, code, reports, tt.want, mfa.Report{
				Carrier: "infobip", DeliveryID: "ours", MessageID: "theirs", At: time.Date(2026, 9, 14, 12, 3, 0, 0, time.UTC),
			})
		})
	}
}

func TestWH08_Infobip_OneBadResultDoesNotLoseTheOthers(t *testing.T) {
	good := func(id string) any {
		return infobipResult(channeltest.Current, id, "DELIVERED", "DELIVERED_TO_HANDSET", "NO_ERROR")
	}
	forged := infobipResult(channeltest.Foreign, "b", "DELIVERED", "DELIVERED_TO_HANDSET", "NO_ERROR")
	many := make([]any, mfa.MaxReports+1)
	for i := range many {
		many[i] = map[string]any{}
	}
	for name, tt := range map[string]struct {
		results  []any
		want     int
		taken    int
		rejected string
	}{
		"all good":            {[]any{good("a"), good("b")}, http.StatusNoContent, 2, ""},
		"one forged":          {[]any{good("a"), forged, good("c")}, http.StatusNoContent, 2, "token_wrong"},
		"one of another form": {[]any{good("a"), 7, map[string]any{"callbackData": 7}, good("d")}, http.StatusNoContent, 2, "token_wrong"},
		"all forged":          {[]any{forged, forged}, http.StatusForbidden, 0, "token_wrong"},
		"none":                {[]any{}, http.StatusForbidden, 0, "token_wrong"},
		"too many":            {many, http.StatusRequestEntityTooLarge, 0, "too_many"},
	} {
		t.Run(name, func(t *testing.T) {
			rejected := ""
			c := newInfobip(t, channeltest.Env{
				CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/infobip",
				Rejected: func(_ context.Context, reason string) { rejected = reason },
			})
			code, reports := answer(t, c, infobipCall(t, "/", tt.results...))
			if code != tt.want || len(reports) != tt.taken || rejected != tt.rejected {
				t.Errorf("answered %d with %d reports, rejected %q", code, len(reports), rejected)
			}
		})
	}
}

func TestDOS04_Infobip_ReportsThatNothingProvesAreReadToTheBound(t *testing.T) {
	c := newInfobip(t, channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/infobip"})
	h := c.Handler(func(context.Context, []mfa.Report) error { return nil })
	body := `{"results":[` + strings.Repeat("0,", 500_000) + `0]}`
	allocated := testing.AllocsPerRun(1, func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("answered %d", w.Code)
		}
	})
	if most := 20.0 * mfa.MaxReports; allocated > most {
		t.Errorf("%.0f allocations for half a million reports, want at most %.0f", allocated, most)
	}
}

func TestDOS08_OnlyAFewLargeCallbacksAreHeldBeforeTheirProofIsKnown(t *testing.T) {
	c := newInfobip(t, channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/infobip"})
	h := c.Handler(func(context.Context, []mfa.Report) error { return nil })
	post := func(body io.Reader, length int64) int {
		req := httptest.NewRequest(http.MethodPost, "/", body)
		req.ContentLength = length
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
		_, _ = w.Write([]byte("{")) // returns when the handler reads
	}
	for name, tt := range map[string]struct {
		length int64
		want   int
	}{
		"one more large body":     {1 << 19, http.StatusServiceUnavailable},
		"a small one beside them": {2, http.StatusForbidden},
	} {
		if got := post(strings.NewReader("{}"), tt.length); got != tt.want {
			t.Errorf("%s: answered %d, want %d", name, got, tt.want)
		}
	}
	for _, w := range open {
		w.Close()
	}
	held.Wait()
	if got := post(strings.NewReader("{}"), 1<<19); got != http.StatusForbidden {
		t.Errorf("after they ended: answered %d", got)
	}
}

func TestInfobip_TheRequest(t *testing.T) {
	var got, authorization, path string
	carrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got, authorization, path = string(body), r.Header.Get("Authorization"), r.URL.Path
		fmt.Fprint(w, `{"messages":[{"messageId":"theirs","status":{"groupName":"PENDING","name":"PENDING_ACCEPTED"}}]}`)
	}))
	defer carrier.Close()
	m := channeltest.Message(t)
	m.ValidFor = 299*time.Second + 900*time.Millisecond
	c := newInfobip(t, channeltest.Env{CarrierURL: carrier.URL + "/", CallbackURL: "https://otp.example.com/infobip"})
	sent, err := c.Send(t.Context(), m)
	if err != nil || sent.MessageID != "theirs" {
		t.Fatalf("got %+v, %v", sent, err)
	}
	want := `{"messages":[{"content":{"text":"049302 (it)\n\n@login.example.com #049302"},"destinations":[{"to":"` + channeltest.Number[1:] + `"}],` +
		`"options":{"validityPeriod":{"amount":299,"timeUnit":"SECONDS"}},"sender":"12025550123","webhooks":{"callbackData":"` + m.DeliveryID + "." +
		receiptToken(receiptSecrets[channeltest.Current], "infobip", m.DeliveryID) + `","contentType":"application/json",` +
		`"delivery":{"intermediateReport":true,"notify":true,"url":"https://otp.example.com/infobip"}}}]}`
	if got != want || authorization != "App api key" || path != "/sms/3/messages" {
		t.Errorf("%s\n got %s\nwant %s", path, got, want)
	}
}

func TestInfobip_AnswersThatAreNotInTheBook(t *testing.T) {
	refused := func(class mfa.Class, code string, scope mfa.Scope) mfa.Refused {
		return mfa.Refused{Failure: mfa.Failure{Class: class, Code: code, Scope: scope}, NotSent: true}
	}
	for name, tt := range map[string]struct {
		status int
		body   string
		want   mfa.Refused // zero: unknown
	}{
		"rejected for a reason of tomorrow": {200, `{"messages":[{"status":{"groupName":"REJECTED","name":"REJECTED_MOON"}}]}`, refused(mfa.ClassConfig, "REJECTED_MOON", mfa.ScopeMessage)},
		"a group of tomorrow":               {200, `{"messages":[{"messageId":"1","status":{"groupName":"MOON"}}]}`, mfa.Refused{}},
		"accepted without an id":            {200, `{"messages":[{"status":{"groupName":"PENDING"}}]}`, mfa.Refused{}},
		"no message":                        {200, `{"messages":[]}`, mfa.Refused{}},
		"an error of the older form":        {401, `{"requestError":{"serviceException":{"messageId":"UNAUTHORIZED"}}}`, refused(mfa.ClassConfig, "UNAUTHORIZED", mfa.ScopeCarrier)},
		"an error of the newer form":        {401, `{"errorCode":"E401"}`, refused(mfa.ClassConfig, "E401", mfa.ScopeCarrier)},
		"an error of tomorrow":              {400, `{"errorCode":"E999"}`, refused(mfa.ClassConfig, "http_400", mfa.ScopeMessage)},
		"a fault of Infobip":                {500, `{"errorCode":"E500"}`, mfa.Refused{}},
		"a page":                            {403, `<html>`, refused(mfa.ClassConfig, "http_403", mfa.ScopeCarrier)},
	} {
		t.Run(name, func(t *testing.T) {
			wantAnswerRead(t, tt.status, tt.body, tt.want, func(e channeltest.Env) mfa.Channel { return newInfobip(t, e) })
		})
	}
}

func TestNewInfobip_RefusesAnIncompleteConfiguration(t *testing.T) {
	for name, change := range map[string]func(*sms.InfobipConfig){
		"base URL: each account has its own": func(c *sms.InfobipConfig) { c.BaseURL = "" },
		"key":                                func(c *sms.InfobipConfig) { c.APIKey = "" },
		"sender":                             func(c *sms.InfobipConfig) { c.From = "" },
		"no callback secret":                 func(c *sms.InfobipConfig) { c.CallbackSecrets = nil },
		"an empty one":                       func(c *sms.InfobipConfig) { c.CallbackSecrets = []string{""} },
		"callback":                           func(c *sms.InfobipConfig) { c.CallbackURL = "infobip" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := infobipConfig(channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/infobip"})
			change(&cfg)
			if _, err := sms.NewInfobip(cfg); err == nil {
				t.Error("taken")
			}
		})
	}
}

func FuzzInfobipReport(f *testing.F) {
	for _, r := range []any{infobipResult(channeltest.Current, "ours", "DELIVERED", "DELIVERED_TO_HANDSET", ""), 7} {
		raw, err := json.Marshal(map[string]any{"results": []any{r, r}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"results":{}}`))
	f.Add([]byte(`{"results":[{"callbackData":"."}]}`))
	c, err := sms.NewInfobip(infobipConfig(channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/infobip"}))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		code, reports := answer(t, c, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
		if code != http.StatusNoContent && code != http.StatusForbidden && code != http.StatusRequestEntityTooLarge || code != http.StatusNoContent && reports != nil {
			t.Fatalf("answered %d with %d reports", code, len(reports))
		}
		for _, r := range reports {
			if r.DeliveryID == "" && r.MessageID == "" {
				t.Fatalf("report of nothing: %+v", r)
			}
		}
	})
}
