package check

import (
	"maps"
	"sync"
)

// Answers counts what one person, or clients on the person's behalf, were told: each had arrived over the network.
type Answers struct {
	AuthCodes, Redeemed, Refreshed int
	// Wrong are passcodes that were answered as wrong.
	Wrong int
}

// Told is what people and clients were told.
type Told struct {
	People map[string]Answers // by person id
	// Twice are things that work once and were accepted more often, described.
	Twice []string
}

// Witness writes down what people and clients are told while it happens. It is safe for several goroutines.
type Witness struct {
	mu       sync.Mutex
	people   map[string]Answers
	accepted map[string]int
	twice    []string
}

// NewWitness returns one that has seen nothing yet.
func NewWitness() *Witness { return &Witness{people: map[string]Answers{}, accepted: map[string]int{}} }

// AuthCode notes that a browser was sent back with this AuthCode. Two tabs may be sent back with the same one.
func (w *Witness) AuthCode(person, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.accepted["issued "+code]++; w.accepted["issued "+code] == 1 {
		w.answer(person, Answers{AuthCodes: 1})
	}
}

// Redeemed notes that an AuthCode was answered with tokens.
func (w *Witness) Redeemed(person, code string) {
	w.once(person, "AuthCode", code, Answers{Redeemed: 1})
}

// Refreshed notes that a refresh token was answered with tokens.
func (w *Witness) Refreshed(person, token string) {
	w.once(person, "refresh token", token, Answers{Refreshed: 1})
}

// Wrong notes that a passcode was answered as wrong.
func (w *Witness) Wrong(person string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer(person, Answers{Wrong: 1})
}

func (w *Witness) once(person, what, value string, a Answers) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer(person, a)
	if w.accepted[what+value]++; w.accepted[what+value] > 1 {
		w.twice = append(w.twice, what+" of "+person)
	}
}

func (w *Witness) answer(person string, a Answers) {
	all := w.people[person]
	all.AuthCodes += a.AuthCodes
	all.Redeemed += a.Redeemed
	all.Refreshed += a.Refreshed
	all.Wrong += a.Wrong
	w.people[person] = all
}

// Told is what it has seen so far.
func (w *Witness) Told() Told {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Told{People: maps.Clone(w.people), Twice: append([]string(nil), w.twice...)}
}
