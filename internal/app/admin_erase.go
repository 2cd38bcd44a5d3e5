package app

import (
	"context"
	"fmt"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// Erased tells what EraseUser ended. PersonID is the pseudonym under which the events of the person stay.
type Erased struct {
	PersonID string `json:"sub"`
	Ended    Ended  `json:"ended"`
}

// EraseUser removes everything about a person but their events, which name them by an id that nothing leads from any more
// (DAT-04): name, claims, factors, sessions, consents, grants, challenges with their messages, and the counters of wrong
// passwords and passcodes. What counts messages to the number stays under a keyed hash of its own until it is full again,
// within a day (DAT-05): otherwise erasing and adding a person would send without a limit.
func (b *Base) EraseUser(ctx context.Context, nameOrID, reason string) (Erased, error) {
	if !displayable(reason, "") {
		return Erased{}, refuse("a reason for erasing is needed: it is written to the audit log. Do not name the person in it")
	}
	p, _, err := b.person(ctx, nameOrID)
	if err != nil {
		return Erased{}, err
	}
	e := Erased{PersonID: p.ID}
	err = b.store.InTx(ctx, func(ctx context.Context) error {
		phone, _, err := b.phoneOf(ctx, p.ID)
		if err != nil {
			return err
		}
		if e.Ended, err = b.endAll(ctx, p.ID, "erased"); err != nil {
			return err
		}
		if err := b.store.ErasePerson(ctx, p.ID); err != nil {
			return err
		}
		for _, prefix := range b.throttle.PasswordKeys(p.Username) {
			if _, err := b.store.ClearFailuresUnder(ctx, prefix); err != nil {
				return err
			}
		}
		own := b.throttle.OfPerson(p.ID, phone.ID)
		for i := range own {
			own[i].Cost = int64(own[i].Burst) // all of it: a full bucket is swept
		}
		if err := b.store.GiveBack(ctx, b.clock.Now(), own...); err != nil {
			return err
		}
		return b.write(ctx, storage.Event{Kind: audit.AccountErased, PersonID: p.ID, ActorID: actor,
			Data: map[string]string{"reason": reason}})
	})
	if err != nil {
		return Erased{}, fmt.Errorf("erase user: %w", err)
	}
	return e, nil
}
