package oidc

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/storage"
)

func TestOA01_OA02_A3_RedirectURIMatching(t *testing.T) {
	for _, tt := range []struct {
		name       string
		registered string
		sent       string
		native     bool
		want       bool
	}{
		{"the same text matches", "https://rp.example/cb", "https://rp.example/cb", false, true},
		{"the same text with a query matches", "https://rp.example/cb?a=1", "https://rp.example/cb?a=1", false, true},
		{"a private scheme of a native client matches", "com.example.app:/cb", "com.example.app:/cb", true, true},
		{"a native client may choose its loopback port", "http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", true, true},
		{"the registered port means nothing on loopback", "http://127.0.0.1:8080/cb", "http://127.0.0.1/cb", true, true},
		{"IPv6 loopback too", "http://[::1]/cb?x=1", "http://[::1]:1/cb?x=1", true, true},
		{"nothing registered matches nothing", "", "", false, false},
		{"a longer path does not", "https://rp.example/cb", "https://rp.example/cb/", false, false},
		{"another query does not", "https://rp.example/cb", "https://rp.example/cb?a=1", false, false},
		{"another case of the host does not", "https://rp.example/cb", "https://RP.example/cb", false, false},
		{"the default port does not", "https://rp.example/cb", "https://rp.example:443/cb", false, false},
		{"an escape of the same path does not", "https://rp.example/cb", "https://rp.example/%63b", false, false},
		{"a fragment does not", "https://rp.example/cb", "https://rp.example/cb#", false, false},
		{"a web client gets no free port", "http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", false, false},
		{"https registered does not match http", "https://127.0.0.1/cb", "http://127.0.0.1:49152/cb", true, false},
		{"userinfo does not hide in the port", "http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb", true, false},
		{"userinfo before the host does not match", "http://127.0.0.1/cb", "http://u@127.0.0.1:1/cb", true, false},
		{"a longer host does not match", "http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", true, false},
		{"another loopback address does not match", "http://127.0.0.1/cb", "http://127.0.0.2/cb", true, false},
		{"IPv4 does not match IPv6", "http://[::1]/cb", "http://127.0.0.1/cb", true, false},
		{"localhost has no free port", "http://localhost/cb", "http://localhost:5/cb", true, false},
		{"an escaped path does not match on loopback", "http://127.0.0.1/a/b", "http://127.0.0.1:5/a%2Fb", true, false},
		{"a fragment does not match on loopback", "http://127.0.0.1/cb", "http://127.0.0.1:5/cb#x", true, false},
		{"port 0 is none", "http://127.0.0.1/cb", "http://127.0.0.1:0/cb", true, false},
		{"a port beyond the last is none", "http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", true, false},
		{"an empty port is none", "http://127.0.0.1/cb", "http://127.0.0.1:/cb", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := storage.Client{Native: tt.native, RedirectURIs: []string{tt.registered}}
			if got := matchRedirectURI(c, tt.sent); got != tt.want {
				t.Errorf("registered %q, sent %q: got %v, want %v", tt.registered, tt.sent, got, tt.want)
			}
		})
	}
}

// FuzzMatchRedirectURI holds the matcher to what a browser will do with the address: whatever it lets through beside
// the registered text goes to the same loopback literal over http, with the same path and query.
func FuzzMatchRedirectURI(f *testing.F) {
	f.Add("http://127.0.0.1:8080/cb")
	f.Add("http://[::1]:1/cb?x=1")
	f.Add("http://127.0.0.1:1@evil.example/cb")
	f.Add("http://127.0.0.1:80\\@evil.example/cb")
	registered := []string{"https://rp.example/cb", "http://127.0.0.1/cb", "http://[::1]/cb?x=1"}
	c := storage.Client{Native: true, RedirectURIs: registered}
	f.Fuzz(func(t *testing.T, sent string) {
		if !matchRedirectURI(c, sent) || slices.Contains(registered, sent) {
			return
		}
		u, err := url.Parse(sent)
		if err != nil {
			t.Fatalf("%q matches and is no URL: %v", sent, err)
		}
		ok := u.Hostname() == "127.0.0.1" && u.RequestURI() == "/cb" || u.Hostname() == "::1" && u.RequestURI() == "/cb?x=1"
		if u.Scheme != "http" || u.User != nil || strings.Contains(sent, "#") || !ok {
			t.Errorf("%q matches", sent)
		}
	})
}

func TestWithQueryKeepsWhatWasRegistered(t *testing.T) {
	for uri, want := range map[string]string{
		"https://rp.example/%7Eada?b=1&a=%20": "https://rp.example/%7Eada?b=1&a=%20&code=x+y",
		"https://rp.example/cb":               "https://rp.example/cb?code=x+y",
		"com.example.app:/cb":                 "com.example.app:/cb?code=x+y",
	} {
		if got := withQuery(uri, url.Values{"code": {"x y"}}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
