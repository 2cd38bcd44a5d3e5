package mfa

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// errOvertaken says that a delivery was not as it had been read before the transaction.
var errOvertaken = errors.New("a delivery has changed meanwhile")

// receive applies some reports in one transaction. What they are about is read before it, so that SQLite's one writer is not
// kept by reading: every write has its condition. Where something has changed meanwhile, it is read again inside.
func (s *Service) receive(ctx context.Context, reports []Report) error {
	before, err := s.lookUp(ctx, reports)
	if err == nil {
		err = s.store.InTx(ctx, func(ctx context.Context) error { return s.receiveIn(ctx, reports, before) })
	}
	if errors.Is(err, errOvertaken) {
		err = s.store.InTx(ctx, func(ctx context.Context) error {
			inside, err := s.lookUp(ctx, reports)
			if err != nil {
				return err
			}
			return s.receiveIn(ctx, reports, inside)
		})
	}
	if err != nil {
		return fmt.Errorf("apply receipts: %w", err)
	}
	return nil
}

// receiveIn applies some reports as if each came alone, in their order, but with a fixed small number of statements for
// all of them. Only failures and refusals by the person need statements of their own, at the end.
func (s *Service) receiveIn(ctx context.Context, reports []Report, subjects subjects) error {
	now := s.clock.Now()
	news, err := s.record(ctx, s.find(reports, subjects.deliveries), now)
	if err != nil || len(news) == 0 {
		return err
	}
	s.fold(news, now)
	if err := s.move(ctx, news); err != nil {
		return err
	}
	challenges := subjects.copies()
	if err := s.tell(ctx, news, challenges); err != nil {
		return err
	}
	if due := looks(news, challenges, now); len(due) > 0 {
		if err := s.store.AdvanceChallenges(ctx, due); err != nil {
			return err
		}
	}
	return s.follow(ctx, news, challenges)
}

// known is a delivery as it is stored, and as it stands after the reports that were applied so far.
type known struct {
	stored  storage.DeliveryState
	current storage.Delivery
	changed bool
}

// told is a report with the delivery it is about, and what it changed.
type told struct {
	report Report
	about  *known
	hashes []string // of the carrier's message id, the current generation first

	delivery          storage.Delivery // as it stood after this report
	moved, identified bool
}

// subjects are what reports are about, as it was read.
type subjects struct {
	deliveries []storage.Delivery
	challenges []storage.Challenge
}

// copies are the challenges by id, for one run of a transaction to change.
func (s subjects) copies() map[string]*storage.Challenge {
	byID := make(map[string]*storage.Challenge, len(s.challenges))
	for _, c := range s.challenges {
		byID[c.ID] = &c
	}
	return byID
}

// lookUp reads what reports are about: by our own mark, or by the keyed hash of the carrier's id.
func (s *Service) lookUp(ctx context.Context, reports []Report) (found subjects, err error) {
	var ids, messages []string
	for _, r := range reports {
		if isID(r.DeliveryID) {
			ids = append(ids, r.DeliveryID)
		} else if r.MessageID != "" {
			messages = append(messages, s.keys.Hashes(secret.MessageHash, r.MessageID)...)
		}
	}
	if len(ids) > 0 {
		if found.deliveries, err = s.store.DeliveriesByID(ctx, ids); err != nil {
			return found, err
		}
	}
	if len(messages) > 0 {
		more, err := s.store.DeliveriesByMessage(ctx, messages)
		if err != nil {
			return found, err
		}
		found.deliveries = append(found.deliveries, more...)
	}
	of := map[string]bool{}
	for _, d := range found.deliveries {
		of[d.ChallengeID] = true
	}
	if len(of) == 0 {
		return found, nil
	}
	if found.challenges, err = s.store.ChallengesByID(ctx, slices.Sorted(maps.Keys(of))); err == nil && len(found.challenges) != len(of) {
		err = fmt.Errorf("%d of the %d challenges of deliveries: %w", len(of)-len(found.challenges), len(of), storage.ErrNotFound)
	}
	return found, err
}

// find pairs reports with what they are about, and leaves out those that are about nothing.
func (s *Service) find(reports []Report, found []storage.Delivery) []told {
	all := make([]told, len(reports))
	for i, r := range reports {
		all[i].report = r
		if r.MessageID != "" {
			all[i].hashes = s.keys.Hashes(secret.MessageHash, r.MessageID)
		}
	}
	return pair(all, found)
}

// pair is the pure part of find. What a report teaches of its delivery's message id holds for the reports after it.
func pair(all []told, found []storage.Delivery) []told {
	var (
		byID      = map[string]*known{}
		byMessage = map[string][]*known{}
		paired    []told
	)
	for _, d := range found {
		if byID[d.ID] == nil {
			k := &known{stored: d.State, current: d}
			byID[d.ID] = k
			byMessage[d.MessageHash] = append(byMessage[d.MessageHash], k)
		}
	}
	for _, t := range all {
		candidates := []*known{byID[t.report.DeliveryID]}
		if !isID(t.report.DeliveryID) {
			candidates = nil
			for _, hash := range t.hashes {
				candidates = append(candidates, byMessage[hash]...)
			}
		}
		i := slices.IndexFunc(candidates, func(k *known) bool { return k != nil && concerns(t, k.current) })
		if i < 0 {
			continue
		}
		t.about = candidates[i]
		if d := &t.about.current; d.MessageHash == "" && len(t.hashes) > 0 {
			d.MessageHash, t.about.changed = t.hashes[0], true
			byMessage[d.MessageHash] = append(byMessage[d.MessageHash], t.about)
		}
		paired = append(paired, t)
	}
	return paired
}

// concerns says whether a report can be about a delivery. One from another channel or carrier (a late one of a carrier
// that refused it before the present one was tried, too), about another message than the one accepted for the row, or
// about one that no carrier has, is about nothing.
func concerns(t told, d storage.Delivery) bool {
	return d.Channel == t.report.Channel && d.Carrier == t.report.Carrier && wasCalled(d) &&
		(len(t.hashes) == 0 || d.MessageHash == "" || slices.Contains(t.hashes, d.MessageHash))
}

// record stores the receipts and returns what is new (WH-05).
func (s *Service) record(ctx context.Context, all []told, now time.Time) ([]told, error) {
	type key struct {
		delivery string
		status   storage.DeliveryState
	}
	var (
		receipts []storage.Receipt
		firsts   = map[key]told{}
		order    []key
	)
	for _, t := range all {
		d := t.about.current
		k := key{d.ID, statusOf(t.report)}
		if _, again := firsts[k]; again {
			continue
		}
		firsts[k], order = t, append(order, k)
		receipts = append(receipts, storage.Receipt{
			DeliveryID: d.ID, Status: k.status, At: between(t.report.At, d.SendingAt, now), ReceivedAt: now,
			FailureCode: shortCode(t.report.Failure.Code),
		})
	}
	if len(receipts) == 0 {
		return nil, nil
	}
	fresh, err := s.store.InsertReceipts(ctx, receipts)
	if err != nil {
		return nil, err
	}
	isNew := map[key]bool{}
	for _, r := range fresh {
		isNew[key{r.DeliveryID, r.Status}] = true
	}
	var news []told
	for _, k := range order {
		if isNew[k] {
			news = append(news, firsts[k])
		}
	}
	return news, nil
}

// receiptNotRequested marks the tap on "I didn't request a code" among the receipts of a delivery. It is no state.
const receiptNotRequested storage.DeliveryState = "not_requested"

func statusOf(r Report) storage.DeliveryState {
	if r.NotRequested {
		return receiptNotRequested
	}
	return r.Status
}

// fold moves deliveries by what is new, report after report.
func (s *Service) fold(news []told, now time.Time) {
	for i := range news {
		t := &news[i]
		d := t.about.current
		if !t.report.NotRequested {
			d, t.moved = advance(d, t.report, now)
		}
		if len(d.Identity) == 0 && s.settings.BindIdentity && identifies(t.report) {
			d.Identity, t.identified = s.keys.Seal(secret.IdentitySeal, d.ID, []byte(t.report.Identity)), true
		}
		t.about.current, t.delivery = d, d
		t.about.changed = t.about.changed || t.moved || t.identified
	}
}

// move stores the deliveries that changed.
func (s *Service) move(ctx context.Context, news []told) error {
	var moves []storage.DeliveryMove
	for _, t := range news {
		if k := t.about; k.changed {
			moves = append(moves, storage.DeliveryMove{Delivery: k.current, From: k.stored})
			k.changed = false
		}
	}
	if len(moves) == 0 {
		return nil
	}
	updated, err := s.store.UpdateDeliveries(ctx, moves)
	if err == nil && len(updated) != len(moves) {
		// A receipt that is recorded without its move would be lost: undo both.
		err = fmt.Errorf("%d of %d deliveries were as they had been read: %w", len(updated), len(moves), errOvertaken)
	}
	return err
}

// tell writes an event for every receipt that was new, and wakes whoever watches once that has committed.
func (s *Service) tell(ctx context.Context, news []told, challenges map[string]*storage.Challenge) error {
	var events []storage.Event
	for _, t := range news {
		if !t.report.NotRequested {
			events = append(events, receiptEvent(ctx, *challenges[t.delivery.ChallengeID], t))
		}
	}
	if len(events) > 0 {
		if err := s.audit.Write(ctx, events...); err != nil {
			return err
		}
	}
	s.store.AfterCommit(ctx, func() {
		for _, t := range news {
			s.traceReceipt(ctx, t)
			if s.hooks.Receipt != nil && !t.report.NotRequested {
				s.hooks.Receipt(t.delivery.Channel, t.report.Status)
			}
			s.countOutcome(t, *challenges[t.delivery.ChallengeID])
		}
	})
	for id := range challenges {
		s.changed(ctx, id)
	}
	return nil
}

// countOutcome tells the circuit of a channel in a country what became of a message there. Faults of the number, and
// security signals, say nothing of the country.
func (s *Service) countOutcome(t told, c storage.Challenge) {
	ch, failure := t.delivery.Channel, t.report.Failure
	switch {
	case !t.moved:
	case t.report.Status == storage.DeliveryDelivered, t.report.Status == storage.DeliveryRead:
		s.countryOutcome(ch, c, true)
	case t.report.Status != storage.DeliveryFailed || failure.Scope == ScopeCarrier:
	case failure.Scope == ScopeCountry:
		s.countryRefused(ch, c.PhoneCountry)
	case failure.Class == ClassFallback, failure.Class == ClassRetry, failure.Class == ClassConfig:
		s.countryOutcome(ch, c, false)
	}
}

func receiptEvent(ctx context.Context, c storage.Challenge, t told) storage.Event {
	if t.moved && t.report.Status == storage.DeliveryFailed {
		return failed(deliveryEvent(ctx, audit.PasscodeSendFailed, c, t.delivery), "reported")
	}
	e := deliveryEvent(ctx, audit.PasscodeReceipt, c, t.delivery)
	e.Data["status"] = string(t.report.Status)
	return e
}

// looks are the times by which the escalation must look at the challenges of deliveries that arrived. A look that is due
// earlier is kept: it costs nothing when the passcode is entered before, and otherwise sets the right date with all
// deliveries in view. Nothing waits for "sent": the deadline counts from acceptance.
func looks(news []told, challenges map[string]*storage.Challenge, now time.Time) map[string]time.Time {
	due := map[string]time.Time{}
	for _, t := range news {
		c := challenges[t.delivery.ChallengeID]
		arrived := t.report.Status == storage.DeliveryDelivered || t.report.Status == storage.DeliveryRead
		if !t.moved || !arrived || !isOpen(*c, now) {
			continue
		}
		at := nextLook(*c, []storage.Delivery{t.delivery}, now)
		if planned := first(due[c.ID], c.DueAt); planned.IsZero() || planned.After(at) {
			due[c.ID] = at
		}
	}
	return due
}

// follow does what one report needs beyond its batch.
func (s *Service) follow(ctx context.Context, news []told, challenges map[string]*storage.Challenge) error {
	for _, t := range news {
		c := challenges[t.delivery.ChallengeID]
		var err error
		switch {
		case t.report.NotRequested:
			err = s.notRequested(ctx, c, t.delivery)
		case t.moved && t.report.Status == storage.DeliveryFailed:
			if err = s.learn(ctx, c, t.delivery); err == nil {
				err = s.escalate(ctx, *c)
			}
		case t.identified && c.End == storage.ChallengeVerified:
			err = s.bindLate(ctx, *c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
