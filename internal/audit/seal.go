package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

// SealStore is what the sealer needs of storage.
type SealStore interface {
	storage.Transactor
	storage.Leases
	UnsealedEvents(ctx context.Context, limit int) ([]storage.Event, error)
	SealEvents(ctx context.Context, events []storage.Event) error
	SealedEvents(ctx context.Context, afterSequence int64, limit int) ([]storage.Event, error)
	LastSeal(ctx context.Context) (sequence int64, hash []byte, err error)
	InsertCheckpoint(ctx context.Context, c storage.Checkpoint) error
	LastCheckpoint(ctx context.Context) (storage.Checkpoint, error)
}

// SealerConfig is what a Sealer needs.
type SealerConfig struct {
	Store SealStore
	// Audit writes the event that a broken chain was found.
	Audit *Writer
	Clock clock.Clock
	// Key signs checkpoints: ed25519.NewKeyFromSeed of the purpose key for the audit log.
	Key ed25519.PrivateKey
	// Holder names this process in the lease; no two processes share one.
	Holder string
	// Every is how often it looks for unsealed events; 500 ms when zero.
	Every time.Duration
	// A checkpoint is signed after CheckpointEvents events (1000 when zero), or CheckpointAfter (1 minute when zero) after
	// the one before when there was any event, and when the sealer stops.
	CheckpointEvents int64
	CheckpointAfter  time.Duration
	Log              *slog.Logger
}

const (
	leaseName = "audit-sealer"
	leaseTime = 15 * time.Second
	// sealAtOnce bounds a transaction of the sealer, so that no login waits long for SQLite's one writer.
	sealAtOnce = 100
)

// Sealer gives events their place in the chain. Any number of nodes may run one: a lease lets one of them work, and
// storage refuses a place that is taken.
//
// An event gets its place when it becomes visible, which need not be the order of its ID: a transaction that took long
// commits an event older than others that are sealed already. It is sealed next; none is lost.
type Sealer struct {
	SealerConfig
	// checked is set once the head of the chain was compared with the last checkpoint; open says that events were sealed
	// after that checkpoint, made at signedAt.
	checked  bool
	open     bool
	signedAt time.Time
}

// NewSealer returns a Sealer.
func NewSealer(c SealerConfig) *Sealer {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Every == 0 {
		c.Every = 500 * time.Millisecond
	}
	if c.CheckpointEvents == 0 {
		c.CheckpointEvents = 1000
	}
	if c.CheckpointAfter == 0 {
		c.CheckpointAfter = time.Minute
	}
	return &Sealer{SealerConfig: c}
}

// Run seals until ctx ends; then it seals what is left, signs a last checkpoint and gives the lease back. Errors of
// storage are logged and tried again: an outage delays the chain and stops nobody's login.
func (s *Sealer) Run(ctx context.Context) error {
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := s.Seal(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "seal audit log", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	return s.finish(last)
}

// Seal seals everything that is visible now and signs a checkpoint when one is due. It does nothing while another
// process holds the lease, and no more than one read when there is nothing to do.
func (s *Sealer) Seal(ctx context.Context) error {
	for {
		if !s.open && s.checked || s.open && s.Clock.Now().Sub(s.signedAt) < s.CheckpointAfter {
			waiting, err := s.Store.UnsealedEvents(ctx, 1)
			if err != nil {
				return fmt.Errorf("look for unsealed events: %w", err)
			}
			if len(waiting) == 0 {
				return nil
			}
		}
		more, err := s.work(ctx, false)
		if err != nil || !more {
			return err
		}
	}
}

func (s *Sealer) finish(ctx context.Context) error {
	for {
		more, err := s.work(ctx, true)
		if err != nil {
			return fmt.Errorf("seal audit log at the end: %w", err)
		}
		if !more {
			break
		}
	}
	return s.Store.InTx(ctx, func(ctx context.Context) error { return s.Store.ReleaseLease(ctx, leaseName, s.Holder) })
}

// batch is a part of the chain that is ready to be stored after the event with the sequence from.
type batch struct {
	from   int64
	head   []byte // of the chain with the batch
	events []storage.Event
}

// prepare links what is visible now to the end of the chain. It reads and hashes beside the transaction that stores the
// result, so that SQLite's one writer does not wait for it.
func (s *Sealer) prepare(ctx context.Context) (b batch, err error) {
	if b.from, b.head, err = s.Store.LastSeal(ctx); err != nil {
		return b, fmt.Errorf("read the end of the chain: %w", err)
	}
	events, err := s.Store.UnsealedEvents(ctx, sealAtOnce)
	if err != nil {
		return b, fmt.Errorf("read unsealed events: %w", err)
	}
	if b.head == nil {
		b.head = genesis
	}
	for i, e := range events {
		e.Sequence = b.from + int64(i) + 1
		e.PrevHash, e.Hash = b.head, link(b.head, e)
		b.events = append(b.events, e)
		b.head = e.Hash
	}
	return b, nil
}

// work is one transaction: lease, seals and checkpoint commit together. more says that there was a full batch.
func (s *Sealer) work(ctx context.Context, last bool) (more bool, err error) {
	ready, err := s.prepare(ctx)
	if err != nil {
		return false, err
	}
	var signed *storage.Checkpoint
	var held bool
	next := *s // what this transaction will have done, once it has committed
	err = s.Store.InTx(ctx, func(ctx context.Context) (err error) {
		next, signed, more = *s, nil, false // the transaction may run again
		now := s.Clock.Now()
		held, err = s.Store.AcquireLease(ctx, leaseName, s.Holder, now, now.Add(leaseTime))
		if err != nil || !held {
			return err
		}
		more, signed, err = next.chain(ctx, now, last, ready)
		return err
	})
	if err != nil {
		return false, err
	}
	if !held {
		s.checked, s.open = false, false // whoever takes over looks at the chain afresh
		return false, nil
	}
	*s = next
	if signed != nil {
		// A copy outside the database is what makes a chain that was cut off after its last checkpoint visible.
		s.Log.InfoContext(ctx, "audit checkpoint", "sequence", signed.Sequence, "head", hex.EncodeToString(signed.Head),
			"at", signed.At.Format(stamp), "key", signed.KeyID, "signature", hex.EncodeToString(signed.Signature))
	}
	return more, nil
}

// chain appends a batch to the chain, and a checkpoint if one is due. A chain that has grown meanwhile takes another batch.
func (s *Sealer) chain(ctx context.Context, now time.Time, last bool, ready batch) (more bool, signed *storage.Checkpoint, err error) {
	sequence, _, err := s.Store.LastSeal(ctx)
	if err != nil {
		return false, nil, fmt.Errorf("read the end of the chain: %w", err)
	}
	if sequence != ready.from {
		return true, nil, nil
	}
	before, err := s.Store.LastCheckpoint(ctx)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return false, nil, fmt.Errorf("read the last checkpoint: %w", err)
	}
	if !s.checked {
		if err := s.compare(ctx, before, sequence); err != nil {
			return false, nil, err
		}
		s.checked = true
	}
	if err := s.Store.SealEvents(ctx, ready.events); err != nil {
		return false, nil, fmt.Errorf("seal events: %w", err)
	}
	sequence += int64(len(ready.events))
	head := ready.head
	more = len(ready.events) == sealAtOnce
	s.open, s.signedAt = sequence > before.Sequence, before.At
	if !s.open {
		return more, nil, nil
	}
	due := sequence-before.Sequence >= s.CheckpointEvents || now.Sub(before.At) >= s.CheckpointAfter || last && !more
	if !due {
		return more, nil, nil
	}
	c := newCheckpoint(s.Key, sequence, head, now)
	if err := s.Store.InsertCheckpoint(ctx, c); err != nil {
		return false, nil, fmt.Errorf("store checkpoint: %w", err)
	}
	s.open, s.signedAt = false, c.At
	return more, &c, nil
}

// compare looks whether the chain still holds what the last checkpoint says, before it is made longer. A chain that
// does not is told and goes on: refusing to seal would only help whoever broke it.
func (s *Sealer) compare(ctx context.Context, c storage.Checkpoint, sequence int64) error {
	if c.Sequence == 0 {
		return nil
	}
	reason := "truncated"
	if sequence >= c.Sequence {
		at, err := s.Store.SealedEvents(ctx, c.Sequence-1, 1)
		if err != nil {
			return fmt.Errorf("compare chain with its checkpoint: %w", err)
		}
		if len(at) == 1 && at[0].Sequence == c.Sequence && bytes.Equal(at[0].Hash, c.Head) {
			return nil
		}
		reason = "checkpoint_mismatch"
	}
	s.Log.ErrorContext(ctx, "the audit chain does not fit its last checkpoint", "reason", reason,
		"checkpoint", c.Sequence, "sealed", sequence)
	return s.Audit.Write(ctx, storage.Event{
		Kind: ChainBroken, Outcome: Failure, Reason: reason, ActorID: "system",
		Data: map[string]string{"checkpoint": fmt.Sprint(c.Sequence), "sealed": fmt.Sprint(sequence)},
	})
}
