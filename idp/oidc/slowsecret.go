package oidc

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

// Imported secrets are hashed slowly, behind the gate that logins wait at too. A client's name is no secret, so without
// a bound any stranger could keep that gate busy. The bound is on wrong secrets for one client from one source: a
// burst, then one each interval, so that nobody keeps a client out from elsewhere. It is kept by each process, because
// what it protects is the process's own cores.
const (
	slowWrongBurst    = 20
	slowWrongInterval = 6 * time.Second
	// slowWrongKept bounds the memory: beyond it what was counted is forgotten rather than kept.
	slowWrongKept = 4096
)

// slowWrong holds, for each client and source, when its bucket will be full again.
type slowWrong struct {
	mu     sync.Mutex
	fullAt map[string]time.Time
}

// take counts a try before it is hashed, or says how long to wait.
func (s *slowWrong) take(key string, now time.Time) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fullAt := s.fullAt[key]
	if fullAt.Before(now) || fullAt.Sub(now) > slowWrongBurst*slowWrongInterval {
		fullAt = now // full by now; or counted before the clock went back (REL-11)
	}
	fullAt = fullAt.Add(slowWrongInterval)
	if wait = fullAt.Sub(now) - slowWrongBurst*slowWrongInterval; wait > 0 {
		return wait
	}
	if s.fullAt == nil || len(s.fullAt) >= slowWrongKept {
		s.fullAt = make(map[string]time.Time)
	}
	s.fullAt[key] = fullAt
	return 0
}

// giveBack is for a right secret, and for a try that was not hashed.
func (s *slowWrong) giveBack(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fullAt, counted := s.fullAt[key]; counted {
		s.fullAt[key] = fullAt.Add(-slowWrongInterval)
	}
}

// matchesSlow compares with the slow hashes of a client's secrets, unless too many wrong ones came from there.
func (p *Provider) matchesSlow(ctx context.Context, c storage.Client, hashes []string, typed string) (bool, error) {
	key, now := c.ID+"|"+reqinfo.From(ctx).Source, p.Clock.Now()
	if wait := p.slowWrong.take(key, now); wait > 0 {
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
			p.slowWrong.giveBack(key)
			return ok, err
		}
	}
	return false, nil
}
