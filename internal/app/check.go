package app

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/fraud"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// Check says everything that is wrong with a configuration, each with what to do; nil means that a server can start
// with it (KEY-07).
func (c Config) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	issuer, err := url.Parse(c.Issuer)
	switch {
	case c.Issuer == "":
		bad("issuer is empty: set it to the public https address of this server, like https://login.example.com")
	case err != nil || issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "" || issuer.User != nil || strings.HasSuffix(c.Issuer, "/"):
		bad("issuer %q must be an absolute URL without user, query, fragment and trailing slash", c.Issuer)
	case issuer.Hostname() == exampleHost:
		bad("issuer is still the example %s: set it to the public https address of this server", c.Issuer)
	case issuer.Scheme == "http" && !loopback(issuer.Hostname()):
		bad("issuer %q uses http: that is allowed on loopback only; set an https address", c.Issuer)
	case issuer.Scheme != "http" && issuer.Scheme != "https":
		bad("issuer %q must begin with https://", c.Issuer)
	default:
		c.checkTLS(issuer, bad)
	}
	if c.ServiceName == "" || len([]rune(c.ServiceName)) > 40 {
		bad("service_name must have 1 to 40 characters: people read it in messages")
	}
	c.checkServer(bad)
	c.checkDatabase(bad)
	c.checkSecrets(bad)
	c.checkKeys(bad)
	c.checkCarriers(bad)
	if err := c.MFA.Check(); err != nil {
		errs = append(errs, err)
	}
	if err := c.Fraud.Check(); err != nil {
		errs = append(errs, err)
	}
	c.checkLimits(bad)
	c.checkLifetimes(bad)
	if c.Outbound.AllowLoopback && issuer != nil && issuer.Scheme == "https" {
		bad("outbound.allow_loopback is for development and refused with an https issuer: remove it")
	}
	c.checkObservation(bad)
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// leastTemplateTTL is the shortest message_send_ttl_seconds that Meta takes for an authentication template.
const leastTemplateTTL = 30 * time.Second

// exampleHost is what the template of the configuration file has.
const exampleHost = "login.example.com"

// Warnings are what a server can start with and an operator should know.
func (c Config) Warnings() []string {
	var w []string
	if len(c.SMS.Carriers) == 0 {
		w = append(w, "sms.carriers is empty: whoever WhatsApp does not reach cannot sign in; name one (docs/sms-carriers.md)")
	}
	if !c.WhatsApp.Enabled {
		w = append(w, "whatsapp.enabled is false: every passcode goes by SMS, which is dearer; set it to true when you have an account with Meta")
	}
	if slices.Contains(c.MFA.Countries, mfa.AllCountries) {
		w = append(w, "mfa.countries is [all]: whoever pumps SMS chooses the most expensive; list the countries you serve")
	}
	if c.WhatsApp.Enabled && c.WhatsApp.AccountID == "" {
		w = append(w, "whatsapp.account_id is empty; set it: without it Meta's news of the account cannot be told from another's and hold nothing, and `parola whatsapp` and `parola doctor` cannot look")
	}
	if c.WhatsApp.Enabled && c.MFA.TemplateTTL < leastTemplateTTL {
		w = append(w, fmt.Sprintf("mfa.template_ttl is %s: Meta's templates live %s at least, so that a late copy can follow the SMS; set it to what the template has",
			c.MFA.TemplateTTL, leastTemplateTTL))
	}
	if c.Fraud.Mode == fraud.ModeObserve {
		w = append(w, "fraud.mode is observe: SMS pumping is told of and paid for; set it to enforce when you trust the verdicts")
	}
	return w
}

func (c Config) checkTLS(issuer *url.URL, bad func(string, ...any)) {
	for _, p := range c.Server.TrustedProxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			bad("server.trusted_proxies: %q is not a network like 10.0.0.0/8", p)
		}
	}
	if (c.Server.TLSCertFile == "") != (c.Server.TLSKeyFile == "") {
		bad("server.tls_cert_file and server.tls_key_file go together: set both or none")
	}
	if issuer.Scheme == "https" && c.Server.TLSCertFile == "" && len(c.Server.TrustedProxies) == 0 {
		bad("issuer is https, but this server has neither server.tls_cert_file nor a proxy in server.trusted_proxies that speaks TLS for it: set one")
	}
	if issuer.Scheme == "http" && c.Server.TLSCertFile != "" {
		bad("server.tls_cert_file is set but the issuer is http: make the issuer https")
	}
	for name, addr := range map[string]string{"server.listen": c.Server.Listen, "server.internal_listen": c.Server.InternalListen} {
		if addr == "" && name == "server.internal_listen" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			bad("%s is %q: write HOST:PORT", name, addr)
		}
	}
}

func (c Config) checkDatabase(bad func(string, ...any)) {
	if c.Database.Epoch < 0 {
		bad("database.epoch is %d: it begins at 0 and goes up by one after each restored backup", c.Database.Epoch)
	}
	switch c.Database.Driver {
	case "sqlite":
		if c.Database.Path == "" {
			bad("database.path is empty: name the SQLite file")
		}
		if c.Database.Synchronous != "FULL" && c.Database.Synchronous != "NORMAL" {
			bad("database.synchronous is %q: set FULL, or NORMAL to risk the last second at a power cut", c.Database.Synchronous)
		}
	case "postgres":
		if !c.Database.DSN.Set() {
			bad("database.dsn is empty: give a PostgreSQL connection URL, best as {file: PATH}")
		}
		if c.Database.MaxConnections < 4 {
			bad("database.max_connections is %d: at least 4 are needed", c.Database.MaxConnections)
		}
	default:
		bad("database.driver is %q: set sqlite or postgres", c.Database.Driver)
	}
}

func (c Config) checkCarriers(bad func(string, ...any)) {
	if !c.WhatsApp.Enabled && len(c.SMS.Carriers) == 0 {
		bad("neither whatsapp.enabled nor sms.carriers is set: no passcode could ever be sent")
	}
	if w := c.WhatsApp; w.Enabled {
		for name, empty := range map[string]bool{
			"phone_number_id": w.PhoneNumberID == "", "access_token": !w.AccessToken.Set(), "app_secret": !w.AppSecret.Set(),
			"verify_token": !w.VerifyToken.Set(), "template": w.Template == "", "version": w.Version == "",
		} {
			if empty {
				bad("whatsapp.%s is empty: it is on the app's page at Meta; or set whatsapp.enabled to false", name)
			}
		}
		c.checkBase("whatsapp.base_url", w.BaseURL, bad)
		if w.AppSecret.Set() && len(w.AppSecret.Reveal()) < 16 {
			bad("whatsapp.app_secret has %d characters: that is not an app secret", len(w.AppSecret.Reveal()))
		}
	}
	c.checkSMS(bad)
}

// checkBase keeps credentials from being sent in clear (SSR-04).
func (c Config) checkBase(name, base string, bad func(string, ...any)) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname()))) {
		bad("%s is %q: set an https address (http is allowed on loopback only)", name, base)
	}
}

func (c Config) checkLimits(bad func(string, ...any)) {
	l := c.Limits
	for name, n := range map[string]int{
		"sends_per_number_hour": l.SendsPerNumberHour, "sends_per_number_day": l.SendsPerNumberDay,
		"sends_per_source_hour": l.SendsPerSourceHour, "sends_per_client_hour": l.SendsPerClientHour,
		"sends_per_hour": l.SendsPerHour, "sends_per_prefix_hour": l.SendsPerPrefixHour, "wrong_passcodes_per_hour": l.WrongPasscodesPerHour,
		"wrong_passcodes_per_day": l.WrongPasscodesPerDay, "password_free": l.PasswordFree,
		"passwords_per_source_hour": l.PasswordsPerSourceHour, "requests_per_source_minute": l.RequestsPerSourceMinute,
	} {
		if n < 1 || n > 1_000_000 {
			bad("limits.%s is %d: set it between 1 and 1000000", name, n)
		}
	}
	for name, m := range map[string]storage.Money{
		"spend_per_prefix_day": l.SpendPerPrefixDay, "spend_per_country_day": l.SpendPerCountryDay,
		"spend_per_source_day": l.SpendPerSourceDay, "spend_per_day": l.SpendPerDay,
	} {
		if m < storage.MoneyUnit || m > 100_000_000*storage.MoneyUnit {
			bad("limits.%s is %s: set it between 1 and 100000000, in %s", name, m, c.MFA.Currency)
		}
	}
	if l.FactorFailures < 1 || l.FactorFailures > 100 {
		bad("limits.factor_failures is %d: set it between 1 and 100", l.FactorFailures)
	}
	if l.PasswordFailures < 1 || l.PasswordFailures > 100 {
		bad("limits.password_failures is %d: set it between 1 and 100", l.PasswordFailures)
	}
	if l.PasswordDelay < time.Second || l.PasswordDelayMax < l.PasswordDelay || l.PasswordDelayMax > 24*time.Hour {
		bad("limits.password_delay and password_delay_max are %s and %s: set them between 1s and 24h, in this order", l.PasswordDelay, l.PasswordDelayMax)
	}
	if c.Password.MinLength < 8 || c.Password.MinLength > 64 {
		bad("password.min_length is %d: set it between 8 and 64", c.Password.MinLength)
	}
	if c.Password.MemoryMiB < 19 || c.Password.Queue < 1 {
		bad("password.memory_mib must be at least 19 and password.queue at least 1")
	}
}

func (c Config) checkLifetimes(bad func(string, ...any)) {
	l := c.Lifetimes
	for _, f := range []struct {
		name      string
		d         time.Duration
		low, high time.Duration
	}{
		{"auth_request", l.AuthRequest, c.MFA.PasscodeLife, 30 * time.Minute},
		{"auth_code", l.AuthCode, time.Second, 10 * time.Minute},
		{"access_token", l.AccessToken, time.Minute, time.Hour},
		{"id_token", l.IDToken, time.Minute, time.Hour},
		{"refresh_absolute", l.RefreshAbsolute, time.Hour, 366 * 24 * time.Hour},
		{"refresh_idle", l.RefreshIdle, time.Minute, l.RefreshAbsolute},
		{"session_overall", l.SessionOverall, time.Minute, 30 * 24 * time.Hour},
		{"session_idle", l.SessionIdle, time.Minute, l.SessionOverall},
		{"consent", l.Consent, time.Minute, 10 * 366 * 24 * time.Hour},
	} {
		if f.d < f.low || f.d > f.high {
			bad("lifetimes.%s is %s: set it between %s and %s", f.name, f.d, f.low, f.high)
		}
	}
	r := c.Retention
	if r.Events != 0 && r.Events < audit.LeastKept {
		bad("retention.events is %s: set it to 2160h (90 days) at least, or to 0 to keep the audit log for ever", r.Events)
	}
	if r.Every < time.Second || r.PerRun < 1 || r.Challenges < time.Hour || r.AuthRequests < time.Hour || r.Sessions < 0 || r.Tokens < 0 ||
		r.Conversions < 8*24*time.Hour || r.DeliveryDays < 24*time.Hour {
		bad("retention: every must be at least 1s, per_run at least 1, challenges and auth_requests at least 1h, conversions at least 192h, delivery_days at least 24h, the others not negative")
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
