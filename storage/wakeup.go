package storage

import "context"

// Topic is what a wake-up is about.
type Topic string

// The topics. ChallengeChanged alone has a subject.
const (
	// Anything means that wake-ups may have been missed: look at whatever you keep in memory or wait for.
	Anything Topic = ""
	// ChallengeChanged: a challenge or one of its deliveries changed; the subject is its id, or empty for any of them.
	ChallengeChanged Topic = "challenge"
	// DeliveriesWaiting: a delivery is due that the node which announced it has no lane for.
	DeliveriesWaiting Topic = "deliveries"
	// CircuitsChanged, VerdictsChanged and ClientsChanged: one of those was stored or removed. Storage itself says so,
	// whoever makes the change.
	CircuitsChanged Topic = "circuits"
	VerdictsChanged Topic = "verdicts"
	ClientsChanged  Topic = "clients"
)

// Wakeup says that a look is worth it. It carries ids and nothing personal: on PostgreSQL whoever may connect can listen.
type Wakeup struct {
	Topic   Topic
	Subject string
}

// Wakeups let the nodes of one database tell each other that something changed, so that nobody has to ask all the time.
// They are hints: one may be lost with a connection or a node, so whoever listens also looks by itself now and then, and
// nothing is decided by a wake-up but when to look.
type Wakeups interface {
	// Wake tells every node, once the transaction that ctx carries has committed, and at once without one. It neither
	// waits nor fails. Equal wake-ups that come close together may be told as one, and a great many as one of their topic.
	Wake(ctx context.Context, w Wakeup)
	// Listen calls heard for the wake-ups of this node, on the goroutine that commits, and for those of the others: on
	// PostgreSQL within some milliseconds, on SQLite, where another process is a command line, as Anything within a second.
	// heard must not block. It is called until stop, or until the store is closed, but perhaps once more afterwards.
	Listen(heard func(Wakeup)) (stop func())
}
