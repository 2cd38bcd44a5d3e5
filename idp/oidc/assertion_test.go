package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/outbound"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// assertionKey is a client's key pair.
type assertionKey struct {
	kid     string
	alg     jose.SignatureAlgorithm
	private any
	public  any
}

func newAssertionKey(t testing.TB) assertionKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return assertionKey{kid: "key-1", alg: jose.ES256, private: key, public: &key.PublicKey}
}

func (k assertionKey) set(t testing.TB) json.RawMessage {
	t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.public, KeyID: k.kid, Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (k assertionKey) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return k.signRaw(t, payload, new(jose.SignerOptions).WithHeader("kid", k.kid))
}

func (k assertionKey) signRaw(t testing.TB, payload []byte, options *jose.SignerOptions) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: k.private}, options)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// assertionClaims are good claims of the client, with a new jti each time.
func (d *desk) assertionClaims(c storage.Client) map[string]any {
	now := d.clock.Now()
	return map[string]any{
		"iss": c.ID, "sub": c.ID, "aud": deskIssuer, "jti": storage.NewID(),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
}

func assertionRequest(token string) *http.Request {
	return formRequest("client_assertion_type", assertionType, "client_assertion", token)
}

func (d *desk) addAssertionClient(key assertionKey, change func(*storage.Client)) storage.Client {
	d.Helper()
	c, _ := d.addClient(func(c *storage.Client) {
		c.AuthMethod, c.Secrets, c.JWKS = methodPrivateKeyJWT, nil, key.set(d)
		if change != nil {
			change(c)
		}
	})
	return c
}

func TestOA32_A17_ClaimsOfAnAssertion(t *testing.T) {
	d := newDesk(t)
	key := newAssertionKey(t)
	c := d.addAssertionClient(key, nil)
	now := d.clock.Now()
	for _, tt := range []struct {
		name   string
		change map[string]any
		ok     bool
	}{
		{"as it should be", nil, true},
		{"for the token endpoint", map[string]any{"aud": deskIssuer + "/token"}, true},
		{"with a fraction of a second", map[string]any{"exp": float64(now.Unix()) + 30.5}, true},
		{"ends in exactly five minutes", map[string]any{"exp": now.Add(5 * time.Minute).Unix()}, true},
		{"issued by a clock a little ahead", map[string]any{"iat": now.Add(20 * time.Second).Unix()}, true},
		{"without iat", map[string]any{"iat": nil}, true},
		{"with an empty iat", map[string]any{"iat": ""}, false},
		{"for a list with us in it", map[string]any{"aud": []string{deskIssuer}}, false},
		{"for a list with others", map[string]any{"aud": []string{deskIssuer, "https://other.example"}}, false},
		{"for somebody else", map[string]any{"aud": "https://other.example"}, false},
		{"for us with a slash", map[string]any{"aud": deskIssuer + "/"}, false},
		{"for the introspection endpoint", map[string]any{"aud": deskIssuer + "/introspect"}, false},
		{"for nobody", map[string]any{"aud": ""}, false},
		{"by another issuer", map[string]any{"iss": "other"}, false},
		{"about another subject", map[string]any{"sub": "other"}, false},
		{"without a jti", map[string]any{"jti": ""}, false},
		{"with a number as jti", map[string]any{"jti": 7}, false},
		{"without an end", map[string]any{"exp": nil}, false},
		{"ended", map[string]any{"exp": now.Unix()}, false},
		{"ends too late", map[string]any{"exp": now.Add(5*time.Minute + time.Second).Unix()}, false},
		{"ends in ten days", map[string]any{"exp": now.Add(240 * time.Hour).Unix()}, false},
		{"ends after all time", map[string]any{"exp": 1e300}, false},
		{"with a word as end", map[string]any{"exp": "tomorrow"}, false},
		{"issued in the future", map[string]any{"iat": now.Add(time.Minute).Unix()}, false},
		{"not valid yet", map[string]any{"nbf": now.Add(time.Minute).Unix()}, false},
		{"valid since now", map[string]any{"nbf": now.Unix()}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			claims := d.assertionClaims(c)
			maps.Copy(claims, tt.change)
			maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
			found, w := d.authenticate(assertionRequest(key.sign(t, claims)))
			if (found.ID == c.ID) != tt.ok {
				t.Errorf("accepted %v: %d %s", found.ID == c.ID, w.Code, w.Body)
			}
			if !tt.ok {
				d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
			}
		})
	}
}

func TestOA32_OA40_SignaturesOfAnAssertion(t *testing.T) {
	d := newDesk(t)
	key, foreign := newAssertionKey(t), newAssertionKey(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := assertionKey{kid: "key-1", alg: jose.RS256, private: private, public: &private.PublicKey}
	pssKey := rsaKey
	pssKey.alg = jose.PS256
	strongHMAC := assertionKey{kid: "key-1", alg: jose.HS256, private: []byte(key.set(t))}
	c := d.addAssertionClient(key, nil)
	onlyPSS := d.addAssertionClient(rsaKey, func(c *storage.Client) { c.AssertionAlg = "PS256" })
	claims := func(c storage.Client) []byte {
		payload, err := json.Marshal(d.assertionClaims(c))
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	kid := func() *jose.SignerOptions { return new(jose.SignerOptions).WithHeader("kid", "key-1") }
	repeated := []byte(`{"sub":"` + c.ID + `",` + string(claims(c)[1:]))
	for _, tt := range []struct {
		name  string
		token string
		ok    bool
	}{
		{"by the registered key", key.signRaw(t, claims(c), kid()), true},
		{"without a kid", key.signRaw(t, claims(c), nil), true},
		{"under another kid", key.signRaw(t, claims(c), new(jose.SignerOptions).WithHeader("kid", "other")), false},
		{"by another key", foreign.signRaw(t, claims(c), kid()), false},
		{"by a key that the header brings along", foreign.signRaw(t, claims(c), &jose.SignerOptions{EmbedJWK: true}), false},
		{"by HMAC with the public keys", strongHMAC.signRaw(t, claims(c), kid()), false},
		{"by the registered algorithm", pssKey.signRaw(t, claims(onlyPSS), kid()), true},
		{"by another algorithm than registered", rsaKey.signRaw(t, claims(onlyPSS), kid()), false},
		{"with a claim twice", key.signRaw(t, repeated, kid()), false},
		{"over something else", key.signRaw(t, []byte("[]"), kid()), false},
		{"by nothing", "eyJhbGciOiJub25lIn0." + "e30" + ".", false},
		{"not a token", "assertion", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, w := d.authenticate(assertionRequest(tt.token))
			if (found.ID != "") != tt.ok {
				t.Errorf("accepted %v: %d %s", found.ID != "", w.Code, w.Body)
			}
			if !tt.ok {
				d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
			}
		})
	}
}

func TestA17_AnAssertionWorksOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		d := newDeskOn(t, store)
		key := newAssertionKey(t)
		c, other := d.addAssertionClient(key, nil), d.addAssertionClient(key, nil)
		claims := d.assertionClaims(c)
		token := key.sign(t, claims)
		var accepted atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if found, _ := d.authenticate(assertionRequest(token)); found.ID == c.ID {
					accepted.Add(1)
				}
			})
		}
		all.Wait()
		if accepted.Load() != 1 {
			t.Errorf("accepted %d times, want once", accepted.Load())
		}
		replays := d.events(audit.AssertionReplay)
		if len(replays) != 7 || replays[0].ClientID != c.ID || replays[0].Severity != audit.High {
			t.Errorf("%d replay events, want 7 of high severity", len(replays))
		}
		same := d.assertionClaims(other)
		same["jti"] = claims["jti"]
		if found, w := d.authenticate(assertionRequest(key.sign(t, same))); found.ID != other.ID {
			t.Errorf("another client with the same jti: %d %s", w.Code, w.Body)
		}
	})
}

func TestA17_AWrongAssertionUsesNothingUp(t *testing.T) {
	d := newDesk(t)
	key, foreign := newAssertionKey(t), newAssertionKey(t)
	c := d.addAssertionClient(key, nil)
	claims := d.assertionClaims(c)
	d.authenticate(assertionRequest(foreign.sign(t, claims)))
	if found, w := d.authenticate(assertionRequest(key.sign(t, claims))); found.ID != c.ID {
		t.Errorf("a stranger has used up the client's jti: %d %s", w.Code, w.Body)
	}
	d.faults.fail("UseOnce")
	_, w := d.authenticate(assertionRequest(key.sign(t, d.assertionClaims(c))))
	d.wantOutage(w)
}

func TestA16_KeysBehindAnAddressAreFetchedUnderTheOutboundRules(t *testing.T) {
	d := newDesk(t)
	key, next := newAssertionKey(t), newAssertionKey(t)
	next.kid = "key-2"
	var body atomic.Pointer[json.RawMessage]
	var down atomic.Bool
	serve := func(set json.RawMessage) { body.Store(&set) }
	serve(key.set(t))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Write(*body.Load())
	}))
	defer server.Close()
	d.ClientKeys = outbound.NewKeySets(outbound.New(outbound.Config{AllowLoopback: true}), d.clock)
	remote := func(c *storage.Client) { c.JWKS, c.JWKSURI = nil, server.URL }
	c := d.addAssertionClient(key, remote)
	accepted := func(k assertionKey) bool {
		found, _ := d.authenticate(assertionRequest(k.sign(t, d.assertionClaims(c))))
		return found.ID == c.ID
	}
	if !accepted(key) {
		t.Error("the published key is not accepted")
	}
	serve(next.set(t))
	if accepted(next) {
		t.Error("a second fetch within the minute (SSR-03)")
	}
	d.clock.Advance(time.Minute)
	if !accepted(next) {
		t.Error("the new key is not accepted after a minute")
	}
	down.Store(true)
	late := d.addAssertionClient(key, remote)
	_, w := d.authenticate(assertionRequest(key.sign(t, d.assertionClaims(late))))
	d.wantOutage(w) // whose keys cannot be read is not thereby an impostor (OA-37)

	d.ClientKeys = outbound.NewKeySets(outbound.New(outbound.Config{}), d.clock)
	_, w = d.authenticate(assertionRequest(key.sign(t, d.assertionClaims(c))))
	d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
	if blocked := d.events(audit.SSRFBlocked); len(blocked) != 1 || blocked[0].ClientID != c.ID {
		t.Errorf("events of the blocked address: %v", blocked)
	}
}

func FuzzParseAssertion(f *testing.F) {
	key := newAssertionKey(f)
	f.Add(key.sign(f, map[string]any{"iss": "c", "sub": "c", "aud": "a", "jti": "j", "exp": 1}))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		a, err := parseAssertion(assertionType, token)
		if err != nil {
			if _, told := asRefusal(err); !told {
				t.Fatalf("%q is an outage: %v", token, err)
			}
			return
		}
		if a.Subject == "" || a.JTI == "" || a.Expires.IsZero() {
			t.Fatalf("%q passed without what it must say", token)
		}
	})
}
