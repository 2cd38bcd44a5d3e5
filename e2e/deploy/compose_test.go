package deploy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

// TestComposeProject runs docker-compose.yml with the profile demo, as deploy/compose/init.sh leaves it. It starts itself
// again in a network of its own, where the ports are free that the file names.
func TestComposeProject(t *testing.T) {
	if dir := os.Getenv("DEPLOY_PROJECT"); dir != "" {
		runProject(t, openProject(t, dir, os.Getenv("DEPLOY_IMAGES")))
		return
	}
	t.Parallel()
	harness.Need(t, "bwrap", "it is what containers are run in here")
	harness.Need(t, "caddy", "it is the proxy of docker-compose.yml")
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); found == nil {
		harness.Missing(t, "no PostgreSQL in /usr/lib/postgresql")
	}
	out := built(t)
	dir := checkout(t)
	initialised(t, dir, "demo")
	inOwnNetwork(t, "DEPLOY_PROJECT="+dir, "DEPLOY_IMAGES="+out)
}

// checkout has what docker-compose.yml names, without an installation.
func checkout(t *testing.T) string {
	t.Helper()
	dir := shared(t)
	if err := os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS(filepath.Join(repository, "deploy"))); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(repository, "docker-compose.yml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "docker-compose.yml"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func initialised(t *testing.T, dir, host string) {
	t.Helper()
	harness.Need(t, "openssl", "deploy/compose/init.sh makes secrets with it")
	if code, said := initialise(dir, host); code != 0 {
		t.Fatalf("init.sh %s: exit %d\n%s", host, code, said)
	}
}

func initialise(dir, host string) (code int, said string) {
	command := exec.Command("/bin/sh", filepath.Join(dir, "deploy/compose/init.sh"), host)
	out, _ := command.CombinedOutput() // its exit status says it all
	return command.ProcessState.ExitCode(), string(out)
}

// inOwnNetwork runs this test again in a network that has a loopback and nothing else, and where, as in a container,
// every port is open to every user.
func inOwnNetwork(t *testing.T, environment ...string) {
	t.Helper()
	line := []string{"bwrap", "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent", "--cap-add", "ALL"}
	open := `echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$0" "$@"`
	if os.Geteuid() != 0 {
		// Whoever may not make a network may make a namespace of users in which they may. The capabilities end there.
		line = append(line, "--unshare-user")
		open = strings.Replace(open, "exec", "exec setpriv --ambient-caps=-all --inh-caps=-all", 1)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line = append(line, "/bin/sh", "-ec", open, self, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "2m")
	command := exec.Command(line[0], line[1:]...)
	command.Env = append(os.Environ(), environment...)
	said, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "--- PASS: "+t.Name()) {
		t.Fatalf("in a network of its own: %v\n%s", err, said)
	}
}

func runProject(t *testing.T, p *project) {
	p.up("postgres")
	nodes := p.up("node1", "node2") // on an empty database, both at once
	p.up("proxy")
	for _, once := range []string{"demo-clients", "demo-people"} {
		p.container(once).run(t, p.command(once)...)
	}
	p.up("handset", "webapp", "api")
	b := p.browser()
	for _, site := range []string{"https://app.localhost/", "https://app.localhost/api/", "https://phone.localhost/"} {
		harness.Eventually(t, 10*time.Second, site+" answers", func() bool { return p.status(b, site) < http.StatusInternalServerError })
	}
	ada := harness.Person{Username: "ada", Password: "tulip harbour lantern", Phone: harness.NewPhone(t, "http://127.0.0.14:8082", "+393471234567")}

	// A whole login over TLS, through the proxy, on whichever node comes next.
	page := b.Login("https://app.localhost/login", ada, "whatsapp")
	page.MustSay(t, "Hello, Ada Lovelace", "urn:parola:acr:phone-no-sms")
	page = b.Press(page, "Refresh the tokens")
	page.MustSay(t, "rotated", "unchanged")
	b.Get("https://app.localhost/balance").MustSay(t, "200")
	for _, node := range []string{"node1", "node2"} {
		if !p.served(node) {
			t.Errorf("%s served nothing: the proxy does not use it", node)
		}
	}
	if plain := b.Get("http://login.localhost/authorize"); plain.Status != http.StatusPermanentRedirect ||
		plain.Header.Get("Location") != "https://login.localhost/authorize" {
		t.Errorf("the port in clear answers %d %s", plain.Status, plain.Header.Get("Location"))
	}

	// The passcode page lives: what a node writes is not kept by the proxy until there is more.
	b = p.browser()
	ada.Phone.Forget()
	page = b.Password("https://app.localhost/login", ada)
	page.MustSay(t, "Enter your code")
	p.mustStream(b, page)

	// A node is lost in the middle of this login. Nobody waits for a health check: the other takes over at once.
	passcode := ada.Phone.Passcode("whatsapp", 20*time.Second)
	nodes["node1"].Kill()
	page = b.Press(page, "Continue", "passcode", passcode)
	page.MustSay(t, "Hello, Ada Lovelace")
	for range 20 {
		if got := p.status(b, "https://login.localhost/.well-known/openid-configuration"); got != http.StatusOK {
			t.Fatalf("with one node of two: %d", got)
		}
	}
	if p.healthy("node1") {
		t.Error("a dead node is healthy")
	}

	// It comes back, and then the other one is told to stop, as by an upgrade. Nobody notices.
	nodes["node1"] = p.up("node1")["node1"]
	harness.Eventually(t, 10*time.Second, "the proxy uses the node that came back", func() bool {
		p.status(b, "https://login.localhost/.well-known/openid-configuration")
		return p.served("node1")
	})
	terminate(t, nodes["node2"])
	for n := 0; nodes["node2"].Running(); n++ {
		if got := p.status(b, "https://login.localhost/.well-known/openid-configuration"); got != http.StatusOK {
			t.Fatalf("request %d while a node stops: %d", n, got)
		}
		time.Sleep(5 * time.Millisecond) // a person's pace, not a flood
	}
	if code := nodes["node2"].Wait(t); code != 0 {
		t.Errorf("the node that was told to stop ended with %d:\n%s", code, nodes["node2"].Output())
	}
	p.browser().Login("https://app.localhost/login", ada, "whatsapp").MustSay(t, "Hello, Ada Lovelace")
}

// terminate sends SIGTERM, as an engine does, to the program in a sandbox: the last of a line of only children.
func terminate(t *testing.T, sandbox *harness.Process) {
	t.Helper()
	for pid := sandbox.PID(); ; {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			t.Fatal(err)
		}
		if child, err := strconv.Atoi(strings.TrimSpace(string(children))); err == nil {
			pid = child
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		return
	}
}

// browser is one that knows the installation's certificate and the names on this machine.
func (p *project) browser() *harness.Browser {
	p.t.Helper()
	pem, err := os.ReadFile(p.path("installation/ca.crt"))
	if err != nil {
		p.t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(pem)
	b := harness.NewBrowser(p.t, trust)
	b.Client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(addresses["proxy"], port))
		}}
	return b
}

func (p *project) status(b *harness.Browser, address string) int {
	p.t.Helper()
	resp, err := b.Client.Get(address)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// served says whether a node answered anything on its public listener.
func (p *project) served(node string) bool {
	p.t.Helper()
	resp, err := http.Get("http://" + addresses[node] + ":9090/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Contains(string(text), "parola_http_request_duration_seconds_count{")
}

var eventsURL = regexp.MustCompile(`data-events="([^"]+)"`)

// mustStream reads the first message of the page's live state while the stream stays open.
func (p *project) mustStream(b *harness.Browser, page *harness.Page) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
	defer cancel()
	found := eventsURL.FindStringSubmatch(page.Body)
	if found == nil {
		p.t.Fatalf("the page has no live state:\n%s", page.Text())
	}
	address, err := page.URL.Parse(html.UnescapeString(found[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := b.Client.Do(req)
	if err != nil {
		p.t.Fatalf("event stream: %v", err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "data: ") {
		p.t.Fatalf("event stream (%d %s) says %q, %v", resp.StatusCode, resp.Header.Get("Content-Type"), line, err)
	}
}
