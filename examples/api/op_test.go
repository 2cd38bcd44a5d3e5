package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const resource = "http://api.example"

// testOP is a provider's discovery, keys and introspection.
type testOP struct {
	server *httptest.Server
	key    *ecdsa.PrivateKey

	introspection map[string]any // answer for the token "opaque"; every other token is not active
	down          atomic.Bool    // everything answers 500
	keysDown      atomic.Bool    // only the keys do
}

func newTestOP(t *testing.T) *testOP {
	t.Helper()
	op := &testOP{key: newKey(t)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": op.issuer(), "jwks_uri": op.issuer() + "/jwks", "introspection_endpoint": op.issuer() + "/introspect",
		})
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, r *http.Request) {
		if op.keysDown.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: op.key.Public(), KeyID: "k", Algorithm: "ES256"}}})
	})
	mux.HandleFunc("POST /introspect", op.introspect)
	op.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if op.down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(op.server.Close)
	op.introspection = map[string]any{
		"active": true, "iss": op.issuer(), "aud": []string{resource}, "sub": "ada", "client_id": "webapp",
		"scope": "openid profile", "acr": acrPhone, "exp": time.Now().Add(time.Minute).Unix(), "token_type": "Bearer",
	}
	return op
}

func (op *testOP) issuer() string { return op.server.URL }

func (op *testOP) introspect(w http.ResponseWriter, r *http.Request) {
	// The secret has a colon and a plus, and arrives form-encoded (RFC 6749 §2.3.1).
	if id, secret, ok := r.BasicAuth(); !ok || id != "api" || secret != "s%3A%2B" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.PostFormValue("token") != "opaque" {
		_ = json.NewEncoder(w).Encode(map[string]bool{"active": false})
		return
	}
	_ = json.NewEncoder(w).Encode(op.introspection)
}

// accessToken is an RFC 9068 token with changes: header "typ", claims as named; nil removes a claim.
func (op *testOP) accessToken(t *testing.T, key *ecdsa.PrivateKey, typ string, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": op.issuer(), "aud": resource, "sub": "ada", "client_id": "webapp", "jti": "j1", "scope": "openid profile",
		"acr": acrPhone, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
	maps.Copy(claims, changes)
	for name, value := range claims {
		if value == nil {
			delete(claims, name)
		}
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
