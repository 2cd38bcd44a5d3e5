package app

import (
	"container/list"
	"net"
	"net/netip"
	"slices"

	"github.com/parola-id/parola/internal/throttle"
)

// source is where open connections come from. It is kept while there are any.
type source struct {
	name string
	open int
	idle list.List // of *place, the longest idle first
}

// admit counts a newcomer for its source. One that is beyond the bound takes the place of the connection that its source
// has left idle longest: many people may be behind one address, whose browsers keep what they do not use. Where all are
// busy it is not admitted. It must not wait: a stranger with more connections than that would make all others wait behind.
func (c *connections) admit(conn net.Conn) (newcomer *place, admitted bool) {
	newcomer = &place{conn: conn}
	addr := addrOf(conn)
	if c.perSource == 0 || slices.ContainsFunc(c.exempt, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return newcomer, true
	}
	left, admitted := c.countFor(newcomer, throttle.Source(addr))
	if left != nil {
		cut(left.conn)
	}
	return newcomer, admitted
}

// countFor returns the connection that has to go, if one has.
func (c *connections) countFor(newcomer *place, name string) (left *place, admitted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sources[name]
	if s == nil {
		s = &source{name: name}
		c.sources[name] = s
	}
	if s.open >= c.perSource {
		longest := s.idle.Front()
		if longest == nil {
			return nil, false
		}
		left = longest.Value.(*place)
	}
	newcomer.from, newcomer.replaces = s, left != nil
	s.open++
	if left != nil {
		c.busy(left) // it is about to end: nobody else can have its place
	}
	return left, true
}

// leave is the end of a connection of its source.
func (c *connections) leave(p *place) {
	if p.from == nil {
		return
	}
	if p.from.open--; p.from.open == 0 {
		delete(c.sources, p.from.name)
	}
}

// addrOf is the invalid address for a peer that has none.
func addrOf(conn net.Conn) netip.Addr {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}
