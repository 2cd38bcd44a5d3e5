package outbound

import (
	"context"
	"sync"
)

// hostGate lets maxPerHost callers in for each host. A host without callers takes no memory.
type hostGate struct {
	mu    sync.Mutex
	hosts map[string]*hostSlots
}

type hostSlots struct {
	slots chan struct{}
	users int // callers inside or waiting
}

// enter waits for a slot; the caller gives it back with leave.
func (g *hostGate) enter(ctx context.Context, host string) (leave func(), err error) {
	g.mu.Lock()
	if g.hosts == nil {
		g.hosts = make(map[string]*hostSlots)
	}
	h := g.hosts[host]
	if h == nil {
		h = &hostSlots{slots: make(chan struct{}, maxPerHost)}
		g.hosts[host] = h
	}
	h.users++
	g.mu.Unlock()

	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots; g.forget(host, h) }, nil
	case <-ctx.Done():
		g.forget(host, h)
		return nil, ctx.Err()
	}
}

func (g *hostGate) forget(host string, h *hostSlots) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(g.hosts, host)
	}
}
