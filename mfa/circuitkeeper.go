package mfa

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// watchCircuits keeps this node's circuits and those in storage the same.
func (s *Service) watchCircuits(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.keepCircuits(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("keep circuits", "err", err)
			sleep(ctx, s.poll)
			continue
		}
		timer := time.NewTimer(s.poll)
		select {
		case <-ctx.Done():
		case <-s.circuits.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// keepCircuits stores what this node changed and reads what all nodes know.
func (s *Service) keepCircuits(ctx context.Context) error {
	if changes := s.circuits.take(); len(changes) > 0 {
		err := s.store.InTx(ctx, func(ctx context.Context) error {
			for _, change := range changes {
				if err := s.storeCircuit(ctx, change); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.circuits.putBack(changes)
			return err
		}
	}
	stored, err := s.store.Circuits(ctx)
	if err != nil {
		return err
	}
	s.circuits.load(stored)
	return nil
}

func (s *Service) storeCircuit(ctx context.Context, change circuitChange) error {
	if change.closed {
		return s.closeCircuit(ctx, change.circuit.Name, "probe", false)
	}
	return s.openCircuit(ctx, change.circuit)
}

// openCircuit stores an open or held circuit in the transaction that ctx carries. Of all nodes one finds that there was
// none before, and tells.
func (s *Service) openCircuit(ctx context.Context, c storage.Circuit) error {
	opened, err := s.store.OpenCircuit(ctx, c)
	if err != nil {
		return err
	}
	if !opened {
		return nil
	}
	return s.tellCircuit(ctx, failed(s.circuitEvent(audit.CircuitOpened, c.Name), c.Reason), "circuit_open")
}

// closeCircuit removes a circuit in the transaction that ctx carries, because of reason; a held one only with held.
func (s *Service) closeCircuit(ctx context.Context, name, reason string, held bool) error {
	closed, err := s.store.CloseCircuit(ctx, name, held)
	if err != nil {
		return err
	}
	if !closed {
		return nil
	}
	e := s.circuitEvent(audit.CircuitClosed, name)
	e.Reason = reason
	return s.tellCircuit(ctx, e, "circuit_closed")
}

func (s *Service) circuitEvent(kind, name string) storage.Event {
	ch := storage.WhatsApp // templates have no other
	if carrier, is := strings.CutPrefix(name, carrierPrefix); is {
		ch = s.routes.senders[carrier].Channel
	} else if strings.HasPrefix(name, CountryCircuit(storage.SMS, "")) {
		ch = storage.SMS
	}
	return storage.Event{Kind: kind, Outcome: audit.Success, Channel: string(ch), Data: map[string]string{"circuit": name}}
}

func (s *Service) tellCircuit(ctx context.Context, e storage.Event, kind string) error {
	name, ch := e.Data["circuit"], storage.Channel(e.Channel)
	s.store.AfterCommit(ctx, func() {
		s.log.Warn(kind, "circuit", name, "reason", e.Reason)
		if s.hooks.Alarm != nil {
			s.hooks.Alarm(Alarm{Channel: ch, Kind: kind, Circuit: name})
		}
	})
	return s.audit.Write(ctx, e)
}

// Circuits returns the open and held circuits that this node knows of, by name.
func (s *Service) Circuits() []storage.Circuit { return s.circuits.all() }

// TemplateUsable says whether the WhatsApp template of a language, in Meta's spelling, may be sent. It answers from
// memory.
func (s *Service) TemplateUsable(language string) bool {
	return s.circuits.passage(TemplateCircuit(language), s.clock.Now()) == through
}

// answered counts what a call says of its carrier and country. A refusal of one message speaks for the carrier's health;
// a refusal of our account, a failed connection, a 5xx and a lost answer speak against it.
func (s *Service) answered(j job, err error) {
	now, d := s.clock.Now(), j.delivery
	var refused *Refused
	healthy := err == nil || errors.As(err, &refused) && refused.Scope != ScopeCarrier
	s.circuits.outcome(CarrierCircuit(d.Carrier), d.ID+strconv.Itoa(d.Calls), healthy, now)
	if refused != nil && refused.Scope == ScopeCountry {
		s.countryRefused(d.Channel, j.challenge.PhoneCountry)
	}
}

// countryRefused opens the circuit of a channel in a country, because a carrier said that it does not serve it.
func (s *Service) countryRefused(ch storage.Channel, country string) {
	s.circuits.open(CountryCircuit(ch, country), reasonCountry, s.clock.Now())
}

// countryOutcome counts a message that arrived in the country of a challenge, or did not. A number counts once in a row:
// nobody shuts a country by switching one phone off.
func (s *Service) countryOutcome(ch storage.Channel, c storage.Challenge, ok bool) {
	s.circuits.outcome(CountryCircuit(ch, c.PhoneCountry), c.PhoneHash, ok, s.clock.Now())
}

// shut says whether no message on a channel gets to a country.
func (s *Service) shut(ch storage.Channel, country string, now time.Time) bool {
	if s.circuits.passage(CountryCircuit(ch, country), now) == shut {
		return true
	}
	_, open := s.pick(ch, country, nil, now)
	return !open
}

// pick returns the first carrier of a route that has not refused already and whose circuit lets a message through.
func (s *Service) pick(ch storage.Channel, country string, refused []string, now time.Time) (carrier string, found bool) {
	for _, name := range s.routes.to(ch, country) {
		if !slices.Contains(refused, name) && s.circuits.passage(CarrierCircuit(name), now) != shut {
			return name, true
		}
	}
	return "", false
}

// letThrough says whether the circuits let a claimed delivery out, in the transaction that claimed it. Where one rests
// no longer, of all nodes exactly one message gets the probe.
func (s *Service) letThrough(ctx context.Context, c storage.Challenge, d storage.Delivery) (bool, error) {
	now := s.clock.Now()
	// What comes of a call is known when it ends; what comes of a country's message when its receipt is overdue.
	asked := []circuitLease{
		{CarrierCircuit(d.Carrier), sendLease},
		{CountryCircuit(d.Channel, c.PhoneCountry), sendLease + s.settings.TemplateTTL + lateCopyMargin},
	}
	if slices.ContainsFunc(asked, func(a circuitLease) bool { return s.circuits.passage(a.name, now) == shut }) {
		return false, nil
	}
	for _, a := range asked {
		if s.circuits.passage(a.name, now) == through {
			continue
		}
		until := now.Add(a.lease)
		taken, err := s.store.ProbeCircuit(ctx, a.name, now, until)
		if err != nil {
			return false, err
		}
		if !taken { // another node has it, or has closed the circuit
			s.store.AfterCommit(ctx, s.circuits.refresh)
			return false, nil
		}
		s.store.AfterCommit(ctx, func() { s.circuits.probing(a.name, until) })
	}
	return true, nil
}

// circuitLease is how long the probe of a circuit belongs to the message that got it.
type circuitLease struct {
	name  string
	lease time.Duration
}
