package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
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

const deskIssuer = "https://op.example/base"

// desk is a provider whose endpoints are called without a network, on a database where grants and tokens are put as the
// token endpoint would.
type desk struct {
	testing.TB
	*Provider
	store    storage.Store
	faults   *faults
	clock    *clock.Manual
	sessions *session.Manager
	signer   *signing.Signer
	slow     *slowHash
	person   storage.Person
}

func newDesk(t testing.TB) *desk { t.Helper(); return newDeskOn(t, storagetest.New(t)) }

func newDeskOn(t testing.TB, store storage.Store) *desk {
	t.Helper()
	keys, err := secret.New([]byte(strings.Repeat("r", secret.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{TB: t, store: store, faults: &faults{Store: store}, slow: new(slowHash),
		clock: clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))}
	log := slog.New(slog.DiscardHandler)
	events := audit.NewWriter(audit.Config{Events: store, Clock: d.clock, Node: "test", Release: "test"})
	d.sessions = session.New(session.Config{Store: store, Keys: keys, Audit: events, Clock: d.clock, Secure: true, Log: log})
	d.signer, err = signing.New(signing.Config{Keys: store, Secrets: keys, Audit: events, Clock: d.clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.signer.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Provider, err = New(Config{
		Issuer: deskIssuer, Store: d.faults, Sessions: d.sessions, Keys: keys, Signer: d.signer, Pages: textPages{},
		Audit: events, Clock: d.clock, Throttle: throttle.New(throttle.Defaults(), keys), SlowHash: d.slow,
		LoginPath: "/login", UILocales: []string{"en", "it"}, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.person = storage.Person{
		ID: storage.NewID(), Username: "ada-" + storage.NewID(), CreatedAt: d.clock.Now(), UpdatedAt: d.clock.Now(),
	}
	d.person.Claims = keys.Seal(secret.ClaimSeal, d.person.ID, []byte(`{"name":"Ada Lovelace","email":"ada@example.com","email_verified":true,"sub":"mallory",
			"phone_number":"+390000000000","address":{"country":"IT"}}`))
	d.tx(func(ctx context.Context) error { return store.InsertPerson(ctx, d.person) })
	return d
}

// faults lets named storage calls fail.
type faults struct {
	storage.Store
	mu   sync.Mutex
	down map[string]bool
}

var errDatabaseDown = errors.New("dial tcp 10.1.2.3:5432: connection refused")

func (f *faults) fail(calls ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = make(map[string]bool)
	for _, call := range calls {
		f.down[call] = true
	}
}

func (f *faults) check(call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down[call] {
		return errDatabaseDown
	}
	return nil
}

func (f *faults) Client(ctx context.Context, id string) (storage.Client, error) {
	if err := f.check("Client"); err != nil {
		return storage.Client{}, err
	}
	return f.Store.Client(ctx, id)
}

func (f *faults) ListClients(ctx context.Context, after string, limit int) ([]storage.Client, error) {
	if err := f.check("ListClients"); err != nil {
		return nil, err
	}
	return f.Store.ListClients(ctx, after, limit)
}

func (f *faults) Token(ctx context.Context, kind storage.TokenKind, hash string) (storage.PresentedToken, error) {
	if err := f.check("Token"); err != nil {
		return storage.PresentedToken{}, err
	}
	return f.Store.Token(ctx, kind, hash)
}

func (f *faults) Person(ctx context.Context, id string) (storage.Person, error) {
	if err := f.check("Person"); err != nil {
		return storage.Person{}, err
	}
	return f.Store.Person(ctx, id)
}

func (f *faults) PhoneOf(ctx context.Context, id string) (storage.PhoneFactor, error) {
	if err := f.check("PhoneOf"); err != nil {
		return storage.PhoneFactor{}, err
	}
	return f.Store.PhoneOf(ctx, id)
}

func (f *faults) UseOnce(ctx context.Context, key string, until, now time.Time) (bool, error) {
	if err := f.check("UseOnce"); err != nil {
		return false, err
	}
	return f.Store.UseOnce(ctx, key, until, now)
}

func (f *faults) InTx(ctx context.Context, fn func(context.Context) error) error {
	if err := f.check("InTx"); err != nil {
		return err
	}
	return f.Store.InTx(ctx, fn)
}

func (f *faults) RevokeGrantsOf(ctx context.Context, personID, clientID, sessionID string, keepOffline bool, reason string, now time.Time) ([]string, error) {
	if err := f.check("RevokeGrantsOf"); err != nil {
		return nil, err
	}
	return f.Store.RevokeGrantsOf(ctx, personID, clientID, sessionID, keepOffline, reason, now)
}

// slowHash stands for argon2id: "slow:" before the secret is its hash.
type slowHash struct {
	calls int
	err   error
}

func (s *slowHash) VerifySecret(_ context.Context, phc, secret string) (bool, error) {
	s.calls++
	return s.err == nil && phc == "slow:"+secret, s.err
}

func (d *desk) tx(fn func(ctx context.Context) error) {
	d.Helper()
	if err := d.store.InTx(context.Background(), fn); err != nil {
		d.Fatal(err)
	}
}

// addClient stores a confidential client with client_secret_basic, changed by the given function, and returns its secret.
func (d *desk) addClient(change func(*storage.Client)) (storage.Client, string) {
	d.Helper()
	clear, hash := NewClientSecret(d.Keys)
	c := storage.Client{
		ID: "client-" + storage.NewID(), Name: "Shop", AuthMethod: methodBasic, IDTokenAlg: signing.ES256,
		RedirectURIs: []string{callback}, GrantTypes: []string{grantAuthCode, grantRefresh},
		PostLogoutRedirectURIs: []string{"https://rp.example/bye"},
		Scopes:                 []string{scopeOpenID, "profile", "email", "phone", "address", scopeOfflineAccess},
		Secrets:                []storage.ClientSecret{{Hash: hash, CreatedAt: d.clock.Now()}},
		CreatedAt:              d.clock.Now(), UpdatedAt: d.clock.Now(),
	}
	if change != nil {
		change(&c)
	}
	d.tx(func(ctx context.Context) error { return d.store.InsertClient(ctx, c) })
	return c, clear
}

// addGrant stores a grant of the person to the client, as a login would leave it.
func (d *desk) addGrant(c storage.Client, change func(*storage.Grant)) storage.Grant {
	d.Helper()
	facts := acr.Passcode(false)
	s, _ := d.signIn(d.person.ID)
	g := storage.Grant{
		ID: storage.NewID(), ClientID: c.ID, PersonID: d.person.ID, SessionID: s.ID,
		Scopes: []string{scopeOpenID, "profile", "email", "phone", "address"}, Audience: []string{"https://api.example"},
		Login:     storage.GrantLogin{AuthTime: d.clock.Now(), ACR: facts.ACR, AMR: facts.AMR, Channel: facts.Channel},
		CreatedAt: d.clock.Now(), RefreshUntil: d.clock.Now().Add(d.Lifetimes.RefreshAbsolute),
	}
	if change != nil {
		change(&g)
	}
	d.tx(func(ctx context.Context) error { return d.store.InsertGrant(ctx, g) })
	return g
}

// addToken stores a token of the grant and returns it.
func (d *desk) addToken(g storage.Grant, kind storage.TokenKind) string {
	d.Helper()
	text := newToken(prefixAccess)
	if kind == storage.RefreshToken {
		text = newToken(prefixRefresh)
	}
	d.keepToken(g, kind, text)
	return text
}

func (d *desk) keepToken(g storage.Grant, kind storage.TokenKind, text string) {
	d.Helper()
	now := d.clock.Now()
	d.tx(func(ctx context.Context) error {
		return d.store.InsertTokens(ctx, storage.Token{
			Hash: d.Keys.Hash(secret.TokenHash, text), Kind: kind, GrantID: g.ID, ClientID: g.ClientID, JTI: storage.NewID(),
			Scopes: g.Scopes, Audience: g.Audience, IssuedAt: now, ExpiresAt: now.Add(d.Lifetimes.AccessToken),
		})
	})
}

// addJWT stores a token that is signed under the given typ.
func (d *desk) addJWT(g storage.Grant, typ string, issuer string) string {
	d.Helper()
	text, err := d.signer.Sign(d.Context(), signing.ES256, typ, accessTokenClaims{
		Issuer: issuer, Subject: g.PersonID, ClientID: g.ClientID, Audience: g.Audience[0], JTI: storage.NewID(),
		ExpiresAt: d.clock.Now().Add(time.Minute).Unix(), IssuedAt: d.clock.Now().Unix(),
	})
	if err != nil {
		d.Fatal(err)
	}
	d.keepToken(g, storage.AccessToken, text)
	return text
}

// addPhone binds a number to the person.
func (d *desk) addPhone(number string, verifiedAt time.Time) {
	d.Helper()
	f := storage.PhoneFactor{
		ID: storage.NewID(), PersonID: d.person.ID, Hash: d.Keys.Hash(secret.PhoneLookup, number), Country: "IT",
		LastTwo: number[len(number)-2:], VerifiedAt: verifiedAt, CreatedAt: d.clock.Now(),
	}
	f.Sealed = d.Keys.Seal(secret.PhoneSeal, f.ID, []byte(number))
	d.tx(func(ctx context.Context) error { return d.store.PutPhone(ctx, f) })
}

func (d *desk) serve(h http.HandlerFunc, r *http.Request) *httptest.ResponseRecorder {
	d.Helper()
	info := reqinfo.Info{CorrelationID: correlation, Source: "192.0.2.7", UserAgent: "test"}
	w := httptest.NewRecorder()
	h(w, r.WithContext(reqinfo.With(r.Context(), info)))
	return w
}

// formRequest is a form post; pairs are name and value.
func formRequest(pairs ...string) *http.Request {
	form := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, deskIssuer+"/endpoint", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// asClient adds the client's credentials by HTTP Basic.
func asClient(r *http.Request, c storage.Client, clientSecret string) *http.Request {
	r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(clientSecret))
	return r
}

// body decodes a JSON answer.
func (d *desk) body(w *httptest.ResponseRecorder) map[string]any {
	d.Helper()
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		d.Fatalf("answer %d %q is not JSON: %v", w.Code, w.Body, err)
	}
	return body
}

// wantOutage checks that an answer is 503 and says nothing of what failed (OA-37, A28).
func (d *desk) wantOutage(w *httptest.ResponseRecorder) {
	d.Helper()
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		d.Errorf("got %d with Retry-After %q, want 503 with one", w.Code, w.Header().Get("Retry-After"))
	}
	if body := w.Body.String(); strings.Contains(body, "10.1.2.3") || strings.Contains(body, "refused") {
		d.Errorf("the answer tells inner text: %s", body)
	}
}

func (d *desk) events(kind string) []storage.Event {
	d.Helper()
	list, err := d.store.ListEvents(d.Context(), storage.EventFilter{Kind: kind})
	if err != nil {
		d.Fatal(err)
	}
	return list
}
