package oidc

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/outbound"
	"github.com/parola-id/parola/storage"
)

// register reads one client's metadata and makes the client of it.
func register(metadata string) (*Registration, storage.Client, error) {
	list, err := ParseRegistrations([]byte(metadata))
	if err != nil {
		return nil, storage.Client{}, err
	}
	c, err := list[0].Client(RegistrationDefaults{})
	return &list[0], c, err
}

func TestOA05_RedirectURIsThatMayBeRegistered(t *testing.T) {
	for _, tt := range []struct {
		uri         string
		web, native bool
	}{
		{"https://rp.example/cb", true, true},
		{"https://rp.example:8443/cb?tenant=1", true, true},
		{"https://rp.example", true, true},
		{"http://127.0.0.1:8081/callback", true, true},
		{"http://127.0.0.1/callback", true, true},
		{"http://[::1]/callback", true, true},
		{"http://localhost:3000/cb", true, true},
		{"com.example.app:/callback", false, true},
		{"com.example.app://callback", false, true},
		{"http://rp.example/cb", false, false},
		{"http://10.0.0.1/cb", false, false},
		{"http://127.0.0.1.evil.example/cb", false, false},
		{"http://localhost.evil.example/cb", false, false},
		{"https://rp.example/cb#fragment", false, false},
		{"https://rp.example/cb#", false, false},
		{"https://user@rp.example/cb", false, false},
		{"https://user:pw@rp.example/cb", false, false},
		{"https://*.rp.example/cb", false, false},
		{"https://rp.example/*", false, false},
		{`https://rp.example\@evil.example/cb`, false, false},
		{"https://rp.example/c b", false, false},
		{"https://rp.example/c\tb", false, false},
		{"https://r\u00fc.example/cb", false, false},
		{"https:///cb", false, false},
		{"https:rp.example", false, false},
		{"//rp.example/cb", false, false},
		{"/cb", false, false},
		{"", false, false},
		{"myapp:/cb", false, false},
		{"app.:/cb", false, false},
		{"javascript:alert(1)", false, false},
		{"JavaScript:alert(1)", false, false},
		{"data:text/html,x", false, false},
		{"vbscript:x", false, false},
		{"file:///etc/passwd", false, false},
		{"blob:https://rp.example/x", false, false},
		{"about:blank", false, false},
		{"https://rp.example/" + strings.Repeat("a", maxURI), false, false},
	} {
		for _, native := range []bool{false, true} {
			want := tt.web
			if native {
				want = tt.native
			}
			if err := checkRedirectURI(tt.uri, native); (err == nil) != want {
				t.Errorf("native %v, %.60q: %v, want allowed %v", native, tt.uri, err, want)
			}
		}
	}
}

func TestRegistrationDefaultsAreThoseOfTheSpecifications(t *testing.T) {
	r, c, err := register(`{"redirect_uris": ["https://rp.example/cb"], "client_name": "Shop", "client_secret": "hunter2"}`)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(c.ID, "c-") || len(c.ID) == len(storage.NewID()) { // OA-38: no `sub` looks like this
		t.Errorf("generated client id %q", c.ID)
	}
	if r.ClientSecret != "hunter2" || len(c.Secrets) != 0 {
		t.Errorf("secret %q, stored %v", r.ClientSecret, c.Secrets)
	}
	want := storage.Client{
		ID: c.ID, Name: "Shop", AuthMethod: "client_secret_basic", IDTokenAlg: "RS256",
		RedirectURIs: []string{"https://rp.example/cb"}, GrantTypes: []string{"authorization_code"},
		ResponseModes: []string{"query", "form_post"},
		Scopes:        []string{"openid", "profile", "email", "phone", "address"},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("client (-want +got):\n%s", diff)
	}
}

func TestEveryMemberOfARegistrationArrives(t *testing.T) {
	key := newAssertionKey(t)
	list, err := ParseRegistrations([]byte(`[{
		"client_id": "shop", "client_name": "Shop", "client_uri": "https://rp.example", "logo_uri": "https://rp.example/l.png",
		"application_type": "native", "redirect_uris": ["http://127.0.0.1/cb"],
		"post_logout_redirect_uris": ["https://rp.example/bye"], "response_types": ["code"],
		"grant_types": ["authorization_code", "refresh_token", "client_credentials"], "scope": "openid read",
		"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
		"jwks": ` + string(key.set(t)) + `, "id_token_signed_response_alg": "EdDSA", "subject_type": "public",
		"default_acr_values": ["urn:parola:acr:phone"], "default_max_age": 0, "require_auth_time": true,
		"client_id_issued_at": 1700000000, "client_secret_expires_at": 0, "policy_uri": null,
		"parola_pkce": "optional", "parola_first_party": true, "parola_always_refresh": true, "parola_fallback": "deny",
		"parola_access_token": "jwt", "parola_audience": ["https://api.example"], "parola_introspects": ["https://api.example"],
		"parola_required_acr": "urn:parola:acr:phone-no-sms", "parola_response_modes": ["query"],
		"parola_form_origins": ["https://pay.example"], "parola_cors_origins": ["https://spa.example"], "parola_colour": "#1a2b3c",
		"dpop_bound_access_tokens": false, "contacts": ["it@rp.example"], "x_other": 1
	}]`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := list[0].Client(RegistrationDefaults{IDTokenAlg: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	zero := int64(0)
	want := storage.Client{
		ID: "shop", Name: "Shop", URI: "https://rp.example", LogoURI: "https://rp.example/l.png", Native: true,
		RedirectURIs: []string{"http://127.0.0.1/cb"}, PostLogoutRedirectURIs: []string{"https://rp.example/bye"},
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, Scopes: []string{"openid", "read"},
		AuthMethod: "private_key_jwt", AssertionAlg: "ES256", JWKS: c.JWKS, IDTokenAlg: "EdDSA",
		DefaultACRValues: []string{acr.Phone}, DefaultMaxAge: &zero, RequireAuthTime: true, PKCEOptional: true,
		FirstParty: true, AlwaysRefresh: true, Fallback: "deny", JWTAccessTokens: true,
		Audience: []string{"https://api.example"}, Introspects: []string{"https://api.example"}, RequiredACR: acr.PhoneNoSMS,
		ResponseModes: []string{"query"}, FormOrigins: []string{"https://pay.example"},
		CORSOrigins: []string{"https://spa.example"}, Colour: "#1a2b3c",
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("client (-want +got):\n%s", diff)
	}
	if keys, err := outbound.ParseKeySet(c.JWKS); err != nil || len(keys) != 1 {
		t.Errorf("keys %v, %v", keys, err)
	}
	if !slices.Equal(list[0].Unknown, []string{"contacts", "x_other"}) {
		t.Errorf("warned of %v", list[0].Unknown)
	}
}

func TestRegistrationsThatAreRefusedNameClientAndMember(t *testing.T) {
	private := `{"keys":[{"kty":"EC","crv":"P-256","x":"a","y":"b","d":"c"}]}`
	const start = `{"client_id":"shop","redirect_uris":["https://rp.example/cb"],`
	for _, tt := range []struct {
		name, metadata string
		says           []string
	}{
		{"a member twice", start + `"client_id":"x"}`, []string{"client_id", "twice"}},
		{"a member twice deep inside", start + `"jwks":{"keys":[],"keys":[]}}`, []string{"keys", "twice"}},
		{"a wrong type", start + `"grant_types":"code"}`, []string{`"shop"`, "grant_types", "array of strings"}},
		{"a number for a name", start + `"client_name":7}`, []string{`"shop"`, "client_name", "string"}},
		{"a fraction of a second", start + `"default_max_age":1.5}`, []string{`"shop"`, "default_max_age", "whole number"}},
		{"implicit", start + `"grant_types":["implicit"]}`, []string{`"shop"`, "grant_types", "implicit"}},
		{"password", start + `"grant_types":["password"]}`, []string{`"shop"`, "grant_types", "password"}},
		{"OA-06: hybrid", start + `"response_types":["code id_token"]}`, []string{`"shop"`, "response_types"}},
		{"OA-06: token", start + `"response_types":["code","token"]}`, []string{`"shop"`, "response_types", "token"}},
		{"fragment", start + `"parola_response_modes":["fragment"]}`, []string{"parola_response_modes"}},
		{"no redirect URI", `{"client_id":"shop"}`, []string{`"shop"`, "redirect_uris"}},
		{"a bad redirect URI", `{"client_id":"shop","redirect_uris":["http://rp.example/"]}`, []string{"redirect_uris", "http://rp.example/", "https"}},
		{"a bad logout URI", start + `"post_logout_redirect_uris":["javascript:x"]}`, []string{"post_logout_redirect_uris"}},
		{"a bad logo", start + `"logo_uri":"data:image/svg+xml,x"}`, []string{"logo_uri"}},
		{"a control character in the name", start + `"client_name":"a\u0007"}`, []string{"client_name"}},
		{"a direction override in the name", start + `"client_name":"\u202ebank"}`, []string{"client_name"}},
		{"an id with a space beyond ASCII", `{"client_id":"caf\u00e9","redirect_uris":["https://rp.example/cb"]}`, []string{"client_id"}},
		{"OA-40: none", start + `"id_token_signed_response_alg":"none"}`, []string{"id_token_signed_response_alg"}},
		{"OA-40: HMAC", start + `"id_token_signed_response_alg":"HS256"}`, []string{"id_token_signed_response_alg"}},
		{"an HMAC assertion", start + `"token_endpoint_auth_signing_alg":"HS256"}`, []string{"token_endpoint_auth_signing_alg"}},
		{"client_secret_jwt", start + `"token_endpoint_auth_method":"client_secret_jwt"}`, []string{"token_endpoint_auth_method"}},
		{"a public client with a secret", start + `"token_endpoint_auth_method":"none","client_secret":"x"}`, []string{"client_secret"}},
		{"private_key_jwt without keys", start + `"token_endpoint_auth_method":"private_key_jwt"}`, []string{"jwks"}},
		{"keys twice", start + `"jwks":{"keys":[]},"jwks_uri":"https://rp.example/jwks"}`, []string{"jwks", "jwks_uri"}},
		{"a private key", start + `"jwks":` + private + `}`, []string{"jwks", "private"}},
		{"a private key address", start + `"jwks_uri":"https://169.254.169.254/"}`, []string{"jwks_uri"}},
		{"a plain key address", start + `"jwks_uri":"http://rp.example/jwks"}`, []string{"jwks_uri", "https"}},
		{"OA-21: a public client without PKCE", start + `"token_endpoint_auth_method":"none","parola_pkce":"optional"}`, []string{"parola_pkce"}},
		{"a public client for itself", start + `"token_endpoint_auth_method":"none","grant_types":["authorization_code","client_credentials"]}`, []string{"client_credentials"}},
		{"OA-50: refresh for strangers", start + `"parola_always_refresh":true}`, []string{"parola_always_refresh"}},
		{"OA-81: a public resource server", start + `"token_endpoint_auth_method":"none","parola_introspects":["a"]}`, []string{"parola_introspects"}},
		{"a JWT for nobody", start + `"parola_access_token":"jwt"}`, []string{"parola_audience"}},
		{"an acr out of reach", start + `"parola_required_acr":"urn:parola:acr:phishing-resistant"}`, []string{"parola_required_acr"}},
		{"a made-up fallback", start + `"parola_fallback":"maybe"}`, []string{"parola_fallback"}},
		{"a scope with a quote", start + `"scope":"op\"enid"}`, []string{"scope"}},
		{"an origin with a path", start + `"parola_cors_origins":["https://spa.example/"]}`, []string{"parola_cors_origins"}},
		{"any origin", start + `"parola_cors_origins":["*"]}`, []string{"parola_cors_origins"}},
		{"a negative age", start + `"default_max_age":-1}`, []string{"default_max_age"}},
		{"pairwise", start + `"subject_type":"pairwise"}`, []string{"subject_type"}},
		{"bound tokens", start + `"dpop_bound_access_tokens":true}`, []string{"dpop_bound_access_tokens"}},
		{"encrypted ID tokens", start + `"id_token_encrypted_response_alg":"RSA-OAEP"}`, []string{"id_token_encrypted_response_alg"}},
		{"refresh without a login", `{"client_id":"shop","grant_types":["refresh_token","client_credentials"]}`, []string{"grant_types"}},
		{"the same client twice", `[` + start[:len(start)-1] + `},` + start[:len(start)-1] + `}]`, []string{`"shop"`, "client_id"}},
		{"no object", `[7]`, []string{"client 1"}},
		{"no JSON", `{"client_id":`, []string{"JSON"}},
		{"two texts", `{} {}`, []string{"JSON"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, c, err := register(tt.metadata)
			if err == nil {
				t.Fatalf("accepted as %+v", c)
			}
			for _, word := range tt.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not say %q", err, word)
				}
			}
		})
	}
}

func TestMembersAreReadByTheirExactNames(t *testing.T) {
	r, c, err := register(`{"CLIENT_ID":"x","redirect_uris":["https://rp.example/cb"]}`)
	if err != nil || c.ID == "x" || !slices.Equal(r.Unknown, []string{"CLIENT_ID"}) {
		t.Errorf("client %q, warned of %v, %v", c.ID, r.Unknown, err)
	}
}

func FuzzParseRegistrations(f *testing.F) {
	f.Add([]byte(`[{"client_id":"a","redirect_uris":["https://rp.example/cb"],"scope":"openid"}]`))
	f.Add([]byte(`{"client_id":"a","client_id":"b"}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseRegistrations(data)
		if err != nil {
			return
		}
		for i := range list {
			c, err := list[i].Client(RegistrationDefaults{})
			if err != nil {
				continue
			}
			if !validClientID(c.ID) || !slices.Contains(authMethods(), c.AuthMethod) || len(c.Secrets) > 0 {
				t.Fatalf("registered %+v", c)
			}
			for _, uri := range c.RedirectURIs {
				if checkRedirectURI(uri, c.Native) != nil {
					t.Fatalf("registered redirect URI %q", uri)
				}
			}
			if _, err := json.Marshal(c); err != nil {
				t.Fatal(err)
			}
		}
	})
}
