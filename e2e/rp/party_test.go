package rp

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

// outcome is what a library verified.
type outcome struct {
	Claims, Userinfo, Refreshed map[string]any
	Again, Revoked, Algorithm   string
	Rotated                     bool
	EndSessionURL               string `json:"end_session_url"`
}

// TestForeignLibraries logs in through other people's libraries with every kind of client authentication and both
// signing algorithms: ID token verified, userinfo, refresh, revocation, logout.
func TestForeignLibraries(t *testing.T) {
	t.Parallel()
	private, public := newKey(t)
	clients := []party{
		newParty("node-basic-es256", "client_secret_basic", "ES256"),
		newParty("node-post-rs256", "client_secret_post", "RS256"),
		newParty("node-private-key-jwt", "private_key_jwt", "ES256").with("jwks", public).with("token_endpoint_auth_signing_alg", "ES256"),
		newParty("node-public", "none", "RS256"),
		newParty("python-basic-rs256", "client_secret_basic", "RS256"),
		newParty("python-post-es256", "client_secret_post", "ES256"),
	}
	s := open(t, clients...)
	for i, c := range clients {
		t.Run(c["client_id"].(string), func(t *testing.T) {
			t.Parallel()
			told := c.with("issuer", s.Facts.Issuer).with("private_key", private)
			talk := begin(t, command(t, c, string(encode(t, told))))
			var begun struct{ URL string }
			talk.hear(&begun)
			who := s.person(t, i, c)
			b := browser(t)
			page := b.Login(begun.URL, who, "whatsapp")
			if !page.Stopped {
				t.Fatalf("not back at the client, but at %s: %s", page.URL, page.Text())
			}
			talk.say(page.URL.String())
			var got outcome
			talk.hear(&got)
			check(t, got, c)
			logsOut(t, b, got, begun.URL)
		})
	}
}

func check(t *testing.T, got outcome, c party) {
	t.Helper()
	amr, _ := got.Claims["amr"].([]any)
	for _, want := range []any{"pwd", "otp", "mca", "mfa"} {
		if !slices.Contains(amr, want) {
			t.Errorf("amr is %v, without %v", amr, want)
		}
	}
	if got.Claims["acr"] != "urn:parola:acr:phone-no-sms" || got.Claims["mfa_channel"] != "whatsapp" {
		t.Errorf("acr %v, mfa_channel %v", got.Claims["acr"], got.Claims["mfa_channel"])
	}
	if got.Algorithm != c["id_token_signed_response_alg"] {
		t.Errorf("signed with %s", got.Algorithm)
	}
	if sub := got.Claims["sub"]; got.Userinfo["sub"] != sub || got.Again != sub || got.Userinfo["name"] != "Ada Lovelace" {
		t.Errorf("the ID token is about %v, userinfo says %v and after the refresh %s", sub, got.Userinfo, got.Again)
	}
	if !got.Rotated || got.Revoked != "invalid_grant" {
		t.Errorf("refresh token rotated: %v; after the revocation: %s", got.Rotated, got.Revoked)
	}
	if r := got.Refreshed; r != nil && (r["sub"] != got.Claims["sub"] || r["acr"] != got.Claims["acr"] || r["auth_time"] != got.Claims["auth_time"]) {
		t.Errorf("the refreshed ID token tells of another login: %v", r)
	}
}

// logsOut goes where the library sends the browser, and finds the next login asking for everything.
func logsOut(t *testing.T, b *harness.Browser, got outcome, authorize string) {
	t.Helper()
	page := b.Get(got.EndSessionURL)
	if page.Offers("Sign out") {
		page = b.Press(page, "Sign out")
	}
	if !page.Stopped || page.URL.Path != "/signed-out" {
		t.Errorf("after the logout the browser is at %s: %s", page.URL, page.Text())
	}
	b.Get(authorize).MustSay(t, "Username")
}

func command(t *testing.T, c party, told string) *exec.Cmd {
	t.Helper()
	if strings.HasPrefix(c["client_id"].(string), "python") {
		python := "/usr/bin/python3" // Debian's, which has Debian's packages
		if exec.Command(python, "-c", "import authlib, requests").Run() != nil {
			harness.Missing(t, "no Authlib (python3-authlib, python3-requests)")
		}
		return exec.Command(python, "party.py", told)
	}
	node := harness.Need(t, "node", "it runs openid-client")
	return exec.Command(node, filepath.Join(harness.NodeModules(t, "e2e/rp"), "party.mjs"), told)
}

// conversation is with a program that speaks JSON lines.
type conversation struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
	err *strings.Builder
}

func begin(t *testing.T, command *exec.Cmd) *conversation {
	t.Helper()
	talk := &conversation{t: t, err: new(strings.Builder)}
	command.Stderr = talk.err
	command.WaitDelay = time.Second
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	talk.in, talk.out = in, bufio.NewReader(out)
	stop := time.AfterFunc(2*time.Minute, func() { _ = command.Process.Kill() })
	t.Cleanup(func() {
		stop.Stop()
		_ = command.Process.Kill() // it may have ended by itself
		_ = command.Wait()
	})
	return talk
}

func (c *conversation) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatalf("%v\n%s", err, c.err)
	}
}

func (c *conversation) hear(v any) {
	c.t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		time.Sleep(200 * time.Millisecond) // its last words come by another pipe
		c.t.Fatalf("the program said nothing more: %v\n%s", err, c.err)
	}
	if err := json.Unmarshal([]byte(line), v); err != nil {
		c.t.Fatalf("the program said %q: %v", line, err)
	}
}
