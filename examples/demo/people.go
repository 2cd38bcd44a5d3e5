package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// people are the demo's users. Their passwords pass the judge of any installation.
func people() []user {
	return []user{
		{Username: "ada", Password: "tulip harbour lantern", Phone: "+393471234567", Name: "Ada Lovelace", Email: "ada@demo.test", Locale: "en", Note: "the usual case"},
		{Username: "bruno", Password: "sabbia vento mulino", Phone: "+393387654321", Name: "Bruno Bianchi", Email: "bruno@demo.test", Locale: "it", Note: "another person, for a second browser"},
		{Username: "carla", Password: "copper river almanac", Phone: "+5511961234567", Name: "Carla Souza", Email: "carla@demo.test", Locale: "en", Note: "a number in Brazil"},
		{Username: "dario", Password: "quiet orchard signal", Name: "Dario Neri", Email: "dario@demo.test", Locale: "en", Note: "has no phone: sees what happens then"},
	}
}

// clients are the demo's applications. Secrets are derived from the data directory's root secret, so that they are the
// same when the directory is used again; the provider keeps only hashes.
func clients(root []byte, webapp, api string) []client {
	secret := func(id string) string {
		h := hmac.New(sha256.New, root)
		h.Write([]byte("demo client secret " + id))
		return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	}
	callbacks, signedOut := []string{webapp + "/callback"}, []string{webapp + "/signed-out"}
	person := scopes("openid", "profile", "email", "phone", "offline_access")
	code := []string{"authorization_code", "refresh_token"}
	return []client{
		{
			ClientID: "demo-web", ClientSecret: secret("demo-web"), ClientName: "Conto", TokenEndpointAuthMethod: "client_secret_basic",
			RedirectURIs: callbacks, PostLogoutRedirectURIs: signedOut, GrantTypes: code, Scope: person,
			IDTokenAlg: "ES256", FirstParty: true, Audience: []string{api},
		},
		{
			ClientID: "demo-partner", ClientSecret: secret("demo-partner"), ClientName: "Partner Hotel", TokenEndpointAuthMethod: "client_secret_post",
			RedirectURIs: callbacks, PostLogoutRedirectURIs: signedOut, GrantTypes: code, Scope: person,
			IDTokenAlg: "RS256", AccessToken: "jwt", Audience: []string{api},
		},
		{
			ClientID: "demo-cli", ClientName: "Conto on the command line", TokenEndpointAuthMethod: "none", ApplicationType: "native",
			RedirectURIs: []string{"http://127.0.0.1/callback"}, GrantTypes: code, Scope: person,
			IDTokenAlg: "ES256", FirstParty: true, Audience: []string{api},
		},
		{
			ClientID: "demo-api", ClientSecret: secret("demo-api"), ClientName: "Conto API", TokenEndpointAuthMethod: "client_secret_basic",
			GrantTypes: []string{"client_credentials"}, Scope: scopes("reports"), Introspects: []string{api}, Audience: []string{api},
		},
	}
}
