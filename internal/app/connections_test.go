package app

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// crowd is a server with few connections. It answers any path; /slow and the event stream /events not to the end before hold
// is closed.
type crowd struct {
	t       *testing.T
	places  *connections
	address string
	tls     *tls.Config
	hold    chan struct{}
	// busiest is how many of them there were at the same time.
	busy, busiest atomic.Int64
}

func newCrowd(t *testing.T, most int, secure bool) *crowd {
	t.Helper()
	return newCrowdWithin(t, bounds{most: most}, secure)
}

func newCrowdWithin(t *testing.T, b bounds, secure bool) *crowd {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, address: l.Addr().String(), hold: make(chan struct{})}
	if secure {
		like := httptest.NewUnstartedServer(nil)
		like.StartTLS()
		certificate := like.TLS.Certificates[0]
		like.Close()
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}})
		c.tls = &tls.Config{InsecureSkipVerify: true}
	}
	c.places = newConnections(l, b)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			now := c.busy.Add(1)
			defer c.busy.Add(-1)
			for most := c.busiest.Load(); now > most && !c.busiest.CompareAndSwap(most, now); most = c.busiest.Load() {
			}
			<-c.hold
		}
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-c.hold
		}
		_, _ = io.WriteString(w, "here") // the client may have gone
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, newServer(handler, slog.New(slog.DiscardHandler)), c.places, time.Second) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for end := time.Now().Add(5 * time.Second); c.places.count() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d connections are counted after the end", c.places.count())
			}
		}
		if of := c.places.sources; len(of) > 0 {
			t.Errorf("%d sources are kept after the end", len(of))
		}
	})
	return c
}

// waitForIdle waits until so many connections are known to be idle, which is a moment after their answers.
func (c *crowd) waitForIdle(n int) {
	c.t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		c.places.mu.Lock()
		idle := c.places.idle.Len()
		c.places.mu.Unlock()
		if idle == n {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%d connections are idle, want %d", idle, n)
		}
	}
}

// caller is one connection.
type caller struct {
	net.Conn
	in *bufio.Reader
}

func (c *crowd) dial() *caller { return c.dialFrom("127.0.0.1") }

func (c *crowd) dialFrom(source string) *caller {
	c.t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := from.DialContext(c.t.Context(), "tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.tls != nil {
		conn = tls.Client(conn, c.tls)
	}
	c.t.Cleanup(func() { conn.Close() })
	return &caller{conn, bufio.NewReader(conn)}
}

// ask sends a request and reads the answer, if it comes in time.
func (c *caller) ask(path string, within time.Duration) error {
	_ = c.SetDeadline(time.Now().Add(within))
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func TestDOS08_TheLongestIdleConnectionMakesRoom(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, 2, secure)
			var callers []*caller
			for i := range 3 {
				callers = append(callers, c.dial())
				if err := callers[i].ask("/", 5*time.Second); err != nil {
					t.Fatalf("not answered: %v", err)
				}
				c.waitForIdle(min(i+1, 2))
			}
			first, second, third := callers[0], callers[1], callers[2]
			if err := first.ask("/", 5*time.Second); err == nil {
				t.Error("the longest idle connection is still open")
			}
			for who, each := range map[string]*caller{"the second": second, "the newcomer": third} {
				if err := each.ask("/", 5*time.Second); err != nil {
					t.Errorf("%s lost its connection: %v", who, err)
				}
			}
		})
	}
}

func TestDOS08_WhoFindsEverybodyBusyWaits(t *testing.T) {
	c := newCrowd(t, 2, false)
	busy, late := []*caller{c.dial(), c.dial()}, c.dial()
	answered := make(chan error, len(busy))
	for _, each := range busy {
		go func() { answered <- each.ask("/slow", 10*time.Second) }()
	}
	for c.places.count() < 2 {
		time.Sleep(time.Millisecond)
	}
	if err := late.ask("/", 100*time.Millisecond); !isTimeout(err) {
		t.Errorf("answered although all places were taken: %v", err)
	}
	close(c.hold)
	for range busy {
		if err := <-answered; err != nil {
			t.Errorf("a running request suffered: %v", err)
		}
	}
	_ = late.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := http.ReadResponse(late.in, nil); err != nil {
		t.Errorf("not answered once there was room: %v", err)
	}
	if n := c.places.count(); n > 2 {
		t.Errorf("%d connections of 2 are open", n)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
