package handset

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	maxViewers  = 64
	pageHistory = 60 // messages of one phone that the page shows
)

// viewers are the open pages. A viewer is only told that something changed and then looks at everything, so that a slow one
// misses nothing and holds up nobody.
type viewers struct {
	mu    sync.Mutex
	chans map[chan struct{}]bool
}

func (v *viewers) add() (chan struct{}, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.chans) >= maxViewers {
		return nil, false
	}
	c := make(chan struct{}, 1)
	c <- struct{}{}
	v.chans[c] = true
	return c, true
}

func (v *viewers) remove(c chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.chans, c)
}

func (v *viewers) notify() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for c := range v.chans {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// pageState is all that the page shows.
type pageState struct {
	Business  string        `json:"business"`
	TTL       int           `json:"ttl"` // seconds
	Phones    []phoneState  `json:"phones"`
	Phone     string        `json:"phone"`
	All       Switches      `json:"all"`
	Own       Switches      `json:"own"`
	Effective Switches      `json:"effective"`
	Messages  []messageView `json:"messages"` // newest first
}

type phoneState struct {
	Phone
	Messages int  `json:"messages"` // that arrived
	Off      bool `json:"off"`
}

func (h *Handset) pageState(number string) pageState {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := pageState{Business: h.cfg.BusinessName, TTL: int(h.cfg.Templates[0].TTL.Seconds()), Phones: h.phonesLocked(), Phone: number, All: h.forAll}
	if s.Phone == "" && len(s.Phones) > 0 {
		s.Phone = s.Phones[0].Number
	}
	s.Own = h.switches[s.Phone]
	s.Effective = h.effectiveLocked(s.Phone)
	s.Messages = []messageView{}
	if s.Phone != "" {
		s.Messages = h.viewsLocked(s.Phone, pageHistory)
	}
	return s
}

// phonesLocked lists the configured phones and then the strangers, in the order in which they were first written to.
func (h *Handset) phonesLocked() []phoneState {
	phones := []phoneState{}
	at := map[string]int{}
	add := func(p Phone) {
		at[p.Number] = len(phones)
		phones = append(phones, phoneState{Phone: p, Off: h.effectiveLocked(p.Number).PhoneOff})
	}
	for _, p := range h.cfg.Phones {
		add(Phone{Number: p.Number, Name: h.cfg.profileName(p.Number)})
	}
	for _, m := range h.messages {
		if _, known := at[m.to]; !known {
			add(Phone{Number: m.to, Name: h.cfg.profileName(m.to)})
		}
		if !m.arrived.IsZero() {
			phones[at[m.to]].Messages++
		}
	}
	return phones
}

// getEvents streams the state of one phone, whole at each change.
func (h *Handset) getEvents(w http.ResponseWriter, r *http.Request) {
	number, ok := phoneOf(w, r)
	if !ok {
		return
	}
	changed, ok := h.viewers.add()
	if !ok {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer h.viewers.remove(changed)
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-h.ctx.Done():
			return
		case <-alive.C:
			err = sendEvent(rc, w, ": alive\n\n")
		case <-changed:
			var state []byte
			if state, err = json.Marshal(h.pageState(number)); err == nil {
				err = sendEvent(rc, w, fmt.Sprintf("event: state\ndata: %s\n\n", state))
			}
		}
		if err != nil {
			return
		}
	}
}

// sendEvent gives a reader who does not read ten seconds.
func sendEvent(rc *http.ResponseController, w http.ResponseWriter, text string) error {
	_ = rc.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a socket's deadline is the system's time, not the handset's
	if _, err := fmt.Fprint(w, text); err != nil {
		return err
	}
	return rc.Flush()
}
