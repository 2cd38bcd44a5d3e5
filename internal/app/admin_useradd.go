package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/idp/password"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/username"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// NewUser is a person to add.
type NewUser struct {
	// Username is made canonical.
	Username string
	// ID is the `sub` that clients see; a random one when empty. It must never have been anyone else's.
	ID string
	// Password is in clear and must be acceptable; PasswordHash is one that another system made. With neither the person
	// cannot sign in until a password is set.
	Password     string
	PasswordHash string
	// Phone has its country code. PhoneVerified says that whoever adds the person vouches for it: no passcode goes to a
	// number that nobody has proved.
	Phone         string
	PhoneVerified bool
	Claims        Claims
	// SMSForbidden says that no passcode goes to this person by SMS.
	SMSForbidden bool
	Disabled     bool
}

// AddUser adds a person with their factors in one transaction. It fails with a *RefusedError when something about the
// person is not acceptable or taken.
func (b *Base) AddUser(ctx context.Context, u NewUser) (storage.Person, error) {
	n, err := b.newPerson(ctx, u)
	if err != nil {
		return storage.Person{}, err
	}
	err = b.store.InTx(ctx, func(ctx context.Context) error { return b.insertPerson(ctx, n) })
	if err != nil {
		return storage.Person{}, fmt.Errorf("add user: %w", err)
	}
	return n.person, nil
}

// newPerson is a person checked and with the password hashed: what is slow has happened before the transaction opens,
// because on SQLite every login waits for it.
type newPerson struct {
	person   storage.Person
	password storage.PasswordFactor // without a Hash for none
	phone    storage.PhoneFactor    // without an ID for none
	fields   []string
}

func (b *Base) newPerson(ctx context.Context, u NewUser) (newPerson, error) {
	var n newPerson
	name, err := username.Canonical(u.Username)
	if err != nil {
		return n, refuse("username: %v", err)
	}
	if err := u.Claims.check(); err != nil {
		return n, err
	}
	now := b.clock.Now()
	n.person = storage.Person{
		ID: u.ID, Username: name, SMSForbidden: u.SMSForbidden, CreatedAt: now, UpdatedAt: now,
	}
	if u.ID == "" {
		n.person.ID = storage.NewID()
	}
	if !validSubject(n.person.ID) {
		return n, refuse("sub must have 1 to 255 printable ASCII characters without spaces (Core §2)")
	}
	if n.person.Claims, err = u.Claims.seal(b.keys, n.person.ID); err != nil {
		return n, err
	}
	if u.Disabled {
		n.person.DisabledAt = now
	}
	n.fields = append(slices.Collect(maps.Keys(u.Claims)), "username")
	if u.Phone != "" {
		phone, err := b.parsePhone(u.Phone)
		if err != nil {
			return n, err
		}
		n.phone = mfa.SealPhone(b.keys, n.person.ID, phone, vouched(u.PhoneVerified, now), now)
		n.fields = append(n.fields, "phone")
	}
	n.password, err = b.newPassword(ctx, n.person, u.Password, u.PasswordHash)
	if n.password.Hash != "" {
		n.fields = append(n.fields, "password")
	}
	return n, err
}

// validSubject says whether id can be a `sub`: at most 255 ASCII characters (Core §2).
func validSubject(id string) bool {
	return id != "" && len(id) <= 255 && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

func vouched(verified bool, now time.Time) time.Time {
	if verified {
		return now
	}
	return time.Time{}
}

// parsePhone reads a number with its country code that passcodes may be sent to.
func (b *Base) parsePhone(typed string) (mfa.Phone, error) {
	phone, err := mfa.ParsePhone(typed, "")
	if err == nil {
		err = b.config.MFA.Admits(phone)
	}
	if errors.Is(err, mfa.ErrPhoneRefused) {
		return phone, refuse("%v; write it with + and its country code", err)
	}
	return phone, err
}

// newPassword judges and hashes a password given in clear, or takes over a hash that another system made; with neither
// the factor has no Hash.
func (b *Base) newPassword(ctx context.Context, p storage.Person, clear, hash string) (storage.PasswordFactor, error) {
	switch {
	case clear != "" && hash != "":
		return storage.PasswordFactor{}, refuse("password and password_hash are both given: give one")
	case hash != "":
		f, err := b.hasher.Import(p.ID, hash)
		if err != nil {
			return f, refuse("password_hash: %v", err)
		}
		return f, nil
	case clear != "":
		if err := b.judge.Acceptable(clear, b.passwordPolicy(p)); err != nil {
			return storage.PasswordFactor{}, refuse("%v", err)
		}
		f, err := b.hasher.Hash(ctx, p.ID, clear)
		if err != nil {
			return f, fmt.Errorf("hash password: %w", err)
		}
		return f, nil
	}
	return storage.PasswordFactor{}, nil
}

// passwordPolicy is what a new password of p must meet (PW-01, PW-05).
func (b *Base) passwordPolicy(p storage.Person) password.Policy {
	words := []string{p.Username, b.config.ServiceName, "parola"}
	if issuer, err := url.Parse(b.config.Issuer); err == nil {
		words = append(words, issuer.Hostname())
	}
	return password.Policy{MinLength: b.config.Password.MinLength, Words: words}
}

// insertPerson stores a new person with their events, in the caller's transaction.
func (b *Base) insertPerson(ctx context.Context, n newPerson) error {
	if err := b.checkFree(ctx, n.person); err != nil {
		return err
	}
	if err := b.store.InsertPerson(ctx, n.person); err != nil {
		return err
	}
	created := storage.Event{
		Kind: audit.AccountCreated, PersonID: n.person.ID, ActorID: actor,
		Data: map[string]string{"fields": fieldNames(n.fields)},
	}
	if !n.person.DisabledAt.IsZero() {
		created.Data["state"] = "disabled"
	}
	events := []storage.Event{created}
	if n.password.Hash != "" {
		if err := b.store.PutPassword(ctx, n.password); err != nil {
			return err
		}
	}
	if n.phone.ID != "" {
		if err := b.store.PutPhone(ctx, n.phone); err != nil {
			return err
		}
		events = append(events, phoneEvent(audit.PhoneBound, n.phone))
	}
	return b.write(ctx, events...)
}

// checkFree refuses a user name or `sub` that is taken; a `sub` must not equal a client id either (OA-38).
func (b *Base) checkFree(ctx context.Context, p storage.Person) error {
	if _, _, err := b.store.PersonByUsername(ctx, p.Username); !errors.Is(err, storage.ErrNotFound) {
		return taken(err, "there is a user %q already", p.Username)
	}
	if _, err := b.store.Person(ctx, p.ID); !errors.Is(err, storage.ErrNotFound) {
		return taken(err, "sub %q is another user's", p.ID)
	}
	if _, err := b.store.Client(ctx, p.ID); !errors.Is(err, storage.ErrNotFound) {
		return taken(err, "sub %q is the id of a client", p.ID)
	}
	return nil
}

// taken turns the outcome of a look-up that should have found nothing into an error.
func taken(err error, format string, args ...any) error {
	if err != nil {
		return fmt.Errorf("look up what exists: %w", err)
	}
	return refuse(format, args...)
}

func phoneEvent(kind string, f storage.PhoneFactor) storage.Event {
	data := map[string]string{"phone": maskedPhone(f), "verified": "no"}
	if !f.VerifiedAt.IsZero() {
		data["verified"] = "vouched for by the operator"
	}
	return storage.Event{Kind: kind, PersonID: f.PersonID, ActorID: actor, Data: data}
}
