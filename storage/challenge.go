package storage

import (
	"context"
	"time"
)

// Purpose says what a passcode proves; it is useless for any other.
type Purpose string

// The purposes.
const (
	PurposeLogin  Purpose = "login"
	PurposeStepUp Purpose = "step_up"
)

// Channel is a way to a phone.
type Channel string

// The channels.
const (
	WhatsApp Channel = "whatsapp"
	SMS      Channel = "sms"
)

// ChallengeEnd says how a challenge ended.
type ChallengeEnd string

// The ends.
const (
	ChallengeVerified  ChallengeEnd = "verified"
	ChallengeExhausted ChallengeEnd = "exhausted"
	ChallengeExpired   ChallengeEnd = "expired"
	ChallengeReplaced  ChallengeEnd = "replaced"
	ChallengeCancelled ChallengeEnd = "cancelled"
	// ChallengeNotRequested: the person said that they did not ask for a code.
	ChallengeNotRequested ChallengeEnd = "not_requested"
)

// Challenge is one second factor in progress: one person, one purpose, one passcode, one end. The passcode is not
// here: it is derived from the columns marked (d) with a key outside the database. A challenge is open while EndedAt is
// zero and now is before ExpiresAt.
type Challenge struct {
	ID            string
	PersonID      string  // (d)
	PhoneID       string  // (d)
	AuthRequestID string  // (d)
	Purpose       Purpose // (d)
	// Nonce is at least 128 random bits. (d)
	Nonce []byte
	// BrowserHash is the AuthRequest's browser hash when the challenge began. (d)
	BrowserHash []byte
	// DetailsHash is the hash of a transaction's details; empty for a login. (d)
	DetailsHash []byte
	// KeyID names the generation of the passcode key. (d)
	KeyID string

	// PhoneHash, PhoneCountry and PhoneLastTwo are copied from the phone factor: what limits key on and what may be shown.
	PhoneHash    string
	PhoneCountry string
	PhoneLastTwo string
	// PhonePrefix is the number without its last six digits: what budgets and the defence against pumping count by.
	PhonePrefix string

	ClientID      string
	CorrelationID string
	// Trace is the W3C traceparent of the span that began it; empty for none. Messages that follow by themselves go under it.
	Trace      string
	SourceAddr string
	Locale     string
	// Policy is frozen when the challenge begins, so that mfa never reads clients.
	Policy ChallengePolicy

	CreatedAt   time.Time
	ExpiresAt   time.Time
	Tries       int
	MaxTries    int
	EndedAt     time.Time
	End         ChallengeEnd
	FallbackAt  time.Time // when the one automatic fallback was decided; zero before
	IdentityBar bool      // class A was seen: no SMS for this challenge
	// SMSRefused says why the automatic SMS was not sent, by our own limits: budget, fraud, throttled; empty otherwise.
	SMSRefused string
	// DueAt is when the escalation must look at this challenge again; zero when never. It is pushed forward as a lease
	// while a node looks, so that a killed node's work becomes due again by itself.
	DueAt time.Time
}

// ChallengePolicy is what the client, the person and the installation allow.
type ChallengePolicy struct {
	// Fallback is allow, ask or deny.
	Fallback string `json:"fallback"`
	// SMSForbidden overrides everything, the button included: an acr without SMS was required, or the person forbids it.
	SMSForbidden bool `json:"sms_forbidden,omitempty"`
	// NotEntered is send, ask or off.
	NotEntered string `json:"not_entered"`
	// NotDeliveredAfter is counted from acceptance (or from sending, when the answer was lost).
	NotDeliveredAfter time.Duration `json:"not_delivered_after"`
	// NotEnteredAfter is counted from the delivered receipt.
	NotEnteredAfter time.Duration `json:"not_entered_after"`
	// OfferSMSAfter is when the page offers "Send it by SMS instead", counted from the start.
	OfferSMSAfter time.Duration `json:"offer_sms_after"`
	// MaxMessages bounds all deliveries of the challenge.
	MaxMessages int `json:"max_messages"`
	// WhatsAppFirst is false when the number is known to have no WhatsApp or Meta's circuit is open.
	WhatsAppFirst bool `json:"whatsapp_first"`
}

// Challenges keeps challenges.
type Challenges interface {
	InsertChallenge(ctx context.Context, c Challenge) error
	// Challenge returns one, ended ones too; ErrNotFound.
	Challenge(ctx context.Context, id string) (Challenge, error)
	// ChallengeWithDeliveries returns one with its deliveries, oldest first, in one statement; ErrNotFound.
	ChallengeWithDeliveries(ctx context.Context, id string) (Challenge, []Delivery, error)
	// CountTry adds one to Tries if the challenge is open and has tries left, in one statement, and returns it as it is
	// then. Otherwise counted is false and the challenge is returned as it stands; ErrNotFound when there is none.
	CountTry(ctx context.Context, id string, now time.Time) (c Challenge, counted bool, err error)
	// EndChallenge ends an open challenge; with ChallengeVerified this is the one consume of its passcode and the row
	// count decides. It needs now to be before ExpiresAt for ChallengeVerified only.
	EndChallenge(ctx context.Context, id string, end ChallengeEnd, now time.Time) (ended bool, err error)
	// EndChallengesOf ends every open challenge of an AuthRequest (OTP-05).
	EndChallengesOf(ctx context.Context, authRequestID string, end ChallengeEnd, now time.Time) error
	// EndChallengesOfPerson ends every open challenge of a person: what a change of password or a disable must do to a
	// login whose old password was accepted a moment ago.
	EndChallengesOfPerson(ctx context.Context, personID string, end ChallengeEnd, now time.Time) error
	// TakeFallback sets FallbackAt if it is zero and the challenge is open: at most one automatic fallback, whatever
	// webhooks and timers do (OTP-06).
	TakeFallback(ctx context.Context, id string, now time.Time) (taken bool, err error)
	// BarIdentity sets IdentityBar.
	BarIdentity(ctx context.Context, id string) error
	// NoteSMSRefused sets SMSRefused.
	NoteSMSRefused(ctx context.Context, id, reason string) error
	// ScheduleChallenge sets DueAt; the zero time clears it.
	ScheduleChallenge(ctx context.Context, id string, due time.Time) error
	// AdvanceChallenges brings forward the DueAt of open challenges that would be looked at later than this, or never.
	AdvanceChallenges(ctx context.Context, due map[string]time.Time) error
	// LockChallenge sets DueAt and returns the challenge as it is then, with the sealed number and the disabled time of
	// its phone factor and its WhatsApp identity (no other field of it). Whoever else writes to the challenge waits for this transaction, or this
	// one for theirs. The factor is zero when it was removed; ErrNotFound when there is no such challenge.
	LockChallenge(ctx context.Context, id string, due time.Time) (Challenge, PhoneFactor, error)
	// ClaimDueChallenges returns open challenges with DueAt not after now, having pushed DueAt to leaseUntil, so that no
	// other node gets the same ones meanwhile.
	ClaimDueChallenges(ctx context.Context, now, leaseUntil time.Time, limit int) ([]Challenge, error)
}
