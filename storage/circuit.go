package storage

import (
	"context"
	"time"
)

// Circuit keeps messages from a carrier, a country or a template that does not work at the moment. Its life: opened by a
// node after failures in a row, or held by what the carrier says of our account; closed by a probe that succeeds, by the
// carrier's word, or by an operator. There is no record of a closed one. All nodes see the same.
type Circuit struct {
	// Name says what is kept from: carrier/meta, country/whatsapp/IT, template/pt_BR.
	Name string
	// Held circuits are not probed: somebody must say that they may close.
	Held bool
	// Reason is a short machine word: failures, account_disabled, template_paused, operator.
	Reason   string
	OpenedAt time.Time
	// Until is when the next message may probe an open circuit; zero for a held one.
	Until time.Time
	// ProbeUntil is how long the node that probes has it to itself; zero when none does.
	ProbeUntil time.Time
}

// Circuits keeps open and held circuits.
type Circuits interface {
	// OpenCircuit stores c and says whether there was none of that name before. A held circuit stays as it is when a node
	// opens it for failures, and one that an operator holds (reason "operator") whoever else opens or holds it.
	OpenCircuit(ctx context.Context, c Circuit) (opened bool, err error)
	// ProbeCircuit takes the probe of an open circuit whose Until has passed: of all nodes exactly one gets it until
	// probeUntil.
	ProbeCircuit(ctx context.Context, name string, now, probeUntil time.Time) (taken bool, err error)
	// CloseCircuit removes it and says whether there was one. With held false a held one stays.
	CloseCircuit(ctx context.Context, name string, held bool) (closed bool, err error)
	// Circuits returns all of them by name.
	Circuits(ctx context.Context) ([]Circuit, error)
}
