package app

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// bounds are how many connections may be open.
type bounds struct {
	// most is for all together.
	most int
	// perSource is for each source (throttle.Source); 0 is no bound.
	perSource int
	// exempt are networks that are no sources: a proxy brings everybody's.
	exempt []netip.Prefix
}

// connections is a listener that bounds how many of its connections are open (DOS-08). Who comes when there are as many as
// allowed takes the place of the connection that has been idle longest, as an idle timeout would have ended it; where none
// is idle, waits, and everybody behind in the queue of the kernel. Of one source there are fewer (admit).
//
// It needs an http.Server whose ConnState is track: that, and not a wrapper around net.Conn, tells what is idle, and leaves
// the server its *tls.Conn.
type connections struct {
	net.Listener
	bounds
	// crowded counts those that found no room, refused those whose source had as many as it may.
	crowded, refused prometheus.Counter

	mu      sync.Mutex
	open    int
	idle    *list.List // of *place, the longest idle first
	places  map[net.Conn]*place
	sources map[string]*source
	// left is told when there may be room again.
	left chan struct{}
	// closing ends the wait for room.
	closing context.Context
	close   context.CancelFunc
}

// place is an open connection.
type place struct {
	conn net.Conn
	// from is the source that it counts for; nil for none.
	from *source
	// replaces says that another of its source has to go for it.
	replaces bool
	// idle and idleOfSource are its elements in the lists of those; nil while it is busy.
	idle, idleOfSource *list.Element
}

func newConnections(l net.Listener, b bounds) *connections {
	c := &connections{Listener: l, bounds: b, idle: list.New(), places: map[net.Conn]*place{}, sources: map[string]*source{},
		left: make(chan struct{}, 1),
		crowded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parola_connections_crowded_total", Help: "Connections that came when server.max_connections were open.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parola_connections_refused_total",
			Help: "Connections closed at once, because server.max_connections_per_source of their address were busy.",
		})}
	c.closing, c.close = context.WithCancel(context.Background())
	return c
}

// metrics tell how near the bounds are.
func (c *connections) metrics() []prometheus.Collector {
	return []prometheus.Collector{c.crowded, c.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parola_connections", Help: "Open connections of the public listener.",
		}, func() float64 { return float64(c.count()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parola_connections_limit", Help: "The most that may be open: server.max_connections.",
		}, func() float64 { return float64(c.most) })}
}

// Accept implements net.Listener.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, admitted := c.admit(conn)
		if !admitted {
			c.refused.Inc()
			cut(conn)
			continue
		}
		if !c.wait(p) { // what is counted ends with the process
			cut(conn)
			return nil, net.ErrClosed
		}
		return conn, nil
	}
}

// wait waits for room, unless the listener is closed.
func (c *connections) wait(p *place) bool {
	for first := true; !c.enter(p); first = false {
		if first {
			c.crowded.Inc()
		}
		if !first || !p.replaces {
			c.makeRoom()
		}
		select {
		case <-c.left:
		case <-c.closing.Done():
			return false
		}
	}
	return true
}

// Close implements net.Listener.
func (c *connections) Close() error {
	c.close()
	return c.Listener.Close()
}

func (c *connections) enter(p *place) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.most {
		select {
		case <-c.left: // before there was room for somebody else
		default:
		}
		return false
	}
	c.open++
	c.places[p.conn] = p
	return true
}

// count is how many are open.
func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// makeRoom ends the connection that has been idle longest, if one is.
func (c *connections) makeRoom() {
	c.mu.Lock()
	longest := c.idle.Front()
	if longest == nil {
		c.mu.Unlock()
		return
	}
	p := longest.Value.(*place)
	c.busy(p)
	c.mu.Unlock()
	cut(p.conn)
}

// cut ends a connection without a farewell, which could wait for a peer that reads nothing.
func cut(conn net.Conn) {
	if secure, is := conn.(*tls.Conn); is {
		conn = secure.NetConn()
	}
	conn.Close()
}

// track is the server's ConnState.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.places[conn]
	c.busy(p)
	switch state {
	case http.StateIdle:
		p.idle = c.idle.PushBack(p)
		if p.from != nil {
			p.idleOfSource = p.from.idle.PushBack(p)
		}
	case http.StateClosed, http.StateHijacked:
		c.leave(p)
		delete(c.places, conn)
		c.open--
	default:
		return // new or active: no room
	}
	select {
	case c.left <- struct{}{}:
	default: // it is known already
	}
}

// busy takes a place from those that may make room.
func (c *connections) busy(p *place) {
	if p.idle != nil {
		c.idle.Remove(p.idle)
	}
	if p.idleOfSource != nil {
		p.from.idle.Remove(p.idleOfSource)
	}
	p.idle, p.idleOfSource = nil, nil
}
