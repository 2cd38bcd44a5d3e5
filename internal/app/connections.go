package app

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// connections is a listener that bounds how many of its connections are open (DOS-08). Who comes when there are as many as
// allowed takes the place of the connection that has been idle longest, as an idle timeout would have ended it; where none
// is idle, waits, and everybody behind in the queue of the kernel.
//
// It needs an http.Server whose ConnState is track: that, and not a wrapper around net.Conn, tells what is idle, and leaves
// the server its *tls.Conn.
type connections struct {
	net.Listener
	most int
	// crowded counts those that found no room.
	crowded prometheus.Counter

	mu     sync.Mutex
	open   int
	idle   *list.List // of net.Conn, the longest idle first
	places map[net.Conn]*list.Element
	// left is told when there may be room again.
	left chan struct{}
	// closing ends the wait for room.
	closing context.Context
	close   context.CancelFunc
}

func newConnections(l net.Listener, most int) *connections {
	c := &connections{Listener: l, most: most, idle: list.New(), places: map[net.Conn]*list.Element{}, left: make(chan struct{}, 1),
		crowded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parola_connections_crowded_total", Help: "Connections that came when server.max_connections were open.",
		})}
	c.closing, c.close = context.WithCancel(context.Background())
	return c
}

// metrics tell how near the bound is.
func (c *connections) metrics() []prometheus.Collector {
	return []prometheus.Collector{c.crowded,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parola_connections", Help: "Open connections of the public listener.",
		}, func() float64 { return float64(c.count()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parola_connections_limit", Help: "The most that may be open: server.max_connections.",
		}, func() float64 { return float64(c.most) })}
}

// Accept implements net.Listener.
func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for first := true; !c.enter(); first = false {
		if first {
			c.crowded.Inc()
		}
		c.makeRoom()
		select {
		case <-c.left:
		case <-c.closing.Done():
			conn.Close()
			return nil, net.ErrClosed
		}
	}
	return conn, nil
}

// Close implements net.Listener.
func (c *connections) Close() error {
	c.close()
	return c.Listener.Close()
}

func (c *connections) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.most {
		return false
	}
	c.open++
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
	conn := longest.Value.(net.Conn)
	c.forget(conn)
	c.mu.Unlock()
	if secure, is := conn.(*tls.Conn); is {
		conn = secure.NetConn() // a farewell could wait for a peer that reads nothing
	}
	conn.Close()
}

// track is the server's ConnState.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(conn)
	switch state {
	case http.StateIdle:
		c.places[conn] = c.idle.PushBack(conn)
	case http.StateClosed, http.StateHijacked:
		c.open--
	default:
		return // new or active: no room
	}
	select {
	case c.left <- struct{}{}:
	default: // it is known already
	}
}

func (c *connections) forget(conn net.Conn) {
	if place, idle := c.places[conn]; idle {
		c.idle.Remove(place)
		delete(c.places, conn)
	}
}
