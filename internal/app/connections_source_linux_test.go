package app

import (
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// These tests call from several addresses of the loopback network, all of which Linux has.
const one, another = "127.0.0.1", "127.0.0.2"

// stay sends a request that is not answered to the end before hold is closed, and returns when it is being handled.
func (c *crowd) stay(from, path string) *caller {
	c.t.Helper()
	who := c.dialFrom(from)
	_ = who.SetDeadline(time.Now().Add(20 * time.Second))
	before := c.busy.Load()
	if _, err := io.WriteString(who, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		c.t.Fatal(err)
	}
	if path == "/events" {
		if resp, err := http.ReadResponse(who.in, nil); err != nil || resp.StatusCode != http.StatusOK {
			c.t.Fatalf("no event stream: %v", err)
		}
		return who
	}
	for end := time.Now().Add(5 * time.Second); c.busy.Load() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatal("a request is not being handled")
		}
	}
	return who
}

// refused says whether a connection is closed without an answer.
func (c *crowd) refused(from string) bool {
	c.t.Helper()
	err := c.dialFrom(from).ask("/", 5*time.Second)
	if isTimeout(err) {
		c.t.Fatalf("a connection from %s is neither answered nor closed", from)
	}
	return err != nil
}

// waitFor waits until so many connections are open.
func (c *crowd) waitFor(n int) {
	c.t.Helper()
	for end := time.Now().Add(5 * time.Second); c.places.count() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%d connections are open, want %d", c.places.count(), n)
		}
	}
}

func TestDOS08_ASourceThatKeepsAllItsConnectionsBusyIsClosedAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		path   string
		secure bool
	}{
		"http": {"/slow", false}, "https": {"/slow", true}, "event streams": {"/events", false}, "event streams by https": {"/events", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowdWithin(t, bounds{most: 5, perSource: 3}, tt.secure)
			var busy []*caller
			for range 3 {
				busy = append(busy, c.stay(one, tt.path))
			}
			for range 2 {
				if !c.refused(one) {
					t.Fatal("a source has more connections than it may")
				}
			}
			if c.refused(another) {
				t.Error("another source suffers")
			}
			if n := counted(t, c.places.refused); n != 2 {
				t.Errorf("%v refused ones are counted, want 2", n)
			}
			busy[0].Close()
			close(c.hold) // a handler that does not read notices no end by itself
			c.waitFor(3)  // two that are idle now, and the other source's
			if c.refused(one) {
				t.Error("there is no place where one has left")
			}
		})
	}
}

func TestDOS08_OnlyAnIdleConnectionOfTheSameSourceMakesRoomForIt(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			c := newCrowdWithin(t, bounds{most: 10, perSource: 3}, secure)
			defer close(c.hold)
			longest := c.dialFrom(another) // idle before all others
			mustAnswer(t, longest, "the other source")
			c.waitForIdle(1)
			c.stay(one, "/slow")
			var idle []*caller
			for i := range 2 {
				idle = append(idle, c.dialFrom(one))
				mustAnswer(t, idle[i], "within the bound")
				c.waitForIdle(i + 2)
			}
			newcomer := c.dialFrom(one)
			mustAnswer(t, newcomer, "a newcomer, while some are idle")
			if err := idle[0].ask("/", 5*time.Second); err == nil {
				t.Error("the longest idle connection of the source is still open")
			}
			for who, each := range map[string]*caller{"the other source": longest, "the second": idle[1], "the newcomer, later": newcomer} {
				mustAnswer(t, each, who)
			}
			if n := counted(t, c.places.refused); n != 0 {
				t.Errorf("%v are counted as refused", n)
			}
		})
	}
}

// counted is the value of a counter.
func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

func mustAnswer(t *testing.T, c *caller, who string) {
	t.Helper()
	if err := c.ask("/", 5*time.Second); err != nil {
		t.Errorf("%s is not answered: %v", who, err)
	}
}

func TestDOS08_AProxyHasEverybodysConnectionsAndZeroIsNoBound(t *testing.T) {
	loopback := netip.MustParsePrefix("127.0.0.1/32")
	for name, b := range map[string]bounds{
		"a trusted proxy": {most: 6, perSource: 2, exempt: []netip.Prefix{loopback}},
		"no bound":        {most: 6},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowdWithin(t, b, false)
			defer close(c.hold)
			for range 5 {
				c.stay(one, "/slow")
			}
			if c.refused(one) {
				t.Error("refused")
			}
		})
	}
}

// TestDOS08_WhereAllIsFullASourceMakesRoomForItselfAlone has a source at its bound call while all places are taken.
func TestDOS08_WhereAllIsFullASourceMakesRoomForItselfAlone(t *testing.T) {
	c := newCrowdWithin(t, bounds{most: 4, perSource: 2}, false)
	var callers []*caller
	for i, from := range []string{another, another, one, one} {
		callers = append(callers, c.dialFrom(from))
		mustAnswer(t, callers[i], "within the bounds")
		c.waitForIdle(i + 1)
	}
	for range 20 {
		callers = append(callers, c.dialFrom(one))
		mustAnswer(t, callers[len(callers)-1], "a newcomer")
		c.waitForIdle(4)
	}
	for _, each := range callers[:2] {
		mustAnswer(t, each, "the other source")
	}
	if n := c.places.count(); n != 4 {
		t.Errorf("%d connections of 4 are open", n)
	}
}

// TestDOS08_TheSettingsBoundConnections is about the whole provider.
func TestDOS08_TheSettingsBoundConnections(t *testing.T) {
	for name, proxies := range map[string][]string{"a source": nil, "a trusted proxy": {"127.0.0.1/32"}} {
		t.Run(name, func(t *testing.T) {
			a, stop := running(t, func(c *Config) { c.Server.MaxConnectionsPerSource, c.Server.TrustedProxies = 16, proxies })
			c := &crowd{t: t, places: a.public, address: a.public.Addr().String()}
			var silent []*caller // busy until the server has waited long enough for a header
			for range 16 {
				silent = append(silent, c.dial())
			}
			c.waitFor(16)
			if got, want := c.refused(one), proxies == nil; got != want {
				t.Errorf("refused: %v, want %v", got, want)
			}
			_, metrics := fetch(t, "http://"+a.internal.Addr().String()+"/metrics")
			if want := "parola_connections_refused_total " + strconv.Itoa(1-len(proxies)); !strings.Contains(metrics, want) {
				t.Errorf("the metrics lack %s", want)
			}
			for _, each := range silent {
				each.Close()
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}
