package sqlstore

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/parola-id/parola/storage"
)

const (
	// tellEvery is how long wake-ups for other nodes are collected after some have been told: on PostgreSQL each telling is
	// a commit of its own and wakes a process per node, whereas a person notices no delay of this length.
	tellEvery = 50 * time.Millisecond
	// tellWithin bounds one telling. What could not be told is dropped: the others look by themselves too.
	tellWithin = 2 * time.Second
	// greetEvery is how often a node that hears says that it is there, and goneAfter how long after that others believe it.
	greetEvery, goneAfter = 2 * time.Second, 5 * time.Second
	// mostTold is how many wake-ups of a topic travel one by one, and how many topics' go into a text: 150 ids of ours
	// stay well below the 8000 bytes that PostgreSQL allows.
	mostTold = 150
)

// wakeups passes wake-ups on: to those who listen in this process at once, to the other nodes by what the driver has.
type wakeups struct {
	node      string // whose texts are our own echo
	broadcast func(ctx context.Context, text string) error
	hear      func(ctx context.Context, e Ear)

	// flush is closed to have what is collected told without delay; ending ends hear.
	flush   chan struct{}
	ending  context.Context
	end     context.CancelFunc
	working sync.WaitGroup

	mu        sync.Mutex
	listeners []*func(storage.Wakeup) // replaced, never changed: deliver reads it without the lock
	hearing   bool
	telling   bool
	closed    bool
	// company is when another node was last heard of, and echo when this one heard itself: whoever hears, and nobody but
	// itself, has nobody to tell.
	company, echo time.Time
	untold        map[storage.Wakeup]bool
}

func newWakeups(c Config) *wakeups {
	u := &wakeups{node: storage.NewID(), broadcast: c.Broadcast, hear: c.Hear, flush: make(chan struct{}),
		untold: make(map[storage.Wakeup]bool)}
	u.ending, u.end = context.WithCancel(context.Background())
	return u
}

// Wake implements storage.Wakeups.
func (s *Store) Wake(ctx context.Context, w storage.Wakeup) {
	s.AfterCommit(ctx, func() { s.wakeups.wake(w) })
}

// changedAny wakes those who keep records of a topic in memory, when a write has changed some.
func (s *Store) changedAny(ctx context.Context, topic storage.Topic, changed bool) {
	if changed {
		s.Wake(ctx, storage.Wakeup{Topic: topic})
	}
}

// Listen implements storage.Wakeups.
func (s *Store) Listen(heard func(storage.Wakeup)) (stop func()) { return s.wakeups.listen(heard) }

func (u *wakeups) listen(heard func(storage.Wakeup)) (stop func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	one := &heard
	u.listeners = append(slices.Clone(u.listeners), one)
	if u.hear != nil && !u.hearing && !u.closed {
		u.hearing = true
		u.working.Go(func() {
			u.hear(u.ending, Ear{
				Heard: u.receive, Missed: u.missed, Greeting: u.encode(nil), GreetEvery: greetEvery,
			})
		})
	}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.listeners = slices.DeleteFunc(slices.Clone(u.listeners), func(l *func(storage.Wakeup)) bool { return l == one })
	}
}

// missed is when hearing begins: there may be others, and they may have said anything.
func (u *wakeups) missed() {
	u.mu.Lock()
	u.company = time.Now()
	u.mu.Unlock()
	u.deliver(storage.Wakeup{Topic: storage.Anything})
}

func (u *wakeups) deliver(w storage.Wakeup) {
	u.mu.Lock()
	listeners := u.listeners
	u.mu.Unlock()
	for _, heard := range listeners {
		(*heard)(w)
	}
}

func (u *wakeups) wake(w storage.Wakeup) {
	u.deliver(w)
	if u.broadcast == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || u.alone() {
		return
	}
	if len(u.untold) < mostTold {
		u.untold[w] = true
	} else {
		u.untold[storage.Wakeup{Topic: w.Topic}] = true
	}
	if !u.telling {
		u.telling = true
		u.working.Go(u.tell)
	}
}

// alone says whether nobody else would hear. The time is the machine's: no decision of a login hangs on it.
func (u *wakeups) alone() bool {
	return u.hearing && time.Since(u.echo) < goneAfter && time.Since(u.company) > goneAfter
}

// tell tells what has been collected until nothing more is.
func (u *wakeups) tell() {
	for {
		u.mu.Lock()
		told := u.untold
		u.telling = len(told) > 0
		u.untold = make(map[storage.Wakeup]bool)
		u.mu.Unlock()
		if len(told) == 0 {
			return
		}
		ctx, done := context.WithTimeout(context.Background(), tellWithin)
		_ = u.broadcast(ctx, u.encode(told)) // a lost wake-up costs a poll
		done()
		pause := time.NewTimer(tellEvery)
		select {
		case <-pause.C:
		case <-u.flush:
		}
		pause.Stop()
	}
}

// Ear is what a driver needs to hear the other nodes.
type Ear struct {
	// Heard takes each text that was broadcast; Missed is called when others may have said what was not heard, and first when
	// hearing begins.
	Heard  func(text string)
	Missed func()
	// Greeting is to be broadcast when hearing begins and every GreetEvery after that. It also is the sign of life by which a
	// dead connection is noticed.
	Greeting   string
	GreetEvery time.Duration
}

// telegram is how wake-ups travel. One without any is a greeting.
type telegram struct {
	From    string      `json:"from"`
	Wakeups [][2]string `json:"wake,omitempty"` // topic and subject
}

func (u *wakeups) encode(told map[storage.Wakeup]bool) string {
	t := telegram{From: u.node}
	for w := range told {
		t.Wakeups = append(t.Wakeups, [2]string{string(w.Topic), w.Subject})
	}
	return jsonText(t)
}

// receive takes what was told; our own has been delivered already. Anybody who may connect to the database can send a
// text: one that is not ours does no more than make nodes look.
func (u *wakeups) receive(text string) {
	var t telegram
	if json.Unmarshal([]byte(text), &t) != nil {
		return
	}
	u.mu.Lock()
	if t.From == u.node {
		u.echo = time.Now()
	} else {
		u.company = time.Now()
	}
	u.mu.Unlock()
	if t.From == u.node {
		return
	}
	for _, w := range t.Wakeups {
		u.deliver(storage.Wakeup{Topic: storage.Topic(w[0]), Subject: w[1]})
	}
}

// close tells what is left, so that a command's change is not noticed later than its end, and stops hearing.
func (u *wakeups) close() {
	u.mu.Lock()
	already := u.closed
	u.closed = true
	u.mu.Unlock()
	if !already {
		close(u.flush)
		u.end()
	}
	u.working.Wait()
}
