package signing

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

var testNow = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// node is one process on a store.
type node struct {
	*Signer
	store Store
	clock *clock.Manual
}

func testKeys(t testing.TB, roots ...string) *secret.Keys {
	t.Helper()
	var previous [][]byte
	for _, root := range roots[1:] {
		previous = append(previous, []byte(strings.Repeat(root, secret.RootSize)))
	}
	keys, err := secret.New([]byte(strings.Repeat(roots[0], secret.RootSize)), previous...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newNode(t testing.TB, store storage.Store, seen Store, keys *secret.Keys) node {
	t.Helper()
	c := clock.NewManual(testNow)
	s, err := New(Config{
		Keys: seen, Secrets: keys, Clock: c, Holder: storage.NewID(),
		Schedule: Schedule{Every: 90 * day, Ahead: 10 * time.Minute, Keep: time.Hour},
		Audit:    audit.NewWriter(audit.Config{Events: store, Clock: c, Node: "test", Release: "test"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return node{s, seen, c}
}

func ensured(t testing.TB, n node, algs ...string) node {
	t.Helper()
	if err := n.Ensure(t.Context(), algs...); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n node) sign(t testing.TB, alg, typ string, claims any) string {
	t.Helper()
	token, err := n.Sign(t.Context(), alg, typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (n node) published(t testing.TB) jose.JSONWebKeySet {
	t.Helper()
	body, err := n.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestSignedTokensVerifyWithThePublishedKeys(t *testing.T) {
	store := storagetest.New(t)
	n := ensured(t, newNode(t, store, store, testKeys(t, "r")), ES256, RS256, EdDSA)
	set := n.published(t)
	if len(set.Keys) != 3 {
		t.Fatalf("%d keys are published, want 3", len(set.Keys))
	}
	for _, alg := range Algorithms() {
		t.Run(alg, func(t *testing.T) {
			token := n.sign(t, alg, "at+jwt", map[string]string{"sub": "ada"})
			claims, typ, err := n.Verify(t.Context(), token)
			if err != nil || typ != "at+jwt" || string(claims) != `{"sub":"ada"}` {
				t.Fatalf("Verify = %s, %q, %v", claims, typ, err)
			}
			// As a relying party does it.
			jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jws.Verify(set); err != nil {
				t.Errorf("the published set does not verify it: %v", err)
			}
		})
	}
}

func TestKEY01_KeysAreAtRestSealedAndNamedByTheirThumbprint(t *testing.T) {
	store := storagetest.New(t)
	ensured(t, newNode(t, store, store, testKeys(t, "r")), ES256, EdDSA)
	records, err := store.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		var public jose.JSONWebKey
		if err := json.Unmarshal(r.Public, &public); err != nil || !public.IsPublic() {
			t.Fatalf("public half of %s: %v", r.KID, err)
		}
		thumbprint, err := thumbprintOf(public)
		if err != nil || thumbprint != r.KID {
			t.Errorf("kid %s, thumbprint %s, %v", r.KID, thumbprint, err)
		}
		if strings.Contains(string(r.Sealed), `"d"`) {
			t.Errorf("key %s is stored in clear", r.KID)
		}
		if _, err := testKeys(t, "r").Open(secret.KeySeal, "another", r.Sealed); err == nil {
			t.Errorf("key %s can be moved to another record", r.KID)
		}
	}
}

func TestKEY03_OnlyPublicMembersArePublished(t *testing.T) {
	store := storagetest.New(t)
	n := ensured(t, newNode(t, store, store, testKeys(t, "r")), ES256, RS256, EdDSA)
	body, err := n.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	allowed := []string{"kty", "use", "kid", "alg", "crv", "x", "y", "n", "e"}
	for _, key := range set.Keys {
		for name := range maps.Keys(key) {
			if !slices.Contains(allowed, name) {
				t.Errorf("member %q is published", name)
			}
		}
		if key["use"] != "sig" || key["kid"] == "" || key["alg"] == "" {
			t.Errorf("key %v lacks use, kid or alg", key)
		}
	}
}

// forge builds a token with a header of the caller's choice.
func forge(t testing.TB, alg jose.SignatureAlgorithm, key any, options *jose.SignerOptions) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(`{"sub":"ada"}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestOA40_OA41_TokensOfOthersAreNotOurs(t *testing.T) {
	store := storagetest.New(t)
	n := ensured(t, newNode(t, store, store, testKeys(t, "r")), ES256)
	good := n.sign(t, ES256, "JWT", map[string]string{"sub": "ada"})
	ours := n.published(t).Keys[0]
	foreign, err := generatePrivate(ES256)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := generatePrivate(EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	withKID := func() *jose.SignerOptions { return new(jose.SignerOptions).WithHeader("kid", ours.KeyID) }
	parts := strings.Split(good, ".")
	none := "eyJhbGciOiJub25lIn0." + parts[1] + "."
	for name, token := range map[string]string{
		"a key of somebody else under our kid": forge(t, jose.ES256, foreign, withKID()),
		"a key that the header brings along":   forge(t, jose.ES256, foreign, &jose.SignerOptions{EmbedJWK: true}),
		"no kid":                               forge(t, jose.ES256, foreign, nil),
		"our kid with another algorithm":       forge(t, jose.EdDSA, ed, withKID()),
		"an HMAC over our public key":          forge(t, jose.HS256, []byte(ours.KeyID), withKID()),
		"a jku header":                         forge(t, jose.ES256, foreign, withKID().WithHeader("jku", "https://evil.example")),
		"alg none":                             none,
		"another payload":                      parts[0] + ".eyJzdWIiOiJib2IifQ." + parts[2],
		"no signature":                         parts[0] + "." + parts[1] + ".",
		"nothing":                              "",
		"noise":                                "a.b.c",
		"a token without end":                  good + strings.Repeat("A", maxToken),
	} {
		if claims, _, err := n.Verify(t.Context(), token); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Verify = %s, %v, want ErrInvalid", name, claims, err)
		}
	}
	if _, _, err := n.Verify(t.Context(), good); err != nil {
		t.Errorf("the good token: %v", err)
	}
	if _, err := n.Sign(t.Context(), "none", "JWT", nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("Sign with none = %v", err)
	}
	if err := n.Ensure(t.Context(), "HS256"); err == nil {
		t.Error("an HMAC key was made")
	}
}

func TestATokenOfAKeyThatAnotherNodeHasJustMadeVerifies(t *testing.T) {
	store := storagetest.New(t)
	keys := testKeys(t, "r")
	here := ensured(t, newNode(t, store, store, keys), ES256)
	there := ensured(t, newNode(t, store, store, keys), EdDSA)
	token := there.sign(t, EdDSA, "JWT", struct{}{})
	here.clock.Advance(retryAge)
	if _, _, err := here.Verify(t.Context(), token); err != nil {
		t.Errorf("Verify = %v", err)
	}
}

// counted counts how often keys are read.
type counted struct {
	storage.Store
	reads atomic.Int32
	down  atomic.Bool
}

var errDown = errors.New("database is down")

func (c *counted) SigningKeys(ctx context.Context) ([]storage.SigningKey, error) {
	c.reads.Add(1)
	if c.down.Load() {
		return nil, errDown
	}
	return c.Store.SigningKeys(ctx)
}

func TestKeysAreReadAtMostOnceASecond(t *testing.T) {
	store := &counted{Store: storagetest.New(t)}
	n := ensured(t, newNode(t, store.Store, store, testKeys(t, "r")), ES256)
	store.reads.Store(0)
	token := n.sign(t, ES256, "JWT", struct{}{})
	for range 100 {
		if _, _, err := n.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if store.reads.Load() != 0 {
		t.Errorf("keys were read %d times within a second", store.reads.Load())
	}
	n.clock.Advance(maxAge)
	foreign, err := generatePrivate(ES256)
	if err != nil {
		t.Fatal(err)
	}
	unknown := forge(t, jose.ES256, foreign, new(jose.SignerOptions).WithHeader("kid", "made-up"))
	for range 100 {
		if _, _, err := n.Verify(t.Context(), unknown); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	}
	if store.reads.Load() != 1 {
		t.Errorf("made-up kids cost %d reads, want 1", store.reads.Load())
	}
}

func TestREL09_AnOutageRefusesNothingAndStillPublishes(t *testing.T) {
	store := &counted{Store: storagetest.New(t)}
	n := ensured(t, newNode(t, store.Store, store, testKeys(t, "r")), ES256)
	token := n.sign(t, ES256, "JWT", struct{}{})
	store.down.Store(true)
	n.clock.Advance(maxAge)
	if _, _, err := n.Verify(t.Context(), token); !errors.Is(err, errDown) || errors.Is(err, ErrInvalid) {
		t.Errorf("Verify = %v, want the outage", err)
	}
	if _, err := n.Sign(t.Context(), ES256, "JWT", nil); !errors.Is(err, errDown) {
		t.Errorf("Sign = %v, want the outage", err)
	}
	if err := n.Ensure(t.Context(), ES256); err != nil {
		t.Errorf("Ensure = %v, and the key is made", err)
	}
	if err := n.Ensure(t.Context(), RS256); !errors.Is(err, errDown) {
		t.Errorf("Ensure = %v, want the outage", err)
	}
	if set := n.published(t); len(set.Keys) != 1 {
		t.Errorf("%d keys are published during the outage, want the last known one", len(set.Keys))
	}
}

func TestOneKeyIsMadeHoweverManyAskForIt(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		keys := testKeys(t, "r")
		nodes := []node{newNode(t, store, store, keys), newNode(t, store, store, keys)}
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				n := nodes[i%2]
				if err := n.Ensure(t.Context(), ES256); err != nil {
					t.Error(err)
				} else if _, err := n.Sign(t.Context(), ES256, "JWT", nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		infos, err := nodes[0].List(t.Context())
		if err != nil || len(infos) != 1 {
			t.Errorf("%d keys exist, %v, want one", len(infos), err)
		}
		events, err := store.ListEvents(t.Context(), storage.EventFilter{Kind: audit.KeyCreated})
		if err != nil || len(events) != 1 || events[0].Data["kid"] != infos[0].KID {
			t.Errorf("events %v, %v, want one that names the key", events, err)
		}
	})
}

func TestEnsureWaitsNoLongerThanItsCaller(t *testing.T) {
	store := storagetest.New(t)
	n := newNode(t, store, store, testKeys(t, "r"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Ensure(ctx, RS256); !errors.Is(err, context.Canceled) {
		t.Errorf("Ensure = %v, want the cancellation", err)
	}
	ensured(t, n, RS256) // what the first caller began serves the second; the test ends after it
}

func TestKEY06_KeysOpenUnderThePreviousRoot(t *testing.T) {
	store := storagetest.New(t)
	token := ensured(t, newNode(t, store, store, testKeys(t, "old")), ES256).sign(t, ES256, "JWT", struct{}{})
	rotated := ensured(t, newNode(t, store, store, testKeys(t, "new", "old")), ES256)
	if _, _, err := rotated.Verify(t.Context(), token); err != nil {
		t.Errorf("Verify = %v", err)
	}
	rotated.sign(t, ES256, "JWT", struct{}{})
	lost := newNode(t, store, store, testKeys(t, "new"))
	if err := lost.Ensure(t.Context(), ES256); !errors.Is(err, secret.ErrUnknownKey) {
		t.Errorf("without the old root: %v, want ErrUnknownKey", err)
	}
}

func FuzzVerify(f *testing.F) {
	store := storagetest.New(f)
	n := ensured(f, newNode(f, store, store, testKeys(f, "r")), ES256)
	good := n.sign(f, ES256, "JWT", map[string]string{"sub": "ada"})
	f.Add(good)
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(`{"payload":"e30"}`)
	f.Fuzz(func(t *testing.T, token string) {
		claims, _, err := n.Verify(t.Context(), token)
		if err == nil && string(claims) != `{"sub":"ada"}` {
			t.Fatalf("%q verified as %s", token, claims)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	store := storagetest.New(b)
	n := ensured(b, newNode(b, store, store, testKeys(b, "r")), ES256, RS256, EdDSA)
	claims := map[string]any{"iss": "https://op.example", "sub": storage.NewID(), "aud": "client", "exp": 1, "iat": 1}
	for _, alg := range Algorithms() {
		b.Run(alg, func(b *testing.B) {
			for b.Loop() {
				n.sign(b, alg, "JWT", claims)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	store := storagetest.New(b)
	n := ensured(b, newNode(b, store, store, testKeys(b, "r")), ES256)
	token := n.sign(b, ES256, "at+jwt", map[string]string{"sub": "ada"})
	for b.Loop() {
		if _, _, err := n.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
