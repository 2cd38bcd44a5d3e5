package idp

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/throttle"
)

func TestINP06_AddressComesFromTheSocketUnlessAProxyIsTrusted(t *testing.T) {
	h := &handler{Config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for name, c := range map[string]struct {
		socket    string
		forwarded []string
		want      string
	}{
		"no proxy":                               {"192.0.2.7:1", nil, "192.0.2.7"},
		"a stranger's header":                    {"192.0.2.7:1", []string{"198.51.100.1"}, "192.0.2.7"},
		"one proxy":                              {"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		"two proxies":                            {"10.0.0.1:1", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		"what the client put in front":           {"10.0.0.1:1", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		"header sent twice":                      {"10.0.0.1:1", []string{"203.0.113.9", "198.51.100.1"}, "198.51.100.1"},
		"proxy without a header":                 {"10.0.0.1:1", nil, "10.0.0.1"},
		"junk from the proxy":                    {"10.0.0.1:1", []string{"not an address"}, "10.0.0.1"},
		"a proxy that adds the port":             {"10.0.0.1:1", []string{"198.51.100.1:50123"}, "198.51.100.1"},
		"only proxies":                           {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"IPv6 household":                         {"[2001:db8:1:2:3:4:5:6]:1", nil, "2001:db8:1:2::/64"},
		"another address of the same household":  {"[2001:db8:1:2:ffff::1]:1", nil, "2001:db8:1:2::/64"},
		"IPv4 in IPv6":                           {"[::ffff:192.0.2.7]:1", nil, "192.0.2.7"},
		"IPv4 in IPv6 behind a proxy":            {"10.0.0.1:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"no address at all (a Unix domain peer)": {"@", nil, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = c.socket
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		if got := throttle.Source(h.clientAddr(r)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestMeasureNamesTheRouteAndNeverThePath(t *testing.T) {
	var routes []string
	now := clock.NewManual(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	h := &handler{Config: Config{Log: slog.New(slog.DiscardHandler), Clock: now, Observe: func(_ context.Context, a Answer) {
		routes = append(routes, a.Route)
		if a.Method != "GET" || a.Status != http.StatusTeapot || a.Took != 1500*time.Millisecond || a.Stream {
			t.Errorf("answered %+v", a)
		}
	}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, _ *http.Request) {
		now.Advance(1500 * time.Millisecond)
		w.WriteHeader(http.StatusTeapot)
	})
	h.measure(mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/things/4711", nil))
	if len(routes) != 1 || routes[0] != "GET /things/{id}" {
		t.Errorf("observed %q", routes)
	}
}

func TestTraceparentIsBelievedOfTrustedProxiesOnly(t *testing.T) {
	const sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, c := range map[string]struct {
		accept bool
		socket string
		sent   []string
		want   string
	}{
		"of a trusted proxy":                        {true, "10.0.0.1:1", []string{sent}, sent},
		"of a stranger":                             {true, "192.0.2.7:1", []string{sent}, ""},
		"of a proxy that passes on what it is sent": {false, "10.0.0.1:1", []string{sent}, ""},
		"twice, so that nobody knows whose":         {true, "10.0.0.1:1", []string{sent, sent}, ""},
		"without an address":                        {true, "@", []string{sent}, ""},
		"none":                                      {true, "10.0.0.1:1", nil, ""},
	} {
		h := &handler{Config: Config{TrustedProxies: proxies, AcceptTraceparent: c.accept}}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = c.socket
		for _, f := range c.sent {
			r.Header.Add("Traceparent", f)
		}
		if got := h.traceparent(r); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzClientAddr(f *testing.F) {
	h := &handler{Config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	f.Add("10.0.0.1:1", "198.51.100.1, 10.0.0.2")
	f.Fuzz(func(t *testing.T, socket, forwarded string) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = socket
		r.Header.Set("X-Forwarded-For", forwarded)
		_ = throttle.Source(h.clientAddr(r)) // must not panic
	})
}
