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
	// Carrier is the company behind the channel: meta, twilio, … It changes when one refuses and the next one is tried.
	Carrier string
	// Tried are the carriers that refused it before Carrier.
	Tried []string
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

	// Cost is what it costs by the rate card, reckoned when it was announced.
	Cost Money
	// Identity is the sealed identity key hash that WhatsApp reported of the account it went to; empty when none.
	Identity []byte

	// Trace is the W3C traceparent that its first call bears, fixed when it was announced, so that receipts are told under it
	// whichever node made the call and whichever takes them; empty for none.
	Trace string

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

// DeliveryMove is a delivery as it shall be, and the state in which it must be for that.
type DeliveryMove struct {
	Delivery Delivery
	From     DeliveryState
}

// Deliveries keeps deliveries and receipts.
type Deliveries interface {
	InsertDelivery(ctx context.Context, d Delivery) error
	// Delivery returns one; ErrNotFound.
	Delivery(ctx context.Context, id string) (Delivery, error)
	// DeliveriesByID and DeliveriesByMessage find deliveries by our ids, or by the keyed hashes of the carriers' message
	// ids, in the order of their ids; what is not there is not in the answer. Inside a transaction they are locked in that
	// order: what it decides of them still holds when it changes them, and of two with the same batch one waits.
	DeliveriesByID(ctx context.Context, ids []string) ([]Delivery, error)
	DeliveriesByMessage(ctx context.Context, messageHashes []string) ([]Delivery, error)
	// DeliveriesOf returns a challenge's deliveries, oldest first.
	DeliveriesOf(ctx context.Context, challengeID string) ([]Delivery, error)
	// ClaimQueued moves queued deliveries that are due to "sending" with SendingAt now and LeaseUntil, adds one to
	// Calls, and returns them. Of two nodes exactly one gets each. Those of busy carriers stay where they are, so that a
	// slow carrier keeps nobody else's messages waiting.
	ClaimQueued(ctx context.Context, now, leaseUntil time.Time, limit int, busy ...string) ([]Delivery, error)
	// ClaimAbandoned moves deliveries left in "sending" past their lease to "unknown" and returns them.
	ClaimAbandoned(ctx context.Context, now time.Time, limit int) ([]Delivery, error)
	// UpdateDelivery stores state, carrier, tried carriers, cost, times, identity, message hash and failure of d if the
	// stored state is one of from; the row count is the answer.
	// What is learned once is not forgotten: an empty AcceptedAt, SentAt, DeliveredAt, ReadAt, Identity or MessageHash leaves
	// the stored one, so that a receipt and an answer that are written at the same moment both count.
	UpdateDelivery(ctx context.Context, d Delivery, from ...DeliveryState) (updated bool, err error)
	// UpdateDeliveries does the same for several at once, each named once and from its own state, and returns the ids of
	// those it updated, without an order.
	UpdateDeliveries(ctx context.Context, moves []DeliveryMove) (updated []string, err error)
	// InsertReceipts records receipts and returns those that were new, in one statement. The same one twice is new once;
	// ErrNotFound when a delivery is missing.
	InsertReceipts(ctx context.Context, receipts []Receipt) (fresh []Receipt, err error)
	// NextDue returns the earliest time at which a queued delivery or notice, an abandoned "sending" or an open challenge is
	// due; the zero time when there is none. Queued deliveries of busy carriers do not count.
	NextDue(ctx context.Context, busy ...string) (time.Time, error)
}
