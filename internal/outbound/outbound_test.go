package outbound

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSSR01_AddressesThatNeverLeave(t *testing.T) {
	strict := New(Config{Ports: []string{"8443"}})
	for _, tt := range []struct {
		name string
		url  string
		ok   bool
	}{
		{"an ordinary address", "https://client.example/jwks.json", true},
		{"the default port spelt out", "https://client.example:443/jwks.json", true},
		{"an allowed port", "https://client.example:8443/jwks.json", true},
		{"a public literal", "https://93.184.215.14/jwks.json", true},
		{"another port", "https://client.example:8080/jwks.json", false},
		{"http", "http://client.example/jwks.json", false},
		{"file", "file:///etc/passwd", false},
		{"gopher", "gopher://client.example/", false},
		{"data", "data:application/json,{}", false},
		{"no host", "https:///jwks.json", false},
		{"opaque", "https:client.example", false},
		{"user information", "https://user:pw@client.example/", false},
		{"a fragment", "https://client.example/#x", false},
		{"a loopback literal", "https://127.0.0.1/", false},
		{"an IPv6 loopback literal", "https://[::1]/", false},
		{"an IPv4-mapped literal", "https://[::ffff:10.0.0.1]/", false},
		{"metadata", "https://169.254.169.254/latest/meta-data", false},
		{"not a URL", "https://%zz", false},
		{"empty", "", false},
		{"endless", "https://client.example/" + strings.Repeat("a", maxURL), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := strict.CheckURL(tt.url)
			if (err == nil) != tt.ok {
				t.Fatalf("CheckURL(%q) = %v", tt.url, err)
			}
			if err != nil && !errors.Is(err, ErrBlocked) {
				t.Errorf("CheckURL(%q) = %v, want ErrBlocked", tt.url, err)
			}
		})
	}
}

func TestSSR01_ANameIsCheckedWhenItConnects(t *testing.T) {
	var reached atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer server.Close()
	port := mustParse(t, server.URL).Port()
	// "localhost" passes the check of the URL, as any name does; its address does not pass at the socket.
	_, err := New(Config{Ports: []string{port}}).Get(t.Context(), "https://localhost:"+port+"/", "*/*")
	if !errors.Is(err, ErrBlocked) {
		t.Errorf("Get = %v, want ErrBlocked", err)
	}
	if reached.Load() {
		t.Error("the server was reached")
	}
}

func TestAllowLoopbackOpensNothingElse(t *testing.T) {
	c := New(Config{AllowLoopback: true})
	for _, u := range []string{"http://127.0.0.1:8081/jwks", "http://localhost:8081/jwks", "https://[::1]:9/jwks"} {
		if err := c.CheckURL(u); err != nil {
			t.Errorf("CheckURL(%q) = %v", u, err)
		}
	}
	for _, u := range []string{"http://10.0.0.1/", "http://client.example/", "https://client.example:8443/", "ftp://127.0.0.1/"} {
		if err := c.CheckURL(u); err == nil {
			t.Errorf("CheckURL(%q) passed", u)
		}
	}
	for _, a := range []string{"10.0.0.1:443", "169.254.169.254:80", "[fd00::1]:443"} {
		if err := c.checkConnect("tcp", a, nil); !errors.Is(err, ErrBlocked) {
			t.Errorf("connect to %s: %v, want ErrBlocked", a, err)
		}
	}
}

func loopbackClient(t *testing.T, server *httptest.Server) *Client {
	t.Helper()
	roots := x509.NewCertPool()
	if server.Certificate() != nil {
		roots.AddCert(server.Certificate())
	}
	return New(Config{AllowLoopback: true, RootCAs: roots})
}

func TestSSR02_BoundsOfAFetch(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("document")) })
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, maxBody+1)) })
	mux.HandleFunc("/just", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, maxBody)) })
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 2*maxHeader)) })
	mux.HandleFunc("/gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	c := loopbackClient(t, server)
	for path, want := range map[string]int{"/ok": 8, "/just": maxBody, "/redirect": -1, "/large": -1, "/header": -1, "/gone": -1} {
		body, err := c.Get(t.Context(), server.URL+path, "*/*")
		if want < 0 && err == nil {
			t.Errorf("%s succeeded", path)
		}
		if want >= 0 && (err != nil || len(body) != want) {
			t.Errorf("%s: %d bytes, %v; want %d", path, len(body), err, want)
		}
	}
}

func TestSSR02_TheProxyEnvironmentIsIgnored(t *testing.T) {
	if New(Config{}).httpClient.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy may be used")
	}
}

func TestSSR02_ACertificateOfNobodyIsRefused(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	c := New(Config{AllowLoopback: true})
	var unknown x509.UnknownAuthorityError
	if _, err := c.Get(t.Context(), server.URL, "*/*"); !errors.As(err, &unknown) {
		t.Errorf("Get = %v, want an unknown authority", err)
	}
}

func TestSSR02_AtMostTwoInFlightForOneHost(t *testing.T) {
	var now, most atomic.Int32
	arrived, release := make(chan struct{}, 6), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		arrived <- struct{}{}
		<-release
		now.Add(-1)
	}))
	defer server.Close()
	c := loopbackClient(t, server)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := c.Get(t.Context(), server.URL, "*/*"); err != nil {
				t.Error(err)
			}
		})
	}
	<-arrived
	<-arrived
	close(release)
	all.Wait()
	if most.Load() > maxPerHost {
		t.Errorf("%d requests in flight, want at most %d", most.Load(), maxPerHost)
	}
	if len(c.hosts.hosts) != 0 {
		t.Errorf("%d hosts remembered after the last request", len(c.hosts.hosts))
	}
}

func TestAWaitForATurnEndsWithItsContext(t *testing.T) {
	var g hostGate
	for range maxPerHost {
		if _, err := g.enter(t.Context(), "h"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := g.enter(ctx, "h"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("enter = %v, want the deadline", err)
	}
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://a.example/", "https://[::1]:1/", "http://127.1/", "https://a@b", "https://0x7f.1/"} {
		f.Add(seed)
	}
	c := New(Config{})
	f.Fuzz(func(t *testing.T, raw string) {
		if c.CheckURL(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
			t.Fatalf("%q passed", raw)
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !public(addr) {
			t.Fatalf("%q passed", raw)
		}
		if _, port, err := net.SplitHostPort(u.Host); err == nil && port != "443" && port != "" {
			t.Fatalf("%q passed", raw)
		}
	})
}
