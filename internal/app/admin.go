package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/username"
	"github.com/parola-id/parola/storage"
)

// actor names the operator's command line in the events of what it did.
const actor = "cli"

// RefusedError says that what an operator asked for cannot be done, and what to do instead. It holds no secret. Any
// other error means that something failed.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

func refuse(format string, args ...any) error {
	return &RefusedError{Reason: fmt.Sprintf(format, args...)}
}

func isRefusal(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused)
}

// Ended counts what an act on a person ended.
type Ended struct {
	Sessions int `json:"sessions"`
	Grants   int `json:"grants"`
}

// endAll ends the sessions of a person, and the logins that wait for a passcode, and revokes their grants, offline ones
// too, in the caller's transaction (OA-57, SES-08).
func (b *Base) endAll(ctx context.Context, personID, reason string) (Ended, error) {
	now := b.clock.Now()
	if err := b.store.EndChallengesOfPerson(ctx, personID, storage.ChallengeCancelled, now); err != nil {
		return Ended{}, fmt.Errorf("end challenges: %w", err)
	}
	sessions, err := b.store.EndSessionsOf(ctx, personID, reason, now)
	if err != nil {
		return Ended{}, fmt.Errorf("end sessions: %w", err)
	}
	grants, err := b.store.RevokeGrantsOf(ctx, personID, "", "", false, reason, now)
	if err != nil {
		return Ended{}, fmt.Errorf("revoke grants: %w", err)
	}
	var events []storage.Event
	for _, id := range sessions {
		events = append(events, storage.Event{
			Kind: audit.SessionEnded, PersonID: personID, ActorID: actor, SessionID: id, Reason: reason,
		})
	}
	for _, id := range grants {
		events = append(events, storage.Event{
			Kind: audit.TokenRevoked, PersonID: personID, ActorID: actor, GrantID: id, Reason: reason,
		})
	}
	return Ended{Sessions: len(sessions), Grants: len(grants)}, b.write(ctx, events...)
}

// write appends events, if there are any.
func (b *Base) write(ctx context.Context, events ...storage.Event) error {
	if len(events) == 0 {
		return nil
	}
	return b.audit.Write(ctx, events...)
}

// person finds whom an operator means by a user name or an id.
func (b *Base) person(ctx context.Context, nameOrID string) (storage.Person, storage.PasswordFactor, error) {
	if name, err := username.Canonical(nameOrID); err == nil {
		p, f, err := b.store.PersonByUsername(ctx, name)
		if !errors.Is(err, storage.ErrNotFound) {
			return p, f.Password, err
		}
	}
	p, err := b.store.Person(ctx, nameOrID)
	if errors.Is(err, storage.ErrNotFound) {
		return p, storage.PasswordFactor{}, refuse("there is no user %q: `parola user list` shows them", nameOrID)
	}
	if err != nil {
		return p, storage.PasswordFactor{}, fmt.Errorf("find user: %w", err)
	}
	return b.personByName(ctx, p.Username)
}

func (b *Base) personByName(ctx context.Context, name string) (storage.Person, storage.PasswordFactor, error) {
	p, f, err := b.store.PersonByUsername(ctx, name)
	if err != nil {
		err = fmt.Errorf("find user: %w", err)
	}
	return p, f.Password, err
}

// phoneOf is the person's phone; found is false when there is none.
func (b *Base) phoneOf(ctx context.Context, personID string) (f storage.PhoneFactor, found bool, err error) {
	f, err = b.store.PhoneOf(ctx, personID)
	if errors.Is(err, storage.ErrNotFound) {
		return f, false, nil
	}
	if err != nil {
		return f, false, fmt.Errorf("find phone: %w", err)
	}
	return f, true, nil
}

// maskedPhone is all of a number that is shown: its country and last two digits.
func maskedPhone(f storage.PhoneFactor) string { return f.Country + " …" + f.LastTwo }

// fieldNames tells an event which fields changed, without their values.
func fieldNames(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// Issuer is the public address.
func (b *Base) Issuer() string { return b.config.Issuer }
