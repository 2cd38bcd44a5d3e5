package app

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/mfa/whatsapp"
	"github.com/parola-id/parola/storage"
)

// Circuit is an open or held circuit as an operator sees it.
type Circuit struct {
	Name     string    `json:"name"`
	State    string    `json:"state"` // open or held
	Reason   string    `json:"reason"`
	OpenedAt time.Time `json:"opened_at"`
	// ProbedAt is when the next message may try it; zero for a held one.
	ProbedAt time.Time `json:"probed_at,omitzero"`
}

// Circuits lists what messages are kept from at the moment.
func (b *Base) Circuits(ctx context.Context) ([]Circuit, error) {
	stored, err := b.store.Circuits(ctx)
	if err != nil {
		return nil, fmt.Errorf("list circuits: %w", err)
	}
	list := make([]Circuit, len(stored))
	for i, c := range stored {
		list[i] = Circuit{Name: c.Name, State: "open", Reason: c.Reason, OpenedAt: c.OpenedAt, ProbedAt: c.Until}
		if c.Held {
			list[i].State = "held"
		}
	}
	return list, nil
}

var circuitForm = regexp.MustCompile(`^(carrier/[a-z0-9]{1,32}|country/(whatsapp|sms)/[A-Z]{2}|template/[A-Za-z_]{2,8})$`)

// HoldCircuit keeps messages from a carrier, a country or a template until somebody closes the circuit again.
func (b *Base) HoldCircuit(ctx context.Context, name string) error {
	if !circuitForm.MatchString(name) {
		return refuse("%q is no circuit: write carrier/twilio, country/whatsapp/IT or template/pt_BR", name)
	}
	// A circuit of nobody would look like a hold and keep nothing back.
	switch kind, rest, _ := strings.Cut(name, "/"); kind {
	case "carrier":
		if ours := b.carrierNames(); !slices.Contains(ours, rest) {
			return refuse("this installation has no carrier %q: its carriers are %s", rest, strings.Join(ours, ", "))
		}
	case "template":
		languages, err := b.languages()
		if err != nil {
			return err
		}
		if !slices.Contains(languages, rest) {
			return refuse("the template is not sent in %q: its languages are %s", rest, strings.Join(languages, ", "))
		}
	}
	return b.changeCircuit(ctx, name, "held", func(ctx context.Context) error {
		_, err := b.store.OpenCircuit(ctx, storage.Circuit{Name: name, Held: true, Reason: "operator", OpenedAt: b.clock.Now()})
		return err
	})
}

// carrierNames are the carriers of the configuration.
func (b *Base) carrierNames() []string {
	var names []string
	if b.config.WhatsApp.Enabled {
		names = append(names, whatsapp.Carrier)
	}
	return append(names, b.config.SMS.Carriers...)
}

// CloseCircuit lets messages through again.
func (b *Base) CloseCircuit(ctx context.Context, name string) error {
	return b.changeCircuit(ctx, name, "closed", func(ctx context.Context) error {
		closed, err := b.store.CloseCircuit(ctx, name, true)
		if err == nil && !closed {
			return refuse("there is no open circuit %q: `parola circuit list` shows them", name)
		}
		return err
	})
}

func (b *Base) changeCircuit(ctx context.Context, name, outcome string, change func(context.Context) error) error {
	err := b.store.InTx(ctx, func(ctx context.Context) error {
		if err := change(ctx); err != nil {
			return err
		}
		return b.write(ctx, storage.Event{Kind: audit.AdminCircuit, ActorID: actor, Reason: outcome, Data: map[string]string{"circuit": name}})
	})
	if err != nil && !isRefusal(err) {
		return fmt.Errorf("change circuit: %w", err)
	}
	return err
}

// Forgotten is what was known of the WhatsApp account behind somebody's number.
type Forgotten struct {
	Account    bool `json:"account"`     // it was bound; the next passcode that is entered binds anew
	NoWhatsApp bool `json:"no_whatsapp"` // there was none; the next message goes there all the same
}

// ForgetWhatsApp lets the next passcode that a person enters bind the WhatsApp account of their phone anew, and WhatsApp be
// tried again on a number that had none. It is for people whose account changed for a reason they could prove otherwise: a
// new phone, WhatsApp installed again.
func (b *Base) ForgetWhatsApp(ctx context.Context, nameOrID string) (Forgotten, error) {
	p, _, err := b.person(ctx, nameOrID)
	if err != nil {
		return Forgotten{}, err
	}
	var done Forgotten
	err = b.store.InTx(ctx, func(ctx context.Context) error {
		f, found, err := b.phoneOf(ctx, p.ID)
		if err != nil {
			return err
		}
		done = Forgotten{Account: found && (len(f.Identity) > 0 || !f.BarredAt.IsZero()), NoWhatsApp: found && b.clock.Now().Before(f.NoWhatsAppUntil)}
		if done == (Forgotten{}) {
			return refuse("no WhatsApp account is bound to %q, and none is known to be missing", p.Username)
		}
		if done.NoWhatsApp {
			if err := b.store.NoteNoWhatsApp(ctx, f.Hash, time.Time{}); err != nil {
				return err
			}
			err := b.write(ctx, storage.Event{Kind: audit.AccountUpdated, PersonID: p.ID, ActorID: actor,
				Data: map[string]string{"fields": "no_whatsapp_until"}})
			if err != nil {
				return err
			}
		}
		if !done.Account {
			return nil
		}
		if err := b.store.ForgetIdentity(ctx, f.ID); err != nil {
			return err
		}
		return b.write(ctx, storage.Event{Kind: audit.IdentityForgotten, PersonID: p.ID, ActorID: actor,
			Data: map[string]string{"phone": maskedPhone(f)}})
	})
	if err != nil && !isRefusal(err) {
		return Forgotten{}, fmt.Errorf("forget WhatsApp account: %w", err)
	}
	return done, err
}
