package oidc

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/sqlite"
	"github.com/parola-id/parola/storage/storagetest"
)

// breaking is a store in which one method fails while broken names it.
type breaking struct {
	storage.Store
	broken atomic.Value
}

var errOnFire = errors.New("disk on fire")

func (b *breaking) err(method string) error {
	if name, _ := b.broken.Load().(string); name == method {
		return errOnFire
	}
	return nil
}

func (b *breaking) Client(ctx context.Context, id string) (storage.Client, error) {
	if err := b.err("Client"); err != nil {
		return storage.Client{}, err
	}
	return b.Store.Client(ctx, id)
}

func (b *breaking) AuthRequest(ctx context.Context, id string) (storage.AuthRequest, error) {
	if err := b.err("AuthRequest"); err != nil {
		return storage.AuthRequest{}, err
	}
	return b.Store.AuthRequest(ctx, id)
}

func (b *breaking) InsertAuthRequest(ctx context.Context, a storage.AuthRequest) error {
	if err := b.err("InsertAuthRequest"); err != nil {
		return err
	}
	return b.Store.InsertAuthRequest(ctx, a)
}

func (b *breaking) InsertGrant(ctx context.Context, g storage.Grant) error {
	if err := b.err("InsertGrant"); err != nil {
		return err
	}
	return b.Store.InsertGrant(ctx, g)
}

func (b *breaking) Grant(ctx context.Context, id string) (storage.Grant, error) {
	if err := b.err("Grant"); err != nil {
		return storage.Grant{}, err
	}
	return b.Store.Grant(ctx, id)
}

func (b *breaking) UseAuthCode(ctx context.Context, hash, clientID string, now time.Time) (storage.Grant, bool, error) {
	if err := b.err("UseAuthCode"); err != nil {
		return storage.Grant{}, false, err
	}
	return b.Store.UseAuthCode(ctx, hash, clientID, now)
}

func (b *breaking) UseRefreshToken(ctx context.Context, hash, clientID string, now time.Time) (storage.Token, storage.Grant, bool, error) {
	if err := b.err("UseRefreshToken"); err != nil {
		return storage.Token{}, storage.Grant{}, false, err
	}
	return b.Store.UseRefreshToken(ctx, hash, clientID, now)
}

func (b *breaking) InsertTokens(ctx context.Context, tokens ...storage.Token) error {
	if err := b.err("InsertTokens"); err != nil {
		return err
	}
	return b.Store.InsertTokens(ctx, tokens...)
}

func (b *breaking) RevokeGrant(ctx context.Context, id, reason string, now time.Time) (bool, error) {
	if err := b.err("RevokeGrant"); err != nil {
		return false, err
	}
	return b.Store.RevokeGrant(ctx, id, reason, now)
}

func (b *breaking) AppendEvents(ctx context.Context, events ...storage.Event) error {
	if err := b.err("AppendEvents"); err != nil {
		return err
	}
	return b.Store.AppendEvents(ctx, events...)
}

func (b *breaking) Take(ctx context.Context, now time.Time, buckets ...storage.Throttle) (*storage.Refusal, error) {
	if err := b.err("Take"); err != nil {
		return nil, err
	}
	return b.Store.Take(ctx, now, buckets...)
}

func newBreaking(t *testing.T) (*flow, *breaking) {
	b := new(breaking)
	f := newFlowOn(t, storagetest.New(t), func(s storage.Store) storage.Store { b.Store = s; return b })
	return f, b
}

// unavailable checks that an outage is told as one, without its inner text (OA-36, OA-37, A28).
func unavailable(t *testing.T, got reply, log string) {
	t.Helper()
	if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || got.Header.Get("Location") != "" {
		t.Errorf("got %s to %q: %q", got.Status, got.Header.Get("Location"), got.body)
	}
	if strings.Contains(got.body, "fire") || !strings.Contains(log, "disk on fire") {
		t.Errorf("body %q, log %q", got.body, log)
	}
}

func TestOA37_A18_AnOutageIsNeverARefusal(t *testing.T) {
	f, b := newBreaking(t)
	c := f.addClient(nil)
	tokens := f.issued(c)
	answered := f.begun(f.authorize(authorizeForm(c)))
	f.signIn(answered, nil)
	code := f.answered(f.resume(answered)).Get("code")
	answers := f.browser
	f.newBrowser()
	id := f.begun(f.authorize(authorizeForm(c)))
	f.signIn(id, nil)
	repeated := func() reply {
		asks := f.browser
		defer func() { f.browser = asks }()
		f.browser = answers
		return f.resume(answered)
	}
	for _, tt := range []struct {
		broken string
		send   func() reply
	}{
		{"Client", func() reply { return f.authorize(authorizeForm(c)) }},
		{"InsertAuthRequest", func() reply { return f.authorize(authorizeForm(c)) }},
		{"AppendEvents", func() reply { return f.authorize(authorizeForm(c)) }},
		{"AppendEvents", func() reply { return f.authorize(authorizeForm(c, "scope", "unknown")) }},
		{"AuthRequest", func() reply { return f.resume(id) }},
		{"Client", func() reply { return f.resume(id) }},
		{"InsertGrant", func() reply { return f.resume(id) }},
		{"AppendEvents", func() reply { return f.resume(id) }},
		{"Grant", repeated},
		{"Take", repeated},
		{"AppendEvents", repeated},
		{"Client", func() reply { return f.post("/token", redeemForm(c, code)) }},
		{"UseAuthCode", func() reply { return f.post("/token", redeemForm(c, code)) }},
		{"UseRefreshToken", func() reply { return f.post("/token", refreshForm(c, tokens.RefreshToken)) }},
	} {
		t.Run(tt.broken, func(t *testing.T) {
			f.log.Reset()
			b.broken.Store(tt.broken)
			got := tt.send()
			b.broken.Store("")
			unavailable(t, got, f.log.String())
			if got.Request.URL.Path == "/token" && !strings.Contains(got.body, `"error":"temporarily_unavailable"`) {
				t.Errorf("got %q", got.body)
			}
		})
	}
	f.answered(f.resume(id)) // none of it has used anything up
	if got := f.token(redeemForm(c, code)); got.status != http.StatusOK {
		t.Errorf("code: %s", got.Error)
	}
	if got := f.token(refreshForm(c, tokens.RefreshToken)); got.status != http.StatusOK {
		t.Errorf("refresh token: %s", got.Error)
	}
}

func TestREL02_A10_ATokenRequestThatFailsHalfWayHasDoneNothing(t *testing.T) {
	f, b := newBreaking(t)
	c := f.addClient(nil)
	for _, broken := range []string{"InsertTokens", "AppendEvents"} {
		t.Run("the code survives a failing "+broken, func(t *testing.T) {
			code := f.login(authorizeForm(c)).Get("code")
			f.log.Reset()
			b.broken.Store(broken)
			got := f.post("/token", redeemForm(c, code))
			b.broken.Store("")
			unavailable(t, got, f.log.String())
			if got := f.token(redeemForm(c, code)); got.status != http.StatusOK {
				t.Errorf("the code was burned without tokens: %s", got.Error)
			}
		})
		t.Run("the refresh token survives a failing "+broken, func(t *testing.T) {
			tokens := f.issued(c)
			f.log.Reset()
			b.broken.Store(broken)
			got := f.post("/token", refreshForm(c, tokens.RefreshToken))
			b.broken.Store("")
			unavailable(t, got, f.log.String())
			if got := f.token(refreshForm(c, tokens.RefreshToken)); got.status != http.StatusOK {
				t.Errorf("the refresh token was burned without tokens: %s", got.Error)
			}
		})
	}
	t.Run("a replay that cannot be recorded is an outage", func(t *testing.T) {
		for _, broken := range []string{"RevokeGrant", "AppendEvents"} {
			code := f.login(authorizeForm(c)).Get("code")
			tokens := f.token(redeemForm(c, code))
			f.log.Reset()
			b.broken.Store(broken)
			got := f.post("/token", redeemForm(c, code))
			b.broken.Store("")
			unavailable(t, got, f.log.String())
			if _, grant := f.grantOf(tokens.AccessToken); !grant.RevokedAt.IsZero() {
				t.Error("a revocation without its event was committed")
			}
		}
	})
	t.Run("fosite finds the transaction", func(t *testing.T) {
		s := &grants{}
		if _, err := s.BeginTX(context.Background()); err == nil {
			t.Error("fosite may begin without an exchange")
		}
		ctx := withExchange(context.Background(), new(exchange))
		if joined, err := s.BeginTX(ctx); err != nil || joined != ctx {
			t.Errorf("fosite does not join: %v", err)
		}
	})
}

func TestOA27_A11_TheDatabaseHoldsNothingThatCanBePresented(t *testing.T) {
	path := storagetest.SQLiteFile(t)
	store, err := sqlite.Open(context.Background(), sqlite.Config{Path: path, Synchronous: "OFF"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	f := newFlowOn(t, store, nil)
	c := f.addClient(func(c *storage.Client) { c.JWTAccessTokens = true })
	code := f.login(authorizeForm(c)).Get("code")
	unused := f.login(authorizeForm(c)).Get("code")
	tokens := f.token(redeemForm(c, code))
	var content []byte
	for _, name := range []string{path, path + "-wal"} {
		part, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		content = append(content, part...)
	}
	if !strings.Contains(string(content), c.ID) {
		t.Fatal("this is not the database")
	}
	for _, token := range []string{code, unused, tokens.AccessToken, tokens.RefreshToken, tokens.IDToken} {
		// fosite's signatures are the part after the last dot; ours have none, JWTs do.
		for _, part := range append(strings.Split(token, "."), strings.TrimPrefix(token, token[:3])) {
			if len(part) > 20 && strings.Contains(string(content), part) {
				t.Errorf("the database holds %q", part)
			}
		}
	}
}

func TestStatementsOfOneRequest(t *testing.T) {
	var counted atomic.Int64
	var list atomic.Value
	list.Store("")
	store := storagetest.SQLite(t).Open(t, storagetest.Options{Observe: func(op string) {
		counted.Add(1)
		list.Store(list.Load().(string) + " " + op)
	}})
	f := newFlowOn(t, store, nil)
	c := f.addClient(nil)
	f.issued(c) // keys are made and statements prepared
	code := f.login(authorizeForm(c)).Get("code")
	measure := func(name string, most int64, send func() int) {
		counted.Store(0)
		list.Store("")
		if status := send(); status != http.StatusOK {
			t.Fatalf("%s: status %d", name, status)
		}
		if n := counted.Load(); n > most {
			t.Errorf("%s takes %d statements, want at most %d:%s", name, n, most, list.Load())
		}
	}
	var refresh string
	// The client, burn and read of the code, tokens, events, commit.
	measure("a code exchange", 6, func() int {
		got := f.token(redeemForm(c, code))
		refresh = got.RefreshToken
		return got.status
	})
	measure("a refresh", 6, func() int { return f.token(refreshForm(c, refresh)).status })
}
