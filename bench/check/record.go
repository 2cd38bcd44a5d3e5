package check

import "github.com/parola-id/parola/storage"

// Record is everything that is left of a run at one instant. Only those fields of the rows are filled that an invariant
// looks at.
type Record struct {
	// Damage is what the database itself finds wrong with its files, indexes and references.
	Damage []string

	Challenges []storage.Challenge
	Deliveries []storage.Delivery
	Notices    []storage.Notice
	Sessions   []storage.Session
	Grants     []storage.Grant
	Tokens     []storage.Token
	// Events are in the order of the chain; those that have no place in it yet come last.
	Events []storage.Event

	// Calls are what the carriers saw, in their order. The first Asked of them had come in before the database was read, and
	// all others may be later than it.
	Calls []Call
	Asked int
	// Told is what people and clients had been told before the database was read.
	Told Told
	// Heads are hashes of the chain that were seen earlier, by sequence.
	Heads map[int64][]byte
	// Chain is what a verification with the public key found.
	Chain []string
}

// Call is one call to a carrier, as the carrier's side of the socket saw it.
type Call struct {
	Delivery string // our own mark on it
	// Taken says that the carrier may have taken the message: everything but a clear refusal.
	Taken bool
}

// look is what an invariant looks at: a record, sorted by what things belong to.
type look struct {
	*Record
	challenges  map[string][]*storage.Challenge // by AuthRequest
	deliveries  map[string][]storage.Delivery   // by challenge
	delivery    map[string]storage.Delivery
	session     map[string]storage.Session
	tokens      map[string][]storage.Token // by grant
	calls       map[string][]Call          // by delivery
	ofChallenge map[string][]storage.Event
	ofDelivery  map[string][]storage.Event
	ofRequest   map[string][]storage.Event
	ofGrant     map[string][]storage.Event
	ofPerson    map[string]map[string]int // kinds by person
	created     map[string]storage.Event  // session.created by session
}

func (r *Record) sorted() *look {
	l := &look{Record: r, challenges: map[string][]*storage.Challenge{}, deliveries: map[string][]storage.Delivery{},
		delivery: map[string]storage.Delivery{}, session: map[string]storage.Session{}, tokens: map[string][]storage.Token{},
		calls: map[string][]Call{}, ofChallenge: map[string][]storage.Event{}, ofDelivery: map[string][]storage.Event{},
		ofRequest: map[string][]storage.Event{}, ofGrant: map[string][]storage.Event{}, ofPerson: map[string]map[string]int{},
		created: map[string]storage.Event{}}
	for i := range r.Challenges {
		c := &r.Challenges[i]
		l.challenges[c.AuthRequestID] = append(l.challenges[c.AuthRequestID], c)
	}
	for _, d := range r.Deliveries {
		l.delivery[d.ID] = d
		l.deliveries[d.ChallengeID] = append(l.deliveries[d.ChallengeID], d)
	}
	for _, s := range r.Sessions {
		l.session[s.ID] = s
	}
	for _, t := range r.Tokens {
		l.tokens[t.GrantID] = append(l.tokens[t.GrantID], t)
	}
	for _, c := range r.Calls {
		l.calls[c.Delivery] = append(l.calls[c.Delivery], c)
	}
	for _, e := range r.Events {
		l.sort(e)
	}
	return l
}

func (l *look) sort(e storage.Event) {
	for id, of := range map[string]map[string][]storage.Event{
		"c" + e.ChallengeID: l.ofChallenge, "d" + e.DeliveryID: l.ofDelivery, "r" + e.AuthRequestID: l.ofRequest, "g" + e.GrantID: l.ofGrant,
	} {
		if id = id[1:]; id != "" {
			of[id] = append(of[id], e)
		}
	}
	if e.PersonID != "" {
		if l.ofPerson[e.PersonID] == nil {
			l.ofPerson[e.PersonID] = map[string]int{}
		}
		l.ofPerson[e.PersonID][e.Kind]++
	}
	if e.Kind == "session.created" {
		l.created[e.SessionID] = e
	}
}

// count is how many events are of a kind.
func count(events []storage.Event, kind string) int {
	n := 0
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}
