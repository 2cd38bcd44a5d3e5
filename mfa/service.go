package mfa

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
)

// Store is what the second factor keeps.
type Store interface {
	storage.Transactor
	storage.Challenges
	storage.Deliveries
	storage.Phones
	storage.Throttles
}

// Config is what a Service needs. Hooks and Log may be left out.
type Config struct {
	Store    Store
	Audit    *audit.Writer
	Keys     *secret.Keys
	Clock    clock.Clock
	Throttle *throttle.Throttle
	// Channels are the ways to a phone that this installation has.
	Channels map[storage.Channel]Channel
	// Carriers name the company behind each channel in deliveries and events: "meta", "twilio".
	Carriers map[storage.Channel]string
	Settings Settings
	Hooks    Hooks
	Log      *slog.Logger
}

// Hooks tell operators and metrics what happens. They are called from several goroutines and must not block; each may
// be nil. No hook ever hears a number, passcode or message id.
type Hooks struct {
	// Alarm reports what an operator must look at: a class C failure, or a circuit that opened or closed.
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
}

// Alarm is something that an operator must look at.
type Alarm struct {
	Channel storage.Channel
	// Kind is carrier_refuses (class C), circuit_open or circuit_closed.
	Kind string
	// Code is the carrier's number for carrier_refuses.
	Code string
}

// Service is the second factor.
type Service struct {
	store    Store
	audit    *audit.Writer
	keys     *secret.Keys
	clock    clock.Clock
	throttle *throttle.Throttle
	channels map[storage.Channel]Channel
	carriers map[storage.Channel]string
	settings Settings
	hooks    Hooks
	log      *slog.Logger

	circuits circuits
	alarms   *sampler
	rejects  *sampler
	watchers *watchers
	wake     chan struct{}
	poll     time.Duration
	lanes    map[storage.Channel]chan struct{}
}

// New returns a Service, or says which part of the configuration is missing or out of bounds.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Audit == nil || c.Keys == nil || c.Clock == nil || c.Throttle == nil {
		return nil, errors.New("mfa: Store, Audit, Keys, Clock and Throttle are required")
	}
	if len(c.Channels) == 0 {
		return nil, errors.New("mfa: configure at least one channel, whatsapp or sms")
	}
	if err := c.Settings.Check(); err != nil {
		return nil, fmt.Errorf("mfa: %w", err)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if len(c.Settings.Countries) == 0 {
		c.Log.Warn("mfa.countries is empty: passcodes may be sent to every country; list those you serve")
	}
	s := &Service{
		store: c.Store, audit: c.Audit, keys: c.Keys, clock: c.Clock, throttle: c.Throttle,
		channels: maps.Clone(c.Channels), carriers: maps.Clone(c.Carriers), settings: c.Settings, hooks: c.Hooks, log: c.Log,
		alarms: newSampler(5 * time.Minute), rejects: newSampler(10 * time.Second),
		watchers: newWatchers(), wake: make(chan struct{}, 1), poll: pollEvery, lanes: map[storage.Channel]chan struct{}{},
	}
	for _, ch := range slices.Collect(maps.Keys(s.channels)) {
		s.lanes[ch] = make(chan struct{}, c.Settings.Workers)
	}
	s.circuits = newCircuits(s.lanes, c.Settings, s.circuitChanged)
	return s, nil
}

// Settings returns the settings in force.
func (s *Service) Settings() Settings { return s.settings }

// wakeDispatcher makes the dispatcher look at once; a wake-up that is already waiting is enough.
func (s *Service) wakeDispatcher() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
