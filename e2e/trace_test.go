package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// TestOneTraceFromTheRequestToTheReceipt signs somebody in whom WhatsApp does not reach: the person's requests, both calls
// to carriers and what both report later, all of which are HTTP requests of their own and some of which another process
// takes, are one trace; the events and the log lines of the login name it; and nothing in it says who it was.
func TestOneTraceFromTheRequestToTheReceipt(t *testing.T) {
	t.Parallel()
	collector := harness.Collect(t)
	webhooks := newReceipts(t)
	in := harness.Install(t, harness.Options{Webhook: webhooks.url, Environment: []string{"PAROLA_TRACING_ENDPOINT=" + collector.URL}})
	p := in.Run(nil)
	store := open(t, in)
	who := in.Person("grace")
	who.Phone.Switch(`"no_whatsapp":"webhook"`)
	rp, browser := in.RelyingParty(harness.WebClient), in.Browser()
	request := rp.Begin()
	page := browser.Password(request.URL, who)
	webhooks.wait(t, 1)
	p.Stop() // and another process hears what Meta reports
	p = in.Run(nil)
	webhooks.replay(t, in.Issuer+"/webhooks/whatsapp", 1)
	passcode := who.Phone.Passcode("sms", 20*time.Second)
	authCode := rp.AuthCode(t, browser.Press(page, "Continue", "passcode", passcode), request)
	tokens, err := rp.Redeem(authCode, request)
	if err != nil || tokens.Text("access_token") == "" {
		t.Fatalf("%v: %s", err, tokens.Body)
	}
	harness.Eventually(t, 30*time.Second, "the SMS carrier reports the delivery", func() bool { // its reports come in any order
		return slices.ContainsFunc(events(t, store, audit.PasscodeReceipt), func(e storage.Event) bool { return e.Data["status"] == "delivered" })
	})
	p.Stop() // which sends the last spans

	started := events(t, store, audit.AuthorizeStarted)[0]
	login := newTree(t, collector.Spans(started.TraceID))
	root := login.only("", "GET /authorize")
	login.only(root.SpanID, "GET /login")
	password := login.only(root.SpanID, "POST /login")
	login.only(password.SpanID, "check password")
	challenge := login.only(password.SpanID, "start challenge")
	calls := login.below(challenge.SpanID, "send passcode")
	if len(calls) != 2 {
		t.Fatalf("calls to carriers below the challenge: %+v", calls)
	}
	for _, call := range calls {
		status, trigger := "delivered", "undeliverable"
		if call.Attributes["parola.channel"] == "whatsapp" {
			status, trigger = "failed", "first"
		}
		if call.Attributes["parola.outcome"] != "accepted" || call.Attributes["parola.trigger"] != trigger {
			t.Errorf("call: %v", call.Attributes)
		}
		if !login.reported(call.SpanID, status) {
			t.Errorf("no receipt %q below the call to %s: %+v", status, call.Attributes["parola.carrier"], login.spans)
		}
	}
	login.only(root.SpanID, "POST /login/passcode")
	login.only(root.SpanID, "GET /authorize/resume")

	for _, e := range events(t, store, "authn.") {
		if e.TraceID != started.TraceID {
			t.Errorf("event %s is of the trace %q", e.Kind, e.TraceID)
		}
	}
	line := ""
	for l := range strings.Lines(p.LogText()) {
		if strings.Contains(l, `"route":"/login/passcode"`) {
			line = l
		}
	}
	for _, part := range []string{`"trace_id":"` + started.TraceID, `"correlation_id":"` + started.CorrelationID, `"method":"POST"`, `"status":303`} {
		if !strings.Contains(line, part) {
			t.Errorf("the line of the last request lacks %s: %s", part, line)
		}
	}
	for what, secret := range map[string]string{"user name": who.Username, "number": strings.TrimPrefix(who.Phone.Number, "+"),
		"passcode": passcode, "AuthCode": authCode, "access token": tokens.Text("access_token"), "password": who.Password,
		"state": request.State, "client secret": rp.Secret, "person": events(t, store, audit.PasscodeReceipt)[0].PersonID, "query": "?"} {
		if secret != "" && strings.Contains(collector.Text(), secret) {
			t.Errorf("a span holds the %s", what)
		}
	}
}

// tree is the spans of one trace.
type tree struct {
	t     *testing.T
	spans []harness.Span
}

func newTree(t *testing.T, spans []harness.Span) tree {
	t.Helper()
	if len(spans) == 0 {
		t.Fatal("the collector was sent nothing of the trace")
	}
	return tree{t, spans}
}

func (tr tree) below(parent, name string) (found []harness.Span) {
	for _, s := range tr.spans {
		if s.ParentSpanID == parent && s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

func (tr tree) only(parent, name string) harness.Span {
	tr.t.Helper()
	found := tr.below(parent, name)
	if len(found) != 1 {
		tr.t.Fatalf("%d spans %q below %q: %+v", len(found), name, parent, tr.spans)
	}
	return found[0]
}

// reported says whether a receipt with this status stands below a call, and names the callback that brought it.
func (tr tree) reported(call, status string) bool {
	for _, s := range tr.below(call, "receipt") {
		if s.Attributes["parola.status"] == status && len(s.Links) == 1 && s.Links[0] != s.TraceID {
			return true
		}
	}
	return false
}
