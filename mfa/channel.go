package mfa

import (
	"context"
	"fmt"
	"time"

	"github.com/parola-id/parola/storage"
)

// The channels and what carriers report, by the names of storage, so that a channel's package needs nothing of it.
const (
	WhatsApp = storage.WhatsApp
	SMS      = storage.SMS

	StatusSent      = storage.DeliverySent
	StatusDelivered = storage.DeliveryDelivered
	StatusRead      = storage.DeliveryRead
	StatusFailed    = storage.DeliveryFailed
)

// Status is what a receipt says: one of the four above.
type Status = storage.DeliveryState

// Channel is a way to a phone. Its one verb is to send.
type Channel interface {
	// Send hands m to the carrier and returns once the carrier has answered or ctx has ended. A *Refused error says that
	// the carrier answered no; any other error says that nobody knows whether the message went out. Send never repeats
	// a call by itself.
	Send(ctx context.Context, m Message) (Sent, error)
}

// Message is one passcode on its way to one phone.
type Message struct {
	// DeliveryID goes to the carrier as our own mark and comes back with every receipt, so that a message whose answer
	// was lost is still recognised.
	DeliveryID string
	To         Phone
	Passcode   Passcode
	// Locale is a BCP 47 tag of a language the person reads.
	Locale string
	// ValidFor is what is left of the challenge's life.
	ValidFor time.Duration
	// Identity, where set, is the identity key hash that the account it goes to must still have.
	Identity string
}

// Sent is a carrier's yes: accepted for processing, never proof of delivery.
type Sent struct {
	// MessageID is the carrier's id. It may contain the number (a wamid does) and is kept only as a keyed hash.
	MessageID string
}

// Class is the verdict of an error table on a carrier's refusal or failure.
type Class string

// The classes.
const (
	ClassRetry    Class = "R" // may work in a moment
	ClassFallback Class = "S" // this message will not get through here
	ClassConfig   Class = "C" // our account or configuration: an operator must look
	ClassNumber   Class = "N" // the number is not reachable on this channel
	ClassAlert    Class = "A" // a security signal: no fallback
)

// Scope says whom a failure speaks of, beyond its class: a circuit opens for what is not the message's own fault.
type Scope string

// The scopes.
const (
	ScopeMessage Scope = "message" // this message, this number
	ScopeCountry Scope = "country" // the channel in this country
	ScopeCarrier Scope = "carrier" // our account, or the carrier itself
)

// Failure is why a message was refused or failed.
type Failure struct {
	Class Class
	// Code is the carrier's own number, or a word of ours ("dial", "circuit") where the carrier said nothing.
	Code string
	// Scope is ScopeMessage when empty.
	Scope Scope
}

// Code is one line of a carrier's error table, shared by code, tests and docs/carrier-codes.md.
type Code struct {
	Code    string
	Class   Class
	Scope   Scope
	Meaning string
}

// Refused is the error of a send that the carrier refused, or that never reached it.
type Refused struct {
	Failure
	// RetryAfter is the shortest wait before a retry of class R; 0 leaves it to the dispatcher.
	RetryAfter time.Duration
	// NotSent says that the message is known not to have gone out. Only then may it be sent again on this channel.
	NotSent bool
}

// Error names class and code, never the number or the carrier's text, which may quote it.
func (r *Refused) Error() string {
	return fmt.Sprintf("carrier refused: class %s, code %s", r.Class, r.Code)
}
