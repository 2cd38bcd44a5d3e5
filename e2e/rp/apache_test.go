package rp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

const apacheModules = "/usr/lib/apache2/modules"

// TestApacheModAuthOpenIDC puts a page behind Apache's module: login, what the page learns, refresh through the module's
// own hook, logout.
func TestApacheModAuthOpenIDC(t *testing.T) {
	t.Parallel()
	apache := harness.Need(t, "apache2", "install apache2 and libapache2-mod-auth-openidc")
	if _, err := os.Stat(filepath.Join(apacheModules, "mod_auth_openidc.so")); err != nil {
		harness.Missing(t, "no libapache2-mod-auth-openidc")
	}
	base := "http://" + harness.Loopback(harness.Ports(t, 1))
	client := newParty("apache", "client_secret_basic", "ES256").
		with("redirect_uris", []string{base + "/protected/cb"}).with("post_logout_redirect_uris", []string{base + "/bye.html"})
	s := open(t, client)
	a := startApache(t, apache, base, s.Facts.Issuer)

	b := harness.NewBrowser(t, nil)
	page := b.Login(base+"/protected/page.shtml", s.person(t, 0, client), "whatsapp")
	page.MustSay(t, "acr=urn:parola:acr:phone-no-sms", "channel=whatsapp", "email=ada@example.test")

	before := a.info(t, b)
	refreshed := b.Get(base + "/protected/cb?" + url.Values{"refresh": {base + "/protected/page.shtml"}, "access_token": {before.AccessToken}}.Encode())
	refreshed.MustSay(t, "acr=urn:parola:acr:phone-no-sms")
	after := a.info(t, b)
	if after.AccessToken == before.AccessToken || after.RefreshToken == before.RefreshToken || after.Userinfo["sub"] != before.Userinfo["sub"] {
		t.Errorf("refresh: access token new %v, refresh token new %v, %v is now %v", after.AccessToken != before.AccessToken,
			after.RefreshToken != before.RefreshToken, before.Userinfo["sub"], after.Userinfo["sub"])
	}

	page = b.Get(base + "/protected/cb?" + url.Values{"logout": {base + "/bye.html"}}.Encode())
	if page.Offers("Sign out") {
		page = b.Press(page, "Sign out")
	}
	page.MustSay(t, "Bye")
	b.Get(base+"/protected/page.shtml").MustSay(t, "Username") // at the provider too
}

type apacheServer struct{ base string }

// moduleInfo is what the module's info hook tells the signed-in browser.
type moduleInfo struct {
	AccessToken  string         `json:"access_token"`
	RefreshToken string         `json:"refresh_token"`
	Userinfo     map[string]any `json:"userinfo"`
}

func (a apacheServer) info(t *testing.T, b *harness.Browser) moduleInfo {
	t.Helper()
	page := b.Get(a.base + "/protected/cb?info=json")
	var info moduleInfo
	if err := json.Unmarshal([]byte(page.Body), &info); err != nil || info.AccessToken == "" || info.RefreshToken == "" {
		t.Fatalf("the module's info is %q: %v", page.Body, err)
	}
	return info
}

func startApache(t *testing.T, apache, base, issuer string) apacheServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "parola-apache-") // not t.TempDir: apache reads it as another user when started by root
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	files := map[string]string{
		"page.shtml": `acr=<!--#echo var="OIDC_CLAIM_acr" --> channel=<!--#echo var="OIDC_CLAIM_mfa_channel" --> email=<!--#echo var="OIDC_CLAIM_email" -->`,
		"bye.html":   `<!doctype html><title>Bye</title><p>Bye`,
	}
	for _, sub := range []string{dir, filepath.Join(dir, "www"), filepath.Join(dir, "www/protected")} {
		err := os.MkdirAll(sub, 0o755)
		if err == nil {
			err = os.Chmod(sub, 0o755) // whatever the umask says
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	config := apacheConfig(dir, base, issuer)
	for path, content := range map[string]string{"httpd.conf": config, "www/protected/page.shtml": files["page.shtml"], "www/bye.html": files["bye.html"]} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// -X: one process, in the foreground, so that nothing is left when it is killed.
	p := harness.Start(t, nil, apache, "-X", "-d", dir, "-f", filepath.Join(dir, "httpd.conf"))
	harness.Eventually(t, 20*time.Second, "apache answers", func() bool {
		if !p.Running() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Fatalf("apache ended:\n%s%s", p.Output(), log)
		}
		resp, err := http.Get(base + "/bye.html")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("apache's log:\n%s", log)
		}
	})
	return apacheServer{base}
}

func apacheConfig(dir, base, issuer string) string {
	modules := ""
	for _, name := range []string{"mpm_event", "authz_core", "authn_core", "authz_user", "dir", "mime", "include", "headers", "auth_openidc"} {
		modules += fmt.Sprintf("LoadModule %s_module %s/mod_%s.so\n", name, apacheModules, name)
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "User www-data\nGroup www-data\n"
	}
	return modules + user + fmt.Sprintf(`
ServerName 127.0.0.1
Listen %[2]s
PidFile %[1]s/httpd.pid
ErrorLog %[1]s/error.log
Mutex file:%[1]s default
DocumentRoot %[1]s/www
TypesConfig /dev/null
AddType text/html .shtml .html
AddOutputFilter INCLUDES .shtml
OIDCProviderMetadataURL %[3]s/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret "%[4]s"
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCRedirectURI %[5]s/protected/cb
OIDCCryptoPassphrase a-passphrase-for-the-tests-only-32b
OIDCScope "openid profile email offline_access"
OIDCPKCEMethod S256
OIDCIDTokenSignedResponseAlg ES256
OIDCCacheType shm
OIDCPassClaimsAs environment
OIDCInfoHook access_token refresh_token id_token userinfo session
OIDCRedirectURLsAllowed ^%[5]s/
<Directory %[1]s/www>
  Require all granted
  Options +Includes
</Directory>
<Location /protected>
  AuthType openid-connect
  Require valid-user
</Location>
`, dir, base[len("http://"):], issuer, secret, base)
}
