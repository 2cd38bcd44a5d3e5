package rig

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/postgres"
	"github.com/parola-id/parola/storage/sqlite"
)

// The client that people sign in to. Nobody redeems its AuthCodes.
const (
	ClientID    = "bench"
	RedirectURI = "http://127.0.0.1:9/callback"
)

// Options say what to install.
type Options struct {
	// DSN is a PostgreSQL database, empty of Parola's tables; empty for a new SQLite file.
	DSN    string
	People int
	// TemplateTTL, NotEntered, PasscodeLife and CallTimeout are the settings of mfa by these names.
	TemplateTTL, NotEntered, PasscodeLife, CallTimeout time.Duration
	// Profile is a file for the server's CPU profile, written when the server is stopped.
	Profile string
	// DeliverAfter is how long the handset's messages are on their way.
	DeliverAfter time.Duration
	// Carrier stands in for the handset and its tap where set: a program that measures the server alone brings a carrier
	// that costs less. It is given the issuer whose webhooks it calls.
	Carrier func(issuer string, s Secrets) http.Handler
	// InternalListener opens the listener for operators.
	InternalListener bool
}

// Installation is a configured provider with its database, carriers and people.
type Installation struct {
	Issuer string
	// Internal is the address of the listener for operators; empty without one.
	Internal string
	// Phones and Tap are nil when the program brings its own carrier.
	Phones  *handset.Handset
	Tap     *Tap
	People  []Person
	Dir     string
	Secrets Secrets

	config     app.Config
	configFile string
	log        *os.File
	carrier    *httptest.Server
	options    Options
}

// Secrets are what the installation and its carriers agree on.
type Secrets struct{ AppSecret, AuthToken, PhoneNumberID, AccountSID string }

// Install makes an installation in a new directory.
func Install(ctx context.Context, o Options) (*Installation, error) {
	dir, err := os.MkdirTemp("", "parola-bench-")
	if err != nil {
		return nil, err
	}
	in := &Installation{Dir: dir, options: o, configFile: filepath.Join(dir, "parola.yaml"), Secrets: Secrets{
		AppSecret: random(), AuthToken: random(), PhoneNumberID: "106000000000001", AccountSID: "AC" + random()[:32],
	}}
	if err := in.install(ctx); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

func (in *Installation) install(ctx context.Context) (err error) {
	if in.log, err = os.Create(filepath.Join(in.Dir, "server.log")); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	in.Issuer = "http://" + address
	token := random()
	for i := range in.options.People {
		in.People = append(in.People, Person{Username: fmt.Sprintf("person-%d", i), Password: random(), Phone: fmt.Sprintf("+39347%07d", i)})
	}
	if err := in.openCarrier(token); err != nil {
		return err
	}
	document, err := in.document(address, token)
	if err != nil {
		return err
	}
	if err := os.WriteFile(in.configFile, []byte(document), 0o600); err != nil {
		return err
	}
	if in.config, err = load(in.configFile); err != nil {
		return err
	}
	return in.fill(ctx)
}

func (in *Installation) openCarrier(token string) (err error) {
	if in.options.Carrier != nil {
		in.carrier = httptest.NewServer(in.options.Carrier(in.Issuer, in.Secrets))
		return nil
	}
	template := handset.DefaultTemplate
	template.TTL = in.options.TemplateTTL
	in.Phones, err = handset.New(handset.Config{
		PhoneNumberID: in.Secrets.PhoneNumberID, AccessToken: token, AppSecret: in.Secrets.AppSecret,
		WebhookURL: in.Issuer + "/webhooks/whatsapp", Templates: []handset.Template{template}, PairRateOff: true,
		AccountSID: in.Secrets.AccountSID, AuthToken: in.Secrets.AuthToken, SMSFrom: "+12025550123",
		DeliverAfter: in.options.DeliverAfter,
	})
	if err != nil {
		return err
	}
	in.Tap = NewTap(in.Phones)
	in.carrier = httptest.NewServer(in.Tap)
	return nil
}

// document is the configuration. Limits are raised as far as they go: what is measured here is not whom they stop.
func (in *Installation) document(address, token string) (string, error) {
	database := fmt.Sprintf("{driver: sqlite, path: %q}", filepath.Join(in.Dir, "parola.db"))
	if in.options.DSN != "" {
		database = fmt.Sprintf("{driver: postgres, dsn: %q}", in.options.DSN)
	}
	internal := ""
	if in.options.InternalListener {
		var err error
		if internal, err = freeAddress(); err != nil {
			return "", err
		}
		in.Internal = "http://" + internal
	}
	root := make([]byte, 32)
	rand.Read(root)
	o := in.options
	return fmt.Sprintf(`issuer: %s
service_name: Bench
server: {listen: "%s", internal_listen: "%s", max_connections_per_source: 0}
database: %s
secrets: {root: %q}
whatsapp: {base_url: %s, phone_number_id: "%s", account_id: "102000000000001", access_token: %q, app_secret: %q, verify_token: %q}
sms:
  carriers: [twilio]
  twilio: {base_url: %s, account_sid: %s, auth_token: %q, from: "+12025550123"}
mfa: {countries: [IT], template_ttl: %s, not_entered_after: %s, passcode_life: %s, call_timeout: %s, offer_sms_after: 1s, resend_after: 2s, workers: 64}
limits: {sends_per_number_hour: 1000000, sends_per_number_day: 1000000, sends_per_source_hour: 1000000, sends_per_client_hour: 1000000,
  sends_per_hour: 1000000, sends_per_prefix_hour: 1000000, wrong_passcodes_per_hour: 1000000, wrong_passcodes_per_day: 1000000, factor_failures: 100,
  spend_per_prefix_day: 100000000, spend_per_country_day: 100000000, spend_per_source_day: 100000000, spend_per_day: 100000000,
  password_free: 1000000, password_failures: 100, passwords_per_source_hour: 1000000, requests_per_source_minute: 1000000}
fraud: {mode: observe}
`, in.Issuer, address, internal, database, base64.StdEncoding.EncodeToString(root), in.carrier.URL, in.Secrets.PhoneNumberID, token,
		in.Secrets.AppSecret, random(), in.carrier.URL, in.Secrets.AccountSID, in.Secrets.AuthToken,
		o.TemplateTTL, o.NotEntered, o.PasscodeLife, o.CallTimeout), nil
}

// fill adds the people and the client.
func (in *Installation) fill(ctx context.Context) error {
	b, err := app.Open(ctx, in.config, app.Options{Release: "bench"})
	if err != nil {
		return err
	}
	defer b.Close()
	client := fmt.Sprintf(`{"client_id":%q,"redirect_uris":[%q],"token_endpoint_auth_method":"none","parola_first_party":true}`, ClientID, RedirectURI)
	report, err := b.ImportClients(ctx, []byte(client), app.ImportOptions{})
	if err != nil {
		return err
	}
	for _, e := range report.Entries {
		if e.Result == app.ImportRefused {
			return fmt.Errorf("add client: %s", e.Reason)
		}
	}
	for i := range in.People {
		p := &in.People[i]
		user, err := b.AddUser(ctx, app.NewUser{Username: p.Username, Password: p.Password, Phone: p.Phone, PhoneVerified: true})
		if err != nil {
			return fmt.Errorf("add person: %w", err)
		}
		p.ID = user.ID
	}
	return nil
}

// Config is the configuration the server runs with.
func (in *Installation) Config() app.Config { return in.config }

// OpenStore opens the database beside the server.
func (in *Installation) OpenStore(ctx context.Context) (storage.Store, error) {
	if in.options.DSN != "" {
		return postgres.Open(ctx, postgres.Config{DSN: in.options.DSN, Connections: 4})
	}
	return sqlite.Open(ctx, sqlite.Config{Path: in.config.Database.Path})
}

// OpenBase opens the database as the command line does.
func (in *Installation) OpenBase(ctx context.Context) (*app.Base, error) {
	return app.Open(ctx, in.config, app.Options{Release: "bench"})
}

// Close stops the carriers and removes the directory.
func (in *Installation) Close() {
	if in.carrier != nil {
		in.carrier.CloseClientConnections()
		in.carrier.Close()
	}
	if in.Phones != nil {
		_ = in.Phones.Close()
	}
	if in.log != nil {
		_ = in.log.Close()
	}
	_ = os.RemoveAll(in.Dir)
}

// LogTail is the end of what the server logged.
func (in *Installation) LogTail(n int) string {
	text, err := os.ReadFile(in.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func random() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

var _ http.Handler = (*Tap)(nil)

// TapButton taps "I didn't request a code" under a message.
func (in *Installation) TapButton(ctx context.Context, phone, message string) error {
	body := fmt.Sprintf(`{"phone":%q,"id":%q}`, phone, message)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, in.carrier.URL+"/button", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("tap the button: %s", resp.Status)
	}
	return nil
}
