package rp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/e2e/turn"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, turn.Shared)) }

// away is where clients say they are: nothing listens there, browsers of the tests stop.
const away = "http://127.0.0.1:9"

const secret = "a secret of the client, for the tests only"

// party is a client as RFC 7591 has it.
type party map[string]any

func newParty(id, method, alg string) party {
	p := party{"client_id": id, "client_name": "Relying party " + id, "token_endpoint_auth_method": method, "id_token_signed_response_alg": alg,
		"redirect_uris": []string{away + "/callback"}, "post_logout_redirect_uris": []string{away + "/signed-out"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "scope": "openid profile email phone offline_access", "parola_first_party": true}
	if strings.HasPrefix(method, "client_secret") {
		p["client_secret"] = secret
	}
	return p
}

func (p party) with(name string, value any) party {
	q := maps.Clone(p)
	q[name] = value
	return q
}

// site is a demo that knows these clients, and somebody for each.
type site struct {
	*harness.Demo
}

func open(t *testing.T, clients ...party) *site {
	t.Helper()
	people := make([]map[string]any, len(clients))
	for i, c := range clients {
		people[i] = map[string]any{"username": "of-" + c["client_id"].(string), "password": "tulip harbour lantern", "name": "Ada Lovelace",
			"email": "ada@example.test", "phone_number": number(i), "phone_number_verified": true}
	}
	dir := t.TempDir()
	file := func(name string, v any) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, encode(t, v), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return &site{harness.StartDemo(t, 0, "--verbose", "--data", t.TempDir(), "--import-clients", file("clients.json", clients), "--import-users", file("users.json", people))}
}

func number(i int) string { return fmt.Sprintf("+39347%07d", 3234500+i) }

func (s *site) person(t *testing.T, i int, c party) harness.Person {
	return harness.Person{Username: "of-" + c["client_id"].(string), Password: "tulip harbour lantern",
		Phone: harness.NewPhone(t, s.Facts.HandsetURL, number(i))}
}

// browser stops where nothing listens.
func browser(t *testing.T) *harness.Browser {
	b := harness.NewBrowser(t, nil)
	b.StopAt = func(u *url.URL) bool { return u.Host == "127.0.0.1:9" }
	return b
}

// newKey is a client's key pair: the private JWK for the client, the set of the public one for its registration.
func newKey(t *testing.T) (private map[string]any, public map[string]any) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes() // 4 ‖ X ‖ Y
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	one := map[string]any{"kty": "EC", "crv": "P-256", "kid": "the-key", "alg": "ES256", "x": text(point[1:33]), "y": text(point[33:])}
	private = maps.Clone(one)
	private["d"] = text(scalar)
	return private, map[string]any{"keys": []any{one}}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
