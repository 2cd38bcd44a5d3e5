package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/parola-id/parola/storage"
)

// Reader is what the verifier needs of storage.
type Reader interface {
	UnsealedEvents(ctx context.Context, limit int) ([]storage.Event, error)
	SealedEvents(ctx context.Context, afterSequence int64, limit int) ([]storage.Event, error)
	Checkpoints(ctx context.Context, afterSequence int64, limit int) ([]storage.Checkpoint, error)
}

// VerifyConfig is what a verification needs: the database, public keys, and no secret.
type VerifyConfig struct {
	Events Reader
	// Keys are the public keys that may have signed. After a change of the root secret there is one for each root.
	Keys []ed25519.PublicKey
	// Known are checkpoints kept outside the database, from the log or an earlier report. They find a chain that was cut
	// off together with its checkpoints.
	Known []storage.Checkpoint
	// Now tells how old the unsealed tail is.
	Now time.Time
	// Grace is how long an event may wait for its seal; 10 s when zero.
	Grace time.Duration
}

// The findings.
const (
	Changed       = "changed"        // an event is not what was sealed
	Missing       = "missing"        // numbers are left out: events were deleted
	Unlinked      = "unlinked"       // an event does not continue the one before: inserted, moved, or its neighbour is gone
	Mismatch      = "mismatch"       // the chain differs from what a checkpoint signed: it was rewritten
	Truncated     = "truncated"      // the chain ends before a checkpoint
	BadSignature  = "bad_signature"  // a checkpoint was not signed by its key
	UnknownSigner = "unknown_signer" // a checkpoint names a key that was not given
)

// Problem is one place where the chain is broken.
type Problem struct {
	Finding string `json:"finding"`
	// Sequence is the place; EventID the event there, when there is one.
	Sequence int64  `json:"sequence"`
	EventID  string `json:"event_id,omitempty"`
	Detail   string `json:"detail"`
}

// Removed is the beginning of the log that is not there any more, in good order: an event in the chain tells of it, and a
// checkpoint signs for the chain up to there.
type Removed struct {
	// Through is the number of the last event that was removed, or is about to be.
	Through int64 `json:"through"`
	// SignedAt is when its checkpoint was signed: nothing that happened later is missing.
	SignedAt time.Time `json:"signed_at"`
	// EventID is the event that tells of it.
	EventID string `json:"event_id"`
}

// Report is the outcome of a verification.
type Report struct {
	// Removed says where the log begins when that is not its first event.
	Removed *Removed `json:"removed,omitempty"`
	// Events are sealed and read; Head is the hash of the last.
	Events int64  `json:"events"`
	Head   []byte `json:"head,omitempty"`
	// Checkpoints are those with a good signature that the chain fits; Last is the newest of them. Events after it are
	// linked and not yet signed for.
	Checkpoints int                 `json:"checkpoints"`
	Last        *storage.Checkpoint `json:"last_checkpoint,omitempty"`
	// Unsealed events can still be changed unseen; Overdue of them have waited longer than the grace: no sealer runs.
	Unsealed int `json:"unsealed"`
	Overdue  int `json:"overdue"`
	// Backdated events carry a time more than an hour before one that was sealed earlier. A database that was down for
	// long, a wrong clock or an event slipped in for the sealer to seal look like this.
	Backdated []string `json:"backdated,omitempty"`
	// Problems are where the chain is broken, the first hundred.
	Problems []Problem `json:"problems,omitempty"`
}

// OK says that the chain is whole.
func (r Report) OK() bool { return len(r.Problems) == 0 }

const (
	verifyAtOnce   = 1000
	mostProblems   = 100
	mostBackdated  = 100
	backdatedAfter = time.Hour
)

// Verify reads the whole chain and checks every hash, link and signature. An error means that the database could not
// be read; what is wrong with the chain is in the report.
func Verify(ctx context.Context, c VerifyConfig) (Report, error) {
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	v := verifier{VerifyConfig: c, head: genesis}
	for _, read := range []func(context.Context) error{v.chain, v.checkpoints, v.beginning, v.tail} {
		if err := read(ctx); err != nil {
			return Report{}, fmt.Errorf("verify audit log: %w", err)
		}
	}
	return v.report, nil
}

type verifier struct {
	VerifyConfig
	report Report
	// sequence and head are the last place that was read and its stored hash.
	sequence int64
	head     []byte
	newest   time.Time
	// first is the oldest event, and before the hash that it continues; removal is the newest event that tells of a removal,
	// and anchor the checkpoint at the place that it names, once that was found good.
	first   int64
	before  []byte
	removal storage.Event
	anchor  *storage.Checkpoint
	// signedFor is when the first checkpoint over the removal's event was signed. The event's own time is only what whoever
	// wrote it says.
	signedFor time.Time
}

func (v *verifier) problem(finding string, sequence int64, eventID, format string, args ...any) {
	if len(v.report.Problems) < mostProblems {
		v.report.Problems = append(v.report.Problems, Problem{finding, sequence, eventID, fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) chain(ctx context.Context) error {
	for {
		events, err := v.Events.SealedEvents(ctx, v.sequence, verifyAtOnce)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			v.event(e)
		}
	}
}

// event checks one event against the one before, as that was stored: one broken place is one problem and does not hide
// or repeat itself in what follows.
func (v *verifier) event(e storage.Event) {
	if v.first == 0 {
		v.first, v.before = e.Sequence, e.PrevHash
		if e.Sequence > 1 { // whether that is in order, beginning says
			v.sequence, v.head = e.Sequence-1, e.PrevHash
		}
	}
	if e.Kind == AuditPruned {
		v.removal = e
	}
	switch {
	case e.Sequence > v.sequence+1:
		v.problem(Missing, v.sequence+1, "", "events %d to %d are gone", v.sequence+1, e.Sequence-1)
	case !bytes.Equal(e.PrevHash, v.head):
		v.problem(Unlinked, e.Sequence, e.ID, "it does not continue event %d", v.sequence)
	}
	if !bytes.Equal(link(e.PrevHash, e), e.Hash) {
		v.problem(Changed, e.Sequence, e.ID, "its bytes do not give its hash")
	}
	if v.newest.Sub(e.At) > backdatedAfter && len(v.report.Backdated) < mostBackdated {
		v.report.Backdated = append(v.report.Backdated, e.ID)
	}
	if e.At.After(v.newest) {
		v.newest = e.At
	}
	v.sequence, v.head = e.Sequence, e.Hash
	v.report.Events++
	v.report.Head = e.Hash
}

// checkpoints compares every checkpoint with the chain. It runs after the events were read: a checkpoint is stored
// together with the event that it signs, so one that appears meanwhile finds its event.
func (v *verifier) checkpoints(ctx context.Context) error {
	for after := int64(0); ; {
		page, err := v.Events.Checkpoints(ctx, after, verifyAtOnce)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			if err := v.checkpoint(ctx, c); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Sequence
	}
	for _, c := range v.Known {
		if err := v.checkpoint(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) checkpoint(ctx context.Context, c storage.Checkpoint) error {
	if !v.signature(c) {
		return nil
	}
	if v.first > 1 && c.Sequence < v.first {
		v.gone(c)
		return nil
	}
	at, err := v.Events.SealedEvents(ctx, c.Sequence-1, 1)
	if err != nil {
		return err
	}
	when := c.At.UTC().Format(stamp)
	switch {
	case len(at) == 0:
		v.problem(Truncated, c.Sequence, "", "the chain ends at %d, and the checkpoint of %s signed %d", v.sequence, when, c.Sequence)
	case at[0].Sequence != c.Sequence:
		v.problem(Missing, c.Sequence, "", "the event that the checkpoint of %s signed is gone", when)
	case !bytes.Equal(c.Head, at[0].Hash):
		v.problem(Mismatch, c.Sequence, at[0].ID, "the checkpoint of %s signed another chain", when)
	default:
		v.fits(c)
		v.report.Checkpoints++
		if v.report.Last == nil || c.Sequence > v.report.Last.Sequence {
			v.report.Last = &c
		}
	}
	return nil
}

// gone looks at a checkpoint whose event was removed. The one right before the first event that is left signs for what
// that event continues; older ones say nothing about what is left.
func (v *verifier) gone(c storage.Checkpoint) {
	switch {
	case c.Sequence != v.first-1:
	case !bytes.Equal(c.Head, v.before):
		v.problem(Mismatch, c.Sequence, "", "the checkpoint of %s signed another chain than the one that goes on", c.At.UTC().Format(stamp))
	default:
		v.fits(c)
		v.report.Checkpoints++
	}
}

func (v *verifier) fits(c storage.Checkpoint) {
	if through, ok := announcedThrough(v.removal); ok && through == c.Sequence {
		v.anchor = &c
	}
	if v.removal.Sequence > 0 && c.Sequence >= v.removal.Sequence && (v.signedFor.IsZero() || c.At.Before(v.signedFor)) {
		v.signedFor = c.At
	}
}

// beginning judges a chain that does not begin with event 1: an event in it must tell of the removal, a checkpoint must sign
// for the place, and it must have been old enough when the event was written.
func (v *verifier) beginning(context.Context) error {
	if v.first <= 1 {
		return nil
	}
	through, told := announcedThrough(v.removal)
	at := v.removal.At
	for _, latest := range []time.Time{v.signedFor, v.Now} {
		if !latest.IsZero() && latest.Before(at) {
			at = latest
		}
	}
	switch {
	case !told || through < v.first-1:
		v.problem(Missing, 1, "", "events 1 to %d are gone, and no event tells of their removal", v.first-1)
	case v.anchor == nil:
		v.problem(Missing, 1, v.removal.ID, "events 1 to %d are gone, and no good checkpoint signs for event %d", v.first-1, through)
	case at.Sub(v.anchor.At) < LeastKept:
		v.problem(Missing, 1, v.removal.ID, "events up to %d were removed %s after they were signed for; they are kept for %s at least",
			through, at.Sub(v.anchor.At).Round(time.Hour), LeastKept)
	default:
		v.report.Removed = &Removed{Through: v.first - 1, SignedAt: v.anchor.At, EventID: v.removal.ID}
	}
	return nil
}

func (v *verifier) signature(c storage.Checkpoint) bool {
	for _, key := range v.Keys {
		if KeyID(key) != c.KeyID {
			continue
		}
		if ed25519.Verify(key, signed(c), c.Signature) {
			return true
		}
		v.problem(BadSignature, c.Sequence, "", "the checkpoint of %s was not signed by key %s", c.At.UTC().Format(stamp), c.KeyID)
		return false
	}
	v.problem(UnknownSigner, c.Sequence, "", "the checkpoint of %s names key %s, which was not given", c.At.UTC().Format(stamp), c.KeyID)
	return false
}

// tail counts what is not sealed yet, in one go: it does not grow long while a sealer runs.
func (v *verifier) tail(ctx context.Context) error {
	waiting, err := v.Events.UnsealedEvents(ctx, 10000)
	if err != nil {
		return err
	}
	v.report.Unsealed = len(waiting)
	for _, e := range waiting {
		if v.Now.Sub(e.At) > v.Grace {
			v.report.Overdue++
		}
	}
	return nil
}
