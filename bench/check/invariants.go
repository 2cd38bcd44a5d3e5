package check

import "fmt"

// Invariant is one promise.
type Invariant struct {
	Name string
	// Requirements are its numbers in docs/security-requirements.md.
	Requirements string
	// AtOnce says that it holds at every instant; the others hold once nothing is due any more.
	AtOnce bool
	test   func(l *look, breaks func(format string, args ...any))
}

// Invariants are all promises, in the order of the report.
func Invariants() []Invariant {
	return []Invariant{
		{"the database is sound without repair", "REL-04", true, sound},
		{"nobody is signed in who did not finish", "REL-04", true, finished},
		{"what works once worked once", "REL-01", true, once},
		{"what succeeded is in the log", "REL-02, LOG-01", true, recorded},
		{"a message is on disk before its carrier is asked", "REL-03", true, announced},
		{"no second automatic SMS", "OTP-06", true, oneAutomaticSMS},
		{"no message went out twice", "REL-03", true, sentOnce},
		{"every message is explained by its events", "LOG-01", true, explained},
		{"counters are not below what happened", "OTP-20", true, counted},
		{"what was told is kept", "REL-04", true, kept},
		{"the chain of events is whole", "LOG-07", true, chained},
		{"no message is owed", "REL-03, REL-12", false, nothingOwed},
		{"every event has its place in the chain", "LOG-07", false, sealed},
	}
}

// Finding is one violation.
type Finding struct{ Invariant, Detail string }

func (f Finding) String() string { return f.Invariant + ": " + f.Detail }

// AtOnce holds a record against what must hold at every instant.
func (r *Record) AtOnce() []Finding { return r.check(true) }

// Over holds a record against everything, once nothing is due any more.
func (r *Record) Over() []Finding { return r.check(false) }

func (r *Record) check(onlyAtOnce bool) []Finding {
	var found []Finding
	l := r.sorted()
	for _, i := range Invariants() {
		if onlyAtOnce && !i.AtOnce {
			continue
		}
		i.test(l, func(format string, args ...any) {
			found = append(found, Finding{i.Name, fmt.Sprintf(format, args...)})
		})
	}
	return found
}

func sound(l *look, breaks func(string, ...any)) {
	for _, d := range l.Damage {
		breaks("%s", d)
	}
}
