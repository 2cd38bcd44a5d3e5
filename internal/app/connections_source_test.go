package app

import (
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
)

// peer is a connection from an address that says nothing.
type peer struct {
	net.Conn
	from   string
	closed bool
}

func (p *peer) RemoteAddr() net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(p.from, "4711"))
	if err != nil {
		panic(err)
	}
	return addr
}

func (p *peer) Close() error { p.closed = true; return nil }

// arrivals is a listener whose connections come when a test says so.
type arrivals chan *peer

func (a arrivals) Accept() (net.Conn, error) {
	if p, more := <-a; more {
		return p, nil
	}
	return nil, io.EOF
}

func (a arrivals) Close() error   { return nil }
func (a arrivals) Addr() net.Addr { return nil }

// lobby accepts in the background what arrives; the test is the server, and tells what becomes of each.
func lobby(b bounds, fn func(places *connections, arrive func(from string) *peer)) {
	coming := make(arrivals)
	places := newConnections(coming, b)
	go func() {
		for {
			if _, err := places.Accept(); err != nil {
				return
			}
		}
	}()
	fn(places, func(from string) *peer {
		p := &peer{from: from}
		coming <- p
		synctest.Wait()
		return p
	})
	places.close()
	close(coming)
}

func TestDOS08_ASourceThatMadeRoomForItselfTakesNobodyElsesPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobby(bounds{most: 2, perSource: 1}, func(places *connections, arrive func(string) *peer) {
			other, first := arrive("192.0.2.1"), arrive("192.0.2.2")
			places.track(other, http.StateIdle)
			places.track(first, http.StateIdle)
			second := arrive("192.0.2.2")
			if !first.closed || other.closed || second.closed {
				t.Errorf("closed: the first of the source %v, the second %v, another source's %v", first.closed, second.closed, other.closed)
			}
			places.track(first, http.StateClosed)
			synctest.Wait()
			if _, in := places.places[second]; !in || other.closed {
				t.Errorf("the newcomer is in: %v; another source's is closed: %v", in, other.closed)
			}
		})
	})
}

func TestDOS08_AnIdleConnectionMakesRoomForOneNewcomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobby(bounds{most: 9, perSource: 2}, func(places *connections, arrive func(string) *peer) {
			first, second := arrive("192.0.2.1"), arrive("192.0.2.1")
			places.track(first, http.StateIdle)
			places.track(second, http.StateIdle)
			// The server notices nothing of this before the end.
			third := arrive("192.0.2.1")
			if !first.closed || second.closed || third.closed {
				t.Errorf("a third comes: closed are the first %v, the second %v, the third %v", first.closed, second.closed, third.closed)
			}
			fourth, fifth := arrive("192.0.2.1"), arrive("192.0.2.1")
			if !second.closed || third.closed || fourth.closed || !fifth.closed {
				t.Errorf("two more: closed are the second %v, the third %v, the fourth %v, the fifth %v",
					second.closed, third.closed, fourth.closed, fifth.closed)
			}
			places.track(first, http.StateClosed)
			places.track(second, http.StateClosed)
			places.track(third, http.StateClosed)
			if sixth := arrive("192.0.2.1"); sixth.closed {
				t.Error("there is no place where one has left")
			}
		})
	})
}

func TestDOS08_OneHouseholdIsOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobby(bounds{most: 9, perSource: 2}, func(places *connections, arrive func(string) *peer) {
			var all []*peer
			for _, tt := range []struct {
				from    string
				refused bool
			}{
				{"2001:db8:1:2::1", false}, {"2001:db8:1:2:ffff::2", false}, {"2001:db8:1:2::3", true}, {"2001:db8:1:3::1", false},
				{"192.0.2.1", false}, {"::ffff:192.0.2.1", false}, {"192.0.2.1", true}, {"192.0.2.2", false},
			} {
				p := arrive(tt.from)
				if p.closed != tt.refused {
					t.Errorf("%s is closed: %v, want %v", tt.from, p.closed, tt.refused)
				}
				if !p.closed {
					all = append(all, p)
				}
			}
			if len(places.sources) != 4 {
				t.Errorf("%d sources, want 4", len(places.sources))
			}
			for _, p := range all {
				places.track(p, http.StateClosed)
			}
			if len(places.sources) != 0 || places.count() != 0 {
				t.Errorf("%d sources and %d connections are kept", len(places.sources), places.count())
			}
		})
	})
}
