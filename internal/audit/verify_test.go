package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// TestTampering changes a chain of twelve events, signed for at the tenth, behind the store's back.
func TestTampering(t *testing.T) {
	type finding struct {
		what string
		at   int64
	}
	run := func(statements ...string) func(t *testing.T, b *bench) {
		return func(t *testing.T, b *bench) {
			for _, s := range statements {
				b.db.Exec(t, s)
			}
		}
	}
	cases := []struct {
		name   string
		tamper func(t *testing.T, b *bench)
		want   []finding
	}{
		{"an untouched chain is whole", run(), nil},
		{"a changed field is found", run(`UPDATE events SET reason = 'x' WHERE sequence = 4`), []finding{{Changed, 4}}},
		{"a changed time is found", run(`UPDATE events SET at = at + 1 WHERE sequence = 4`), []finding{{Changed, 4}}},
		{"changed data are found", run(`UPDATE events SET data = '{"i":"9"}' WHERE sequence = 4`), []finding{{Changed, 4}}},
		{"a changed ID is found", run(`UPDATE events SET id = id || 'x' WHERE sequence = 4`), []finding{{Changed, 4}}},
		{"a changed hash is found", run(`UPDATE events SET hash = prev_hash WHERE sequence = 4`),
			[]finding{{Changed, 4}, {Unlinked, 5}}},
		{"a changed link is found", run(`UPDATE events SET prev_hash = hash WHERE sequence = 4`),
			[]finding{{Unlinked, 4}, {Changed, 4}}},
		{"a change with a hash of its own is found at the next event", func(t *testing.T, b *bench) {
			e := b.sealed(t)[3]
			e.Reason = "x"
			b.db.Exec(t, `UPDATE events SET reason = 'x', hash = $1 WHERE sequence = 4`, link(e.PrevHash, e))
		}, []finding{{Unlinked, 5}}},
		{"a deleted event is found", run(`DELETE FROM events WHERE sequence = 4`), []finding{{Missing, 4}}},
		{"the deleted first event is found", run(`DELETE FROM events WHERE sequence = 1`), []finding{{Missing, 1}}},
		{"three deleted events are one finding", run(`DELETE FROM events WHERE sequence BETWEEN 4 AND 6`), []finding{{Missing, 4}}},
		{"a deleted event that a checkpoint signed is found twice", run(`DELETE FROM events WHERE sequence = 10`),
			[]finding{{Missing, 10}, {Missing, 10}}},
		{"a deletion hidden by counting anew is found", run(
			`DELETE FROM events WHERE sequence = 11`,
			`UPDATE events SET sequence = 11 WHERE sequence = 12`,
		), []finding{{Unlinked, 11}, {Changed, 11}}},
		{"an event that was slipped in is found", func(t *testing.T, b *bench) {
			b.db.Exec(t, `UPDATE events SET sequence = 13 WHERE sequence = 12`)
			b.db.Exec(t, `UPDATE events SET sequence = 12 WHERE sequence = 11`)
			b.write(t, 1)
			e := b.unsealed(t)[0]
			e.Sequence, e.PrevHash = 11, b.sealed(t)[9].Hash
			e.Hash = link(e.PrevHash, e)
			err := b.store.InTx(t.Context(), func(ctx context.Context) error { return b.store.SealEvents(ctx, []storage.Event{e}) })
			if err != nil {
				t.Fatal(err)
			}
		}, []finding{{Unlinked, 12}, {Changed, 12}, {Changed, 13}}},
		{"two events that changed places are found", run(
			`UPDATE events SET sequence = 99 WHERE sequence = 4`,
			`UPDATE events SET sequence = 4 WHERE sequence = 5`,
			`UPDATE events SET sequence = 5 WHERE sequence = 99`,
		), []finding{{Unlinked, 4}, {Changed, 4}, {Unlinked, 5}, {Changed, 5}, {Unlinked, 6}}},
		{"a chain rewritten from a change on is found by its checkpoint", func(t *testing.T, b *bench) { b.rewrite(t, 4) },
			[]finding{{Mismatch, 10}}},
		{"a chain cut off before its checkpoint is found", run(`DELETE FROM events WHERE sequence > 8`), []finding{{Truncated, 10}}},
		{"an emptied log is found by its checkpoint", run(`DELETE FROM events`), []finding{{Truncated, 10}}},
		{"a checkpoint moved to a shorter chain is found", run(
			`DELETE FROM events WHERE sequence > 8`, `UPDATE checkpoints SET sequence = 8`,
		), []finding{{BadSignature, 8}}},
		{"a checkpoint with another time is found", run(`UPDATE checkpoints SET at = at + 1`), []finding{{BadSignature, 10}}},
		{"a checkpoint signed by somebody else is found", func(t *testing.T, b *bench) {
			other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
			head := b.rewrite(t, 4)
			forged := newCheckpoint(other, 10, head, noon)
			b.db.Exec(t, `UPDATE checkpoints SET head = $1, at = $2, key_id = $3, signature = $4`,
				forged.Head, forged.At.UnixMilli(), forged.KeyID, forged.Signature)
		}, []finding{{UnknownSigner, 10}}},
	}
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				b := newBench(t, db)
				run(`DELETE FROM events`, `DELETE FROM checkpoints`, `DELETE FROM leases`)(t, b)
				b.write(t, 10)
				b.seal(t)
				b.write(t, 2)
				b.seal(t)
				c.tamper(t, b)
				report := b.verify(t)
				var got []finding
				for _, p := range report.Problems {
					got = append(got, finding{p.Finding, p.Sequence})
				}
				if len(got) != len(c.want) {
					t.Fatalf("found %+v, want %v", report.Problems, c.want)
				}
				for i := range got {
					if got[i] != c.want[i] {
						t.Errorf("found %+v, want %v", report.Problems, c.want)
					}
				}
			})
		}
	})
}

// rewrite changes an event and gives it and all after it new hashes; it returns the hash of the tenth.
func (b *bench) rewrite(t *testing.T, from int64) (tenth []byte) {
	t.Helper()
	head := genesis
	for _, e := range b.sealed(t) {
		if e.Sequence == from {
			e.Reason = "x"
			b.db.Exec(t, `UPDATE events SET reason = 'x' WHERE sequence = $1`, from)
		}
		hash := link(head, e)
		b.db.Exec(t, `UPDATE events SET prev_hash = $1, hash = $2 WHERE sequence = $3`, head, hash, e.Sequence)
		head = hash
		if e.Sequence == 10 {
			tenth = hash
		}
	}
	return tenth
}

func (b *bench) unsealed(t *testing.T) []storage.Event {
	t.Helper()
	events, err := b.store.UnsealedEvents(context.Background(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// TestKnownCheckpoint finds what the database alone cannot tell: it was cut off, or rewritten, with its checkpoints.
func TestKnownCheckpoint(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	b.write(t, 10)
	b.seal(t)
	known, err := b.store.LastCheckpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r := b.verify(t, known); !r.OK() {
		t.Errorf("a true checkpoint: %+v", r)
	}
	b.db.Exec(t, `DELETE FROM checkpoints`)
	b.db.Exec(t, `DELETE FROM events WHERE sequence > 8`)
	if r := b.verify(t); !r.OK() {
		t.Errorf("without help: %+v", r)
	}
	if r := b.verify(t, known); r.OK() || r.Problems[0].Finding != Truncated {
		t.Errorf("with a checkpoint from outside: %+v", r)
	}
	forged := known
	forged.Sequence = 8
	if r := b.verify(t, forged); r.OK() || r.Problems[0].Finding != BadSignature {
		t.Errorf("with a forged checkpoint from outside: %+v", r)
	}
}

func TestTailIsTold(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	b.write(t, 2)
	if r := b.verify(t); !r.OK() || r.Unsealed != 2 || r.Overdue != 0 {
		t.Errorf("fresh: %+v", r)
	}
	b.clock.Advance(10 * time.Second)
	if r := b.verify(t); !r.OK() || r.Unsealed != 2 || r.Overdue != 1 {
		t.Errorf("ten seconds later: %+v", r)
	}
	b.clock.Advance(time.Second)
	// Taking seals away turns signed events into an overdue tail, and is found by the checkpoint.
	b.seal(t)
	b.db.Exec(t, `UPDATE events SET sequence = NULL, prev_hash = NULL, hash = NULL WHERE sequence = 2`)
	if r := b.verify(t); r.OK() || r.Problems[0].Finding != Truncated || r.Overdue != 1 {
		t.Errorf("unsealed again: %+v", r)
	}
}

func TestBackdatedEventIsTold(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	b.write(t, 2)
	b.seal(t)
	b.clock.Advance(-2 * time.Hour)
	b.write(t, 1)
	b.clock.Advance(3 * time.Hour)
	b.seal(t)
	r := b.verify(t)
	if !r.OK() || len(r.Backdated) != 1 || r.Backdated[0] != b.sealed(t)[2].ID {
		t.Errorf("%+v", r)
	}
}

func TestRotatedKey(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	b.write(t, 1)
	b.seal(t)
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	b.sealer.Key = other
	b.write(t, 1)
	b.clock.Advance(time.Minute)
	b.seal(t)
	if r := b.verify(t); r.OK() || r.Problems[0].Finding != UnknownSigner || r.Problems[0].Sequence != 2 {
		t.Errorf("with the old key: %+v", r)
	}
	r, err := Verify(context.Background(), VerifyConfig{
		Events: b.store, Now: b.clock.Now(),
		Keys: []ed25519.PublicKey{other.Public().(ed25519.PublicKey), testKey.Public().(ed25519.PublicKey)},
	})
	if err != nil || !r.OK() || r.Checkpoints != 2 {
		t.Errorf("with both keys: %+v, %v", r, err)
	}
}

func TestVerifyReadsMoreThanOnePage(t *testing.T) {
	b := newBench(t, storagetest.SQLite(t))
	var many []storage.Event
	for range verifyAtOnce + 7 {
		many = append(many, storage.Event{Kind: PasscodeSent})
	}
	err := b.store.InTx(context.Background(), func(ctx context.Context) error { return b.writer.Write(ctx, many...) })
	if err != nil {
		t.Fatal(err)
	}
	b.seal(t)
	if r := b.verify(t); !r.OK() || r.Events != int64(len(many)) || r.Unsealed != 0 {
		t.Errorf("%+v", r)
	}
}
