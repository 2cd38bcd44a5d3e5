package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/parola-id/parola/e2e/harness"
)

// clinic is an installation whose doctor is asked as an operator does: the built program, beside a server that runs.
type clinic struct {
	*harness.Installation
	t           *testing.T
	environment []string
}

func openClinic(t *testing.T) *clinic {
	t.Helper()
	environment := []string{"PAROLA_WHATSAPP_ACCOUNT_ID=102000000000001", "PAROLA_WHATSAPP_LANGUAGES=en_US,it", "PAROLA_MFA_COUNTRIES=IT",
		"PAROLA_MFA_TEMPLATE_TTL=30s", "PAROLA_FRAUD_MODE=enforce"}
	c := &clinic{Installation: harness.Install(t, harness.Options{Environment: environment}), t: t, environment: environment}
	c.recover()
	return c
}

// recover puts Meta back to a good day.
func (c *clinic) recover() {
	c.t.Helper()
	c.handset(http.MethodDelete, "/meta", "")
	c.handset(http.MethodPatch, "/meta/templates", `{"ttl_seconds":30}`)
}

func (c *clinic) handset(method, path, body string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.HandsetURL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode > 299 {
		c.t.Fatalf("%s %s of the handset: %d", method, path, resp.StatusCode)
	}
}

// parola runs a command with more of the environment and returns what it said and its exit status.
func (c *clinic) parola(more []string, args ...string) (said string, status int) {
	c.t.Helper()
	p := harness.Start(c.t, append(append([]string{}, c.environment...), more...), harness.Program(c.t, "cmd/parola"),
		append([]string{"--config", c.ConfigFile}, args...)...)
	status = p.Wait(c.t)
	return p.Output(), status
}

type finding struct{ Name, Status, Detail, Advice string }

// diagnosis is what the doctor answers to a program.
type diagnosis struct {
	Findings         []finding
	Failed, Warnings int
	exit             int
}

// ask asks the doctor, who never tells a secret or a number.
func (c *clinic) ask(more []string, args ...string) diagnosis {
	c.t.Helper()
	said, status := c.parola(more, append([]string{"doctor", "--json"}, args...)...)
	var d diagnosis
	if err := json.NewDecoder(bytes.NewReader([]byte(said))).Decode(&d); err != nil {
		c.t.Fatalf("exit %d, no JSON: %v\n%s", status, err, said)
	}
	d.exit = status
	w, s := c.Config.WhatsApp, c.Config.SMS
	for _, private := range []string{w.AccessToken.Reveal(), w.AppSecret.Reveal(), w.VerifyToken.Reveal(), s.Twilio.AuthToken.Reveal(),
		c.Config.Secrets.Root.Reveal(), "12025550100", s.Twilio.From} {
		if strings.Contains(said, private) {
			c.t.Errorf("the doctor tells %q:\n%s", private, said)
		}
	}
	for _, f := range d.Findings {
		if f.Status != "ok" && (f.Detail == "" || f.Advice == "") {
			c.t.Errorf("a finding that does not help: %+v", f)
		}
	}
	return d
}

// bad are the findings that are not ok.
func (d diagnosis) bad() (list []finding) {
	for _, f := range d.Findings {
		if f.Status != "ok" {
			list = append(list, f)
		}
	}
	return list
}

// loopbackOnly is the one thing that is never well in a test: carriers cannot reach this machine.
const loopbackOnly = "sms twilio: callback URL"

func TestDoctorFindsNothingOnAGoodDay(t *testing.T) {
	c := openClinic(t)
	c.Run(nil)
	d := c.ask(nil)
	if bad := d.bad(); d.exit != 0 || d.Failed != 0 || len(bad) != 1 || bad[0].Name != loopbackOnly {
		t.Errorf("exit %d: %+v", d.exit, bad)
	}
	for _, name := range []string{"configuration", "database", "public address", "whatsapp: access token", "whatsapp: Graph API version",
		"whatsapp: business number", "whatsapp: template in en_US", "whatsapp: template in it", "whatsapp: webhook subscription",
		"whatsapp: health", "whatsapp: webhook round trip", "sms twilio: account", "sms twilio: balance", "sms twilio: sender",
		"sms twilio: way back", "fallback", "circuits"} {
		if !d.has(finding{Name: name, Status: "ok"}) {
			t.Errorf("did not look at %s", name)
		}
	}
	if d := c.ask(nil, "--strict"); d.exit != 1 || d.Warnings != 1 {
		t.Errorf("--strict: exit %d, %d warnings", d.exit, d.Warnings)
	}
	said, status := c.parola(nil, "doctor")
	if status != 0 || !strings.Contains(said, "ok      whatsapp: access token: valid, ends: never") || !strings.Contains(said, "1 warning, 0 failed") {
		t.Errorf("exit %d:\n%s", status, said)
	}
}

// has says whether there is a finding of this name and status whose detail and advice hold these words.
func (d diagnosis) has(want finding) bool {
	for _, f := range d.Findings {
		if f.Name == want.Name && f.Status == want.Status && strings.Contains(f.Detail, want.Detail) && strings.Contains(f.Advice, want.Advice) {
			return true
		}
	}
	return false
}

func TestDoctorSaysWhatToDoAboutEachFault(t *testing.T) {
	c := openClinic(t)
	c.Run(nil)
	for name, fault := range map[string]struct {
		meta, templates string   // what is changed at Meta
		environment     []string // what the doctor's configuration has, other than the server's
		want            finding
	}{
		"the token expired": {meta: `{"token":"expired"}`,
			want: finding{"whatsapp: access token", "failed", "190", "make a new token for a system user"}},
		"the token ends soon": {meta: `{"token_expires_at":4102444800}`,
			want: finding{"whatsapp: access token", "ok", "ends: 2100-01-01", ""}},
		"the token ended": {meta: `{"token_expires_at":1700000000}`,
			want: finding{"whatsapp: access token", "failed", "it ended on 2023-11-14", "set whatsapp.access_token"}},
		"a scope is missing": {meta: `{"token":"no_messaging"}`,
			want: finding{"whatsapp: access token", "failed", "it lacks whatsapp_business_messaging", "give the token whatsapp_business_messaging"}},
		"the other scope is missing": {meta: `{"token":"no_management"}`,
			want: finding{"whatsapp: access token", "failed", "it lacks whatsapp_business_management", "whatsapp_business_management"}},
		"Meta is not reached": {environment: []string{"PAROLA_WHATSAPP_BASE_URL=http://127.0.0.1:1"},
			want: finding{"whatsapp: access token", "failed", "connection refused", "whatsapp.base_url"}},
		"the account is not named": {environment: []string{"PAROLA_WHATSAPP_ACCOUNT_ID="},
			want: finding{"whatsapp: account", "failed", "whatsapp.account_id is empty", "set it to the id of the WhatsApp Business Account"}},
		"the account is another": {environment: []string{"PAROLA_WHATSAPP_ACCOUNT_ID=102000000000999"},
			want: finding{"whatsapp: template", "failed", "100", "compare whatsapp.account_id"}},
		"the number is not connected": {meta: `{"registered":false}`,
			want: finding{"whatsapp: business number", "failed", "DISCONNECTED", "parola whatsapp number register"}},
		"the quality is low": {meta: `{"quality":"RED"}`,
			want: finding{"whatsapp: business number", "warning", "its quality is RED", "WhatsApp Manager"}},
		"the Graph version ended": {meta: `{"api_version":"v26.0"}`,
			want: finding{"whatsapp: Graph API version", "warning", "v26.0", "set whatsapp.version"}},
		"the template is paused in one language": {templates: `{"language":"it","status":"PAUSED"}`,
			want: finding{"whatsapp: template in it", "failed", "its status is PAUSED", "WhatsApp Manager"}},
		"the template was not made in a language": {environment: []string{"PAROLA_WHATSAPP_LANGUAGES=en_US,it,fr"},
			want: finding{"whatsapp: template in fr", "failed", "there is none", "parola whatsapp template create"}},
		"the time to live differs": {templates: `{"ttl_seconds":60}`,
			want: finding{"whatsapp: template in en_US", "failed", "Meta may deliver it for 1m0s, but the SMS goes out after 30s", "mfa.template_ttl"}},
		"the category is another": {templates: `{"language":"en_US","category":"MARKETING"}`,
			want: finding{"whatsapp: template in en_US", "failed", "its category is MARKETING", "appeal in WhatsApp Manager"}},
		"the expiry differs": {templates: `{"expiry_minutes":10}`,
			want: finding{"whatsapp: template in en_US", "warning", "expires after 10m0s, but it lives 5m0s", "mfa.passcode_life"}},
		"not subscribed": {meta: `{"subscribed":false}`,
			want: finding{"whatsapp: webhook subscription", "failed", "our app does not get", "parola whatsapp webhook subscribe"}},
		"subscribed to another URL": {meta: `{"callback_url":"https://elsewhere.test/"}`,
			want: finding{"whatsapp: webhook subscription", "failed", "another URL", "parola whatsapp webhook subscribe"}},
		"nothing is paid": {meta: `{"health":"BLOCKED"}`,
			want: finding{"whatsapp: health", "failed", "payment method", "Add a payment method"}},
		"phones cannot be bound": {environment: []string{"PAROLA_MFA_BIND_IDENTITY=true"},
			want: finding{"whatsapp: identity check", "failed", "off at Meta", "parola whatsapp number identity-check on"}},
		"the server has another app secret": {environment: []string{"PAROLA_WHATSAPP_APP_SECRET=0123456789abcdef0123456789abcdea"},
			want: finding{"whatsapp: webhook round trip", "failed", "answered 403", "whatsapp.app_secret"}},
		"the server has another verify token": {environment: []string{"PAROLA_WHATSAPP_VERIFY_TOKEN=another-word-than-the-server-has"},
			want: finding{"whatsapp: webhook round trip", "failed", "handshake was not answered", "whatsapp.verify_token"}},
		"the SMS carrier's credentials are wrong": {environment: []string{"PAROLA_SMS_TWILIO_AUTH_TOKEN=0123456789abcdef0123456789abcdee"},
			want: finding{"sms twilio: account", "failed", "does not accept the credentials", "auth_token"}},
		"the SMS sender is not ours": {environment: []string{"PAROLA_SMS_TWILIO_FROM=+12025550199"},
			want: finding{"sms twilio: sender", "failed", "not one of the account's", "a number of this account"}},
		"the server does not know the SMS carrier": {environment: []string{"PAROLA_SMS_CARRIERS=infobip", "PAROLA_SMS_INFOBIP_API_KEY=0123456789abcdef",
			"PAROLA_SMS_INFOBIP_FROM=Bottega", "PAROLA_SMS_INFOBIP_BASE_URL=" + c.HandsetURL},
			want: finding{"sms infobip: way back", "failed", "answered 404", "sms.carriers"}},
		"a country has no route": {environment: []string{"PAROLA_SMS_ROUTES={IT: []}"},
			want: finding{"fallback", "failed", "no carrier for IT", "sms.routes"}},
		"no SMS follows": {environment: []string{"PAROLA_MFA_FALLBACK=deny"},
			want: finding{"fallback", "warning", "mfa.fallback is deny", "set it to allow"}},
		"an SMS follows when asked for": {environment: []string{"PAROLA_MFA_FALLBACK=ask"},
			want: finding{"fallback", "warning", "mfa.fallback is ask", "set it to allow"}},
		"there is no SMS carrier": {environment: []string{"PAROLA_SMS_CARRIERS="},
			want: finding{"fallback", "failed", "no SMS carrier", "set sms.carriers"}},
		"every country": {environment: []string{"PAROLA_MFA_COUNTRIES=all"},
			want: finding{"configuration", "warning", "mfa.countries is [all]", "list the countries"}},
		"the defence only looks": {environment: []string{"PAROLA_FRAUD_MODE=observe"},
			want: finding{"configuration", "warning", "fraud.mode is observe", "enforce"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &clinic{Installation: c.Installation, t: t, environment: c.environment}
			defer c.recover()
			if fault.meta != "" {
				c.handset(http.MethodPatch, "/meta", fault.meta)
			}
			if fault.templates != "" {
				c.handset(http.MethodPatch, "/meta/templates", fault.templates)
			}
			d := c.ask(fault.environment)
			if !d.has(fault.want) {
				t.Errorf("want %+v\n got %+v", fault.want, d.bad())
			}
			if (d.exit == 1) != (d.Failed > 0) || (d.Failed > 0) != (fault.want.Status == "failed") {
				t.Errorf("exit %d with %d failed: %+v", d.exit, d.Failed, d.bad())
			}
		})
	}
}

func TestDoctorTellsOfCircuits(t *testing.T) {
	c := openClinic(t)
	c.Run(nil)
	if said, status := c.parola(nil, "circuit", "hold", "carrier/meta"); status != 0 {
		t.Fatalf("exit %d: %s", status, said)
	}
	want := finding{"circuits", "warning", "carrier/meta is held since", "parola circuit close carrier/meta"}
	if d := c.ask(nil); d.exit != 0 || !d.has(want) {
		t.Errorf("exit %d: %+v", d.exit, d.bad())
	}
	if said, status := c.parola(nil, "circuit", "close", "carrier/meta"); status != 0 {
		t.Fatalf("exit %d: %s", status, said)
	}
	if d := c.ask(nil); !d.has(finding{Name: "circuits", Status: "ok"}) {
		t.Errorf("still %+v", d.bad())
	}
}

func TestDoctorWithoutAServerOrWithoutEyes(t *testing.T) {
	c := openClinic(t)
	provider := c.Run(nil)
	provider.Stop()
	d := c.ask(nil)
	if want := (finding{"public address", "failed", "does not answer from here", "start `parola serve`"}); d.exit != 1 || !d.has(want) {
		t.Errorf("exit %d: %+v", d.exit, d.bad())
	}
	if !d.has(finding{Name: "whatsapp: access token", Status: "ok"}) || d.has(finding{Name: "whatsapp: webhook round trip", Status: "failed"}) {
		t.Errorf("without a server the doctor looks at the rest, and repeats nothing: %+v", d.Findings)
	}
	for name, environment := range map[string][]string{
		"a setting is wrong":     {"PAROLA_MFA_COUNTRIES="},
		"there is no database":   {"PAROLA_DATABASE_PATH=/nowhere/at/all/parola.db"},
		"a setting is not known": {"PAROLA_MFA_COUNTRY=IT"},
	} {
		if said, status := c.parola(environment, "doctor"); status != 2 || !strings.Contains(said, "parola: ") {
			t.Errorf("%s: exit %d: %s", name, status, said)
		}
	}
}
