package native

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// testOP is a provider that lies on request. Its browse plays the person: it brings answer back to the redirect URI.
type testOP struct {
	server *httptest.Server
	key    *ecdsa.PrivateKey
	signer *ecdsa.PrivateKey // what really signs

	claims      map[string]any // over the honest ones
	answer      url.Values     // over nothing: the response parameters, state aside
	userinfoSub string

	intruder       url.Values // parameters that somebody else sends first, over the honest ones
	intruderStatus int

	request url.Values // the authorization request
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newTestOP(t *testing.T) *testOP {
	t.Helper()
	op := &testOP{key: newKey(t), claims: map[string]any{}, userinfoSub: "ada"}
	op.signer = op.key
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", op.discovery)
	mux.HandleFunc("GET /jwks", op.jwks)
	mux.HandleFunc("POST /token", op.token)
	mux.HandleFunc("GET /userinfo", op.userinfo)
	op.server = httptest.NewServer(mux)
	t.Cleanup(op.server.Close)
	op.answer = url.Values{"code": {"good"}, "iss": {op.issuer()}}
	return op
}

func (op *testOP) issuer() string { return op.server.URL }

// browse follows the authorization URL as far as the redirect back, without pages in between.
func (op *testOP) browse(t *testing.T, authorizationURL string) {
	t.Helper()
	u, err := url.Parse(authorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	op.request = u.Query()
	honest := url.Values{"state": {op.request.Get("state")}}
	maps.Copy(honest, op.answer)
	if op.intruder != nil {
		forged := maps.Clone(honest)
		for name, values := range op.intruder {
			forged[name] = values
			if values[0] == "" {
				forged.Del(name)
			}
		}
		op.intruderStatus = op.redirectBack(t, forged)
	}
	op.redirectBack(t, honest)
}

func (op *testOP) redirectBack(t *testing.T, answer url.Values) int {
	t.Helper()
	resp, err := http.Get(op.request.Get("redirect_uri") + "?" + answer.Encode())
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (op *testOP) discovery(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(map[string]any{
		"issuer": op.issuer(), "authorization_endpoint": op.issuer() + "/authorize",
		"token_endpoint": op.issuer() + "/token", "jwks_uri": op.issuer() + "/jwks",
		"userinfo_endpoint": op.issuer() + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES256"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func (op *testOP) jwks(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: op.key.Public(), KeyID: "k", Algorithm: "ES256"}}})
}

func (op *testOP) token(w http.ResponseWriter, r *http.Request) {
	verifier := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	_, _, basic := r.BasicAuth()
	if basic || r.PostFormValue("client_id") != "cliapp" || r.PostFormValue("code") != "good" ||
		base64.RawURLEncoding.EncodeToString(verifier[:]) != op.request.Get("code_challenge") ||
		r.PostFormValue("redirect_uri") != op.request.Get("redirect_uri") {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	hash := sha256.Sum256([]byte("access"))
	claims := map[string]any{
		"iss": op.issuer(), "aud": "cliapp", "sub": "ada", "nonce": op.request.Get("nonce"),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "auth_time": time.Now().Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(hash[:16]),
		"acr":     "urn:parola:acr:phone", "amr": []string{"pwd", "otp", "mca", "mfa"}, "mfa_channel": "whatsapp",
	}
	maps.Copy(claims, op.claims)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": sign(op.signer, claims),
	})
}

func (op *testOP) userinfo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer access" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"sub": op.userinfoSub})
}

func sign(key *ecdsa.PrivateKey, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return compact
}
