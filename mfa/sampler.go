package mfa

import (
	"sync"
	"time"
)

// sampler lets the first of a kind through, and then one per interval: an alarm or a log under attack must not become
// the attack. Beyond a bound it forgets what it has seen rather than grow.
type sampler struct {
	every time.Duration
	mu    sync.Mutex
	last  map[string]time.Time
}

const maxSampled = 256

func newSampler(every time.Duration) *sampler {
	return &sampler{every: every, last: map[string]time.Time{}}
}

func (s *sampler) pass(kind string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, seen := s.last[kind]; seen && now.Sub(last) < s.every {
		return false
	}
	if len(s.last) >= maxSampled {
		clear(s.last)
	}
	s.last[kind] = now
	return true
}
