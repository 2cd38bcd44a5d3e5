package handset

import (
	"sync"
	"time"
)

const (
	pairInterval = 6 * time.Second
	pairBurst    = 45
	maxPairs     = 4096
)

// pairLimit is Meta's limit of messages from one business number to one person: one in six seconds, with bursts of 45 that are
// paid back. It keeps, per recipient, the moment at which everything sent so far would have been allowed one by one.
type pairLimit struct {
	off bool

	mu   sync.Mutex
	paid map[string]time.Time
}

func (p *pairLimit) allow(to string, now time.Time) bool {
	if p.off {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	paid := p.paid[to]
	if paid.Before(now) {
		paid = now
	}
	paid = paid.Add(pairInterval)
	if paid.Sub(now) > pairBurst*pairInterval {
		return false
	}
	if len(p.paid) >= maxPairs {
		p.forget(now)
	}
	p.paid[to] = paid
	return true
}

// forget drops the recipients who owe nothing, and when that is not enough everyone: the limit is there to be met, not to be safe.
func (p *pairLimit) forget(now time.Time) {
	for to, paid := range p.paid {
		if paid.Before(now) {
			delete(p.paid, to)
		}
	}
	if len(p.paid) >= maxPairs {
		clear(p.paid)
	}
}
