package check

import "bytes"

// chained: numbers without a gap from 1, each event linked to the one before, and nothing changed that was seen earlier.
// That the hashes fit what they cover, and the signatures the checkpoints, is in Chain when a verification was made.
func chained(l *look, breaks func(string, ...any)) {
	for _, p := range l.Chain {
		breaks("%s", p)
	}
	twice := map[string]bool{}
	for _, e := range l.Events {
		if e.ID != "" && twice[e.ID] {
			breaks("event %s is there twice", e.ID)
		}
		twice[e.ID] = true
	}
	at, head := int64(0), make([]byte, 32)
	for _, e := range l.Events {
		if e.Sequence == 0 {
			break
		}
		if at++; e.Sequence != at {
			breaks("number %d is missing: the next event has %d", at, e.Sequence)
			return
		}
		if !bytes.Equal(e.PrevHash, head) {
			breaks("event %d does not continue the one before", at)
			return
		}
		head = e.Hash
		if earlier, seen := l.Heads[at]; seen && !bytes.Equal(earlier, head) {
			breaks("event %d is another one than before", at)
		}
	}
	for sequence := range l.Heads {
		if sequence > at {
			breaks("event %d was there and is gone", sequence)
		}
	}
}

// Head is the place and the hash of the newest sealed event; 0 when there is none.
func (r *Record) Head() (sequence int64, hash []byte) {
	for _, e := range r.Events {
		if e.Sequence > sequence {
			sequence, hash = e.Sequence, e.Hash
		}
	}
	return sequence, hash
}

func sealed(l *look, breaks func(string, ...any)) {
	waiting := 0
	for _, e := range l.Events {
		if e.Sequence == 0 {
			waiting++
		}
	}
	if waiting > 0 {
		breaks("%d events are not sealed", waiting)
	}
}
