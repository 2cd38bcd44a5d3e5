package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parola-id/parola/mfa/sms"
)

// complete is a configuration that Check accepts.
func complete() Config {
	c := Defaults()
	c.Issuer = "http://127.0.0.1:8080"
	c.Secrets.Root = NewSecret(freshSecret(32))
	c.WhatsApp.PhoneNumberID = "106000000000001"
	c.WhatsApp.AccessToken = NewSecret(freshSecret(24))
	c.WhatsApp.AppSecret = NewSecret(freshSecret(24))
	c.WhatsApp.VerifyToken = NewSecret(freshSecret(24))
	c.MFA.Countries = []string{"IT"}
	return c
}

func TestCompleteConfigurationIsAccepted(t *testing.T) {
	if err := complete().Check(); err != nil {
		t.Fatal(err)
	}
}

func TestKEY07_StartIsRefusedWithASentenceThatSaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"issuer of the template":   {func(c *Config) { c.Issuer = "https://login.example.com" }, "example"},
		"no issuer":                {func(c *Config) { c.Issuer = "" }, "issuer is empty: set it"},
		"http issuer off loopback": {func(c *Config) { c.Issuer = "http://login.bank.test" }, "loopback only"},
		"issuer with a slash":      {func(c *Config) { c.Issuer += "/" }, "trailing slash"},
		"https without TLS":        {func(c *Config) { c.Issuer = "https://login.bank.test" }, "trusted_proxies"},
		"one seat for an office":   {func(c *Config) { c.Server.MaxConnectionsPerSource = 1 }, "max_connections_per_source is 1"},
		"no bound, said wrongly":   {func(c *Config) { c.Server.MaxConnectionsPerSource = -1 }, "or to 0 for no bound"},
		"short root":               {func(c *Config) { c.Secrets.Root = NewSecret("c2hvcnQ=") }, "at least 32"},
		"no root":                  {func(c *Config) { c.Secrets.Root = Secret{} }, "parola config init"},
		"root of zeros":            {func(c *Config) { c.Secrets.Root = NewSecret(base64.StdEncoding.EncodeToString(make([]byte, 32))) }, "not random"},
		"example secret":           {func(c *Config) { c.WhatsApp.AppSecret = NewSecret("your-app-secret-here") }, "example value"},
		"same secret twice":        {func(c *Config) { c.WhatsApp.AppSecret = c.WhatsApp.AccessToken }, "same secret"},
		"root for another purpose": {func(c *Config) { c.WhatsApp.VerifyToken = c.Secrets.Root }, "same secret"},
		"root as its predecessor":  {func(c *Config) { c.Secrets.Previous = respelled(c.Secrets.Root) }, "secrets.previous and secrets.root are the same secret"},
		"root as its successor":    {func(c *Config) { c.Secrets.Next = c.Secrets.Root }, "secrets.next and secrets.root are the same secret"},
		"next and previous at once": {func(c *Config) {
			c.Secrets.Next, c.Secrets.Previous = NewSecret(freshSecret(32)), NewSecret(freshSecret(32))
		}, "one replacement of the root secret at a time"},
		"root that counts": {func(c *Config) { c.Secrets.Root = NewSecret(counting()) }, "not random"},
		"root that is text": {func(c *Config) {
			c.Secrets.Root = NewSecret(base64.StdEncoding.EncodeToString([]byte("correct horse battery staple, and more")))
		}, "not random"},
		"root that is not base64":     {func(c *Config) { c.Secrets.Root = NewSecret("correct horse battery staple!") }, "not base64"},
		"short previous root":         {func(c *Config) { c.Secrets.Previous = NewSecret("c2hvcnQ=") }, "secrets.previous has 5 bytes"},
		"short verify token":          {func(c *Config) { c.WhatsApp.VerifyToken = NewSecret("parola4you") }, "whatsapp.verify_token has 10 characters"},
		"short carrier's secret":      {func(c *Config) { c.SMS.Twilio.AuthToken = NewSecret("abc123") }, "sms.twilio.auth_token has 6 characters"},
		"secret of one character":     {func(c *Config) { c.SMS.Kannel.Password = NewSecret("aaaaaaaaaaaa") }, "sms.kannel.password repeats 1"},
		"example in the DSN":          {onPostgres("postgres://parola:changeme@db/parola"), "password in database.dsn"},
		"user as password in the DSN": {onPostgres("host=db user=keeper password=keeper"), "password in database.dsn"},
		"secret as password in the DSN": {func(c *Config) {
			onPostgres("postgres://parola:" + url.QueryEscape(c.WhatsApp.AppSecret.Reveal()) + "@db/parola")(c)
		}, "the password in database.dsn and whatsapp.app_secret are the same"},
		"keys for an hour":              {func(c *Config) { c.Keys.RotateEvery = time.Hour }, "keys.rotate_every"},
		"KEY-03 unknown keys that sign": {func(c *Config) { c.Keys.PublishAhead = 5 * time.Minute }, "relying parties keep the keys"},
		"no channel":                    {func(c *Config) { c.WhatsApp.Enabled = false }, "no passcode could ever be sent"},
		"passcode life too long":        {func(c *Config) { c.MFA.PasscodeLife = time.Hour }, "passcode_life"},
		"message outlives passcode":     {func(c *Config) { c.MFA.TemplateTTL = c.MFA.PasscodeLife + time.Second }, "template_ttl"},
		"auth code life too long":       {func(c *Config) { c.Lifetimes.AuthCode = time.Hour }, "auth_code"},
		"carrier by plain http":         {func(c *Config) { c.WhatsApp.BaseURL = "http://graph.test" }, "https address"},
		"unknown carrier":               {func(c *Config) { c.SMS.Carriers = []string{"pigeon"} }, "the carriers are aws, gateway"},
		"carrier twice":                 {func(c *Config) { c.SMS.Carriers = []string{"kannel", "kannel"} }, "kannel twice"},
		"carrier without an account":    {func(c *Config) { c.SMS.Carriers = []string{"vonage"} }, "signature_secret is empty"},
		"route to no carrier":           {func(c *Config) { c.SMS.Routes = map[string][]string{"IT": {"aws"}} }, "sms.routes.IT"},
		"route of no country":           {func(c *Config) { c.SMS.Routes = map[string][]string{"Italy": nil} }, "sms.routes"},
		"OTP-26 no country chosen":      {func(c *Config) { c.MFA.Countries = nil }, "list the countries you serve"},
		"budget of nothing":             {func(c *Config) { c.Limits.SpendPerDay = 0 }, "spend_per_day"},
		"fraud mode unknown":            {func(c *Config) { c.Fraud.Mode = "off" }, "fraud.mode"},
		"unknown database":              {func(c *Config) { c.Database.Driver = "oracle" }, "sqlite or postgres"},
		"limit of zero":                 {func(c *Config) { c.Limits.SendsPerHour = 0 }, "sends_per_hour"},
		"loopback fetches in earnest":   {func(c *Config) { c.Issuer, c.Outbound.AllowLoopback = "https://login.bank.test", true }, "allow_loopback"},
		"service name with a newline":   {func(c *Config) { c.ServiceName = strings.Repeat("x", 41) }, "service_name"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := complete()
			c.change(&cfg)
			if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Check() = %v, want a sentence with %q", err, c.want)
			}
		})
	}
}

// respelled is the same root in another spelling.
func respelled(s Secret) Secret {
	b, err := base64.StdEncoding.DecodeString(s.Reveal())
	if err != nil {
		panic(err)
	}
	return NewSecret(base64.RawURLEncoding.EncodeToString(b) + "\n")
}

func counting() string {
	b := make([]byte, 32)
	for i := range b {
		b[i] = byte(3 * i)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func onPostgres(dsn string) func(*Config) {
	return func(c *Config) { c.Database.Driver, c.Database.DSN = "postgres", NewSecret(dsn) }
}

func TestKEY07_APasswordOfADatabaseOnThisMachineIsNobodysBusiness(t *testing.T) {
	for _, dsn := range []string{"postgres://parola:parola@127.0.0.1/parola", "host=/run/postgresql password=x", "postgres://parola@db/parola?sslmode=verify-full"} {
		c := complete()
		onPostgres(dsn)(&c)
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func TestFileFromInitHoldsFreshSecretsAndEveryDefault(t *testing.T) {
	first, second := InitialConfig(), InitialConfig()
	if first == second {
		t.Fatal("two files have the same secrets")
	}
	got, err := Load(Defaults(), []byte(first), Source{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := got.Secrets.Root.rootBytes(); err != nil {
		t.Errorf("secrets.root %v", err)
	}
	// Uncommented, the file must say exactly the defaults: a comment that lies is worse than none.
	var all strings.Builder
	for line := range strings.Lines(first) {
		all.WriteString(regexp.MustCompile(`^(\s*)# ([a-z_]+:( |$))`).ReplaceAllString(line, "$1$2"))
	}
	got, err = Load(Config{}, []byte(all.String()), Source{ReadSecret: func(string) (string, error) { return "x", nil }})
	if err != nil {
		t.Fatalf("with every line uncommented: %v\n%s", err, all.String())
	}
	want := Defaults()
	for _, c := range []*Config{&got, &want} { // what the file must fill in, or shows as an example
		c.Issuer, c.ServiceName, c.Secrets, c.Brand = "", "", Secrets{}, Brand{}
		c.Server.TLSCertFile, c.Server.TLSKeyFile, c.Server.TrustedProxies = "", "", nil
		c.Database.DSN, c.WhatsApp.VerifyToken = Secret{}, Secret{}
		c.MFA.Countries = nil
	}
	if diff := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)); diff != "" {
		t.Errorf("config.yaml differs from Defaults (-defaults +file):\n%s", diff)
	}
	for _, key := range yamlKeys(reflect.TypeFor[Config]()) {
		if !regexp.MustCompile(`(?m)^\s*(# )?` + key + `:`).MatchString(first) {
			t.Errorf("config.yaml does not mention %s", key)
		}
	}
}

func yamlKeys(t reflect.Type) []string {
	var keys []string
	// What the description of a gateway holds is told by docs/sms-carriers.md.
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[Secret]() || strings.HasPrefix(t.String(), "sms.Gateway") && t != reflect.TypeFor[sms.GatewayConfig]() || t == reflect.TypeFor[sms.Selector]() {
		return nil
	}
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if key != "" && key != "-" {
			keys = append(keys, key)
		}
		if key == "-" {
			continue
		}
		keys = append(keys, yamlKeys(t.Field(i).Type)...)
	}
	return keys
}

func TestUnknownKeysAndVariablesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		document string
		environ  []string
		want     string
	}{
		"unknown key":           {"isuer: x", nil, "line 1: isuer names no setting"},
		"unknown nested key":    {"server: {lisen: x}", nil, "line 1: lisen names no setting"},
		"two unknown keys":      {"a: x\nb: y", nil, "line 2: b names no setting"},
		"unreadable secret":     {"whatsapp: {app_secret: {file: /gone}}", nil, "whatsapp.app_secret: no such file"},
		"wrong type":            {"password: {min_length: many}", nil, "min_length"},
		"second document":       {"issuer: a\n---\nissuer: b", nil, "more than one document"},
		"unknown variable":      {"", []string{"PAROLA_ISUER=x"}, "PAROLA_ISUER names no setting"},
		"secret of wrong shape": {"secrets: {root: [1]}", nil, "a secret is a string"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Defaults(), []byte(c.document), Source{Environ: c.environ,
				ReadSecret: func(string) (string, error) { return "", errors.New("no such file") }})
			if err == nil {
				t.Fatal("accepted")
			}
			if name != "wrong type" && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not name %q", err, c.want)
			}
		})
	}
}

func TestEnvironmentOverridesTheFileAndSecretsComeFromFiles(t *testing.T) {
	env := map[string]string{
		"PAROLA_SERVER_LISTEN": "0.0.0.0:443", "PAROLA_MFA_TRIES": "3", "PAROLA_LIFETIMES_AUTH_CODE": "30s",
		"PAROLA_SERVER_TRUSTED_PROXIES": "10.0.0.0/8,192.168.0.0/16", "PAROLA_WHATSAPP_ENABLED": "false",
		"PAROLA_SECRETS_ROOT_FILE": "/run/root",
	}
	got, err := Load(Defaults(), []byte("server: {listen: '127.0.0.1:1'}\nsms: {twilio: {auth_token: {file: /run/token}}}"), Source{
		LookupEnv: func(n string) (string, bool) { v, ok := env[n]; return v, ok },
		ReadSecret: func(path string) (string, error) {
			if path == "/run/root" || path == "/run/token" {
				return "from " + path + "\n", nil
			}
			return "", errors.New("no such file")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]any{
		"listen":  {got.Server.Listen, "0.0.0.0:443"},
		"tries":   {got.MFA.Tries, 3},
		"code":    {got.Lifetimes.AuthCode, 30 * time.Second},
		"proxies": {len(got.Server.TrustedProxies), 2},
		"enabled": {got.WhatsApp.Enabled, false},
		"root":    {got.Secrets.Root.Reveal(), "from /run/root"},
		"token":   {got.SMS.Twilio.AuthToken.Reveal(), "from /run/token"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s = %v, want %v", name, c[0], c[1])
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(InitialConfig()))
	f.Add([]byte("secrets: {root: {file: x}}"))
	f.Fuzz(func(t *testing.T, document []byte) {
		c, err := Load(Defaults(), document, Source{})
		if err == nil {
			_ = c.Check() // must not panic, whatever was read
		}
	})
}
