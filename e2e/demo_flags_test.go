package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/parola-id/parola/e2e/harness"
)

// TestDemoKeepsItsData stops the demo and starts it again on the same directory: the browser is still signed in, what it
// allowed is still allowed, and the refresh token works.
func TestDemoKeepsItsData(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), harness.Ports(t, 3)
	demo := harness.StartDemo(t, port, "--data", dir)
	rp := demo.RelyingParty("demo-partner", nil)
	b := harness.NewBrowser(t, nil).StoppingAt(rp)
	a := rp.Begin()
	page := b.Press(b.Login(a.URL, demo.Person("ada"), "whatsapp"), "Allow")
	before, err := rp.Redeem(rp.AuthCode(t, page, a), a)
	if err != nil || before.Status != http.StatusOK {
		t.Fatalf("redeem: %d %v %s", before.Status, err, before.Body)
	}
	if status := demo.Stop(t); status != 0 {
		t.Fatalf("Ctrl-C ended the demo with status %d:\n%s", status, demo.Output())
	}
	for i := range 3 {
		l, err := net.Listen("tcp", harness.Loopback(port+i))
		if err != nil {
			t.Fatalf("the demo left a port behind: %v", err)
		}
		l.Close()
	}

	demo = harness.StartDemo(t, port, "--data", dir)
	if rp.Secret != demo.RelyingParty("demo-partner", nil).Secret {
		t.Error("the client has another secret after the restart")
	}
	silent := rp.Begin("prompt", "none")
	rp.AuthCode(t, b.Get(silent.URL), silent)
	after, err := rp.Refresh(before.Text("refresh_token"))
	if err != nil || after.Status != http.StatusOK {
		t.Fatalf("refresh after the restart: %d %v %s", after.Status, err, after.Body)
	}
	if info, err := rp.UserInfo(after.Text("access_token")); err != nil || info.Text("sub") == "" || info.Text("email") != "ada@demo.test" {
		t.Errorf("userinfo after the restart: %v %s", err, info.Body)
	}
}

// TestDemoSaysThatAPortIsTaken takes each of the three ports in turn.
func TestDemoSaysThatAPortIsTaken(t *testing.T) {
	t.Parallel()
	for i, what := range []string{"provider", "application", "phone"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			port := harness.Ports(t, 3)
			l, err := net.Listen("tcp", harness.Loopback(port+i))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			p := harness.Start(t, nil, harness.Program(t, "examples/demo"), "--json", "--port-base", strconv.Itoa(port))
			if status := p.Wait(t); status != 1 {
				t.Errorf("the demo ended with status %d", status)
			}
			said := p.Output()
			if !strings.Contains(said, "address already in use") || !strings.Contains(said, "--port-base") || strings.Contains(said, "issuer") {
				t.Errorf("the demo said: %s", said)
			}
		})
	}
}

// TestDemoWithTLS lays a certificate over the demo's configuration: the issuer becomes https, with everything that a
// browser is then told (WEB-03, WEB-06), and the whole login works through the application.
func TestDemoWithTLS(t *testing.T) {
	t.Parallel()
	cert, key, pool := certificate(t)
	config := overlay(t, fmt.Sprintf("server: {tls_cert_file: %q, tls_key_file: %q}\nbrand: {colour: \"#7a1f5c\"}", cert, key))
	demo := harness.StartDemo(t, 0, "--config", config)
	if !strings.HasPrefix(demo.Facts.Issuer, "https://127.0.0.1:") {
		t.Fatalf("the issuer is %s", demo.Facts.Issuer)
	}
	if filepath.Dir(demo.Facts.DataDir) == filepath.Clean(os.TempDir()) {
		t.Errorf("the data is in %s, where it stays when this demo is killed", demo.Facts.DataDir)
	}
	b := harness.NewBrowser(t, pool)
	page := b.Get(demo.Facts.WebAppURL + "/login")
	if hsts := page.Header.Get("Strict-Transport-Security"); !strings.Contains(hsts, "max-age=31536000") {
		t.Errorf("Strict-Transport-Security is %q", hsts)
	}
	b.Login(demo.Facts.WebAppURL+"/login", demo.Person("ada"), "whatsapp").MustSay(t, "Hello", "urn:parola:acr:phone-no-sms")

	rp := demo.RelyingParty("demo-web", pool)
	resp, err := rp.HTTP.Get(rp.Begin().URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, c := range resp.Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("cookie %s is not as a browser must keep it: %s", c.Name, c)
		}
	}
	if len(resp.Cookies()) == 0 {
		t.Error("/authorize set no cookie")
	}
}

// TestDemoImports adds people and clients of another provider: their hashes and secrets work as they are.
func TestDemoImports(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("brought from elsewhere"), bcrypt.MinCost+6)
	if err != nil {
		t.Fatal(err)
	}
	users := file(t, "users.json", fmt.Sprintf(`[{"username":"elena","password_hash":%q,"sub":"auth0-elena-1",
		"phone_number":"+393471112223","phone_number_verified":true,"email":"elena@demo.test"}]`, hash))
	clients := file(t, "clients.json", `[{"client_id":"moved","client_secret":"kept from the other provider, 0123456789","client_name":"Moved Here",
		"redirect_uris":["http://127.0.0.1:9/moved"],"grant_types":["authorization_code"],"scope":"openid email"}]`)
	demo := harness.StartDemo(t, 0, "--import-users", users, "--import-clients", clients)
	rp := &harness.RelyingParty{Issuer: demo.Facts.Issuer, ID: "moved", Secret: "kept from the other provider, 0123456789",
		RedirectURI: "http://127.0.0.1:9/moved", Scope: "openid email", HTTP: harness.NewBrowser(t, nil).Client}
	b := harness.NewBrowser(t, nil).StoppingAt(rp)
	elena := harness.Person{Username: "elena", Password: "brought from elsewhere", Phone: harness.NewPhone(t, demo.Facts.HandsetURL, "+393471112223")}
	a := rp.Begin()
	page := b.Press(b.Login(a.URL, elena, "whatsapp"), "Allow")
	tokens, err := rp.Redeem(rp.AuthCode(t, page, a), a)
	if err != nil || tokens.Status != http.StatusOK {
		t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
	}
	if sub := harness.Claims(t, tokens.Text("id_token"))["sub"]; sub != "auth0-elena-1" {
		t.Errorf("sub is %v", sub)
	}
}

// TestDemoRefusesWhatItDoesNotKnow covers flags and files that are wrong: an error that says so, and status 1 or 2.
func TestDemoRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an unknown key of the configuration": {[]string{"--config", overlay(t, "mfa: {template_tll: 1s}")}, "template_tll"},
		"a file that is not there":            {[]string{"--config", "/nowhere/parola.yaml"}, "no such file"},
		"people that cannot be read":          {[]string{"--import-users", file(t, "users.json", `[{"username":"x","pasword":"y"}]`)}, "pasword"},
		"an argument too many":                {[]string{"now"}, "unexpected argument"},
		"a port out of range":                 {[]string{"--port-base", "70000"}, "choose a port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--port-base", strconv.Itoa(harness.Ports(t, 3))}, c.args...)
			p := harness.Start(t, nil, harness.Program(t, "examples/demo"), args...)
			if status := p.Wait(t); status == 0 || !strings.Contains(p.Stderr(), c.want) {
				t.Errorf("the demo ended with status %d and said: %s", status, p.Output())
			}
		})
	}
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificate makes a certificate for the loopback, with the pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Parola e2e"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return file(t, "cert.pem", string(cert)), file(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))), pool
}

// TestDemosOperator asks what an operator would: the doctor finds nothing that keeps a passcode from arriving, and the other end
// of the demo's account with Meta answers about the template, the number and the webhook.
func TestDemosOperator(t *testing.T) {
	t.Parallel()
	demo := harness.StartDemo(t, 0, "--data", t.TempDir())
	for _, c := range []struct{ command, says string }{
		{"doctor", ", 0 failed"},
		{"whatsapp template status", "9 well, 0 warnings, 0 failed"},
		{"whatsapp number status", "CONNECTED"},
		{"whatsapp webhook subscribe", "Parola Demo"},
	} {
		p := harness.Start(t, nil, harness.Program(t, "cmd/parola"), append([]string{"--config", demo.Facts.ConfigFile}, strings.Fields(c.command)...)...)
		if status := p.Wait(t); status != 0 || !strings.Contains(p.Output(), c.says) {
			t.Errorf("parola %s: exit %d:\n%s", c.command, status, p.Output())
		}
	}
}
