package mfa

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/parola-id/parola/storage"
)

// codeCircuit is the failure code of a message that was not tried because the circuit is open.
const codeCircuit = "circuit"

// circuits holds one breaker per channel (REL-07). They are the one thing a process learns that is not in storage: each
// node finds out for itself, at the price of a few messages that then fall back like any other.
type circuits map[storage.Channel]*gobreaker.CircuitBreaker[Sent]

func newCircuits(lanes map[storage.Channel]chan struct{}, s Settings, changed func(storage.Channel, bool)) circuits {
	c := circuits{}
	for ch := range lanes {
		c[ch] = gobreaker.NewCircuitBreaker[Sent](gobreaker.Settings{
			Name:    string(ch),
			Timeout: s.CircuitRest,
			ReadyToTrip: func(counts gobreaker.Counts) bool {
				return counts.ConsecutiveFailures >= uint32(s.CircuitFailures)
			},
			IsSuccessful: carrierAnswered,
			OnStateChange: func(_ string, from, to gobreaker.State) {
				switch {
				case to == gobreaker.StateOpen && from == gobreaker.StateClosed:
					changed(ch, true)
				case to == gobreaker.StateClosed:
					changed(ch, false)
				}
			},
		})
	}
	return c
}

// carrierAnswered says whether an outcome speaks for the carrier's health: a refusal of one message does, a refusal of
// our account, a failed connection, a 5xx and a lost answer do not.
func carrierAnswered(err error) bool {
	if err == nil {
		return true
	}
	var refused *Refused
	return errors.As(err, &refused) && refused.Scope != ScopeCarrier
}

// open says whether messages on ch are not even tried. Half-open is not open: the next message is the probe.
func (c circuits) open(ch storage.Channel) bool {
	b, ok := c[ch]
	return ok && b.State() == gobreaker.StateOpen
}

// do runs call unless the circuit is open.
func (c circuits) do(ch storage.Channel, call func() (Sent, error)) (Sent, error) {
	sent, err := c[ch].Execute(call)
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return Sent{}, &Refused{Failure: Failure{Class: ClassFallback, Code: codeCircuit}, NotSent: true}
	}
	return sent, err
}

func (s *Service) circuitChanged(ch storage.Channel, open bool) {
	kind := "circuit_closed"
	if open {
		kind = "circuit_open"
	}
	s.log.Warn("carrier circuit", "channel", ch, "state", kind)
	if s.hooks.Alarm != nil {
		s.hooks.Alarm(Alarm{Channel: ch, Kind: kind})
	}
}

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
