package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/idp/password"
	"github.com/parola-id/parola/idp/session"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/sms"
	"github.com/parola-id/parola/mfa/whatsapp"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
	"github.com/parola-id/parola/templates"
)

const (
	annasPassword = "correct horse battery"
	annasPhone    = "+393331234567"
	redirectURI   = "https://app.example/callback"
	resumePath    = "/authorize/resume"
)

// site is a whole login without idp/oidc: SQLite, the second factor with both channels, and the handset that plays the
// carriers, all over HTTP.
type site struct {
	t       *testing.T
	store   storage.Store
	clock   *clock.Manual
	keys    *secret.Keys
	mfa     *mfa.Service
	login   *Login
	handset *handset.Handset
	hashes  *countingPasswords
	server  *httptest.Server
	source  string // the address that browsers come from
	pause   func() // stops the dispatcher
	defence defence

	mu         sync.Mutex
	statements []string
}

// options change a site before it opens.
type options struct {
	limits   func(*throttle.Limits)
	settings func(*mfa.Settings)
	store    func(storage.Store) Store
	database func(testing.TB) storagetest.Database
}

func newSite(t *testing.T, opts ...func(*options)) *site {
	t.Helper()
	t.Parallel()
	o := options{database: storagetest.SQLite}
	for _, opt := range opts {
		opt(&o)
	}
	s := &site{t: t, clock: clock.NewManual(time.Now()), source: "192.0.2.1"}
	s.store = o.database(t).Open(t, storagetest.Options{Observe: s.observe})
	keys, err := secret.New(bytes.Repeat([]byte("k"), secret.RootSize))
	must(t, err)
	s.keys = keys
	limits := throttle.Defaults()
	if o.limits != nil {
		o.limits(&limits)
	}
	limiter := throttle.New(limits, keys)
	writer := audit.NewWriter(audit.Config{Events: s.store, Clock: s.clock})
	s.startMFA(limiter, writer, o)
	s.hashes = &countingPasswords{Passwords: password.New(password.Config{Keys: keys, Clock: s.clock})}
	pages, err := templates.New(templates.Config{Brand: templates.Brand{Name: "Parola"}})
	must(t, err)

	mux := http.NewServeMux()
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := reqinfo.Info{CorrelationID: "request-correlation", Source: s.source, UserAgent: r.UserAgent()}
		mux.ServeHTTP(w, r.WithContext(reqinfo.With(r.Context(), info)))
	}))
	t.Cleanup(s.server.Close)
	var store Store = s.store
	if o.store != nil {
		store = o.store(s.store)
	}
	port := s.server.URL[strings.LastIndex(s.server.URL, ":")+1:]
	s.login, err = New(Config{
		Store: store, MFA: s.mfa, Passwords: s.hashes, Throttle: limiter, Keys: keys, Audit: writer, Clock: s.clock, Templates: pages,
		Sessions:   session.New(session.Config{Store: s.store, Keys: keys, Audit: writer, Clock: s.clock, Port: port}),
		ResumePath: resumePath, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	t.Cleanup(s.login.Close)
	for path, f := range s.login.Routes() {
		mux.HandleFunc(path, f)
	}
	mux.HandleFunc(resumePath, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<title>resumed</title>") })

	s.addClient(storage.Client{ID: "bank", Name: "Bank", FirstParty: true})
	s.addClient(storage.Client{ID: "shop", Name: "Shop"})
	s.addPerson("anna", annasPassword, annasPhone)
	return s
}

func (s *site) startMFA(limiter *throttle.Throttle, writer *audit.Writer, o options) {
	t := s.t
	const account, token, appSecret = "AC0123456789abcdef0123456789abcdef", "auth-token", "app-secret"
	phones, err := handset.New(handset.Config{AccessToken: "access", AppSecret: appSecret, AccountSID: account, AuthToken: token,
		DeliverAfter: time.Millisecond, PairRateOff: true})
	must(t, err)
	s.handset = phones
	carriers := httptest.NewServer(phones)
	hooks := http.NewServeMux()
	webhooks := httptest.NewServer(hooks)
	must(t, phones.SetWebhookURL(webhooks.URL+"/whatsapp"))

	chat, err := whatsapp.New(whatsapp.Config{BaseURL: carriers.URL, Version: "v25.0", PhoneNumberID: "106000000000001", AccessToken: "access",
		AppSecrets: []string{appSecret}, VerifyToken: "verify", Template: handset.DefaultTemplate.Name, Languages: []string{"en_US", "it"}})
	must(t, err)
	text, err := sms.NewTwilio(sms.TwilioConfig{
		Config: sms.Config{BaseURL: carriers.URL, CallbackURL: webhooks.URL + "/sms",
			Text: func(_, passcode string) (string, error) { return "Parola: " + passcode, nil }},
		AccountSID: account, AuthTokens: []string{token}, From: "+12025550123"})
	must(t, err)
	settings := mfa.Defaults()
	settings.Countries = []string{mfa.AllCountries}
	if o.settings != nil {
		o.settings(&settings)
	}
	s.mfa, err = mfa.New(mfa.Config{Store: s.store, Audit: writer, Keys: s.keys, Clock: s.clock, Throttle: limiter, Settings: settings,
		Carriers: []mfa.Carrier{{Name: "meta", Channel: storage.WhatsApp, Sender: chat}, {Name: "twilio", Channel: storage.SMS, Sender: text}},
		Prices:   onePrice{}, Guard: &s.defence})
	must(t, err)
	hooks.Handle("/whatsapp", chat.Handler(s.mfa.Receive, s.mfa.Hear))
	hooks.Handle("/sms", text.Handler(s.mfa.Receive))

	s.dispatch()
	t.Cleanup(func() {
		s.pause()
		phones.Close()
		webhooks.Close()
		carriers.Close()
	})
}

type onePrice struct{}

func (onePrice) Price(string, string, time.Time) storage.Money { return 1 }

// defence refuses every SMS while it is up.
type defence struct{ up atomic.Bool }

func (d *defence) Refuses(mfa.SMSQuestion) bool { return d.up.Load() }

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, run func(t *testing.T, s *site)) {
	for name, database := range map[string]func(testing.TB) storagetest.Database{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres} {
		t.Run(name, func(t *testing.T) { run(t, newSite(t, func(o *options) { o.database = database })) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) observe(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statements = append(s.statements, op)
}

// countingPasswords counts the hashes.
type countingPasswords struct {
	Passwords
	mu   sync.Mutex
	n    int
	fail error
}

func (c *countingPasswords) Check(ctx context.Context, f storage.PasswordFactor, typed string, known bool) (password.Result, error) {
	c.mu.Lock()
	c.n++
	fail := c.fail
	c.mu.Unlock()
	if fail != nil {
		return password.Result{}, fail
	}
	return c.Passwords.Check(ctx, f, typed, known)
}

func (c *countingPasswords) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (s *site) tx(fn func(ctx context.Context) error) {
	s.t.Helper()
	must(s.t, s.store.InTx(s.t.Context(), fn))
}

func (s *site) addClient(c storage.Client) {
	s.t.Helper()
	c.CreatedAt, c.UpdatedAt = s.clock.Now(), s.clock.Now()
	s.tx(func(ctx context.Context) error { return s.store.InsertClient(ctx, c) })
}

// addPerson makes somebody whose ID is the user name. An empty password or phone is none.
func (s *site) addPerson(name, secret, number string) {
	s.t.Helper()
	now := s.clock.Now()
	s.tx(func(ctx context.Context) error {
		if err := s.store.InsertPerson(ctx, storage.Person{ID: name, Username: name, CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		if secret != "" {
			if err := s.store.PutPassword(ctx, s.hashed(name, secret)); err != nil {
				return err
			}
		}
		if number == "" {
			return nil
		}
		phone, err := mfa.ParsePhone(number, "")
		if err != nil {
			return err
		}
		return s.store.PutPhone(ctx, mfa.SealPhone(s.keys, name, phone, now, now))
	})
}

// hashed remembers hashes over all tests, which have one root secret: each costs as much as the rest of a small test.
func (s *site) hashed(name, secret string) storage.PasswordFactor {
	s.t.Helper()
	if f, ok := hashes.Load(name + "|" + secret); ok {
		return f.(storage.PasswordFactor)
	}
	f, err := password.New(password.Config{Keys: s.keys, Clock: s.clock}).Hash(s.t.Context(), name, secret)
	must(s.t, err)
	hashes.Store(name+"|"+secret, f)
	return f
}

var hashes sync.Map

func (s *site) disable(name string) {
	s.t.Helper()
	s.tx(func(ctx context.Context) error {
		p, err := s.store.Person(ctx, name)
		if err != nil {
			return err
		}
		p.DisabledAt = s.clock.Now()
		return s.store.UpdatePerson(ctx, p)
	})
}

// browser is a person's browser: it keeps cookies, follows redirects and fills in forms, without a script.
type browser struct {
	*site
	http *http.Client
	page *screen
}

// screen is what a browser shows.
type screen struct {
	status int
	path   string
	query  url.Values
	header http.Header
	body   string
	hops   []*http.Response // the redirects on the way
}

func (s *site) newBrowser() *browser {
	jar, err := cookiejar.New(nil)
	must(s.t, err)
	return &browser{site: s, http: &http.Client{Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// request saves an AuthRequest of this browser as idp/oidc would.
func (b *browser) request(clientID string, changes ...func(*storage.AuthRequest)) string {
	b.t.Helper()
	now := b.clock.Now()
	a := storage.AuthRequest{ID: storage.NewID(), ClientID: clientID, CorrelationID: "login-correlation", CreatedAt: now, ExpiresAt: now.Add(15 * time.Minute),
		Request: storage.AuthRequestParams{RedirectURI: redirectURI, Scopes: []string{"openid", "profile"}}}
	for _, change := range changes {
		change(&a)
	}
	var cookie *http.Cookie
	cookie, a.BrowserHash = b.login.Sessions.NewRequestCookie(a.ID, a.ExpiresAt)
	b.tx(func(ctx context.Context) error { return b.store.InsertAuthRequest(ctx, a) })
	b.http.Jar.SetCookies(b.url("/"), []*http.Cookie{cookie})
	return a.ID
}

func (s *site) url(path string) *url.URL {
	u, err := url.Parse(s.server.URL + path)
	must(s.t, err)
	return u
}

func (s *site) saved(id string) storage.AuthRequest {
	s.t.Helper()
	a, err := s.store.AuthRequest(s.t.Context(), id)
	must(s.t, err)
	return a
}

// open begins the login of a new request: GET /login?r=ID.
func (b *browser) open(id string) *screen { return b.get("/login?r=" + id) }

func (b *browser) get(path string) *screen {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url(path).String(), nil)
	must(b.t, err)
	return b.do(req)
}

func (b *browser) post(path string, form url.Values) *screen {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url(path).String(), strings.NewReader(form.Encode()))
	must(b.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(req)
}

func (b *browser) do(req *http.Request) *screen {
	b.t.Helper()
	var hops []*http.Response
	for range 10 {
		resp, err := b.http.Do(req)
		must(b.t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		must(b.t, err)
		if resp.StatusCode/100 != 3 {
			b.page = &screen{status: resp.StatusCode, path: req.URL.Path, query: req.URL.Query(), header: resp.Header, body: string(body), hops: hops}
			return b.page
		}
		if resp.StatusCode != http.StatusSeeOther {
			b.t.Fatalf("%s %s redirects by %d, want 303 (OA-11)", req.Method, req.URL.Path, resp.StatusCode)
		}
		hops = append(hops, resp)
		to, err := req.URL.Parse(resp.Header.Get("Location"))
		must(b.t, err)
		req, err = http.NewRequestWithContext(b.t.Context(), http.MethodGet, to.String(), nil)
		must(b.t, err)
	}
	b.t.Fatal("redirected in circles")
	return nil
}

// fields are the fields of the form on the page that posts to the path.
func (p *screen) fields(t *testing.T, path string) (action string, fields url.Values) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(p.body))
	must(t, err)
	var form *html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && strings.HasPrefix(attr(n, "action"), path+"?") {
			form = n
			break
		}
	}
	if form == nil {
		t.Fatalf("%s (%d) has no form to %s:\n%s", p.path, p.status, path, p.body)
	}
	fields = url.Values{}
	for n := range form.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" {
			fields.Set(attr(n, "name"), attr(n, "value"))
		}
	}
	return attr(form, "action"), fields
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// submit fills in the form that posts to the path and sends it.
func (b *browser) submit(path string, values ...string) *screen {
	b.t.Helper()
	action, fields := b.page.fields(b.t, path)
	for i := 0; i < len(values); i += 2 {
		fields.Set(values[i], values[i+1])
	}
	return b.post(action, fields)
}

func (b *browser) typePassword(name, secret string) *screen {
	b.t.Helper()
	return b.submit(pathPassword, templates.FieldUsername, name, templates.FieldPassword, secret)
}

func (b *browser) typePasscode(passcode string) *screen {
	b.t.Helper()
	return b.submit(pathPasscode, templates.FieldPasscode, passcode)
}

// arrived waits for the next message on a phone, of which seen have come before.
func (s *site) arrived(number string, seen int) handset.InboxMessage {
	s.t.Helper()
	var inbox []handset.InboxMessage
	s.eventually("a message on "+number, func() bool {
		inbox = s.handset.Inbox(number)
		return len(inbox) > seen
	})
	return inbox[0]
}

func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// signIn is a whole login of anna with a new request of the client.
func (b *browser) signIn(clientID string, changes ...func(*storage.AuthRequest)) string {
	b.t.Helper()
	seen := len(b.handset.Inbox(annasPhone))
	id := b.request(clientID, changes...)
	b.open(id)
	b.typePassword("anna", annasPassword)
	b.typePasscode(b.arrived(annasPhone, seen).Passcode)
	b.wantPage(http.StatusOK, resumePath)
	return id
}

func (b *browser) wantPage(status int, path string) {
	b.t.Helper()
	if b.page.status != status || b.page.path != path {
		b.t.Fatalf("at %s with %d, want %s with %d:\n%s", b.page.path, b.page.status, path, status, b.page.body)
	}
}

func (b *browser) wantText(text string) {
	b.t.Helper()
	if !strings.Contains(b.page.body, text) {
		b.t.Fatalf("%s (%d) does not say %q:\n%s", b.page.path, b.page.status, text, b.page.body)
	}
}

// current is the session of the browser; the zero one when it has none.
func (b *browser) current() storage.Session {
	b.t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	for _, c := range b.http.Jar.Cookies(b.url("/")) {
		r.AddCookie(c)
	}
	s, err := b.login.Sessions.Current(r)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		b.t.Fatal(err)
	}
	return s
}

func (s *site) events(kind string) []storage.Event {
	s.t.Helper()
	events, err := s.store.ListEvents(s.t.Context(), storage.EventFilter{Kind: kind})
	must(s.t, err)
	return events
}

// written is everything the audit log holds, as text.
func (s *site) written() string {
	s.t.Helper()
	events, err := s.store.ListEvents(s.t.Context(), storage.EventFilter{Limit: 10000})
	must(s.t, err)
	b, err := json.Marshal(events)
	must(s.t, err)
	return string(b)
}

func wrongPasscode(right string) string {
	if right[0] == '0' {
		return "1" + right[1:]
	}
	return "0" + right[1:]
}

// dispatch lets messages go out until pause.
func (s *site) dispatch() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.mfa.Run(ctx) }()
	s.pause = func() { cancel(); <-done }
}

// cost is what the pages that f visits ask of the database, while no message is on its way.
func (s *site) cost(f func()) (statements []string) {
	s.pause()
	defer s.dispatch()
	s.mu.Lock()
	s.statements = nil
	s.mu.Unlock()
	f()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statements
}
