package app

import (
	"time"

	"github.com/parola-id/parola/internal/fraud"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/mfa"
)

// Config is everything an operator can set. config.yaml in this directory is the same with comments and defaults;
// `parola config init` writes it. Unknown keys are refused.
//
// Any value can be overridden by an environment variable: PAROLA_ and the path in capitals, so PAROLA_SERVER_LISTEN for
// server.listen. A Secret is given as a string, as {file: PATH}, or by PAROLA_…_FILE.
type Config struct {
	// Issuer is the public https address, without a trailing slash; http on loopback only. It is never derived from a
	// request.
	Issuer string `yaml:"issuer"`
	// ServiceName is what people read in messages and on pages.
	ServiceName string `yaml:"service_name"`

	Server    Server          `yaml:"server"`
	Database  Database        `yaml:"database"`
	Secrets   Secrets         `yaml:"secrets"`
	Keys      Keys            `yaml:"keys"`
	WhatsApp  WhatsApp        `yaml:"whatsapp"`
	SMS       SMS             `yaml:"sms"`
	MFA       mfa.Settings    `yaml:"mfa"`
	Limits    throttle.Limits `yaml:"limits"`
	Lifetimes Lifetimes       `yaml:"lifetimes"`
	Password  Password        `yaml:"password"`
	Brand     Brand           `yaml:"brand"`
	Outbound  Outbound        `yaml:"outbound"`
	Fraud     fraud.Settings  `yaml:"fraud"`
	Retention Retention       `yaml:"retention"`
	Tracing   Tracing         `yaml:"tracing"`
	Log       Log             `yaml:"log"`
}

// Server says where to listen.
type Server struct {
	// Listen is the public address.
	Listen string `yaml:"listen"`
	// TLSCertFile and TLSKeyFile make the public listener speak TLS. Without them a proxy in front must, and
	// TrustedProxies must name it, unless the issuer is http on loopback.
	TLSCertFile string `yaml:"tls_cert_file"`
	TLSKeyFile  string `yaml:"tls_key_file"`
	// TrustedProxies are networks (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are believed.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// InternalListen is for liveness, readiness and metrics; keep it off the public network. Empty switches it off.
	InternalListen string `yaml:"internal_listen"`
	// PProf puts the profiles of the Go runtime on the internal listener, at /debug/pprof/. They show what the process is
	// doing, and pieces of its memory that may be secrets.
	PProf bool `yaml:"pprof"`
	// MaxConnections bounds the open connections of the public listener. Beyond it an idle one makes room, or newcomers wait.
	MaxConnections int `yaml:"max_connections"`
	// MaxConnectionsPerSource bounds those of one IPv4 address or IPv6 /64: beyond it an idle one of its own makes room, or
	// the newcomer is closed at once. TrustedProxies are exempt; 0 is no bound.
	MaxConnectionsPerSource int `yaml:"max_connections_per_source"`
	// StopDelay is how long the server goes on as before when it is told to stop, but for being not ready: time for balancers
	// to notice.
	StopDelay time.Duration `yaml:"stop_delay"`
	// StopWithin is how long running requests and sends may take to finish after that.
	StopWithin time.Duration `yaml:"stop_within"`
}

// Database says where everything is kept.
type Database struct {
	// Driver is sqlite or postgres.
	Driver string `yaml:"driver"`
	// Path is the SQLite file.
	Path string `yaml:"path"`
	// Synchronous is SQLite's: FULL keeps a used code used after a power cut; NORMAL is faster and does not.
	Synchronous string `yaml:"synchronous"`
	// DSN is the PostgreSQL connection string or URL.
	DSN Secret `yaml:"dsn"`
	// MaxConnections bounds the PostgreSQL pool of this node.
	MaxConnections int `yaml:"max_connections"`
	// Migrate brings the schema up to date at start. Without it `parola migrate` must have been run.
	Migrate bool `yaml:"migrate"`
	// Epoch goes up by one after an older copy of the database was restored: everything that the copy holds of logins then
	// ends at the next start. A database whose epoch is higher is refused.
	Epoch int64 `yaml:"epoch"`
}

// WhatsApp is the account with Meta's Cloud API.
type WhatsApp struct {
	Enabled bool `yaml:"enabled"`
	// BaseURL and Version make the address of the Graph API; the version is an operator's choice because Meta ends them.
	BaseURL       string `yaml:"base_url"`
	Version       string `yaml:"version"`
	PhoneNumberID string `yaml:"phone_number_id"`
	// AccountID is the WhatsApp Business Account (WABA) that owns the number and the templates; only `parola whatsapp` and
	// `parola doctor` need it.
	AccountID   string `yaml:"account_id"`
	AccessToken Secret `yaml:"access_token"`
	// AppSecret signs webhooks; AppSecretPrevious is valid beside it during a rotation.
	AppSecret         Secret `yaml:"app_secret"`
	AppSecretPrevious Secret `yaml:"app_secret_previous"`
	// VerifyToken is the word Meta repeats when the webhook is set up.
	VerifyToken Secret `yaml:"verify_token"`
	// Template is the name of the approved authentication template.
	Template string `yaml:"template"`
	// Languages are those the template is approved in, in Meta's spelling; empty means those of our pages.
	Languages []string `yaml:"languages"`
}

// Lifetimes are how long things live.
type Lifetimes struct {
	AuthRequest     time.Duration `yaml:"auth_request"`
	AuthCode        time.Duration `yaml:"auth_code"`
	AccessToken     time.Duration `yaml:"access_token"`
	IDToken         time.Duration `yaml:"id_token"`
	RefreshIdle     time.Duration `yaml:"refresh_idle"`
	RefreshAbsolute time.Duration `yaml:"refresh_absolute"`
	SessionIdle     time.Duration `yaml:"session_idle"`
	SessionOverall  time.Duration `yaml:"session_overall"`
	Consent         time.Duration `yaml:"consent"`
}

// Password is about passwords.
type Password struct {
	// MinLength in characters; at least 8.
	MinLength int `yaml:"min_length"`
	// MemoryMiB bounds what hashing may hold at once; Queue how many may wait for it.
	MemoryMiB int `yaml:"memory_mib"`
	Queue     int `yaml:"queue"`
}

// Brand is the look of the pages.
type Brand struct {
	// Logo is a data: URL of a PNG, JPEG or WebP picture.
	Logo string `yaml:"logo"`
	// Colour is #rrggbb; it is adjusted where text on it would be hard to read.
	Colour string `yaml:"colour"`
}

// Outbound is about fetching addresses that clients registered.
type Outbound struct {
	// AllowLoopback lets jwks_uri point at this machine. For development; refused with an https issuer.
	AllowLoopback bool `yaml:"allow_loopback"`
}

// Retention is how long ended things are kept.
type Retention struct {
	Challenges   time.Duration `yaml:"challenges"`
	AuthRequests time.Duration `yaml:"auth_requests"`
	Sessions     time.Duration `yaml:"sessions"`
	Tokens       time.Duration `yaml:"tokens"`
	// Conversions are kept for the defence against SMS pumping, DeliveryDays for `parola delivery report`.
	Conversions  time.Duration `yaml:"conversions"`
	DeliveryDays time.Duration `yaml:"delivery_days"`
	// Events is how long the audit log keeps them; 0 for ever. It is shortened behind a signed checkpoint, once a day.
	Events time.Duration `yaml:"events"`
	// Every is the pause between sweeps; PerRun the most records that one transaction of a sweep removes.
	Every  time.Duration `yaml:"every"`
	PerRun int           `yaml:"per_run"`
}

// Tracing is about OpenTelemetry traces.
type Tracing struct {
	// Endpoint is the collector's address for OTLP over HTTP, without /v1/traces. Empty sends nothing.
	Endpoint string `yaml:"endpoint"`
	// Headers go with every request to it: name=value, separated by commas.
	Headers Secret `yaml:"headers"`
	// SampleRatio is the part of all traces that is recorded, 0 to 1. A trace is recorded whole or not at all.
	SampleRatio float64 `yaml:"sample_ratio"`
	// AcceptTraceparent continues the traces of requests by the trusted proxies. Only for proxies that set the header
	// traceparent or remove it: most pass on what a stranger sent.
	AcceptTraceparent bool `yaml:"accept_traceparent"`
}

// Log is about the diagnostic log, which is not the audit log.
type Log struct {
	// Level is debug, info, warn or error; Format json or text.
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
	// Requests is the level at which every answer on the public listener has a line: debug, info, or off.
	Requests string `yaml:"requests"`
}

// Defaults is the configuration of a new installation, without what only an operator can know.
func Defaults() Config {
	const day = 24 * time.Hour
	return Config{
		ServiceName: "Parola",
		Server: Server{Listen: "127.0.0.1:8080", InternalListen: "127.0.0.1:9090", MaxConnections: 4096, MaxConnectionsPerSource: 256,
			StopWithin: 20 * time.Second},
		Database: Database{Driver: "sqlite", Path: "parola.db", Synchronous: "FULL", MaxConnections: 20, Migrate: true},
		Keys:     Keys{RotateEvery: 90 * day, PublishAhead: 10 * time.Minute},
		WhatsApp: WhatsApp{Enabled: true, BaseURL: "https://graph.facebook.com", Version: "v25.0",
			Template: "parola_login_code"},
		SMS:    smsDefaults(),
		MFA:    mfa.Defaults(),
		Limits: throttle.Defaults(),
		Lifetimes: Lifetimes{
			AuthRequest: 15 * time.Minute, AuthCode: time.Minute, AccessToken: 10 * time.Minute, IDToken: 5 * time.Minute,
			RefreshIdle: 14 * day, RefreshAbsolute: 90 * day, SessionIdle: time.Hour, SessionOverall: day, Consent: 365 * day,
		},
		Fraud:    fraud.Defaults(),
		Password: Password{MinLength: 10, MemoryMiB: 256, Queue: 64},
		Retention: Retention{Challenges: day, AuthRequests: day, Sessions: 30 * day, Tokens: 7 * day,
			Conversions: 30 * day, DeliveryDays: 400 * day, Events: 400 * day, Every: time.Minute, PerRun: 250},
		Tracing: Tracing{SampleRatio: 1},
		Log:     Log{Level: "info", Format: "json", Requests: "debug"},
	}
}
