package mfa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

const (
	// bulletinMemory is how long a bulletin is known to have been heard. Meta repeats for seven days what was not answered;
	// what is older than our memory is not told from a repetition, and is dropped.
	bulletinMemory = 8 * 24 * time.Hour
	// undatedMemory is the same for one without a date: after it, the same words are news.
	undatedMemory = time.Hour
	// carrierDrift is how far a carrier's clock may be from ours before a bulletin is looked for in the wrong place.
	carrierDrift = 5 * time.Minute
	// maxDetails bounds what is kept of one bulletin, maxWord and maxText the bytes of its parts.
	maxDetails, maxWord, maxText = 16, 40, 200
	// reasonOperator is the reason of a circuit that an operator holds: no carrier's word closes it.
	reasonOperator = "operator"
)

// Hear takes what carriers say of our account, number and templates: each once, however often it is repeated, with its
// event, and with the circuit that it holds or releases. What is older than what is known of a circuit does not move it.
// An error means that storage could not take all of them, and that the carrier should send the callback again.
func (s *Service) Hear(ctx context.Context, bulletins []Bulletin) error {
	if len(bulletins) > MaxReports {
		return fmt.Errorf("hear bulletins: %d are more than %d", len(bulletins), MaxReports)
	}
	// Entries of one callback come in no promised order; those of one time keep the one they came in.
	bulletins = slices.SortedStableFunc(slices.Values(bulletins), func(a, b Bulletin) int { return a.At.Compare(b.At) })
	var errs []error
	for _, b := range bulletins {
		now := s.clock.Now()
		if b, ok := tidied(b, now); ok {
			errs = append(errs, s.hear(ctx, b, now))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("hear bulletins: %w", err)
	}
	return nil
}

func (s *Service) hear(ctx context.Context, b Bulletin, now time.Time) error {
	bucket := s.bulletinBucket(b)
	if b.Hold != "" {
		// Before the transaction: reading days of the log must not keep its one writer.
		released, err := s.releasedAfter(ctx, b.Hold, b.Kind, dated(b, now))
		if err != nil {
			return err
		}
		if released {
			b.Hold = ""
		}
	}
	return s.store.InTx(ctx, func(ctx context.Context) error {
		if heard, err := s.store.Take(ctx, now, bucket); err != nil || heard != nil {
			return err
		}
		if err := s.audit.Write(ctx, bulletinEvent(ctx, b, now)); err != nil {
			return err
		}
		s.store.AfterCommit(ctx, func() { s.announceBulletin(b) })
		if err := s.hold(ctx, b, now); err != nil {
			return err
		}
		return s.release(ctx, b, now)
	})
}

// tidied cuts a bulletin to what may be kept, or says that it cannot be one: it has no name, is older than our memory,
// or would move a circuit that is none of its carrier's business.
func tidied(b Bulletin, now time.Time) (Bulletin, bool) {
	if !isWord(b.Kind) || !isWord(b.Carrier) || !b.At.IsZero() && b.At.Before(now.Add(-bulletinMemory)) {
		return b, false
	}
	if b.Severity != audit.Info && b.Severity != audit.High {
		b.Severity = audit.Warning
	}
	b.Subject = printable(b.Subject)
	details := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(b.Detail)) {
		if value := printable(b.Detail[name]); isWord(name) && value != "" && len(details) < maxDetails {
			details[name] = value
		}
	}
	b.Detail = details
	if !speaksFor(b, b.Hold) {
		b.Hold = ""
	}
	if !speaksFor(b, b.Release) {
		b.Release = ""
	}
	return b, true
}

// speaksFor says whether a circuit is the carrier's own, or one of WhatsApp's templates.
func speaksFor(b Bulletin, circuit string) bool {
	return circuit == CarrierCircuit(b.Carrier) ||
		b.Channel == storage.WhatsApp && strings.HasPrefix(circuit, TemplateCircuit("")) && len(circuit) <= maxWord
}

// isWord says whether s has the form of a short machine word.
func isWord(s string) bool {
	return s != "" && len(s) <= maxWord && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// printable cuts a text, and drops what a log or a terminal could stumble over.
func printable(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxText)], "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s))
}

// bulletinBucket remembers that a bulletin was heard. Two are the same when all that they say is.
func (s *Service) bulletinBucket(b Bulletin) storage.Throttle {
	said := []string{b.Carrier, b.Kind, b.Severity, b.Subject, b.Hold, b.Release}
	memory := undatedMemory
	if !b.At.IsZero() {
		said, memory = append(said, b.At.UTC().Format(time.RFC3339Nano)), bulletinMemory
	}
	for _, name := range slices.Sorted(maps.Keys(b.Detail)) {
		said = append(said, name, b.Detail[name])
	}
	bucket := s.throttle.Notes("carrier-bulletin", strings.Join(said, "\x00"))
	bucket.Interval, bucket.Burst = memory, 1
	return bucket
}

// dated is the time that a bulletin counts from: the carrier's, where it can be right.
func dated(b Bulletin, now time.Time) time.Time {
	if b.At.IsZero() || b.At.After(now) {
		return now
	}
	return b.At
}

var bulletinKinds = map[string]string{
	audit.Info: audit.CarrierBulletin, audit.Warning: audit.CarrierWarning, audit.High: audit.CarrierAlarm,
}

// The names, in a bulletin's event, of what orders it among others about the same circuit.
const (
	dataAt      = "at"
	dataRelease = "release"
)

func bulletinEvent(ctx context.Context, b Bulletin, now time.Time) storage.Event {
	request := reqinfo.From(ctx)
	e := storage.Event{
		Kind: bulletinKinds[b.Severity], Reason: b.Kind, Channel: string(b.Channel),
		CorrelationID: request.CorrelationID, SourceAddr: request.Source, UserAgent: request.UserAgent,
		Data: maps.Clone(b.Detail),
	}
	if b.Severity != audit.Info {
		e.Outcome = audit.Failure
	}
	for name, value := range map[string]string{
		"carrier": b.Carrier, "subject": b.Subject, "hold": b.Hold, dataRelease: b.Release,
		dataAt: dated(b, now).UTC().Format(time.RFC3339Nano),
	} {
		delete(e.Data, name)
		if value != "" {
			e.Data[name] = value
		}
	}
	return e
}

func (s *Service) announceBulletin(b Bulletin) {
	level := slog.LevelInfo
	if b.Severity != audit.Info {
		level = slog.LevelWarn
	}
	s.log.Log(context.Background(), level, "carrier's bulletin", "carrier", b.Carrier, "kind", b.Kind, "subject", b.Subject)
	if b.Severity == audit.High && s.hooks.Alarm != nil {
		s.hooks.Alarm(Alarm{Channel: b.Channel, Kind: "carrier_bulletin", Carrier: b.Carrier, Code: b.Kind})
	}
}

// gravity orders what a bulletin speaks of: a hold goes only with a release of its own matter, and a lesser matter does not
// take its place.
func gravity(kind string) int {
	switch {
	case strings.HasPrefix(kind, "template_"):
		return 0
	case kind == "account_review":
		return 1
	default:
		return 2
	}
}

// hold keeps messages from a circuit until the carrier, or an operator, says otherwise. Meta repeats for days a callback
// that was not answered: a hold may come after the release that ended it, or after a newer one.
func (s *Service) hold(ctx context.Context, b Bulletin, now time.Time) error {
	if b.Hold == "" {
		return nil
	}
	at := dated(b, now)
	before, _, err := s.circuit(ctx, b.Hold)
	if err != nil || before.Held && (before.Reason == reasonOperator || before.OpenedAt.After(at) || gravity(before.Reason) > gravity(b.Kind)) {
		return err
	}
	return s.openCircuit(ctx, storage.Circuit{Name: b.Hold, Held: true, Reason: b.Kind, OpenedAt: at})
}

// release closes a circuit, unless it was opened after what b tells of, or an operator holds it.
func (s *Service) release(ctx context.Context, b Bulletin, now time.Time) error {
	if b.Release == "" {
		return nil
	}
	before, open, err := s.circuit(ctx, b.Release)
	if err != nil || !open || before.Reason == reasonOperator || before.OpenedAt.After(dated(b, now)) {
		return err
	}
	if before.Held && gravity(before.Reason) != gravity(b.Kind) {
		return nil // a template that works again says nothing of a banned account
	}
	return s.closeCircuit(ctx, b.Release, b.Kind, true)
}

func (s *Service) circuit(ctx context.Context, name string) (c storage.Circuit, open bool, err error) {
	circuits, err := s.store.Circuits(ctx)
	if err != nil {
		return c, false, err
	}
	i := slices.IndexFunc(circuits, func(c storage.Circuit) bool { return c.Name == name })
	if i < 0 {
		return c, false, nil
	}
	return circuits[i], true, nil
}

// releasedAfter looks in the audit log, which is the memory of circuits that are closed, for a release that is newer than
// a time.
func (s *Service) releasedAfter(ctx context.Context, circuit, kind string, at time.Time) (bool, error) {
	heard, err := s.store.ListEvents(ctx, storage.EventFilter{
		Kind: "carrier.", AfterID: storage.NewOrderedID(at.Add(-carrierDrift), 0), Limit: 10_000,
	})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(heard, func(e storage.Event) bool {
		released, err := time.Parse(time.RFC3339Nano, e.Data[dataAt])
		return err == nil && e.Data[dataRelease] == circuit && gravity(e.Reason) == gravity(kind) && released.After(at)
	}), nil
}
