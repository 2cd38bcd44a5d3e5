package app

import (
	"context"
	"fmt"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// User is a person as an operator sees them: the number masked, no password.
type User struct {
	ID           string    `json:"sub"`
	Username     string    `json:"username"`
	Claims       Claims    `json:"claims"`
	State        string    `json:"state"` // active or disabled
	Password     bool      `json:"password"`
	Phone        *Phone    `json:"phone,omitempty"`
	SMSForbidden bool      `json:"sms_forbidden,omitempty"`
	OpenSessions int       `json:"open_sessions"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`
	DisabledAt   time.Time `json:"disabled_at,omitzero"`
}

// Phone is a phone factor as an operator sees it.
type Phone struct {
	// Number is masked.
	Number     string    `json:"number"`
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	// Failures are wrong passcodes in a row; DisabledAt is set when they were too many.
	Failures        int       `json:"failures"`
	DisabledAt      time.Time `json:"disabled_at,omitzero"`
	NoWhatsAppUntil time.Time `json:"no_whatsapp_until,omitzero"`
	LastUsedAt      time.Time `json:"last_used_at,omitzero"`
}

// maxSessions bounds what is counted and listed of one person.
const maxSessions = 1000

// User returns one person by user name or id.
func (b *Base) User(ctx context.Context, nameOrID string) (User, error) {
	p, f, err := b.person(ctx, nameOrID)
	if err != nil {
		return User{}, err
	}
	u, err := b.userOf(ctx, p)
	if err != nil {
		return User{}, err
	}
	open, err := b.store.ListSessions(ctx, p.ID, true, b.clock.Now(), maxSessions)
	if err != nil {
		return User{}, fmt.Errorf("list sessions: %w", err)
	}
	u.Password, u.OpenSessions = f.Hash != "", len(open)
	return u, nil
}

// Users lists people by user name; f.Limit is at most 1000. Password and OpenSessions are not filled.
func (b *Base) Users(ctx context.Context, f storage.PersonFilter) ([]User, error) {
	persons, err := b.store.ListPersons(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	users := make([]User, len(persons))
	for i, p := range persons {
		if users[i], err = b.userOf(ctx, p); err != nil {
			return nil, err
		}
	}
	return users, nil
}

func (b *Base) userOf(ctx context.Context, p storage.Person) (User, error) {
	claims, err := openClaims(b.keys, p)
	if err != nil {
		return User{}, err
	}
	u := User{
		ID: p.ID, Username: p.Username, Claims: claims, State: "active", SMSForbidden: p.SMSForbidden,
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, DisabledAt: p.DisabledAt,
	}
	if !p.DisabledAt.IsZero() {
		u.State = "disabled"
	}
	phone, found, err := b.phoneOf(ctx, p.ID)
	if err != nil {
		return User{}, err
	}
	if found {
		view := phoneView(phone)
		u.Phone = &view
	}
	return u, nil
}

func phoneView(f storage.PhoneFactor) Phone {
	return Phone{Number: maskedPhone(f), VerifiedAt: f.VerifiedAt, Failures: f.Failures, DisabledAt: f.DisabledAt,
		NoWhatsAppUntil: f.NoWhatsAppUntil, LastUsedAt: f.LastUsedAt}
}

// RevealPhone returns the whole number of a person. The reason is written to the audit log before the number is given
// (ADM-04).
func (b *Base) RevealPhone(ctx context.Context, nameOrID, reason string) (string, error) {
	if !displayable(reason, "") {
		return "", refuse("a reason for showing the number is needed: it is written to the audit log")
	}
	p, _, err := b.person(ctx, nameOrID)
	if err != nil {
		return "", err
	}
	f, found, err := b.phoneOf(ctx, p.ID)
	if err != nil {
		return "", err
	}
	if !found {
		return "", refuse("%s has no phone", p.Username)
	}
	phone, err := mfa.OpenPhone(b.keys, f)
	if err != nil {
		return "", err
	}
	err = b.store.InTx(ctx, func(ctx context.Context) error {
		return b.write(ctx, storage.Event{
			Kind: audit.AdminReveal, PersonID: p.ID, ActorID: actor,
			Data: map[string]string{"fields": "phone", "phone": maskedPhone(f), "reason": reason},
		})
	})
	if err != nil {
		return "", fmt.Errorf("reveal phone: %w", err)
	}
	return phone.Reveal(), nil
}

// SetPassword sets a new password, ends the person's sessions and revokes their grants (OA-57).
func (b *Base) SetPassword(ctx context.Context, nameOrID, clear string) (Ended, error) {
	p, _, err := b.person(ctx, nameOrID)
	if err != nil {
		return Ended{}, err
	}
	if clear == "" {
		return Ended{}, refuse("the password is empty")
	}
	f, err := b.newPassword(ctx, p, clear, "")
	if err != nil {
		return Ended{}, err
	}
	var ended Ended
	err = b.store.InTx(ctx, func(ctx context.Context) (err error) {
		if err := b.store.PutPassword(ctx, f); err != nil {
			return err
		}
		if err := b.write(ctx, storage.Event{Kind: audit.AdminPasswordSet, PersonID: p.ID, ActorID: actor}); err != nil {
			return err
		}
		ended, err = b.endAll(ctx, p.ID, "password_changed")
		return err
	})
	if err != nil {
		return Ended{}, fmt.Errorf("set password: %w", err)
	}
	return ended, nil
}

// SetPhone binds a phone in place of the one there was. With verified the operator vouches that it is the person's: only
// then are passcodes sent to it. Another number than before ends sessions and grants (OA-57).
func (b *Base) SetPhone(ctx context.Context, nameOrID, number string, verified bool) (Phone, Ended, error) {
	p, _, err := b.person(ctx, nameOrID)
	if err != nil {
		return Phone{}, Ended{}, err
	}
	phone, err := b.parsePhone(number)
	if err != nil {
		return Phone{}, Ended{}, err
	}
	now := b.clock.Now()
	f := mfa.SealPhone(b.keys, p.ID, phone, vouched(verified, now), now)
	var ended Ended
	err = b.store.InTx(ctx, func(ctx context.Context) error {
		old, found, err := b.phoneOf(ctx, p.ID)
		if err != nil {
			return err
		}
		ended, err = b.bindPhone(ctx, f, old, found)
		return err
	})
	if err != nil {
		return Phone{}, Ended{}, fmt.Errorf("set phone: %w", err)
	}
	return Phone{Number: maskedPhone(f), VerifiedAt: f.VerifiedAt}, ended, nil
}

// bindPhone stores a phone and tells what it replaced, in the caller's transaction. The factor is a new one: a challenge
// that is open for the old one can no longer be passed.
func (b *Base) bindPhone(ctx context.Context, f, old storage.PhoneFactor, replaces bool) (Ended, error) {
	if err := b.store.PutPhone(ctx, f); err != nil {
		return Ended{}, fmt.Errorf("store phone: %w", err)
	}
	if !replaces {
		return Ended{}, b.write(ctx, phoneEvent(audit.PhoneBound, f))
	}
	changed := phoneEvent(audit.PhoneChanged, f)
	changed.Data["before"] = maskedPhone(old)
	events := []storage.Event{changed}
	if !old.DisabledAt.IsZero() {
		events = append(events, phoneEvent(audit.FactorRebound, f))
	}
	if err := b.write(ctx, events...); err != nil {
		return Ended{}, err
	}
	phone, err := mfa.OpenPhone(b.keys, f)
	if err != nil {
		return Ended{}, err
	}
	if b.sameNumber(old, phone) {
		return Ended{}, nil
	}
	return b.endAll(ctx, f.PersonID, "administrator")
}

// sameNumber says whether a stored factor holds this number, also when it was stored under the root secret before.
func (b *Base) sameNumber(f storage.PhoneFactor, p mfa.Phone) bool {
	for _, hash := range b.keys.Hashes(secret.PhoneLookup, p.Reveal()) {
		if f.Hash == hash {
			return true
		}
	}
	return false
}

// Unlocked tells what Unlock cleared.
type Unlocked struct {
	// PasswordFailures were counted from browsers that the person had not used before.
	PasswordFailures int `json:"password_failures"`
	// PasscodeFailures were counted in a row on the phone; PhoneEnabled says that they had disabled it.
	PasscodeFailures int  `json:"passcode_failures"`
	PhoneEnabled     bool `json:"phone_enabled"`
}

// Unlock lets a person try again: it forgets wrong passwords from unknown browsers (PW-15) and wrong passcodes, and
// enables a phone that was disabled by them.
func (b *Base) Unlock(ctx context.Context, nameOrID string) (Unlocked, error) {
	p, _, err := b.person(ctx, nameOrID)
	if err != nil {
		return Unlocked{}, err
	}
	var u Unlocked
	err = b.store.InTx(ctx, func(ctx context.Context) (err error) {
		u, err = b.unlock(ctx, p)
		return err
	})
	if err != nil {
		return Unlocked{}, fmt.Errorf("unlock user: %w", err)
	}
	return u, nil
}

func (b *Base) unlock(ctx context.Context, p storage.Person) (Unlocked, error) {
	u := Unlocked{}
	for _, prefix := range b.throttle.PasswordKeys(p.Username) {
		cleared, err := b.store.ClearFailuresUnder(ctx, prefix)
		if err != nil {
			return Unlocked{}, err
		}
		for _, failures := range cleared {
			u.PasswordFailures = max(u.PasswordFailures, failures)
		}
	}
	f, found, err := b.phoneOf(ctx, p.ID)
	if err != nil {
		return Unlocked{}, err
	}
	if found {
		u.PasscodeFailures, u.PhoneEnabled = f.Failures, !f.DisabledAt.IsZero()
		if err := b.store.EnablePhone(ctx, f.ID); err != nil {
			return Unlocked{}, err
		}
		tries := b.throttle.Tries(p.ID, f.ID)
		for i := range tries {
			tries[i].Cost = int64(tries[i].Burst) // all of it; a bucket never holds more than it can
		}
		if err := b.store.GiveBack(ctx, b.clock.Now(), tries...); err != nil {
			return Unlocked{}, err
		}
	}
	return u, b.write(ctx, storage.Event{
		Kind: audit.AccountUnlocked, PersonID: p.ID, ActorID: actor,
		Data: map[string]string{
			"password_failures": fmt.Sprint(u.PasswordFailures), "passcode_failures": fmt.Sprint(u.PasscodeFailures),
			"phone_enabled": fmt.Sprint(u.PhoneEnabled),
		},
	})
}

// Disable keeps a person out at once: nothing they have goes on working (SES-08).
func (b *Base) Disable(ctx context.Context, nameOrID string) (Ended, error) {
	return b.changeState(ctx, nameOrID, true)
}

// Enable lets a disabled person sign in again. What was ended stays ended.
func (b *Base) Enable(ctx context.Context, nameOrID string) error {
	_, err := b.changeState(ctx, nameOrID, false)
	return err
}

func (b *Base) changeState(ctx context.Context, nameOrID string, disabled bool) (Ended, error) {
	p, _, err := b.person(ctx, nameOrID)
	if err != nil {
		return Ended{}, err
	}
	var ended Ended
	err = b.store.InTx(ctx, func(ctx context.Context) (err error) {
		ended, err = b.setDisabled(ctx, p.ID, disabled)
		return err
	})
	if err != nil {
		return Ended{}, fmt.Errorf("change state of user: %w", err)
	}
	return ended, nil
}

// setDisabled disables or enables in the caller's transaction. A person who is so already is left alone, without an
// event, except that what a disabled person still has is ended.
func (b *Base) setDisabled(ctx context.Context, personID string, disabled bool) (Ended, error) {
	p, err := b.store.Person(ctx, personID)
	if err != nil {
		return Ended{}, err
	}
	if disabled != p.DisabledAt.IsZero() {
		if disabled {
			return b.endAll(ctx, p.ID, "disabled")
		}
		return Ended{}, nil
	}
	now, kind := b.clock.Now(), audit.AccountEnabled
	p.DisabledAt, p.UpdatedAt = time.Time{}, now
	if disabled {
		p.DisabledAt, kind = now, audit.AccountDisabled
	}
	if err := b.store.UpdatePerson(ctx, p); err != nil {
		return Ended{}, err
	}
	if err := b.write(ctx, storage.Event{Kind: kind, PersonID: p.ID, ActorID: actor}); err != nil || !disabled {
		return Ended{}, err
	}
	return b.endAll(ctx, p.ID, "disabled")
}
