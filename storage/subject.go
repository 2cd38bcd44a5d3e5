package storage

import "context"

// PersonRecords is everything that is kept of a person but the events, which ListEvents finds.
type PersonRecords struct {
	Person     Person
	Password   PasswordFactor // without a hash when there is none
	Phone      PhoneFactor    // without an ID when there is none
	Sessions   []Session
	Grants     []Grant
	Consents   []Consent
	Challenges []Challenge
	Deliveries []Delivery
	Notices    []Notice
}

// Subjects are persons as the law sees them: who may have what is kept of them (DAT-07), and have it erased (DAT-04).
type Subjects interface {
	// PersonRecords returns everything of a person, ended records too; ErrNotFound when there is none.
	PersonRecords(ctx context.Context, personID string) (PersonRecords, error)
	// ErasePerson removes the person with everything that belongs to them: factors, sessions, consents, grants with their
	// tokens, challenges with their messages, and the AuthRequests they signed in to. Events stay. ErrNotFound when there
	// is none.
	ErasePerson(ctx context.Context, personID string) error
}
