package harness

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/internal/app"
)

// Options say what is different about an installation.
type Options struct {
	// DSN puts it on PostgreSQL; without one it is on a SQLite file.
	DSN string
	// Environment overrides settings, as NAME=VALUE pairs: PAROLA_MFA_NOT_ENTERED_AFTER=1s.
	Environment []string
	// Webhook is where the handset posts WhatsApp's reports, instead of to the provider.
	Webhook string
	// DeliverAfter is how long messages take; 10 ms when zero.
	DeliverAfter time.Duration
	// Carriers are those of SMS in their order: twilio alone when empty. The handset plays all of them.
	Carriers []string
	// Routes are sms.routes, as YAML: {DE: [vonage]}.
	Routes string
	// Internal opens the internal listener, for [Installation.Metric].
	Internal bool
}

// Installation is one configured provider with its database and its handset, running or not. The handset lives in the
// test process and outlives any provider.
type Installation struct {
	Issuer     string
	ConfigFile string
	Config     app.Config
	Handset    *handset.Handset
	HandsetURL string
	// Tap saw every call to Meta and Twilio.
	Tap *rig.Tap

	environment []string
	clients     *clients
	calls       *calls
	clock       *ahead
	t           testing.TB
}

// For is the installation for a subtest: what goes wrong there ends it and not the whole test.
func (in *Installation) For(t testing.TB) *Installation {
	other := *in
	other.t = t
	return &other
}

// Install makes an installation: free ports, a configuration file, a fresh database when the first provider starts.
func Install(t testing.TB, o Options) *Installation {
	t.Helper()
	address := Loopback(Ports(t, 1))
	in := &Installation{Issuer: "http://" + address, ConfigFile: filepath.Join(t.TempDir(), "parola.yaml"), clock: new(ahead), clients: new(clients), t: t}
	webhook := o.Webhook
	if webhook == "" {
		webhook = in.Issuer + "/webhooks/whatsapp"
	}
	if o.DeliverAfter == 0 {
		o.DeliverAfter = 10 * time.Millisecond
	}
	in.startHandset(webhook, o.DeliverAfter)
	document := in.document(address, o)
	in.environment = o.Environment
	config, err := app.Load(app.Defaults(), []byte(document), app.Source{LookupEnv: in.lookUp, Environ: o.Environment})
	if err != nil {
		t.Fatal(err)
	}
	in.Config = config
	if err := os.WriteFile(in.ConfigFile, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	in.addClients()
	return in
}

// document is the configuration. Limits are raised, and circuits left closed, for tests that are about something else.
func (in *Installation) document(address string, o Options) string {
	database := fmt.Sprintf("{driver: sqlite, path: %q, synchronous: NORMAL}", filepath.Join(filepath.Dir(in.ConfigFile), "parola.db"))
	if o.DSN != "" {
		database = fmt.Sprintf("{driver: postgres, dsn: %q, max_connections: 20}", o.DSN)
	}
	root := make([]byte, 32)
	_, _ = rand.Read(root)
	internal := ""
	if o.Internal {
		internal = Loopback(Ports(in.t, 1))
	}
	return fmt.Sprintf(`issuer: %s
service_name: Parola e2e
server: {listen: "%s", internal_listen: "%s", stop_within: 3s}
database: %s
secrets: {root: %q}
%smfa: {countries: [all], country_failures: 1000, template_ttl: 1s, offer_sms_after: 0s, resend_after: 1s, circuit_failures: 1000}
limits: {sends_per_number_hour: 1000, sends_per_number_day: 5000, sends_per_source_hour: 100000, sends_per_client_hour: 100000,
  sends_per_hour: 100000, sends_per_prefix_hour: 100000, spend_per_prefix_day: 100000, spend_per_country_day: 100000,
  spend_per_source_day: 100000, spend_per_day: 100000, passwords_per_source_hour: 100000, requests_per_source_minute: 100000}
fraud: {mode: observe}
log: {level: debug, format: json}
`, in.Issuer, address, internal, database, base64.StdEncoding.EncodeToString(root), in.accounts(o))
}

// lookUp is os.LookupEnv for the environment of the installation.
func (in *Installation) lookUp(name string) (string, bool) {
	for _, pair := range in.environment {
		if n, value, _ := strings.Cut(pair, "="); n == name {
			return value, true
		}
	}
	return "", false
}

// Person is somebody who can sign in.
type Person struct {
	Username, Password string
	Phone              *Phone
}

var people atomic.Int64

// Person adds somebody with a phone of their own.
func (in *Installation) Person(name string) Person {
	in.t.Helper()
	n := people.Add(1)
	return in.add(fmt.Sprintf("%s%d", name, n), fmt.Sprintf("+39347%07d", 1234500+n))
}

// PersonAt adds somebody with this number.
func (in *Installation) PersonAt(name, number string) Person {
	in.t.Helper()
	return in.add(fmt.Sprintf("%s%d", name, people.Add(1)), number)
}

func (in *Installation) add(username, number string) Person {
	in.t.Helper()
	p := Person{Username: username, Password: "tulip harbour lantern", Phone: NewPhone(in.t, in.HandsetURL, number)}
	in.importing(func(ctx context.Context, b *app.Base) (app.ImportReport, error) {
		return b.ImportUsers(ctx, encode(in.t, []map[string]any{{"username": p.Username, "password": p.Password, "name": username,
			"email": p.Username + "@example.test", "phone_number": p.Phone.Number, "phone_number_verified": true}}), app.ImportOptions{})
	})
	return p
}

// The clients of every installation.
const (
	WebClient     = "web"     // confidential, first-party
	PartnerClient = "partner" // confidential, asks for consent
	NativeClient  = "native"  // public, first-party
	APIClient     = "api"     // a resource server, for which WebClient's tokens are
	secretOf      = "a secret of the client, for the tests only: "
)

// callback is never listened on: browsers stop at it. Nor is resource: it only names.
const (
	callback = "http://127.0.0.1:9/callback"
	resource = "https://ledger.example.test/api"
)

func (in *Installation) addClients() {
	code, scope := []string{"authorization_code", "refresh_token"}, "openid profile email offline_access"
	in.importing(func(ctx context.Context, b *app.Base) (app.ImportReport, error) {
		return b.ImportClients(ctx, encode(in.t, []map[string]any{
			{"client_id": WebClient, "client_secret": secretOf + WebClient, "client_name": "Web Shop", "token_endpoint_auth_method": "client_secret_basic",
				"redirect_uris": []string{callback}, "grant_types": []string{"authorization_code", "refresh_token", "client_credentials"}, "scope": scope,
				"id_token_signed_response_alg": "ES256", "parola_first_party": true, "parola_audience": []string{resource}},
			{"client_id": APIClient, "client_secret": secretOf + APIClient, "client_name": "Ledger", "token_endpoint_auth_method": "client_secret_basic",
				"grant_types": []string{"client_credentials"}, "scope": "reports", "parola_introspects": []string{resource}},
			{"client_id": PartnerClient, "client_secret": secretOf + PartnerClient, "client_name": "Partner Hotel", "token_endpoint_auth_method": "client_secret_basic",
				"redirect_uris": []string{callback}, "grant_types": code, "scope": scope, "id_token_signed_response_alg": "ES256"},
			{"client_id": NativeClient, "client_name": "Pocket", "token_endpoint_auth_method": "none", "application_type": "native",
				"redirect_uris": []string{callback}, "grant_types": code, "scope": scope, "id_token_signed_response_alg": "ES256", "parola_first_party": true},
		}), app.ImportOptions{})
	})
}

// Command does what a command line does, beside a provider that may be running.
func (in *Installation) Command(do func(context.Context, *app.Base) error) {
	t := in.t
	t.Helper()
	base, err := app.Open(context.Background(), in.Config, app.Options{Release: "e2e", Clock: in.clock})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	if err := do(context.Background(), base); err != nil {
		t.Fatal(err)
	}
}

func (in *Installation) importing(add func(context.Context, *app.Base) (app.ImportReport, error)) {
	t := in.t
	t.Helper()
	in.Command(func(ctx context.Context, b *app.Base) error {
		report, err := add(ctx, b)
		for _, e := range report.Entries {
			if e.Result != app.ImportAdded {
				t.Fatalf("import %s: %s %s", e.Name, e.Result, e.Reason)
			}
		}
		return err
	})
}

// RelyingParty is one of the clients.
func (in *Installation) RelyingParty(id string) *RelyingParty {
	rp := &RelyingParty{Issuer: in.Issuer, ID: id, Secret: secretOf + id, RedirectURI: callback,
		Scope: "openid profile email offline_access", HTTP: &http.Client{Timeout: 30 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if id == NativeClient {
		rp.Secret = ""
	}
	in.t.Cleanup(rp.HTTP.CloseIdleConnections)
	in.clients.add(rp.HTTP)
	return rp
}

// WithNewSecret is RelyingParty with a secret that Parola generated, as most clients have: unlike an imported one it needs
// no slow hash.
func (in *Installation) WithNewSecret(id string) *RelyingParty {
	in.t.Helper()
	rp := in.RelyingParty(id)
	in.Command(func(ctx context.Context, b *app.Base) (err error) {
		rp.Secret, _, err = b.RotateSecret(ctx, id, 0)
		return err
	})
	return rp
}

// Browser is a new browser that stops when it comes back to a client.
func (in *Installation) Browser() *Browser {
	in.t.Helper()
	b := NewBrowser(in.t, nil)
	in.clients.add(b.Client)
	b.StopAt = func(u *url.URL) bool { return strings.HasPrefix(u.String(), callback) }
	return b
}

// Node is another node of the installation: the same issuer and database, listening on an address of its own.
func (in *Installation) Node() (node *Installation, address string) {
	in.t.Helper()
	other := *in
	port := Ports(in.t, 2)
	other.Config.Server.Listen = Loopback(port)
	if in.Config.Server.InternalListen != "" {
		other.Config.Server.InternalListen = Loopback(port + 1)
	}
	return &other, "http://" + other.Config.Server.Listen
}

// clients are those that keep connections. One that a provider closed when it stopped looks open until this process has
// noticed, and a post on it fails that would reach the provider that came after.
type clients struct {
	mu   sync.Mutex
	list []*http.Client
}

func (c *clients) add(one *http.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, one)
}

func (c *clients) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.list {
		one.CloseIdleConnections()
	}
}

// Provider is a provider that runs in the test process, on its real socket.
type Provider struct {
	*Installation
	log  *output
	stop func()
}

// LogText is everything it logged so far, at debug level.
func (p *Provider) LogText() string { return p.log.String() }

// Run starts a provider in the test process; observe hears of SQL statements and commits and may be nil.
func (in *Installation) Run(observe func(op string)) *Provider {
	t := in.t
	t.Helper()
	p := &Provider{Installation: in, log: new(output)}
	log := slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(context.Background())
	base, err := app.Open(ctx, in.Config, app.Options{Release: "e2e", Log: log, Clock: in.clock, Observe: observe})
	if err != nil {
		t.Fatal(err)
	}
	provider, err := app.New(ctx, base)
	if err == nil {
		err = provider.Listen(ctx)
	}
	if err != nil {
		base.Close()
		t.Fatal(err)
	}
	in.clients.forget()
	ended := make(chan error, 1)
	go func() { ended <- provider.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the provider ended: %v", err)
		}
		base.Close()
	})
	t.Cleanup(func() {
		p.stop()
		if complaints := p.complaints(); t.Failed() && complaints != "" {
			t.Logf("the provider complained:\n%s", tail(complaints, 3000))
		}
	})
	return p
}

// complaints are the lines of the log that an operator would look at.
func (p *Provider) complaints() string {
	var lines strings.Builder
	for line := range strings.Lines(p.LogText()) {
		if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// Stop stops the provider gracefully.
func (p *Provider) Stop() { p.stop() }

// Serve starts `parola serve` on the installation and waits until it answers.
func (in *Installation) Serve() *Process {
	in.t.Helper()
	p := in.serve()
	in.answers(p, in.Issuer)
	return p
}

// ServeNodes starts n times `parola serve` on the installation, each listening on an address of its own, and waits until
// all of them answer. At the issuer's address there is nothing until [Installation.Balance].
func (in *Installation) ServeNodes(n int) (nodes []*Process, addresses []string) {
	in.t.Helper()
	port := Ports(in.t, n)
	for i := range n {
		nodes = append(nodes, in.serve("PAROLA_SERVER_LISTEN="+Loopback(port+i)))
		addresses = append(addresses, "http://"+Loopback(port+i))
	}
	for i, p := range nodes {
		in.answers(p, addresses[i])
	}
	return nodes, addresses
}

func (in *Installation) serve(environment ...string) *Process {
	in.t.Helper()
	return Start(in.t, slices.Concat(in.environment, environment), Program(in.t, "cmd/parola"), "--config", in.ConfigFile, "serve")
}

func (in *Installation) answers(p *Process, address string) {
	in.t.Helper()
	in.clients.forget()
	Eventually(in.t, 30*time.Second, "parola serve answers", func() bool {
		if !p.Running() {
			in.t.Fatalf("parola serve ended:\n%s", p.Output())
		}
		resp, err := http.Get(address + "/.well-known/openid-configuration")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
