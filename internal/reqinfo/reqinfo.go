// Package reqinfo carries what is known of an HTTP request through its context: the correlation id, where it came from
// and with which program. idp's middleware sets it once; events, limits and logs read it.
package reqinfo

import (
	"context"
	"sync/atomic"
)

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

type request struct {
	Info
	// joined is the correlation id of the login that the request turned out to be a part of.
	joined atomic.Pointer[string]
}

// With returns a context that carries i.
func With(ctx context.Context, i Info) context.Context {
	return context.WithValue(ctx, key{}, &request{Info: i})
}

// Join gives the request of ctx the correlation id of its login: one for all requests of a login, in pages, events and
// logs, those too that were handed the context before. Outside a request it returns a context that carries the id.
func Join(ctx context.Context, correlationID string) context.Context {
	r, _ := ctx.Value(key{}).(*request)
	if r == nil {
		return With(ctx, Info{CorrelationID: correlationID})
	}
	r.joined.Store(&correlationID)
	return ctx
}

// From returns the request's Info, or a zero one outside a request.
func From(ctx context.Context) Info {
	r, _ := ctx.Value(key{}).(*request)
	if r == nil {
		return Info{}
	}
	i := r.Info
	if id := r.joined.Load(); id != nil {
		i.CorrelationID = *id
	}
	return i
}
