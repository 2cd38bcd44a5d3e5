package webapp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// testOP is a provider without pages: /authorize answers at once, honestly or as told.
type testOP struct {
	server *httptest.Server
	key    *ecdsa.PrivateKey
	signer *ecdsa.PrivateKey // what really signs

	claims      map[string]any // ID token claims over the honest ones; nil removes one
	answer      url.Values     // authorization response parameters over the honest ones; empty removes one
	authTime    int64
	userinfoSub string
	down        bool // every endpoint answers 500
	refuse      string

	request   url.Values // the last authorization request
	loggedOut url.Values // the last logout request
	issued    int        // refresh tokens given out
}

func newTestOP(t *testing.T) *testOP {
	t.Helper()
	op := &testOP{key: newKey(t), claims: map[string]any{}, answer: url.Values{}, userinfoSub: "ada", authTime: time.Now().Unix()}
	op.signer = op.key
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", op.discovery)
	mux.HandleFunc("GET /jwks", op.jwks)
	mux.HandleFunc("GET /authorize", op.authorize)
	mux.HandleFunc("POST /token", op.token)
	mux.HandleFunc("GET /userinfo", op.userinfo)
	mux.HandleFunc("GET /logout", op.logout)
	op.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if op.down {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(op.server.Close)
	return op
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (op *testOP) issuer() string { return op.server.URL }

func (op *testOP) discovery(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(map[string]any{
		"issuer": op.issuer(), "authorization_endpoint": op.issuer() + "/authorize", "token_endpoint": op.issuer() + "/token",
		"jwks_uri": op.issuer() + "/jwks", "userinfo_endpoint": op.issuer() + "/userinfo",
		"end_session_endpoint":                           op.issuer() + "/logout",
		"id_token_signing_alg_values_supported":          []string{"ES256"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func (op *testOP) jwks(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: op.key.Public(), KeyID: "k", Algorithm: "ES256"}}})
}

func (op *testOP) authorize(w http.ResponseWriter, r *http.Request) {
	op.request = r.URL.Query()
	answer := url.Values{"code": {"good"}, "state": {op.request.Get("state")}, "iss": {op.issuer()}}
	for name, values := range op.answer {
		answer[name] = values
		if values[0] == "" {
			answer.Del(name)
		}
	}
	http.Redirect(w, r, op.request.Get("redirect_uri")+"?"+answer.Encode(), http.StatusSeeOther)
}

func (op *testOP) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if id, secret, ok := r.BasicAuth(); !ok || id != "webapp" || secret != "secret" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_client"}`)
		return
	}
	if op.refuse != "" || !op.grantHolds(r) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_grant"}`)
		return
	}
	op.issued++
	access := fmt.Sprintf("access-%d", op.issued)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": 60,
		"refresh_token": fmt.Sprintf("refresh-%d", op.issued), "id_token": op.idToken(r.PostFormValue("grant_type"), access),
	})
}

// grantHolds checks PKCE for an AuthCode, and that a refresh token is the last one given out.
func (op *testOP) grantHolds(r *http.Request) bool {
	if r.PostFormValue("grant_type") == "refresh_token" {
		return r.PostFormValue("refresh_token") == fmt.Sprintf("refresh-%d", op.issued)
	}
	verifier := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	return r.PostFormValue("code") == "good" && r.PostFormValue("redirect_uri") == op.request.Get("redirect_uri") &&
		base64.RawURLEncoding.EncodeToString(verifier[:]) == op.request.Get("code_challenge")
}

func (op *testOP) idToken(grantType, access string) string {
	hash := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": op.issuer(), "aud": "webapp", "sub": "ada", "name": "Ada Rossi",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "auth_time": op.authTime,
		"at_hash": base64.RawURLEncoding.EncodeToString(hash[:16]),
		"acr":     acrPhone, "amr": []string{"pwd", "otp", "mca", "mfa", "sms"}, "mfa_channel": "sms",
	}
	if grantType != "refresh_token" {
		claims["nonce"] = op.request.Get("nonce")
	}
	maps.Copy(claims, op.claims)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return sign(op.signer, claims)
}

func (op *testOP) userinfo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != fmt.Sprintf("Bearer access-%d", op.issued) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"sub": op.userinfoSub, "phone_number": "+390000000000"})
}

func (op *testOP) logout(w http.ResponseWriter, r *http.Request) {
	op.loggedOut = r.URL.Query()
	back := op.loggedOut.Get("post_logout_redirect_uri") + "?" + url.Values{"state": {op.loggedOut.Get("state")}}.Encode()
	http.Redirect(w, r, back, http.StatusSeeOther)
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

// testAPI is a resource server that wants one of good as acr; it is told the acr because the tokens here are opaque.
type testAPI struct {
	server *httptest.Server
	acr    string
	good   []string
}

func newTestAPI(t *testing.T, acr string) *testAPI {
	t.Helper()
	api := &testAPI{acr: acr, good: []string{acrPhoneNoSMS}}
	api.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !slices.Contains(api.good, api.acr) {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", `+
				`error_description="too low, sorry", acr_values="urn:parola:acr:phone-no-sms", max_age=300`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"balance":97500}`)
	}))
	t.Cleanup(api.server.Close)
	return api
}
