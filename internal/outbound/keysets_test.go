package outbound

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/parola-id/parola/internal/clock"
)

// publisher serves a key set that a test may change, and counts how often it was asked.
type publisher struct {
	*httptest.Server
	body  atomic.Pointer[[]byte]
	down  atomic.Bool
	asked atomic.Int32
}

func newPublisher(t *testing.T, kids ...string) *publisher {
	t.Helper()
	p := new(publisher)
	p.publish(t, kids...)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		if p.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Write(*p.body.Load())
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) publish(t *testing.T, kids ...string) {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, kid := range kids {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &ecKey(t).PublicKey, KeyID: kid, Use: "sig", Algorithm: "ES256"})
	}
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	p.body.Store(&body)
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSSR03_KeysAreAskedForOnceAMinute(t *testing.T) {
	p := newPublisher(t, "one")
	c := clock.NewManual(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	sets := NewKeySets(loopbackClient(t, p.Server), c)
	ask := func(kid string) []jose.JSONWebKey {
		t.Helper()
		set, err := sets.KeySet(t.Context(), "client", p.URL, kid)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := ParseKeySet(set)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	wantAsked := func(n int32) {
		t.Helper()
		if got := p.asked.Load(); got != n {
			t.Fatalf("the publisher was asked %d times, want %d", got, n)
		}
	}
	if keys := ask("one"); len(keys) != 1 || keys[0].KeyID != "one" {
		t.Fatalf("keys %v", keys)
	}
	c.Advance(2 * time.Minute)
	ask("one")
	wantAsked(1) // a known kid costs nothing
	ask("made-up")
	wantAsked(2)
	p.publish(t, "two")
	for range 20 {
		ask("made-up-too")
	}
	wantAsked(2) // no second look within the minute
	c.Advance(time.Minute)
	if keys := ask("two"); len(keys) != 1 || keys[0].KeyID != "two" {
		t.Fatalf("the rotated key is not seen: %v", keys)
	}
	wantAsked(3)
	c.Advance(keysMaxAge)
	ask("two")
	wantAsked(4) // a withdrawn key stops working
}

func TestSSR03_KeysOutliveAShortOutageOfTheirOwner(t *testing.T) {
	p := newPublisher(t, "one")
	c := clock.NewManual(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	sets := NewKeySets(loopbackClient(t, p.Server), c)
	if _, err := sets.KeySet(t.Context(), "client", p.URL, "one"); err != nil {
		t.Fatal(err)
	}
	p.down.Store(true)
	c.Advance(keysMaxAge + time.Minute)
	if _, err := sets.KeySet(t.Context(), "client", p.URL, "one"); err != nil {
		t.Errorf("during the outage: %v", err)
	}
	c.Advance(keysMaxStale)
	if _, err := sets.KeySet(t.Context(), "client", p.URL, "one"); err == nil {
		t.Error("keys of long ago are still used")
	}
}

func TestSSR03_AFailedFetchIsNotRepeatedAtOnce(t *testing.T) {
	p := newPublisher(t, "one")
	p.down.Store(true)
	c := clock.NewManual(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	sets := NewKeySets(loopbackClient(t, p.Server), c)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := sets.KeySet(t.Context(), "client", p.URL, "one"); err == nil {
				t.Error("keys out of nowhere")
			}
		})
	}
	all.Wait()
	if p.asked.Load() != 1 {
		t.Errorf("the publisher was asked %d times, want once", p.asked.Load())
	}
	p.down.Store(false)
	c.Advance(keysMinInterval)
	if _, err := sets.KeySet(t.Context(), "client", p.URL, "one"); err != nil {
		t.Errorf("after the minute: %v", err)
	}
}

func TestParseKeySetPassesOverWhatItCannotUse(t *testing.T) {
	good := jose.JSONWebKey{Key: &ecKey(t).PublicKey, KeyID: "good"}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	raw := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	set := `{"keys":[` + strings.Join([]string{
		`{"kty":"future","kid":"x"}`, `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, `7`,
		raw(jose.JSONWebKey{Key: []byte("a symmetric key of some length"), KeyID: "symmetric"}),
		raw(jose.JSONWebKey{Key: ecKey(t), KeyID: "private"}),
		raw(jose.JSONWebKey{Key: &ecKey(t).PublicKey, KeyID: "encryption", Use: "enc"}),
		raw(jose.JSONWebKey{Key: &weak.PublicKey, KeyID: "weak"}),
		raw(good),
	}, ",") + `]}`
	keys, err := ParseKeySet([]byte(set))
	if err != nil || len(keys) != 1 || keys[0].KeyID != "good" {
		t.Errorf("keys %v, %v", keys, err)
	}
	for _, bad := range []string{"", "null", "[]", `{"keys":7}`, `{"keys":[` + strings.Repeat("1,", maxKeys) + `1]}`} {
		if _, err := ParseKeySet([]byte(bad)); err == nil {
			t.Errorf("%.20q passed", bad)
		}
	}
}

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQ"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseKeySet(data)
		if err != nil {
			return
		}
		for _, k := range keys {
			if !k.IsPublic() || !k.Valid() {
				t.Fatalf("an unusable key passed: %v", k)
			}
		}
	})
}
