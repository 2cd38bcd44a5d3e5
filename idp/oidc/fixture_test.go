package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/idp/session"
	"github.com/parola-id/parola/idp/signing"
	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

const (
	callback     = "https://rp.example/cb?tenant=1"
	testVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	testNonce    = "n-0S6_WzA2Mj"
	correlation  = "corr-0123456789ab"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// flow is a provider on a database, with a server in front, and one browser.
type flow struct {
	t        *testing.T
	store    storage.Store
	clock    *clock.Manual
	keys     *secret.Keys
	sessions *session.Manager
	signer   *signing.Signer
	provider *Provider
	server   *httptest.Server
	browser  *http.Client
	log      *strings.Builder
	person   storage.Person
	source   string // the browser's address
}

func newFlow(t *testing.T) *flow { return newFlowOn(t, storagetest.New(t), nil) }

// newFlowOn builds a flow on store; wrap may stand between the store and the provider with its audit log.
func newFlowOn(t *testing.T, store storage.Store, wrap func(storage.Store) storage.Store) *flow {
	t.Helper()
	keys, err := secret.New([]byte(strings.Repeat("r", secret.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	f := &flow{t: t, store: store, keys: keys, log: new(strings.Builder), source: "192.0.2.7",
		clock: clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	seen := store
	if wrap != nil {
		seen = wrap(store)
	}
	events := audit.NewWriter(audit.Config{Events: seen, Clock: f.clock, Node: "test", Release: "test"})
	f.server = httptest.NewUnstartedServer(nil)
	issuer := "http://" + f.server.Listener.Addr().String()
	f.sessions = session.New(session.Config{Store: store, Keys: keys, Audit: events, Clock: f.clock, Log: log})
	f.signer, err = signing.New(signing.Config{Keys: store, Secrets: keys, Audit: events, Clock: f.clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	f.provider, err = New(Config{
		Issuer: issuer, Store: seen, Sessions: f.sessions, Keys: keys, Signer: f.signer, Pages: textPages{}, Audit: events,
		Clock: f.clock, Throttle: throttle.New(throttle.Defaults(), keys), SlowHash: noSlowHash{}, LoginPath: "/login", Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", f.provider.Authorize)
	mux.HandleFunc("GET /authorize/resume", f.provider.Resume)
	mux.HandleFunc("/token", f.provider.Token)
	f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := reqinfo.Info{CorrelationID: correlation, Source: f.source, UserAgent: "test"}
		mux.ServeHTTP(w, r.WithContext(reqinfo.With(r.Context(), info)))
	})
	f.server.Start()
	t.Cleanup(f.server.Close)
	f.newBrowser()
	f.person = storage.Person{ID: storage.NewID(), Username: "ada-" + storage.NewID(), CreatedAt: f.clock.Now()}
	f.tx(func(ctx context.Context) error { return store.InsertPerson(ctx, f.person) })
	return f
}

// noSlowHash fails a test that reaches the slow hash: no client here has an imported secret.
type noSlowHash struct{}

func (noSlowHash) VerifySecret(context.Context, string, string) (bool, error) { panic("slow hash") }

// textPages writes what a page would say in a form that tests read.
type textPages struct{}

func (textPages) Error(w http.ResponseWriter, _ *http.Request, status int, kind PageError, _ time.Duration) {
	w.WriteHeader(status)
	io.WriteString(w, "page "+string(kind))
}

func (textPages) FormPost(w http.ResponseWriter, _ *http.Request, a Answer) {
	if a.Repeated {
		io.WriteString(w, "repeated ")
	}
	io.WriteString(w, "form_post "+a.RedirectURI+"\n"+a.Params.Encode())
}

func (textPages) ReturnToClient(w http.ResponseWriter, _ *http.Request, a Answer, location string) {
	io.WriteString(w, "interstitial "+location)
}

func (textPages) ConfirmLogout(w http.ResponseWriter, _ *http.Request, c storage.Client, token string, _ url.Values) {
	io.WriteString(w, "confirm "+c.ID+"\n"+token)
}

func (textPages) SignedOut(w http.ResponseWriter, _ *http.Request, c storage.Client, continueURL string) {
	io.WriteString(w, "signed_out "+c.ID+" "+continueURL)
}

func (f *flow) tx(fn func(ctx context.Context) error) {
	f.t.Helper()
	if err := f.store.InTx(context.Background(), fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flow) newBrowser() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// addClient stores a public first-party client, changed by the given function.
func (f *flow) addClient(change func(*storage.Client)) storage.Client {
	f.t.Helper()
	c := storage.Client{
		ID: "client-" + storage.NewID(), Name: "Shop", RedirectURIs: []string{callback}, FirstParty: true,
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseModes: []string{"query", "form_post"},
		Scopes: []string{"openid", "profile", "offline_access", "read"}, AuthMethod: "none", IDTokenAlg: "ES256",
		CreatedAt: f.clock.Now(), UpdatedAt: f.clock.Now(),
	}
	if change != nil {
		change(&c)
	}
	f.tx(func(ctx context.Context) error { return f.store.InsertClient(ctx, c) })
	return c
}

// confidential gives a client a secret that secretOf tells.
func (f *flow) confidential(c *storage.Client) string {
	clear, hash := NewClientSecret(f.keys)
	c.AuthMethod, c.Secrets = "client_secret_post", []storage.ClientSecret{{Hash: hash, CreatedAt: f.clock.Now()}}
	return clear
}

// authorizeForm is a good request of c, changed by pairs of name and value; an empty value removes.
func authorizeForm(c storage.Client, pairs ...string) url.Values {
	form := url.Values{
		"client_id": {c.ID}, "redirect_uri": {c.RedirectURIs[0]}, "response_type": {"code"}, "state": {"s"},
		"scope": {"openid offline_access"}, "nonce": {testNonce},
		"code_challenge": {challengeOf(testVerifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			form.Del(pairs[i])
		}
	}
	return form
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body string
}

func (f *flow) do(r *http.Request) reply {
	f.t.Helper()
	response, err := f.browser.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return reply{response, string(body)}
}

func (f *flow) get(path string) reply {
	f.t.Helper()
	r, err := http.NewRequest(http.MethodGet, f.server.URL+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.do(r)
}

func (f *flow) post(path string, form url.Values) reply {
	f.t.Helper()
	r, err := http.NewRequest(http.MethodPost, f.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.do(r)
}

func (f *flow) authorize(form url.Values) reply { return f.get("/authorize?" + form.Encode()) }

// begun checks that the answer sends the browser to the login pages and returns the id of the saved request.
func (f *flow) begun(got reply) string {
	f.t.Helper()
	location, err := url.Parse(got.Header.Get("Location"))
	if err != nil || got.StatusCode != http.StatusSeeOther || location.Path != "/login" {
		f.t.Fatalf("got %s to %q, want 303 to the login pages; body %q", got.Status, got.Header.Get("Location"), got.body)
	}
	return location.Query().Get("r")
}

func (f *flow) request(id string) storage.AuthRequest {
	f.t.Helper()
	a, err := f.store.AuthRequest(context.Background(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// signIn does what the login pages do: a session for the browser, and the facts of it on the request.
func (f *flow) signIn(id string, change func(*storage.AuthRequest, *storage.Session)) storage.Session {
	f.t.Helper()
	a, facts := f.request(id), acr.Passcode(false)
	s := storage.Session{PersonID: f.person.ID, AuthTime: f.clock.Now(), ACR: facts.ACR, AMR: facts.AMR, Channel: facts.Channel}
	a.Progress.PersonID, a.Progress.ReadyAt = f.person.ID, f.clock.Now()
	if change != nil {
		change(&a, &s)
	}
	f.tx(func(ctx context.Context) error {
		begun, cookie, err := f.sessions.Begin(ctx, s, session.Login{AuthRequestID: id})
		if err != nil {
			return err
		}
		s = begun
		if a.Progress.SessionID == "" {
			a.Progress.SessionID = s.ID
		}
		base, err := url.Parse(f.server.URL)
		f.browser.Jar.SetCookies(base, []*http.Cookie{cookie})
		if err != nil {
			return err
		}
		return f.store.UpdateAuthRequest(ctx, a)
	})
	return s
}

func (f *flow) resume(id string) reply { return f.get("/authorize/resume?r=" + id) }

// login walks from the request to the answer of the client.
func (f *flow) login(form url.Values) url.Values {
	f.t.Helper()
	id := f.begun(f.authorize(form))
	f.signIn(id, nil)
	return f.answered(f.resume(id))
}

// answered are the parameters of a redirect to the client.
func (f *flow) answered(got reply) url.Values {
	f.t.Helper()
	location, err := url.Parse(got.Header.Get("Location"))
	if err != nil || got.StatusCode != http.StatusSeeOther || location.Scheme == "" {
		f.t.Fatalf("got %s to %q, want 303 to the client; body %q", got.Status, got.Header.Get("Location"), got.body)
	}
	return location.Query()
}

// tokenReply is the JSON of the token endpoint.
type tokenReply struct {
	status int
	header http.Header
	tokenResponse
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func (f *flow) token(form url.Values) tokenReply {
	f.t.Helper()
	got := f.post("/token", form)
	reply := tokenReply{status: got.StatusCode, header: got.Header}
	if err := json.Unmarshal([]byte(got.body), &reply); err != nil {
		f.t.Fatalf("decode %q: %v", got.body, err)
	}
	return reply
}

// redeemForm is a good token request for a code of c.
func redeemForm(c storage.Client, code string, pairs ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {c.ID}, "code": {code}, "redirect_uri": {c.RedirectURIs[0]},
		"code_verifier": {testVerifier},
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			form.Del(pairs[i])
		}
	}
	return form
}

func refreshForm(c storage.Client, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {c.ID}, "refresh_token": {token}}
}

// issued logs in and redeems the code.
func (f *flow) issued(c storage.Client, pairs ...string) tokenReply {
	f.t.Helper()
	got := f.token(redeemForm(c, f.login(authorizeForm(c, pairs...)).Get("code")))
	if got.status != http.StatusOK {
		f.t.Fatalf("token endpoint says %d %s (%s)", got.status, got.Error, got.Description)
	}
	return got
}

// refused checks status and error code of a refused token request.
func (r tokenReply) refused(t *testing.T, status int, code string) {
	t.Helper()
	if r.status != status || r.Error != code || r.AccessToken != "" {
		t.Errorf("got %d %q, want %d %q", r.status, r.Error, status, code)
	}
}

func (f *flow) events(kind string) []storage.Event {
	f.t.Helper()
	list, err := f.store.ListEvents(context.Background(), storage.EventFilter{Kind: kind})
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// grantOf is the grant of an access token.
func (f *flow) grantOf(accessToken string) (storage.Token, storage.Grant) {
	f.t.Helper()
	token, err := f.store.Token(context.Background(), storage.AccessToken, f.keys.Hash(secret.TokenHash, accessToken))
	if err != nil {
		f.t.Fatal(err)
	}
	grant, err := f.store.Grant(context.Background(), token.GrantID)
	if err != nil {
		f.t.Fatal(err)
	}
	return token.Token, grant
}
