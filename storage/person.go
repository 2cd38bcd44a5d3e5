package storage

import (
	"context"
	"time"
)

// Person is someone who signs in. Its life: created by an operator or an import, perhaps disabled and enabled again,
// in the end deleted; the ID is random, is the `sub` that clients see, and is never given to anyone else.
type Person struct {
	ID string
	// Username is the canonical form (PRECIS UsernameCaseMapped) and unique.
	Username string
	// Claims are OpenID standard claims by their own names (name, email, email_verified, locale, …) as a JSON object,
	// sealed with the ID as context (DAT-01); empty when there are none. The phone is a factor and not among them.
	Claims []byte
	// SMSForbidden says that this person, or an administrator, wants no passcode by SMS (OTP-35).
	SMSForbidden bool
	CreatedAt    time.Time
	UpdatedAt    time.Time
	DisabledAt   time.Time
}

// PasswordFactor is a person's password.
type PasswordFactor struct {
	PersonID string
	// Hash is a PHC or bcrypt string, sealed under the key that KeyID names (PW-09).
	Hash string
	// KeyID names the key of the keyed step.
	KeyID string
	// Normalization is the version of the text normalisation applied before hashing (PW-03); 0 is none.
	Normalization int
	UpdatedAt     time.Time
}

// PhoneFactor is a phone number that a person bound. The number itself is sealed; it is found by a keyed hash.
type PhoneFactor struct {
	ID       string
	PersonID string
	// Sealed is the E.164 number, sealed for the purpose of phone numbers with the ID as associated data.
	Sealed []byte
	// Hash is a keyed hash of the E.164 number.
	Hash string
	// Country is the ISO 3166-1 alpha-2 region; LastTwo the last two digits, all that is ever shown.
	Country string
	LastTwo string
	// VerifiedAt is zero for a number nobody has proved yet: no passcode goes there (OTP-25).
	VerifiedAt time.Time
	CreatedAt  time.Time
	// Failures are consecutive wrong passcodes over all challenges (OTP-21). At the limit DisabledAt is set.
	Failures   int
	DisabledAt time.Time
	// NoWhatsAppUntil remembers that the number was not reachable on WhatsApp.
	NoWhatsAppUntil time.Time
	// Identity is the sealed identity key hash of the WhatsApp account that proved receipt; empty when none is bound.
	Identity []byte
	// BarredAt is when another account was found behind the number: until the identity is forgotten nothing goes by SMS.
	BarredAt   time.Time
	LastUsedAt time.Time
}

// Factors are what a person has bound.
type Factors struct {
	Password PasswordFactor
	Phone    PhoneFactor
}

// PersonFilter narrows ListPersons. Zero fields do not narrow.
type PersonFilter struct {
	Prefix string // of the user name
	After  string // user name to continue after
	Limit  int    // 1 to 1000; 0 means 100
}

// Persons keeps persons and their passwords.
type Persons interface {
	// InsertPerson stores p; ErrConflict when the ID or the user name is taken.
	InsertPerson(ctx context.Context, p Person) error
	// UpdatePerson stores all fields of p; ErrNotFound.
	UpdatePerson(ctx context.Context, p Person) error
	// Person returns one person; ErrNotFound.
	Person(ctx context.Context, id string) (Person, error)
	// PersonByUsername returns the person of a canonical user name together with the factors, in one statement, so that
	// a person with and one without a password cost the same. A factor that is not there is zero.
	PersonByUsername(ctx context.Context, username string) (Person, Factors, error)
	// ListPersons returns persons ordered by user name.
	ListPersons(ctx context.Context, f PersonFilter) ([]Person, error)
	// PutPassword stores the person's password, replacing an older one.
	PutPassword(ctx context.Context, f PasswordFactor) error
	// ReplacePassword stores f only where the stored hash still equals oldHash: a rehash must not undo a change.
	ReplacePassword(ctx context.Context, oldHash string, f PasswordFactor) (replaced bool, err error)
}

// Phones keeps phone factors. A person has at most one that is not removed.
type Phones interface {
	// PutPhone stores the person's phone, replacing an older one.
	PutPhone(ctx context.Context, f PhoneFactor) error
	// Phone returns a factor by its ID; ErrNotFound.
	Phone(ctx context.Context, id string) (PhoneFactor, error)
	// PhoneOf returns the person's phone; ErrNotFound.
	PhoneOf(ctx context.Context, personID string) (PhoneFactor, error)
	// CountPhoneFailure adds one to the consecutive failures of a factor that is not disabled, before the passcode is
	// compared, and disables it when the count passes limit (the 30 wrong ones were all compared). It returns the count
	// and whether this call disabled it; ErrNotFound when the factor is missing or disabled already, or its person is
	// disabled (OTP-23).
	CountPhoneFailure(ctx context.Context, id string, limit int, now time.Time) (failures int, disabled bool, err error)
	// ClearPhoneFailures notes a successful use: failures 0, LastUsedAt now.
	ClearPhoneFailures(ctx context.Context, id string, now time.Time) error
	// EnablePhone lifts a disable and clears the failures.
	EnablePhone(ctx context.Context, id string) error
	// BindIdentity stores the identity of a factor that has none; false when it has one, or is gone.
	BindIdentity(ctx context.Context, id string, identity []byte) (bound bool, err error)
	// BarPhone sets BarredAt where it is zero; a factor that is gone is no error.
	BarPhone(ctx context.Context, id string, now time.Time) error
	// ForgetIdentity removes it and the bar, so that the next passcode that is entered binds a new one; ErrNotFound without a factor.
	ForgetIdentity(ctx context.Context, id string) error
	// NoteNoWhatsApp remembers for every factor with this number hash that WhatsApp does not reach it.
	NoteNoWhatsApp(ctx context.Context, numberHash string, until time.Time) error
}
