package mfa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/storage"
)

// Store is what the second factor keeps.
type Store interface {
	storage.Transactor
	storage.Challenges
	storage.Deliveries
	storage.Phones
	storage.Throttles
	storage.Circuits
	storage.Notices
	storage.Wakeups
	// ChallengesByID and DeliveriesOfAll are those of storage.Ledger, ListEvents that of storage.Events.
	ChallengesByID(ctx context.Context, ids []string) ([]storage.Challenge, error)
	DeliveriesOfAll(ctx context.Context, challengeIDs []string) ([]storage.Delivery, error)
	ListEvents(ctx context.Context, f storage.EventFilter) ([]storage.Event, error)
}

// Config is what a Service needs. Routes, Warner, Hooks, Tracer and Log may be left out.
type Config struct {
	Store    Store
	Audit    *audit.Writer
	Keys     *secret.Keys
	Clock    clock.Clock
	Throttle *throttle.Throttle
	// Carriers are tried in this order, on each channel.
	Carriers []Carrier
	// Routes name the SMS carriers of a country (ISO 3166-1 alpha-2) in their order. A country that is not named has all
	// of them; one that is named with none has no SMS.
	Routes map[string][]string
	Prices Prices
	Guard  Guard
	// Warner tells people of logins that they did not ask for; nil tells nobody.
	Warner   Warner
	Settings Settings
	Hooks    Hooks
	// Tracer follows messages and receipts; nil follows none.
	Tracer *tracing.Tracer
	Log    *slog.Logger
}

// Hooks tell operators and metrics what happens. They are called from several goroutines and must not block; each may
// be nil. No hook ever hears a number, passcode or message id.
type Hooks struct {
	// Alarm reports what an operator must look at: a class C failure, or a circuit that this node opened or closed.
	Alarm func(Alarm)
	// Sent reports one call to a carrier. Outcome is accepted, refused or unknown; class is empty unless refused.
	Sent func(ch storage.Channel, outcome string, class Class, took time.Duration)
	// Receipt reports one receipt that was new.
	Receipt func(ch storage.Channel, status storage.DeliveryState)
	// Verified reports one entered passcode: success, wrong, ended, throttled or disabled.
	Verified func(outcome string)
	// Fallback reports one automatic fallback by its trigger.
	Fallback func(trigger string)
	// CallbackRejected reports a carrier's callback with a wrong signature or an impossible body.
	CallbackRejected func(ch storage.Channel, reason string)
	// Panic reports a panic of a worker that was caught.
	Panic func(worker string)
}

// Alarm is something that an operator must look at.
type Alarm struct {
	Channel storage.Channel
	// Kind is carrier_refuses (class C), carrier_bulletin (of severity high), circuit_open or circuit_closed.
	Kind string
	// Carrier and Code say who refuses with which number, or whose bulletin it is and of which kind.
	Carrier, Code string
	// Circuit names the one that opened or closed.
	Circuit string
}

// Service is the second factor.
type Service struct {
	store    Store
	audit    *audit.Writer
	keys     *secret.Keys
	clock    clock.Clock
	throttle *throttle.Throttle
	routes   routes
	prices   Prices
	defence  Guard
	warner   Warner
	settings Settings
	hooks    Hooks
	tracer   *tracing.Tracer
	log      *slog.Logger

	circuits *circuits
	// acceptances and receipts are written down together.
	acceptances together[acceptance]
	receipts    together[[]Report]
	alarms      *sampler
	rejects     *sampler
	watchers    *watchers
	wake        chan struct{}
	poll        time.Duration
	lanes       map[string]chan struct{} // by carrier: one that is slow fills its own and nobody else's
}

// New returns a Service, or says which part of the configuration is missing or out of bounds.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Audit == nil || c.Keys == nil || c.Clock == nil || c.Throttle == nil || c.Prices == nil || c.Guard == nil {
		return nil, errors.New("mfa: Store, Audit, Keys, Clock, Throttle, Prices and Guard are required")
	}
	routes, err := newRoutes(c.Carriers, c.Routes)
	if err != nil {
		return nil, fmt.Errorf("mfa: %w", err)
	}
	if err := c.Settings.Check(); err != nil {
		return nil, fmt.Errorf("mfa: %w", err)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		store: c.Store, audit: c.Audit, keys: c.Keys, clock: c.Clock, throttle: c.Throttle, routes: routes,
		prices: c.Prices, defence: c.Guard, warner: c.Warner, settings: c.Settings, hooks: c.Hooks, tracer: c.Tracer, log: c.Log,
		circuits: newCircuits(c.Settings),
		alarms:   newSampler(5 * time.Minute), rejects: newSampler(10 * time.Second),
		watchers: newWatchers(), wake: make(chan struct{}, 1), poll: pollEvery, lanes: map[string]chan struct{}{},
	}
	for _, carrier := range c.Carriers {
		s.lanes[carrier.Name] = make(chan struct{}, c.Settings.Workers)
	}
	c.Store.Listen(s.heard) // until the store closes
	return s, nil
}

// Calls is how many calls to each carrier are on their way from this node; Settings().Workers is the most (DOS-08).
func (s *Service) Calls() map[string]int {
	calls := make(map[string]int, len(s.lanes))
	for carrier, lane := range s.lanes {
		calls[carrier] = len(lane)
	}
	return calls
}

// Settings returns the settings in force.
func (s *Service) Settings() Settings { return s.settings }

// heard takes the wake-ups of all nodes, this one's too.
func (s *Service) heard(w storage.Wakeup) {
	switch w.Topic {
	case storage.ChallengeChanged:
		s.watchers.notify(w.Subject)
	case storage.DeliveriesWaiting:
		s.wakeDispatcher()
	case storage.CircuitsChanged:
		s.circuits.refresh()
	case storage.Anything:
		s.watchers.notify("")
		s.wakeDispatcher()
		s.circuits.refresh()
	}
}

// changed wakes whoever watches a challenge, on any node, once the transaction that ctx carries has committed.
func (s *Service) changed(ctx context.Context, challengeID string) {
	s.store.Wake(ctx, storage.Wakeup{Topic: storage.ChallengeChanged, Subject: challengeID})
}

// wakeSomeDispatcher has what was just queued for a carrier sent at once: by this node, or by another when this one's
// lanes to that carrier are taken. Should this node die first, the others find it at their next look.
func (s *Service) wakeSomeDispatcher(ctx context.Context, carrier string) {
	s.store.AfterCommit(ctx, s.wakeDispatcher)
	if lane := s.lanes[carrier]; len(lane) > 0 && len(lane) == cap(lane) {
		s.store.Wake(ctx, storage.Wakeup{Topic: storage.DeliveriesWaiting})
	}
}

// wakeDispatcher makes the dispatcher look at once; a wake-up that is already waiting is enough.
func (s *Service) wakeDispatcher() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
