package oidc

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/storage"
)

const (
	// originsMaxAge is how long the registered origins are used without asking storage again. A changed client is heard of at
	// once; this makes up for a wake-up that was lost.
	originsMaxAge = 10 * time.Second
	// preflightMaxAge is how long browsers may remember the answer to a preflight, in seconds.
	preflightMaxAge = "600"
	originsPage     = 1000
)

// crossOrigin answers the browser's questions about the token, userinfo and revocation endpoints (OA-12) and says
// whether the request is answered already: a preflight is. Only origins that some client registered may call, and never
// with cookies: Access-Control-Allow-Credentials is not sent, and these endpoints read none. A preflight does not say
// which client will call, so the origins of all clients count; the caller still needs the client's credentials or token.
func (p *Provider) crossOrigin(w http.ResponseWriter, r *http.Request, methods string) (answered bool) {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	if origin != "" && p.origins.registered(r.Context(), p, origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		if preflight {
			h.Set("Access-Control-Allow-Methods", methods)
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			h.Set("Access-Control-Max-Age", preflightMaxAge)
		}
	}
	if preflight {
		w.WriteHeader(http.StatusNoContent)
	}
	return preflight
}

// origins are the origins that clients registered, read from storage when a client has changed, and now and then.
type origins struct {
	stale  atomic.Bool
	mu     sync.Mutex
	readAt time.Time
	known  map[string]bool
}

// heard takes the wake-ups of all nodes.
func (o *origins) heard(w storage.Wakeup) {
	if w.Topic == storage.ClientsChanged || w.Topic == storage.Anything {
		o.stale.Store(true)
	}
}

// registered says whether a client registered the origin. While storage is down, no answer grants anything new.
func (o *origins) registered(ctx context.Context, p *Provider, origin string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := p.Clock.Now()
	if age := now.Sub(o.readAt); o.stale.Swap(false) || o.known == nil || age < 0 || age >= originsMaxAge {
		known, err := readOrigins(ctx, p)
		if err != nil {
			p.logOutage(ctx, "read origins of clients", err)
			o.stale.Store(true)
			return o.known[origin]
		}
		o.known, o.readAt = known, now
	}
	return o.known[origin]
}

func readOrigins(ctx context.Context, p *Provider) (map[string]bool, error) {
	known := make(map[string]bool)
	for after := ""; ; {
		clients, err := p.Store.ListClients(ctx, after, originsPage)
		if err != nil {
			return nil, err
		}
		for _, c := range clients {
			for _, origin := range c.CORSOrigins {
				if !c.Disabled {
					known[origin] = true
				}
			}
			after = c.ID
		}
		if len(clients) < originsPage {
			return known, nil
		}
	}
}
