package harness

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
)

// Balancer is what stands before the nodes of an installation, at the issuer's address. Each request goes to the next node,
// so that nothing can depend on meeting the same one twice; one that cannot be reached is left out.
type Balancer struct {
	transport http.RoundTripper
	mu        sync.Mutex
	nodes     []string
	turn      int
}

// Balance puts a balancer before nodes, given by their addresses. Carriers' webhooks all go to the last of them.
func (in *Installation) Balance(nodes ...string) {
	in.t.Helper()
	b := &Balancer{transport: &http.Transport{DisableKeepAlives: true}, nodes: nodes}
	l, err := net.Listen("tcp", in.Config.Server.Listen)
	if err != nil {
		in.t.Fatal(err)
	}
	server := &http.Server{Handler: &httputil.ReverseProxy{Transport: b, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.Host = "http", r.In.Host
	}}}
	go func() { _ = server.Serve(l) }()
	in.t.Cleanup(func() { server.Close() })
}

// RoundTrip implements http.RoundTripper.
func (b *Balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	var refused error
	for _, node := range b.order(r) {
		out := r.Clone(r.Context())
		out.URL.Host = strings.TrimPrefix(node, "http://")
		out.Body = io.NopCloser(bytes.NewReader(body))
		resp, err := b.transport.RoundTrip(out)
		var failed *net.OpError
		if errors.As(err, &failed) && failed.Op == "dial" {
			refused = err
			continue
		}
		return resp, err
	}
	return nil, refused
}

// order is whom to try, the one whose turn it is first.
func (b *Balancer) order(r *http.Request) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := len(b.nodes) - 1
	if !strings.HasPrefix(r.URL.Path, "/webhooks/") {
		first = b.turn % len(b.nodes)
		b.turn++
	}
	return append(append([]string{}, b.nodes[first:]...), b.nodes[:first]...)
}
