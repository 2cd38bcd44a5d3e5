package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func newAPI(t *testing.T, op *testOP) http.Handler {
	t.Helper()
	handler, err := New(Config{Issuer: op.issuer(), Resource: resource, ClientID: "api", ClientSecret: "s:+"})
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func get(handler http.Handler, path, token string) *httptest.ResponseRecorder {
	return request(handler, http.MethodGet, path, token, "")
}

func request(handler http.Handler, method, path, token, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	return w
}

func TestBalance_DecidesAboutJWTAccessTokens(t *testing.T) {
	tests := []struct {
		name    string
		typ     string
		changes map[string]any
		forged  bool
		status  int
		code    string
	}{
		{name: "a good one is accepted", typ: "at+jwt", status: 200},
		{name: "the long form of typ is accepted", typ: "application/at+jwt", status: 200},
		{name: "one of several audiences is accepted", typ: "at+jwt", changes: map[string]any{"aud": []string{"x", resource}}, status: 200},
		{name: "an ID token is refused", typ: "JWT", status: 401, code: "invalid_token"},
		{name: "another issuer is refused", typ: "at+jwt", changes: map[string]any{"iss": "https://evil.example"}, status: 401, code: "invalid_token"},
		{name: "another audience is refused", typ: "at+jwt", changes: map[string]any{"aud": "http://other.example"}, status: 401, code: "invalid_token"},
		{name: "an expired one is refused", typ: "at+jwt", changes: map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, status: 401, code: "invalid_token"},
		{name: "one without jti is refused", typ: "at+jwt", changes: map[string]any{"jti": nil}, status: 401, code: "invalid_token"},
		{name: "one without client_id is refused", typ: "at+jwt", changes: map[string]any{"client_id": nil}, status: 401, code: "invalid_token"},
		{name: "a forged signature is refused", typ: "at+jwt", forged: true, status: 401, code: "invalid_token"},
		{name: "a missing scope is forbidden", typ: "at+jwt", changes: map[string]any{"scope": "profile"}, status: 403, code: "insufficient_scope"},
	}
	op := newTestOP(t)
	handler := newAPI(t, op)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := op.key
			if tt.forged {
				key = newKey(t)
			}
			checkRefusal(t, get(handler, "/balance", op.accessToken(t, key, tt.typ, tt.changes)), tt.status, tt.code)
		})
	}
	t.Run("an unsigned one is refused", func(t *testing.T) {
		_, rest, _ := strings.Cut(op.accessToken(t, op.key, "at+jwt", nil), ".")
		payload, _, _ := strings.Cut(rest, ".")
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`))
		checkRefusal(t, get(handler, "/balance", header+"."+payload+"."), 401, "invalid_token")
	})
}

func TestBalance_DecidesAboutOpaqueAccessTokens(t *testing.T) {
	tests := []struct {
		name   string
		token  string
		change func(map[string]any)
		status int
		code   string
	}{
		{"a good one is accepted", "opaque", func(map[string]any) {}, 200, ""},
		{"one audience as a string is accepted", "opaque", func(m map[string]any) { m["aud"] = resource }, 200, ""},
		{"one that is not active is refused", "unknown", func(map[string]any) {}, 401, "invalid_token"},
		{"another audience is refused", "opaque", func(m map[string]any) { m["aud"] = "x" }, 401, "invalid_token"},
		{"no audience is refused", "opaque", func(m map[string]any) { delete(m, "aud") }, 401, "invalid_token"},
		{"another issuer is refused", "opaque", func(m map[string]any) { m["iss"] = "https://evil.example" }, 401, "invalid_token"},
		{"an expired one is refused", "opaque", func(m map[string]any) { m["exp"] = time.Now().Unix() - 1 }, 401, "invalid_token"},
		{"a refresh token is refused", "opaque", func(m map[string]any) { m["token_use"] = "refresh_token" }, 401, "invalid_token"},
		{"a token bound to a key is refused", "opaque", func(m map[string]any) { m["token_type"] = "DPoP" }, 401, "invalid_token"},
		{"a missing scope is forbidden", "opaque", func(m map[string]any) { m["scope"] = "" }, 403, "insufficient_scope"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op := newTestOP(t)
			tt.change(op.introspection)
			checkRefusal(t, get(newAPI(t, op), "/balance", tt.token), tt.status, tt.code)
		})
	}
}

func checkRefusal(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	challenge := w.Header().Get("WWW-Authenticate")
	if w.Code != status {
		t.Fatalf("status %d, want %d (%s)", w.Code, status, challenge)
	}
	if code != "" && !strings.HasPrefix(challenge, `Bearer error="`+code+`"`) {
		t.Errorf("WWW-Authenticate: %s", challenge)
	}
}

func TestPayments_NeedAnACRWithoutSMS(t *testing.T) {
	tests := []struct {
		acr    any
		status int
	}{
		{acrPhishingResistant, 201}, {acrPhoneNoSMS, 201},
		{acrPhone, 401}, {acrPassword, 401}, {"urn:parola:acr:superb", 401}, {nil, 401},
	}
	op := newTestOP(t)
	handler := newAPI(t, op)
	for _, tt := range tests {
		token := op.accessToken(t, op.key, "at+jwt", map[string]any{"acr": tt.acr})
		w := request(handler, http.MethodPost, "/payments", token, `{"to":"Nina","amount":100}`)
		if w.Code != tt.status {
			t.Errorf("acr %v: status %d, want %d", tt.acr, w.Code, tt.status)
		}
	}
}

func TestPayments_SayWhichACRIsMissing(t *testing.T) {
	w := request(newAPI(t, newTestOP(t)), http.MethodPost, "/payments", "opaque", `{"to":"Nina","amount":100}`)
	want := `Bearer error="insufficient_user_authentication", error_description="A stronger login is needed for this.", ` +
		`acr_values="urn:parola:acr:phone-no-sms", ` +
		`resource_metadata="http://api.example/.well-known/oauth-protected-resource"`
	if got := w.Header().Get("WWW-Authenticate"); w.Code != http.StatusUnauthorized || got != want {
		t.Errorf("%d\n got %s\nwant %s", w.Code, got, want)
	}
}

func TestPayments_MoveMoneyOrSayWhyNot(t *testing.T) {
	op := newTestOP(t)
	op.introspection["acr"] = acrPhoneNoSMS
	handler := newAPI(t, op)
	tests := []struct {
		name, body string
		status     int
		left       int64
	}{
		{"a payment", `{"to":"Nina","amount":60000}`, 201, 40_000},
		{"more than there is", `{"to":"Nina","amount":40001}`, 409, 40_000},
		{"all that is left", `{"to":"Nina","amount":40000}`, 201, 0},
		{"nothing", `{"to":"Nina","amount":0}`, 400, 0},
		{"a negative amount", `{"to":"Nina","amount":-5}`, 400, 0},
		{"nobody", `{"amount":5}`, 400, 0},
		{"an unknown member", `{"to":"Nina","amount":5,"currency":"USD"}`, 400, 0},
		{"no JSON", `to=Nina`, 400, 0},
		{"too much JSON", `{"to":"` + strings.Repeat("x", maxPaymentBody) + `","amount":5}`, 400, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if w := request(handler, http.MethodPost, "/payments", "opaque", tt.body); w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			var after balance
			if err := json.NewDecoder(get(handler, "/balance", "opaque").Body).Decode(&after); err != nil {
				t.Fatal(err)
			}
			if after.Balance != tt.left {
				t.Errorf("balance %d, want %d", after.Balance, tt.left)
			}
		})
	}
}

func TestBearer_IsReadFromOneHeaderOnly(t *testing.T) {
	handler := newAPI(t, newTestOP(t))
	tests := []struct {
		name    string
		path    string
		headers []string
		status  int
		code    string
	}{
		{"no token", "/balance", nil, 401, ""},
		{"a token in the URL", "/balance?access_token=opaque", nil, 401, ""},
		{"another scheme", "/balance", []string{"Basic b3BhcXVl"}, 401, ""},
		{"a scheme in small letters", "/balance", []string{"bearer opaque"}, 200, ""},
		{"two headers", "/balance", []string{"Bearer opaque", "Bearer opaque"}, 400, "invalid_request"},
		{"two tokens", "/balance", []string{"Bearer opaque opaque"}, 400, "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, tt.path, nil)
			req.Header["Authorization"] = tt.headers
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			checkRefusal(t, w, tt.status, tt.code)
			if tt.code == "" && strings.Contains(w.Header().Get("WWW-Authenticate"), "error=") {
				t.Error("a request without a token is not told of an error (RFC 6750 §3.1)")
			}
		})
	}
}

func TestOutage_IsNotARefusal(t *testing.T) {
	t.Run("when discovery fails, until it works again", func(t *testing.T) {
		op := newTestOP(t)
		handler := newAPI(t, op)
		op.down.Store(true)
		checkRefusal(t, get(handler, "/balance", "opaque"), http.StatusServiceUnavailable, "")
		op.down.Store(false)
		checkRefusal(t, get(handler, "/balance", "opaque"), http.StatusOK, "")
		op.down.Store(true)
		checkRefusal(t, get(handler, "/balance", "opaque"), http.StatusServiceUnavailable, "")
	})
	t.Run("when the keys cannot be fetched", func(t *testing.T) {
		op := newTestOP(t)
		op.keysDown.Store(true)
		checkRefusal(t, get(newAPI(t, op), "/balance", op.accessToken(t, op.key, "at+jwt", nil)), http.StatusServiceUnavailable, "")
	})
	t.Run("when its own credentials are refused", func(t *testing.T) {
		handler, err := New(Config{Issuer: newTestOP(t).issuer(), Resource: resource, ClientID: "api", ClientSecret: "wrong"})
		if err != nil {
			t.Fatal(err)
		}
		checkRefusal(t, get(handler, "/balance", "opaque"), http.StatusServiceUnavailable, "")
	})
}

func TestMetadata_IsWhereRFC9728Says(t *testing.T) {
	op := newTestOP(t)
	handler, err := New(Config{Issuer: op.issuer(), Resource: "http://api.example/v1"})
	if err != nil {
		t.Fatal(err)
	}
	w := get(handler, "/.well-known/oauth-protected-resource/v1", "")
	var metadata struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
	}
	if err := json.NewDecoder(w.Body).Decode(&metadata); err != nil {
		t.Fatal(err)
	}
	if metadata.Resource != "http://api.example/v1" || len(metadata.Servers) != 1 || metadata.Servers[0] != op.issuer() {
		t.Errorf("metadata %+v", metadata)
	}
}

func TestNew_RefusesAnIncompleteConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no issuer":              {Resource: resource},
		"no resource":            {Issuer: "https://id.example"},
		"a relative resource":    {Issuer: "https://id.example", Resource: "/api"},
		"an id without a secret": {Issuer: "https://id.example", Resource: resource, ClientID: "api"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzJWTHeader(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2ln")
	f.Add("opaque.token")
	f.Add("..")
	f.Fuzz(func(t *testing.T, raw string) {
		if header, ok := jwtHeader(raw); ok && (header.Algorithm == "" || strings.Count(raw, ".") != 2) {
			t.Errorf("%q passed for a JWT", raw)
		}
	})
}
