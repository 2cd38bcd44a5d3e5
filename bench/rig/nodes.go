package rig

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Node is one of the servers of an installation.
type Node struct {
	in      *Installation
	address string
	server  *Server
}

// Nodes are n servers of the installation, not started yet. Of more than one, each has an address of its own, and the
// issuer's is a balancer before them, which close ends.
func (in *Installation) Nodes(n int) (nodes []*Node, end func(), err error) {
	issuer := strings.TrimPrefix(in.Issuer, "http://")
	if n == 1 {
		return []*Node{{in: in, address: issuer}}, func() {}, nil
	}
	document, err := os.ReadFile(in.configFile)
	if err != nil {
		return nil, nil, err
	}
	b := new(balancer)
	for i := range n {
		other := *in
		other.configFile = fmt.Sprintf("%s.%d", in.configFile, i+1)
		address, err := freeAddress()
		if err != nil {
			return nil, nil, err
		}
		own := strings.Replace(string(document), `listen: "`+issuer+`"`, `listen: "`+address+`"`, 1)
		if err := os.WriteFile(other.configFile, []byte(own), 0o600); err != nil {
			return nil, nil, err
		}
		nodes = append(nodes, &Node{in: &other, address: address})
		b.nodes = append(b.nodes, address)
	}
	if b.listener, err = net.Listen("tcp", issuer); err != nil {
		return nil, nil, err
	}
	go b.serve()
	return nodes, b.close, nil
}

// Start starts the node, waits until it answers, and says how long that took.
func (n *Node) Start(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	if n.server, err = n.in.spawn(); err != nil {
		return 0, err
	}
	err = n.in.await(ctx, n.server, "http://"+n.address+"/.well-known/openid-configuration", 5*time.Millisecond)
	return time.Since(began), err
}

// Launch starts the node and does not wait for it.
func (n *Node) Launch() (err error) {
	n.server, err = n.in.spawn()
	return err
}

// Kill ends the node as a power cut would. It may be down already.
func (n *Node) Kill() {
	if n.server != nil {
		n.server.Kill()
		n.server = nil
	}
}

// Stop ends the node as an operator would.
func (n *Node) Stop() error {
	err := n.server.Stop()
	n.server = nil
	return err
}

// balancer hands each connection to the next node that takes it.
type balancer struct {
	listener net.Listener
	nodes    []string
	next     atomic.Int64
	mu       sync.Mutex
	closed   bool
	open     map[net.Conn]bool
}

func (b *balancer) serve() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.carry(conn)
	}
}

func (b *balancer) carry(from net.Conn) {
	defer from.Close()
	for range b.nodes {
		to, err := net.DialTimeout("tcp", b.nodes[int(b.next.Add(1))%len(b.nodes)], time.Second)
		if err != nil {
			continue
		}
		defer to.Close()
		if !b.note(from, to) {
			return
		}
		defer b.forget(from, to)
		go func() { _, _ = io.Copy(to, from); _ = to.Close(); _ = from.Close() }()
		_, _ = io.Copy(from, to) // ends when either side has gone
		return
	}
}

func (b *balancer) note(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = map[net.Conn]bool{}
	}
	for _, c := range conns {
		b.open[c] = true
	}
	return !b.closed
}

func (b *balancer) forget(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.open, c)
	}
}

func (b *balancer) close() {
	_ = b.listener.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for c := range b.open {
		_ = c.Close()
	}
}
