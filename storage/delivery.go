package storage

import (
	"context"
	"time"
)

// DeliveryState moves forward only.
type DeliveryState string

// The states, in order; failed and unknown are beside the line. "sending" is committed before the socket opens.
const (
	DeliveryQueued    DeliveryState = "queued"
	DeliverySending   DeliveryState = "sending"
	DeliveryAccepted  DeliveryState = "accepted"
	DeliverySent      DeliveryState = "sent"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryRead      DeliveryState = "read"
	DeliveryFailed    DeliveryState = "failed"
	// DeliveryUnknown is a message whose call was cut off: it may have gone out, and is never sent again by itself.
	DeliveryUnknown DeliveryState = "unknown"
	// DeliverySkipped is a queued message whose challenge ended before it was sent.
	DeliverySkipped DeliveryState = "skipped"
)

// Delivery is one message on one channel for one challenge, with its receipts.
type Delivery struct {
	ID          string
	ChallengeID string
	Channel     Channel
	// Carrier is the company behind the channel: meta, twilio, …
	Carrier string
	// Trigger is first, again (send again), asked (SMS by the button), or the row of the escalation that decided an
	// automatic fallback: refused, undeliverable, not_delivered, not_entered, unknown, circuit, no_whatsapp.
	Trigger   string
	Automatic bool
	State     DeliveryState
	// Calls counts calls to the carrier: 2 after the one retry of class R.
	Calls int

	CreatedAt   time.Time
	DueAt       time.Time // when a queued delivery is to be sent
	SendingAt   time.Time
	LeaseUntil  time.Time // a "sending" past this belongs to a process that died
	AcceptedAt  time.Time
	SentAt      time.Time
	DeliveredAt time.Time
	ReadAt      time.Time
	FailedAt    time.Time

	// MessageHash is a keyed hash of the carrier's message id (a wamid contains the number, so it is not kept).
	MessageHash string
	// FailureClass is R, S, C, N or A of the carrier's error table; FailureCode the carrier's own number.
	FailureClass string
	FailureCode  string
}

// Receipt is what a carrier said of a delivery. It is unique by delivery and status (WH-05).
type Receipt struct {
	DeliveryID  string
	Status      DeliveryState
	At          time.Time // the carrier's time
	ReceivedAt  time.Time
	FailureCode string
}

// Deliveries keeps deliveries and receipts.
type Deliveries interface {
	InsertDelivery(ctx context.Context, d Delivery) error
	// Delivery returns one; ErrNotFound.
	Delivery(ctx context.Context, id string) (Delivery, error)
	// DeliveryByMessage finds a delivery by the keyed hash of the carrier's message id; ErrNotFound.
	DeliveryByMessage(ctx context.Context, messageHash string) (Delivery, error)
	// DeliveriesOf returns a challenge's deliveries, oldest first.
	DeliveriesOf(ctx context.Context, challengeID string) ([]Delivery, error)
	// ClaimQueued moves queued deliveries that are due to "sending" with SendingAt now and LeaseUntil, adds one to
	// Calls, and returns them. Of two nodes exactly one gets each.
	ClaimQueued(ctx context.Context, now, leaseUntil time.Time, limit int) ([]Delivery, error)
	// ClaimAbandoned moves deliveries left in "sending" past their lease to "unknown" and returns them.
	ClaimAbandoned(ctx context.Context, now time.Time, limit int) ([]Delivery, error)
	// UpdateDelivery stores state, times, message hash and failure of d if the stored state is one of from; the row
	// count is the answer.
	UpdateDelivery(ctx context.Context, d Delivery, from ...DeliveryState) (updated bool, err error)
	// InsertReceipt records r and says whether it was new.
	InsertReceipt(ctx context.Context, r Receipt) (fresh bool, err error)
	// NextDue returns the earliest time at which a queued delivery, an abandoned "sending" or an open challenge is due;
	// the zero time when there is none.
	NextDue(ctx context.Context) (time.Time, error)
}
