package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

// TestDemoTellsItsStory is the README, line by line, through --json: WhatsApp, the phone off, payments, refresh, sign
// out, a client that asks for consent, the command line, and then the audit log.
func TestDemoTellsItsStory(t *testing.T) {
	t.Parallel()
	s := &story{t: t, Demo: harness.StartDemo(t, 0, "--verbose", "--data", t.TempDir(), "--config", overlay(t, "mfa: {template_ttl: 1s}"))}
	s.byWhatsApp()
	shop := s.phoneOff()
	s.payments(shop)
	s.refreshAndSignOut(shop)
	s.consent()
	s.commandLine()
	s.auditLog()
	s.nothingSecretIsKept()
	if status := s.Stop(t); status != 0 {
		t.Errorf("Ctrl-C ended the demo with status %d", status)
	}
}

// story remembers what must not be found anywhere afterwards.
type story struct {
	*harness.Demo
	t       *testing.T
	secrets []string
}

func (s *story) byWhatsApp() {
	t, ada := s.t, s.Person("ada")
	page := harness.NewBrowser(t, nil).Login(s.Facts.WebAppURL+"/login", ada, "whatsapp")
	page.MustSay(t, "Hello", "urn:parola:acr:phone-no-sms", `"mfa_channel": "whatsapp"`, "pwd", "otp", "mca", "mfa")
	page.MustNotSay(t, "by text message")
	s.secrets = append(s.secrets, ada.Phone.Inbox()[0].Passcode, ada.Phone.Sent("whatsapp")[0].ID)
}

func (s *story) phoneOff() *shop {
	t, ada := s.t, s.Person("ada")
	ada.Phone.Switch(`"phone_off":true`)
	b := harness.NewBrowser(t, nil)
	ada.Phone.Forget()
	page := b.Password(s.Facts.WebAppURL+"/login", ada)
	page = b.Until(page, "Your code is on its way on WhatsApp to the number ending in 67.", 5*time.Second)
	page.MustSay(t, "If it doesn’t arrive, an SMS follows in")
	page = b.Until(page, "Your code has arrived by SMS, on the number ending in 67.", 20*time.Second)
	passcode := ada.Phone.Passcode("sms", time.Second)
	s.secrets = append(s.secrets, passcode)
	page = b.Press(page, "Continue", "passcode", passcode[:3]+" "+passcode[3:])
	page.MustSay(t, "Hello", `"acr": "urn:parola:acr:phone"`, `"mfa_channel": "sms"`, "by text message")
	ada.Phone.Switch("")
	return &shop{Browser: b, page: page}
}

// shop is the demo's application in a browser that is signed in there.
type shop struct {
	*harness.Browser
	page *harness.Page
}

// payments wants a login that no SMS has carried: the resource server says so (RFC 9470), the application too, and a
// code on WhatsApp is all that is missing.
func (s *story) payments(b *shop) {
	t, ada := s.t, s.Person("ada")
	page := b.Get(s.Facts.WebAppURL + "/balance")
	page = b.Press(page, "through the API")
	page.MustSay(t, "401", `error="insufficient_user_authentication"`, `acr_values="urn:parola:acr:phone-no-sms"`)

	page = b.Get(s.Facts.WebAppURL + "/payments")
	page.MustSay(t, "One more step", "by SMS")
	ada.Phone.Forget()
	page = b.Follow(page, "Confirm with a code on WhatsApp")
	page.MustSay(t, "Enter your code", "ada")
	if page.Offers("by SMS instead") {
		t.Error("a step-up that no SMS may carry offers the SMS")
	}
	passcode := ada.Phone.Passcode("whatsapp", 10*time.Second)
	s.secrets = append(s.secrets, passcode)
	page = b.Press(page, "Continue", "passcode", passcode)
	page.MustSay(t, "that is enough to pay")
	b.Press(page, "Pay").MustSay(t, "Paid", "Trattoria da Nina", "urn:parola:acr:phone-no-sms")

	page = b.Get(s.Facts.WebAppURL + "/balance")
	b.Press(page, "through the API").MustSay(t, "201 Created")
}

func (s *story) refreshAndSignOut(b *shop) {
	t := s.t
	page := b.Press(b.Get(s.Facts.WebAppURL), "Refresh the tokens")
	page.MustSay(t, "rotated", "unchanged")
	page = b.Press(page, "Sign out")
	page.MustSay(t, "You are signed out, here and at the provider.")
	b.Get(s.Facts.WebAppURL+"/login").MustSay(t, "Username", "Password")
}

// consent is asked of a person for a client of somebody else, and remembered.
func (s *story) consent() {
	t, carla, rp := s.t, s.Person("carla"), s.RelyingParty("demo-partner", nil)
	b := harness.NewBrowser(t, nil).StoppingAt(rp)
	a := rp.Begin()
	page := b.Login(a.URL, carla, "whatsapp")
	page.MustSay(t, "Allow Partner Hotel to use your account?", "See your phone number", "Keep access while you are away")
	page = b.Press(page, "Deny")
	page.MustSay(t, "The sign-in that Partner Hotel asked for was not completed.")
	denied := b.Follow(page, "Return to Partner Hotel")
	if got := denied.URL.Query().Get("error"); got != "access_denied" {
		t.Errorf("a denied consent comes back as %q: %s", got, denied.URL)
	}
	a = rp.Begin()
	page = b.Press(b.Get(a.URL), "Allow")
	authCode := rp.AuthCode(t, page, a)
	tokens, err := rp.Redeem(authCode, a)
	if err != nil || tokens.Status != http.StatusOK {
		t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
	}
	s.secrets = append(s.secrets, authCode, tokens.Text("access_token"), tokens.Text("refresh_token"), tokens.Text("id_token"), rp.Secret)
	if aud := harness.Claims(t, tokens.Text("access_token"))["aud"]; !slices.Contains(texts(aud), s.Facts.APIURL) {
		t.Errorf("the access token is for %v", aud)
	}
	a = rp.Begin()
	rp.AuthCode(t, b.Get(a.URL), a) // allowed before, signed in: no page in between
}

// commandLine is the native application: a browser, a loopback port, PKCE.
func (s *story) commandLine() {
	t, bruno := s.t, s.Person("bruno")
	cli := harness.Start(t, nil, harness.Program(t, "examples/cliapp"), "--issuer", s.Facts.Issuer, "--client-id", "demo-cli",
		"--json", "--no-browser")
	var begun struct {
		URL string `json:"authorization_url"`
	}
	if err := json.Unmarshal([]byte(cli.FirstLine(t)), &begun); err != nil {
		t.Fatalf("the command-line application says %q: %v", cli.Output(), err)
	}
	harness.NewBrowser(t, nil).Login(begun.URL, bruno, "whatsapp")
	if status := cli.Wait(t); status != 0 {
		t.Fatalf("the command-line application ended with %d: %s", status, cli.Output())
	}
	for _, want := range []string{`"acr":"urn:parola:acr:phone-no-sms"`, `"mfa_channel":"whatsapp"`} {
		if !strings.Contains(strings.ReplaceAll(cli.Output(), `": "`, `":"`), want) {
			t.Errorf("the command-line application does not show %s: %s", want, cli.Output())
		}
	}
}

// auditLog finds both of ada's logins with their deliveries, receipts and tokens.
func (s *story) auditLog() {
	t := s.t
	parola := func(args ...string) string {
		return harness.Run(t, harness.Program(t, "cmd/parola"), append([]string{"--config", s.Facts.ConfigFile}, args...)...)
	}
	var sent []event
	decode(t, parola("audit", "list", "--user", "ada", "--kind", "oauth.token.issued", "--oldest", "--json"), &sent)
	if len(sent) < 2 {
		t.Fatalf("%d logins of ada brought tokens, want at least 2", len(sent))
	}
	for i, want := range [][]string{
		{"oauth.authorize.started", "authn.password.success", "authn.otp.queued", "authn.otp.sent", "authn.otp.receipt", "authn.otp.success",
			"session.created", "oauth.code.issued", "oauth.code.redeemed", "oauth.token.issued"},
		{"oauth.authorize.started", "authn.password.success", "authn.otp.queued", "authn.otp.sent", "authn.otp.fallback",
			"authn.otp.sent", "authn.otp.success", "session.created", "oauth.code.issued", "oauth.token.issued"},
	} {
		chain := parola("audit", "show", sent[i].AuthRequestID)
		if !inOrder(chain, want) {
			t.Errorf("login %d is not told in the order %q:\n%s", i+1, want, chain)
		}
		if sent[i].JTI == "" || !strings.Contains(chain, sent[i].JTI) {
			t.Errorf("login %d does not lead to the jti of its token %q:\n%s", i+1, sent[i].JTI, chain)
		}
		if again := parola("audit", "show", sent[i].JTI); !inOrder(again, want) {
			t.Errorf("from the jti, login %d is not found whole:\n%s", i+1, again)
		}
		s.secrets = append(s.secrets, s.Person("ada").Password)
		s.holdsNothingSecret("audit show", chain)
	}
	harness.Eventually(t, 10*time.Second, "the chain is sealed and whole", func() bool {
		said := parola("audit", "verify")
		return strings.Contains(said, "the chain is whole") && !strings.Contains(said, "\n0 sealed events")
	})
}

// nothingSecretIsKept looks for passcodes, numbers and tokens where they must not be: in the log, which is at its most
// talkative here, in the events and in the bytes of the database.
func (s *story) nothingSecretIsKept() {
	t := s.t
	s.holdsNothingSecret("the log", s.Stderr())
	parola := harness.Program(t, "cmd/parola")
	s.holdsNothingSecret("the audit log", harness.Run(t, parola, "--config", s.Facts.ConfigFile, "audit", "list", "--limit", "10000", "--json"))
	files, err := filepath.Glob(filepath.Join(s.Facts.DataDir, "parola.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no database in %s: %v", s.Facts.DataDir, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.holdsNothingLong(filepath.Base(file), string(data))
	}
}

func (s *story) holdsNothingSecret(where, text string) {
	s.t.Helper()
	for _, secret := range s.secrets {
		if secret == "" {
			s.t.Fatal("a secret that was to be looked for is empty")
		}
		if len(secret) <= 10 && strings.Contains(text, secret) {
			s.t.Errorf("%s holds the passcode %s", where, secret)
		}
	}
	s.holdsNothingLong(where, text)
}

// holdsNothingLong leaves passcodes out: six digits may stand in the bytes of a database by chance.
func (s *story) holdsNothingLong(where, text string) {
	s.t.Helper()
	for _, secret := range s.secrets {
		if len(secret) > 10 && strings.Contains(text, secret) {
			s.t.Errorf("%s holds a secret in clear: %.12s…", where, secret)
		}
	}
	for _, u := range s.Facts.Users {
		if u.Phone != "" && strings.Contains(text, u.Phone[1:]) {
			s.t.Errorf("%s holds the number of %s in clear", where, u.Username)
		}
	}
}

// event is what `audit list --json` prints, as far as the story needs it.
type event struct {
	Kind          string `json:"kind"`
	AuthRequestID string `json:"auth_request_id"`
	JTI           string `json:"jti"`
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("read %q: %v", text, err)
	}
}

// inOrder says whether the words stand in a text in this order, with anything in between.
func inOrder(text string, words []string) bool {
	for _, word := range words {
		_, after, found := strings.Cut(text, word)
		if !found {
			return false
		}
		text = after
	}
	return true
}

// texts are the strings of a JSON value that is one string or a list of them.
func texts(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			all = append(all, texts(one)...)
		}
	}
	return all
}

// overlay writes a file for --config.
func overlay(t *testing.T, document string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
