package session

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

var begin = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func newKeys(t testing.TB, fill string, previous ...string) *secret.Keys {
	t.Helper()
	var older [][]byte
	for _, p := range previous {
		older = append(older, bytes.Repeat([]byte(p), secret.RootSize))
	}
	k, err := secret.New(bytes.Repeat([]byte(fill), secret.RootSize), older...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// cookies is a Manager that needs no storage.
func cookies(t testing.TB, secure bool) *Manager {
	return New(Config{Keys: newKeys(t, "a"), Clock: clock.NewManual(begin), Secure: secure, Port: "8080"})
}

func requestWith(cs ...*http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	for _, c := range cs {
		r.AddCookie(c)
	}
	return r
}

func TestSES01_CookieAttributes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		secure bool
		prefix string
	}{
		{"https has the __Host- prefix and Secure", true, "__Host-parola-"},
		{"http on loopback has a name per port and neither", false, "parola-8080-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := cookies(t, tt.secure)
			request, _ := m.NewRequestCookie(storage.NewID(), begin.Add(15*time.Minute))
			for _, c := range []*http.Cookie{request, m.ClearCookie(), m.ClearRequestCookie("x"), m.RememberBrowser(requestWith(), "p")} {
				if !strings.HasPrefix(c.Name, tt.prefix) || c.Secure != tt.secure {
					t.Errorf("cookie %s, Secure %v", c.Name, c.Secure)
				}
				if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
					t.Errorf("cookie %s: attributes of %+v", c.Name, c)
				}
				if c.String() == "" {
					t.Errorf("cookie %s cannot be written", c.Name)
				}
			}
		})
	}
}

func TestRequestCookieBelongsToOneRequestAndBrowser(t *testing.T) {
	m := cookies(t, true)
	a := storage.AuthRequest{ID: storage.NewID()}
	b := storage.AuthRequest{ID: storage.NewID()}
	var cookieA, cookieB *http.Cookie
	cookieA, a.BrowserHash = m.NewRequestCookie(a.ID, begin.Add(15*time.Minute))
	cookieB, b.BrowserHash = m.NewRequestCookie(b.ID, begin.Add(15*time.Minute))
	renamed := &http.Cookie{Name: cookieB.Name, Value: cookieA.Value}
	second, _ := m.NewRequestCookie(a.ID, begin.Add(15*time.Minute))
	for _, tt := range []struct {
		name    string
		cookies []*http.Cookie
		request storage.AuthRequest
		want    bool
	}{
		{"its own cookie is accepted", []*http.Cookie{cookieA}, a, true},
		{"another tab's cookie beside it does not disturb", []*http.Cookie{cookieB, cookieA}, a, true},
		{"no cookie is refused", nil, a, false},
		{"another request's cookie is refused", []*http.Cookie{cookieB}, a, false},
		{"a cookie renamed for another request is refused", []*http.Cookie{renamed}, b, false},
		{"a replaced secret is refused", []*http.Cookie{second}, a, false},
		{"a request without a hash accepts nothing", []*http.Cookie{cookieA}, storage.AuthRequest{ID: a.ID}, false},
		{"an endless value is refused", []*http.Cookie{{Name: cookieA.Name, Value: strings.Repeat("a", 5000)}}, a, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := m.CheckRequest(requestWith(tt.cookies...), tt.request); got != tt.want {
				t.Errorf("CheckRequest = %v", got)
			}
		})
	}
}

func TestAnAnsweredRequestKeepsItsCookieForAWhile(t *testing.T) {
	m := cookies(t, true)
	a := storage.AuthRequest{ID: storage.NewID()}
	c, hash := m.NewRequestCookie(a.ID, begin.Add(15*time.Minute))
	a.BrowserHash = hash
	kept := m.KeepRequestCookie(requestWith(c), a.ID, begin.Add(time.Minute))
	if kept.Name != c.Name || kept.MaxAge != 60 || kept.SameSite != c.SameSite || kept.HttpOnly != c.HttpOnly || !m.CheckRequest(requestWith(kept), a) {
		t.Errorf("got %+v after %+v", kept, c)
	}
	if gone := m.KeepRequestCookie(requestWith(), a.ID, begin.Add(time.Minute)); gone.MaxAge >= 0 || gone.Value != "" {
		t.Errorf("a browser without it gets %+v", gone)
	}
}

func TestRequestCookieSurvivesANewRootSecret(t *testing.T) {
	old := cookies(t, true)
	a := storage.AuthRequest{ID: storage.NewID()}
	var c *http.Cookie
	c, a.BrowserHash = old.NewRequestCookie(a.ID, begin.Add(time.Minute))
	rotated := New(Config{Keys: newKeys(t, "b", "a"), Clock: clock.NewManual(begin), Secure: true})
	if !rotated.CheckRequest(requestWith(c), a) {
		t.Error("the secret of a request under way died with the root secret")
	}
}

func TestRequestCookiesAreTrimmedOldestFirst(t *testing.T) {
	m := cookies(t, true)
	var held []*http.Cookie
	for i := range MaxRequests + 2 {
		c, _ := m.NewRequestCookie(storage.NewID(), begin.Add(time.Duration(20-i)*time.Minute))
		held = append(held, c)
	}
	if got := m.TrimRequestCookies(requestWith(held[:MaxRequests]...)); len(got) != 0 {
		t.Errorf("trimmed %d of %d", len(got), MaxRequests)
	}
	got := m.TrimRequestCookies(requestWith(held...))
	if len(got) != 2 || got[0].Name != held[MaxRequests+1].Name || got[1].Name != held[MaxRequests].Name {
		t.Fatalf("trimmed %v, want the two that end first", got)
	}
	if got[0].MaxAge >= 0 {
		t.Error("a trimmed cookie is not removed")
	}
}

func TestPW15_KnownBrowser(t *testing.T) {
	m := cookies(t, true)
	first := m.RememberBrowser(requestWith(), "anna")
	id := m.KnownBrowser(requestWith(first), "anna")
	if id == "" {
		t.Fatal("the browser of a complete login is not known")
	}
	if strings.Contains(first.Value, "anna") {
		t.Error("the cookie names a person")
	}
	if m.KnownBrowser(requestWith(first), "bruno") != "" || m.KnownBrowser(requestWith(first), "") != "" {
		t.Error("a browser is known to a person who never signed in with it")
	}
	if m.KnownBrowser(requestWith(), "anna") != "" {
		t.Error("a browser without a cookie is known")
	}
	forged := *first
	forged.Value = strings.Replace(first.Value, id, storage.NewID(), 1)
	if m.KnownBrowser(requestWith(&forged), "anna") != "" {
		t.Error("a changed cookie is believed")
	}

	c := first
	for _, person := range []string{"b", "c", "d", "e"} {
		c = m.RememberBrowser(requestWith(c), person)
	}
	if m.KnownBrowser(requestWith(c), "anna") != id || m.KnownBrowser(requestWith(c), "e") != id {
		t.Error("five persons do not share one browser")
	}
	c = m.RememberBrowser(requestWith(c), "f")
	if m.KnownBrowser(requestWith(c), "anna") != "" || m.KnownBrowser(requestWith(c), "b") != id {
		t.Error("the sixth person must push out the one longest ago, and only that one")
	}
}

func FuzzBrowserCookie(f *testing.F) {
	m := cookies(f, true)
	// A fixed browser, so that every process of the fuzzer means the same by the one good cookie.
	b := knownBrowser{keyID: m.Keys.ID(), id: "browser"}
	b.entries = []string{m.browserEntry(b, "anna")}
	good := b.text() + "." + m.browserMAC(b.keyID, "cookie", b.text())
	f.Add(good)
	f.Add("...")
	f.Fuzz(func(t *testing.T, value string) {
		r := requestWith(&http.Cookie{Name: "__Host-parola-browser", Value: value})
		c, err := r.Cookie("__Host-parola-browser") // as the browser's quoting and the server's reading leave it
		if believed := m.KnownBrowser(r, "anna") != ""; believed != (err == nil && c.Value == good) {
			t.Errorf("%q: believed is %v", value, believed)
		}
	})
}
