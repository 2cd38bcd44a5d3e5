// Package reqinfo carries what is known of an HTTP request through its context: the correlation id, where it came from
// and with which program. idp's middleware sets it once; events, limits and logs read it.
package reqinfo

import "context"

// Info is what is known of a request.
type Info struct {
	// CorrelationID is shown on error pages and stands in events and logs.
	CorrelationID string
	// Source is the client's address behind trusted proxies (INP-06): IPv4, or the /64 of an IPv6 address, which is what
	// limits key on (DOS-05).
	Source string
	// UserAgent is cut to 256 bytes.
	UserAgent string
}

type key struct{}

// With returns a context that carries i.
func With(ctx context.Context, i Info) context.Context { return context.WithValue(ctx, key{}, i) }

// From returns the request's Info, or a zero one outside a request.
func From(ctx context.Context) Info {
	i, _ := ctx.Value(key{}).(Info)
	return i
}
