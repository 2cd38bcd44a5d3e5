package mfa

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parola-id/parola/storage"
)

// codeCircuit is the failure code of a message that was not tried because a circuit is open.
const codeCircuit = "circuit"

// Why a node opens a circuit.
const (
	reasonFailures = "failures"
	reasonCountry  = "country_refused" // the carrier itself says that it does not serve the country
)

// passage says what a circuit does to a message.
type passage int

const (
	through passage = iota // no circuit is open
	probe                  // the rest is over: one message may try
	shut
)

func passageOf(c storage.Circuit, known bool, now time.Time) passage {
	switch {
	case !known:
		return through
	case c.Held, now.Before(c.Until), now.Before(c.ProbeUntil):
		return shut
	default:
		return probe
	}
}

// circuits is what this node knows of the circuits in storage, and the failures in a row that it has seen itself
// (REL-07). It answers from memory, so that a message costs no statement; what it changes waits for keepCircuits, which
// also brings the changes of other nodes within a second.
type circuits struct {
	settings Settings
	changed  chan struct{}

	mu       sync.Mutex
	known    map[string]storage.Circuit
	failures map[string]map[string]bool // of whom, since the last success
	unstored []circuitChange
}

// circuitChange is a circuit that this node opened, or opened again; or one that it closed.
type circuitChange struct {
	circuit storage.Circuit
	closed  bool
}

func newCircuits(s Settings) *circuits {
	return &circuits{
		settings: s, changed: make(chan struct{}, 1), known: map[string]storage.Circuit{}, failures: map[string]map[string]bool{},
	}
}

// passage says what the named circuit does to a message now.
func (c *circuits) passage(name string, now time.Time) passage {
	c.mu.Lock()
	defer c.mu.Unlock()
	circuit, known := c.known[name]
	return passageOf(circuit, known, now)
}

// outcome counts what became of a message; failures of one and the same count once. While the circuit rests, or is held, an outcome is a straggler's and says
// nothing; after the rest it is the probe's.
func (c *circuits) outcome(name, of string, ok bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	circuit, known := c.known[name]
	switch {
	case known && (circuit.Held || now.Before(circuit.Until)):
	case known && ok:
		c.change(circuitChange{circuit: circuit, closed: true})
	case known:
		c.change(circuitChange{circuit: c.opened(circuit, now)})
	case ok:
		delete(c.failures, name)
	default:
		if c.failures[name] == nil {
			c.failures[name] = map[string]bool{}
		}
		c.failures[name][of] = true
		if limit, _ := c.bounds(name); len(c.failures[name]) >= limit {
			c.change(circuitChange{circuit: c.opened(storage.Circuit{Name: name, Reason: reasonFailures, OpenedAt: now}, now)})
		}
	}
}

// open opens a circuit without counting; one that rests already rests longer.
func (c *circuits) open(name, reason string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	circuit, known := c.known[name]
	if !known {
		circuit = storage.Circuit{Name: name, Reason: reason, OpenedAt: now}
	}
	if !circuit.Held {
		c.change(circuitChange{circuit: c.opened(circuit, now)})
	}
}

func (c *circuits) opened(circuit storage.Circuit, now time.Time) storage.Circuit {
	_, rest := c.bounds(circuit.Name)
	circuit.Until, circuit.ProbeUntil = now.Add(rest), time.Time{}
	return circuit
}

func (c *circuits) bounds(name string) (failures int, rest time.Duration) {
	if strings.HasPrefix(name, countryPrefix) {
		return c.settings.CountryFailures, c.settings.CountryRest
	}
	return c.settings.CircuitFailures, c.settings.CircuitRest
}

// change takes effect in this node at once, and in storage soon.
func (c *circuits) change(change circuitChange) {
	c.unstored = append(c.unstored, change)
	c.apply(change)
	c.refresh()
}

func (c *circuits) apply(change circuitChange) {
	delete(c.failures, change.circuit.Name)
	if change.closed {
		delete(c.known, change.circuit.Name)
		return
	}
	c.known[change.circuit.Name] = change.circuit
}

// probing remembers that some node has the probe until then.
func (c *circuits) probing(name string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if circuit, known := c.known[name]; known {
		circuit.ProbeUntil = until
		c.known[name] = circuit
	}
}

// take hands over the changes that are not stored yet, and putBack returns those that could not be.
func (c *circuits) take() []circuitChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	changes := c.unstored
	c.unstored = nil
	return changes
}

func (c *circuits) putBack(changes []circuitChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unstored = append(changes, c.unstored...)
}

// load replaces what is known by what is stored, and by what was changed since.
func (c *circuits) load(stored []storage.Circuit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.known)
	for _, circuit := range stored {
		c.known[circuit.Name] = circuit
	}
	for _, change := range c.unstored {
		c.apply(change)
	}
}

// refresh has keepCircuits look at once.
func (c *circuits) refresh() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// all returns what is known, by name.
func (c *circuits) all() []storage.Circuit {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.known), func(a, b storage.Circuit) int { return cmp.Compare(a.Name, b.Name) })
}
