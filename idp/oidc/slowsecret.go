package oidc

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
)

// Imported secrets are hashed slowly, behind the gate that logins wait at too. A client's name is no secret, so without
// a bound any stranger could keep that gate busy. The bound is on wrong secrets for one client from one source: a
// burst, then one each interval, so that nobody keeps a client out from elsewhere; several times as many from the network
// around it (DOS-05). It is kept by each process, because what it protects is the process's own cores.
const (
	slowWrongBurst    = 20
	slowWrongInterval = 6 * time.Second
	// slowWrongKept bounds the memory: beyond it what was counted is forgotten rather than kept.
	slowWrongKept = 4096
)

// slowWrong holds, for each client and network, when its bucket will be full again.
type slowWrong struct {
	mu     sync.Mutex
	fullAt map[slowWrongKey]time.Time
}

type slowWrongKey struct{ clientID, network string }

// take counts a try before it is hashed, or says how long to wait.
func (s *slowWrong) take(clientID, source string, now time.Time) (wait time.Duration) {
	// An empty bucket takes this long to be full, whatever its size.
	const fills = slowWrongBurst * slowWrongInterval
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := make(map[slowWrongKey]time.Time)
	for _, n := range throttle.Networks(source) {
		key := slowWrongKey{clientID, n.Name}
		fullAt := s.fullAt[key]
		if fullAt.Before(now) || fullAt.Sub(now) > fills {
			fullAt = now // full by now; or counted before the clock went back (REL-11)
		}
		fullAt = fullAt.Add(slowWrongInterval / time.Duration(n.Times))
		wait = max(wait, fullAt.Sub(now)-fills)
		taken[key] = fullAt
	}
	if wait > 0 {
		return wait
	}
	if s.fullAt == nil || len(s.fullAt)+len(taken) > slowWrongKept {
		s.fullAt = make(map[slowWrongKey]time.Time)
	}
	maps.Copy(s.fullAt, taken)
	return 0
}

// giveBack is for a right secret, and for a try that was not hashed.
func (s *slowWrong) giveBack(clientID, source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range throttle.Networks(source) {
		key := slowWrongKey{clientID, n.Name}
		if fullAt, counted := s.fullAt[key]; counted {
			s.fullAt[key] = fullAt.Add(-slowWrongInterval / time.Duration(n.Times))
		}
	}
}

// matchesSlow compares with the slow hashes of a client's secrets, unless too many wrong ones came from there.
func (p *Provider) matchesSlow(ctx context.Context, c storage.Client, hashes []string, typed string) (bool, error) {
	source := reqinfo.From(ctx).Source
	if wait := p.slowWrong.take(c.ID, source, p.Clock.Now()); wait > 0 {
		if err := p.note(ctx, storage.Event{Kind: audit.RateLimitHit, Reason: "client_secrets", ClientID: c.ID}); err != nil {
			return false, err
		}
		e := refuse(errTemporarilyUnavailable, "too many wrong client secrets")
		e.status, e.retryAfter = http.StatusTooManyRequests, wait
		return false, e
	}
	for _, phc := range hashes {
		ok, err := p.SlowHash.VerifySecret(ctx, phc, typed)
		if ok || err != nil {
			p.slowWrong.giveBack(c.ID, source)
			return ok, err
		}
	}
	return false, nil
}
