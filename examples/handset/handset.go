package handset

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Handset is the carriers and the phones. It is safe for concurrent use.
type Handset struct {
	cfg     Config
	clock   Clock
	ctx     context.Context // ends at Close
	cancel  context.CancelFunc
	mux     http.Handler
	client  *http.Client
	timers  *timers
	courier *courier
	pairs   *pairLimit
	viewers *viewers
	topic   topic

	mu         sync.Mutex
	webhookURL string
	meta       *metaAccount
	messages   []*message // oldest first
	forAll     Switches
	switches   map[string]Switches // by number, only those that differ from the zero value
}

// New makes a handset. It begins nothing until it is called; Close ends what it then began.
func New(cfg Config) (*Handset, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Handset{
		cfg:        cfg,
		clock:      cfg.Clock,
		client:     cfg.HTTPClient,
		timers:     newTimers(cfg.Clock),
		pairs:      &pairLimit{off: cfg.PairRateOff, paid: map[string]time.Time{}},
		viewers:    &viewers{chans: map[chan struct{}]bool{}},
		webhookURL: cfg.WebhookURL,
		meta:       newMetaAccount(cfg),
		switches:   map[string]Switches{},
	}
	if h.client == nil {
		h.client = newClient()
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.courier = &courier{ctx: h.ctx, client: h.client, timers: h.timers, log: cfg.Log}
	h.mux = h.routes()
	return h, nil
}

// SetWebhookURL says where Meta's webhooks go, also those that could not be posted yet.
func (h *Handset) SetWebhookURL(url string) error {
	if err := checkURL(url); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.webhookURL = url
	return nil
}

func (h *Handset) webhook() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.meta.CallbackURL != "" {
		return h.meta.CallbackURL
	}
	return h.webhookURL
}

// Close stops every timer, report and held request and waits for them. Requests after it are answered with 503.
func (h *Handset) Close() error {
	h.cancel()
	h.timers.close()
	h.courier.close()
	if h.cfg.HTTPClient == nil {
		h.client.CloseIdleConnections()
	}
	return nil
}

// ServeHTTP serves the carriers, the JSON API and the page.
func (h *Handset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.ctx.Err() != nil {
		http.Error(w, "the handset is closed", http.StatusServiceUnavailable)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// SetSwitches sets all switches of a number, or with an empty number those that hold for every phone. A phone that is no
// longer off receives what still waits for it.
func (h *Handset) SetSwitches(number string, s Switches) error {
	return h.changeSwitches(number, func(into *Switches) error { *into = s; return nil })
}

func (h *Handset) changeSwitches(number string, change func(*Switches) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if number != "" && !numberForm.MatchString(number) {
		return errNotANumber
	}
	s := h.forAll
	if number != "" {
		s = h.switches[number]
	}
	if err := change(&s); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if _, known := h.switches[number]; number != "" && !known && len(h.switches) >= maxMessages {
		return errTooMany
	}
	switch {
	case number == "":
		h.forAll = s
	case s == Switches{}:
		delete(h.switches, number)
	default:
		h.switches[number] = s
	}
	h.wakePhones()
	h.viewers.notify()
	return nil
}

// resetSwitches puts a number, or with an empty number everything, back to a good day.
func (h *Handset) resetSwitches(number string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if number == "" {
		h.forAll = Switches{}
		clear(h.switches)
	} else {
		delete(h.switches, number)
	}
	h.wakePhones()
	h.viewers.notify()
}

func (h *Handset) effective(number string) Switches {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.effectiveLocked(number)
}

func (h *Handset) effectiveLocked(number string) Switches {
	return h.switches[number].over(h.forAll)
}

// Inbox returns the messages that reached a phone, newest first; with an empty number those of all phones.
func (h *Handset) Inbox(number string) []InboxMessage {
	h.mu.Lock()
	defer h.mu.Unlock()
	inbox := []InboxMessage{}
	for _, m := range h.messages {
		if !m.arrived.IsZero() && (number == "" || m.to == number) {
			inbox = append(inbox, m.inbox())
		}
	}
	slices.SortStableFunc(inbox, func(a, b InboxMessage) int { return a.At.Compare(b.At.Time) })
	slices.Reverse(inbox)
	return inbox
}

// remember stores an accepted message and forgets the oldest when there are too many.
func (h *Handset) remember(m *message) {
	if len(h.messages) >= maxMessages {
		h.messages = slices.Delete(h.messages, 0, 1)
	}
	h.messages = append(h.messages, m)
	h.viewers.notify()
}

// find returns the message with an id, nil when it is unknown or forgotten.
func (h *Handset) find(id string) *message {
	for _, m := range h.messages {
		if m.id == id {
			return m
		}
	}
	return nil
}
