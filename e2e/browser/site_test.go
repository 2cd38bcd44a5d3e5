package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

// site is a demo with people and clients of the tests' own.
type site struct {
	*harness.Demo
	t *testing.T
	// first needs no consent and partner does, under a name as long as names are.
	first, partner *harness.RelyingParty
	next           atomic.Int64
}

const (
	partnerName = "Albergo Diffuso della Contessa Serbelloni di Bellagio"
	longName    = "maria-antonietta.della-rovere.von-hohenzollern@posta.example.test"
	password    = "tulip harbour lantern"
	people      = 24
	secret      = "a secret of the client, for the tests only"
)

// open starts a demo with settings laid over its own, and a client's page to come back to.
func open(t *testing.T, settings string) *site {
	t.Helper()
	chromium.start(t) // skips before anything is built
	callback := httptest.NewServer(http.HandlerFunc(callback))
	t.Cleanup(callback.Close)
	s := &site{t: t}
	client := func(id, name string, firstParty bool) map[string]any {
		return map[string]any{"client_id": id, "client_secret": secret, "client_name": name, "redirect_uris": []string{callback.URL + "/callback"},
			"token_endpoint_auth_method": "client_secret_basic", "grant_types": []string{"authorization_code", "refresh_token"},
			"post_logout_redirect_uris": []string{callback.URL + "/signed-out"}, "id_token_signed_response_alg": "ES256",
			"scope": "openid profile email phone offline_access", "parola_first_party": firstParty}
	}
	users := []map[string]any{{"username": longName, "password": password, "phone_number": number(people), "phone_number_verified": true}}
	for i := range people {
		users = append(users, map[string]any{"username": name(i), "password": password, "phone_number": number(i), "phone_number_verified": true})
	}
	dir := t.TempDir()
	s.Demo = harness.StartDemo(t, 0, "--verbose", "--data", t.TempDir(),
		"--config", write(t, dir, "settings.yaml", []byte(settings)),
		"--import-users", write(t, dir, "users.json", encode(t, users)),
		"--import-clients", write(t, dir, "clients.json", encode(t, []map[string]any{
			client("first", "Bottega Online", true), client("partner", partnerName, false)})))
	party := func(id string) *harness.RelyingParty {
		return &harness.RelyingParty{Issuer: s.Facts.Issuer, ID: id, Secret: secret, RedirectURI: callback.URL + "/callback",
			Scope: "openid profile email offline_access", HTTP: &http.Client{Timeout: 20 * time.Second}}
	}
	s.first, s.partner = party("first"), party("partner")
	return s
}

// callback is the client's page: what it was told, by query or by form.
func callback(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/favicon.ico" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>Client</title><p>Back at the client by %s, error=%q.", r.Method, r.FormValue("error"))
	if r.FormValue("code") != "" {
		fmt.Fprintf(w, " An AuthCode came, iss=%q.", r.FormValue("iss"))
	}
}

const backAtClient = "Back at the client by GET"

func name(i int) string   { return fmt.Sprintf("person%d", i) }
func number(i int) string { return fmt.Sprintf("+39347%07d", 2234500+i) }

// person is somebody whom no other test uses.
func (s *site) person(t *testing.T) harness.Person {
	t.Helper()
	i := int(s.next.Add(1)) - 1
	if i >= people {
		t.Fatal("more tests than people: raise the constant")
	}
	return harness.Person{Username: name(i), Password: password, Phone: harness.NewPhone(t, s.Facts.HandsetURL, number(i))}
}

func (s *site) longNamed(t *testing.T) harness.Person {
	return harness.Person{Username: longName, Password: password, Phone: harness.NewPhone(t, s.Facts.HandsetURL, number(people))}
}

// password gives the password on the page that asks for it.
func (b *tab) password(who harness.Person) *tab {
	b.t.Helper()
	return b.fill("username", who.Username).fill("password", who.Password).press("Continue")
}

// login is a whole login by WhatsApp.
func (b *tab) login(url string, who harness.Person) *tab {
	b.t.Helper()
	who.Phone.Forget()
	b.open(url).password(who).until("Enter your code")
	return b.passcode(who, "whatsapp")
}

// passcode types the passcode that arrived on a channel.
func (b *tab) passcode(who harness.Person, channel string) *tab {
	b.t.Helper()
	return b.fill("passcode", who.Phone.Passcode(channel, patience)).press("Continue")
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
