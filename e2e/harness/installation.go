package harness

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
}

// Installation is one configured provider with its database and its handset, running or not. The handset lives in the
// test process and outlives any provider.
type Installation struct {
	Issuer     string
	ConfigFile string
	Config     app.Config
	Handset    *handset.Handset
	HandsetURL string

	environment []string
	called      map[string]*atomic.Int64 // by channel
	t           testing.TB
}

// The carriers' accounts; the handset holds the other end of both.
const (
	phoneNumberID = "106000000000001"
	metaToken     = "EAAe2eAccessTokenOfTheTestAccount0123456789"
	appSecret     = "5b1f0c9d3e7a48269c0d1e2f3a4b5c6d"
	verifyToken   = "a-verify-token-for-the-tests-only-42"
	twilioSID     = "AC5ef8732a3c49700934481addd5ce1659"
	twilioToken   = "1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f"
)

// Install makes an installation: free ports, a configuration file, a fresh database when the first provider starts.
func Install(t testing.TB, o Options) *Installation {
	t.Helper()
	address := Loopback(Ports(t, 1))
	in := &Installation{Issuer: "http://" + address, ConfigFile: filepath.Join(t.TempDir(), "parola.yaml"), t: t}
	webhook := o.Webhook
	if webhook == "" {
		webhook = in.Issuer + "/webhooks/whatsapp"
	}
	if o.DeliverAfter == 0 {
		o.DeliverAfter = 10 * time.Millisecond
	}
	in.startHandset(webhook, o.DeliverAfter)
	database := fmt.Sprintf("{driver: sqlite, path: %q, synchronous: NORMAL}", filepath.Join(filepath.Dir(in.ConfigFile), "parola.db"))
	if o.DSN != "" {
		database = fmt.Sprintf("{driver: postgres, dsn: %q, max_connections: 20}", o.DSN)
	}
	root := make([]byte, 32)
	_, _ = rand.Read(root)
	document := fmt.Sprintf(`issuer: %s
service_name: Parola e2e
server: {listen: "%s", internal_listen: "", stop_within: 3s}
database: %s
secrets: {root: %q}
whatsapp: {base_url: %s, phone_number_id: "%s", access_token: %s, app_secret: %s, verify_token: %s}
sms:
  carriers: [twilio]
  twilio: {base_url: %s, account_sid: %s, auth_token: %s, from: "+12025550123"}
mfa: {countries: [all], country_failures: 1000, template_ttl: 1s, offer_sms_after: 0s, resend_after: 1s, circuit_failures: 1000}
limits: {sends_per_number_hour: 1000, sends_per_number_day: 5000, sends_per_source_hour: 100000, sends_per_client_hour: 100000,
  sends_per_hour: 100000, sends_per_prefix_hour: 100000, spend_per_prefix_day: 100000, spend_per_country_day: 100000,
  spend_per_source_day: 100000, spend_per_day: 100000, passwords_per_source_hour: 100000, requests_per_source_minute: 100000}
fraud: {mode: observe}
log: {level: debug, format: json}
`, in.Issuer, address, database, base64.StdEncoding.EncodeToString(root), in.HandsetURL, phoneNumberID, metaToken, appSecret,
		verifyToken, in.HandsetURL, twilioSID, twilioToken)
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

// lookUp is os.LookupEnv for the environment of the installation.
func (in *Installation) lookUp(name string) (string, bool) {
	for _, pair := range in.environment {
		if n, value, _ := strings.Cut(pair, "="); n == name {
			return value, true
		}
	}
	return "", false
}

func (in *Installation) startHandset(webhook string, deliverAfter time.Duration) {
	t := in.t
	template := handset.DefaultTemplate
	template.TTL = time.Second
	var err error
	in.Handset, err = handset.New(handset.Config{
		PhoneNumberID: phoneNumberID, AccessToken: metaToken, AppSecret: appSecret, WebhookURL: webhook,
		Templates: []handset.Template{template}, PairRateOff: true, AccountSID: twilioSID, AuthToken: twilioToken,
		DeliverAfter: deliverAfter,
	})
	if err != nil {
		t.Fatal(err)
	}
	in.called = map[string]*atomic.Int64{"whatsapp": new(atomic.Int64), "sms": new(atomic.Int64)}
	server := httptest.NewServer(in.counting(in.Handset))
	in.HandsetURL = server.URL
	t.Cleanup(func() {
		_ = in.Handset.Close()
		server.CloseClientConnections()
		server.Close()
	})
}

// counting counts what the carriers are asked to send, whatever they answer.
func (in *Installation) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/messages"):
			in.called["whatsapp"].Add(1)
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Messages.json"):
			in.called["sms"].Add(1)
		}
		next.ServeHTTP(w, r)
	})
}

// Calls is how often the carrier of a channel was asked to send, over all numbers, including what it refused or left
// without an answer.
func (in *Installation) Calls(channel string) int { return int(in.called[channel].Load()) }

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
	p := Person{Username: fmt.Sprintf("%s%d", name, n), Password: "tulip harbour lantern",
		Phone: NewPhone(in.t, in.HandsetURL, fmt.Sprintf("+39347%07d", 1234500+n))}
	in.importing(func(ctx context.Context, b *app.Base) (app.ImportReport, error) {
		return b.ImportUsers(ctx, encode(in.t, []map[string]any{{"username": p.Username, "password": p.Password, "name": name,
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

// importing opens the installation as a command does, beside a provider that may be running.
func (in *Installation) importing(add func(context.Context, *app.Base) (app.ImportReport, error)) {
	t := in.t
	t.Helper()
	base, err := app.Open(context.Background(), in.Config, app.Options{Release: "e2e"})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	report, err := add(context.Background(), base)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range report.Entries {
		if e.Result != app.ImportAdded {
			t.Fatalf("import %s: %s %s", e.Name, e.Result, e.Reason)
		}
	}
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
	return rp
}

// WithNewSecret is RelyingParty with a secret that Parola generated, as most clients have: unlike an imported one it needs
// no slow hash.
func (in *Installation) WithNewSecret(id string) *RelyingParty {
	in.t.Helper()
	base, err := app.Open(context.Background(), in.Config, app.Options{Release: "e2e"})
	if err != nil {
		in.t.Fatal(err)
	}
	defer base.Close()
	rp := in.RelyingParty(id)
	if rp.Secret, _, err = base.RotateSecret(context.Background(), id, 0); err != nil {
		in.t.Fatal(err)
	}
	return rp
}

// Browser is a new browser that stops when it comes back to a client.
func (in *Installation) Browser() *Browser {
	in.t.Helper()
	b := NewBrowser(in.t, nil)
	b.StopAt = func(u *url.URL) bool { return strings.HasPrefix(u.String(), callback) }
	return b
}

// Node is another node of the installation: the same issuer and database, listening on an address of its own.
func (in *Installation) Node() (node *Installation, address string) {
	in.t.Helper()
	other := *in
	other.Config.Server.Listen = Loopback(Ports(in.t, 1))
	return &other, "http://" + other.Config.Server.Listen
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
	base, err := app.Open(ctx, in.Config, app.Options{Release: "e2e", Log: log, Observe: observe})
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
	ended := make(chan error, 1)
	go func() { ended <- provider.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the provider ended: %v", err)
		}
		base.Close()
	})
	t.Cleanup(p.stop)
	return p
}

// Stop stops the provider gracefully.
func (p *Provider) Stop() { p.stop() }

// Serve starts `parola serve` on the installation and waits until it answers.
func (in *Installation) Serve() *Process {
	in.t.Helper()
	p := Start(in.t, in.environment, Program(in.t, "cmd/parola"), "--config", in.ConfigFile, "serve")
	Eventually(in.t, 30*time.Second, "parola serve answers", func() bool {
		if !p.Running() {
			in.t.Fatalf("parola serve ended:\n%s", p.Output())
		}
		resp, err := http.Get(in.Issuer + "/.well-known/openid-configuration")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
