package fraud

import (
	"cmp"
	"slices"
	"time"

	"github.com/parola-id/parola/storage"
)

// The edges by which a prefix is judged.
const (
	EdgeSMS     = "sms"     // all its SMS
	EdgeInstant = "instant" // those at once because the number has no WhatsApp: the edge that pumping aims at
)

// Evidence is everything that Judge looks at.
type Evidence struct {
	Now time.Time
	// FirstMessage is when the installation's first message was accepted; zero before.
	FirstMessage time.Time
	// Recent are the messages of the window that are old enough for their passcode to have been entered, and how many of
	// them were verified by now; Before are those of the week before the window.
	Recent, Before []storage.Conversion
	Verdicts       []storage.Verdict
}

// Change is a new mind about one prefix on one edge.
type Change struct {
	// Verdict is what is to be stored. Its State is empty when the numbers say nothing any more; without an override it is
	// then to be removed.
	Verdict storage.Verdict
	// From is the state before.
	From storage.VerdictState
}

const (
	// backFactor is how far above what is required a conversion must be to count as good: a verdict does not flap, and a
	// prefix that just gets by is no witness.
	backFactor = 1.5
	// Of the messages that it takes to accuse a prefix, this part is enough for one that is being tried again.
	retryPart = 4
	// leastWitnesses is how many prefixes must speak for an outage.
	leastWitnesses = 3
)

// Judge is the whole decision: what to change about verdicts, in the order of prefix and edge.
//
// A prefix is accused when at least MinSent of its messages are in the window and too small a part was verified. Two
// things speak for it. A good week: up to MinSent messages of the week before count along, where they converted well (a
// bad week is not held against it). And an outage: when the prefixes that were good a week long convert badly too, the
// carrier is to blame, and nobody is accused; ranges that somebody has just begun to pump have no good week and are no
// witnesses.
//
// An accused prefix is refused (enforce), or only named (observe) while the installation learns or where the mode says
// so. After Rest, once the window has forgotten the messages that spoke against it, it is observed: a quarter of MinSent
// is then enough to refuse it again, and if it stays quiet or does well the verdict goes. Overrides change nothing here;
// they stand over verdicts where these are asked for (see Guard).
func Judge(s Settings, e Evidence) []Change {
	figures := figuresOf(e)
	verdicts := make(map[key]storage.Verdict)
	for _, v := range e.Verdicts {
		verdicts[key{v.Prefix, v.Edge}] = v
	}
	j := judge{Settings: s, now: e.Now, figures: figures}
	j.strict = s.Mode == ModeEnforce && !e.FirstMessage.IsZero() && !e.Now.Before(e.FirstMessage.Add(s.Learning))

	subjects := make(map[key]bool)
	for k := range figures {
		subjects[k] = true
	}
	for k := range verdicts {
		subjects[k] = true
	}
	var changes []Change
	for k := range subjects {
		v, f := verdicts[k], figures[k]
		if next := j.next(k, v, f); next != v.State {
			changes = append(changes, Change{From: v.State, Verdict: storage.Verdict{
				Prefix: k.prefix, Edge: k.edge, Country: cmp.Or(f.country, v.Country), State: next, Override: v.Override,
				Sent: f.recent.sent, Verified: f.recent.verified, Since: e.Now, UpdatedAt: e.Now,
			}})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Verdict.Prefix, b.Verdict.Prefix), cmp.Compare(a.Verdict.Edge, b.Verdict.Edge))
	})
	return changes
}

// judge decides about one subject after the other.
type judge struct {
	Settings
	now     time.Time
	strict  bool // refusing is allowed
	figures map[key]figure
}

// next is the state that a subject shall have.
func (j judge) next(k key, v storage.Verdict, f figure) storage.VerdictState {
	rested := !j.now.Before(v.Since.Add(j.Rest)) && f.recent.sent < j.retrySent()
	good := f.recent.sent >= j.retrySent() && f.recent.conversion() >= backFactor*j.least(k.edge)
	switch v.State {
	case "":
		if j.tooLow(k, f, j.MinSent) {
			return j.accused()
		}
	case storage.VerdictObserve:
		switch {
		case good || rested:
			return ""
		case j.tooLow(k, f, j.retrySent()):
			return j.accused()
		}
	case storage.VerdictEnforce:
		switch {
		case good:
			return ""
		case rested || !j.strict:
			return storage.VerdictObserve
		}
	}
	return v.State
}

func (j judge) accused() storage.VerdictState {
	if j.strict {
		return storage.VerdictEnforce
	}
	return storage.VerdictObserve
}

// retrySent is how many messages it takes to accuse a prefix that was accused before.
func (j judge) retrySent() int { return max(1, j.MinSent/retryPart) }

func (j judge) least(edge string) float64 {
	if edge == EdgeInstant {
		return j.LeastConversionInstant
	}
	return j.LeastConversion
}

func (j judge) tooLow(k key, f figure, enough int) bool {
	if f.recent.sent < enough {
		return false
	}
	least, sent, verified := j.least(k.edge), float64(f.recent.sent), float64(f.recent.verified)
	if week := f.before.conversion(); week >= least {
		credit := float64(min(f.before.sent, j.MinSent))
		sent, verified = sent+credit, verified+week*credit
	}
	return verified/sent < least && !j.outage(k, f.country)
}

// outage says whether the prefixes that were good a week long do badly as well: those of the same country, or, where
// they are too few, all.
func (j judge) outage(accused key, country string) bool {
	var here, anywhere count
	witnessesHere, witnesses := 0, 0
	for k, f := range j.figures {
		good := f.before.sent >= j.MinSent && f.before.conversion() >= backFactor*j.LeastConversion
		if k.edge != EdgeSMS || k.prefix == accused.prefix || !good || f.recent.sent < j.retrySent() {
			continue
		}
		anywhere, witnesses = anywhere.plus(f.recent), witnesses+1
		if f.country == country {
			here, witnessesHere = here.plus(f.recent), witnessesHere+1
		}
	}
	if witnessesHere >= leastWitnesses {
		return here.conversion() < j.LeastConversion
	}
	return witnesses >= leastWitnesses && anywhere.conversion() < j.LeastConversion
}

// key names what is judged.
type key struct{ prefix, edge string }

// count is how many messages went out and were followed by a right passcode.
type count struct{ sent, verified int }

func (c count) plus(d count) count { return count{c.sent + d.sent, c.verified + d.verified} }

func (c count) conversion() float64 {
	if c.sent == 0 {
		return 0
	}
	return float64(c.verified) / float64(c.sent)
}

// figure is what is known of one subject.
type figure struct {
	country        string
	recent, before count
}

// figuresOf adds the rows up by subject. Of a prefix that two countries share the first in the alphabet stands for both.
func figuresOf(e Evidence) map[key]figure {
	figures := make(map[key]figure)
	add := func(rows []storage.Conversion, to func(f *figure) *count) {
		for _, row := range rows {
			if row.Channel != storage.SMS {
				continue
			}
			edges := []string{EdgeSMS}
			if row.Instant {
				edges = append(edges, EdgeInstant)
			}
			for _, edge := range edges {
				k := key{row.Prefix, edge}
				f := figures[k]
				if f.country == "" || row.Country < f.country {
					f.country = row.Country
				}
				c := to(&f)
				*c = c.plus(count{row.Sent, row.Verified})
				figures[k] = f
			}
		}
	}
	add(e.Recent, func(f *figure) *count { return &f.recent })
	add(e.Before, func(f *figure) *count { return &f.before })
	return figures
}
