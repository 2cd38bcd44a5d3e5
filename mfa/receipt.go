package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/storage"
)

// MaxReports bounds one call of Receive, as the carriers bound one callback (WH-08).
const MaxReports = 1000

// One transaction takes at most reportsAtOnce reports, and of those that need more than the batch's own statements at
// most failuresAtOnce: that is how long one callback holds the one writer of SQLite.
const (
	reportsAtOnce  = 100
	failuresAtOnce = 8
)

// Report is what a carrier says of a message, read from a callback whose signature was right.
type Report struct {
	Channel storage.Channel
	// Carrier is who says it: nobody reports on another carrier's message.
	Carrier string
	// DeliveryID is our own mark, where the carrier repeated it; MessageID the carrier's id. One of them is enough.
	DeliveryID string
	MessageID  string
	// Status is sent, delivered, read or failed.
	Status storage.DeliveryState
	// At is the carrier's time; it is trusted only between our sending and now.
	At      time.Time
	Failure Failure
	// Identity is the identity key hash of the account it went to, where the carrier tells it.
	Identity string
	// NotRequested says, instead of a status, that the person tapped "I didn't request a code".
	NotRequested bool

	// callback is the traceparent of the request that brought it.
	callback string
}

// Receive applies reports (WH-05, WH-06): each once, whatever the order and however often they come; what is unknown
// is dropped quietly. What was applied moves the escalation at once. An error means that storage could not take all of
// them, and that the carrier should send the callback again: what was taken already is then a duplicate.
func (s *Service) Receive(ctx context.Context, reports []Report) error {
	if len(reports) > MaxReports {
		return fmt.Errorf("receive reports: %d are more than %d", len(reports), MaxReports)
	}
	reports = slices.DeleteFunc(slices.Clone(reports), impossible)
	if callback := tracing.Parent(ctx); callback != "" {
		for i := range reports {
			reports[i].callback = callback
		}
	}
	for _, chunk := range inChunks(reports) {
		if err := s.receipts.do(ctx, chunk, fitTogether, s.receiveTogether); err == nil {
			continue
		} else if ctx.Err() != nil {
			return err
		}
		// One of them may be at fault: it must not take the others along (WH-08).
		var errs []error
		for i := range chunk {
			errs = append(errs, s.receive(ctx, chunk[i:i+1]))
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}

// receiveWithin bounds a transaction that several callbacks share, none of whose callers may end it for the others.
const receiveWithin = 5 * time.Second

func (s *Service) receiveTogether(ctx context.Context, chunks [][]Report) error {
	ctx, cancel := context.WithTimeout(ctx, receiveWithin)
	defer cancel()
	return s.receive(ctx, slices.Concat(chunks...))
}

// fitTogether says whether one more chunk has room in a transaction.
func fitTogether(chunks [][]Report, next []Report) bool {
	return len(inChunks(slices.Concat(append(slices.Clone(chunks), next)...))) == 1
}

// inChunks cuts reports into what one transaction takes, in their order.
func inChunks(reports []Report) (chunks [][]Report) {
	begin, failures := 0, 0
	for i, r := range reports {
		more := r.NotRequested || r.Status == storage.DeliveryFailed
		if i-begin == reportsAtOnce || more && failures == failuresAtOnce {
			chunks = append(chunks, reports[begin:i])
			begin, failures = i, 0
		}
		if more {
			failures++
		}
	}
	if begin < len(reports) {
		chunks = append(chunks, reports[begin:])
	}
	return chunks
}

// impossible keeps from the database what can be no report: an unknown status, an id of impossible form.
func impossible(r Report) bool {
	if r.DeliveryID == "" && r.MessageID == "" || len(r.MessageID) > 512 {
		return true
	}
	switch r.Status {
	case storage.DeliverySent, storage.DeliveryDelivered, storage.DeliveryRead, storage.DeliveryFailed:
		return false
	default:
		return !r.NotRequested
	}
}

// rank orders the states by how much is known. A copy that reached a phone counts more than one that failed: with
// several phones on one account both happen, and the order of arrival must not matter (WH-06).
var rank = map[storage.DeliveryState]int{
	storage.DeliveryQueued: 0, storage.DeliverySending: 1, storage.DeliveryUnknown: 2, storage.DeliveryAccepted: 3,
	storage.DeliverySent: 4, storage.DeliveryFailed: 5, storage.DeliveryDelivered: 6, storage.DeliveryRead: 7,
}

// advance moves a delivery forward by a report, or says that the report brings it no further.
func advance(d storage.Delivery, r Report, now time.Time) (storage.Delivery, bool) {
	if rank[r.Status] <= rank[d.State] || !wasCalled(d) {
		return d, false
	}
	at := between(r.At, first(d.AcceptedAt, d.SendingAt), now)
	d.State = r.Status
	switch r.Status {
	case storage.DeliverySent:
		d.SentAt = at
	case storage.DeliveryDelivered:
		d.DeliveredAt = at
	case storage.DeliveryRead:
		d.ReadAt, d.DeliveredAt = at, first(d.DeliveredAt, at) // read implies delivered
	case storage.DeliveryFailed:
		d.FailedAt, d.FailureClass, d.FailureCode = at, string(r.Failure.Class), shortCode(r.Failure.Code)
	}
	return d, true
}

// wasCalled says whether a carrier can know of the delivery.
func wasCalled(d storage.Delivery) bool {
	return d.State != storage.DeliveryQueued && d.State != storage.DeliverySkipped
}

// between keeps a carrier's clock from moving our deadlines: its times are whole seconds, and may be wrong.
func between(at, earliest, now time.Time) time.Time {
	switch {
	case at.After(now), at.IsZero():
		return now
	case at.Before(earliest):
		return earliest
	default:
		return at.UTC().Truncate(time.Millisecond)
	}
}

// isID says whether s has the form of our ids: nothing else is worth a query, and PostgreSQL refuses some byte strings.
func isID(s string) bool {
	return len(s) == 26 && strings.Trim(s, "0123456789abcdefghjkmnpqrstvwxyz") == ""
}

// shortCode keeps a carrier's code short and printable.
func shortCode(code string) string {
	code = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, code)
	return code[:min(len(code), 64)]
}
