package mfa

import "sync"

// watchers wakes the event streams of this process, whichever node made the change. Pages also ask storage now and then,
// because a wake-up may be lost and some changes are made by the time alone.
type watchers struct {
	mu    sync.Mutex
	chans map[string]map[chan struct{}]bool
}

func newWatchers() *watchers { return &watchers{chans: map[string]map[chan struct{}]bool{}} }

// Watch returns a channel that receives after a challenge or one of its deliveries changed, on any node. Several changes
// may come as one. stop must be called once.
func (s *Service) Watch(challengeID string) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	w := s.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.chans[challengeID] == nil {
		w.chans[challengeID] = map[chan struct{}]bool{}
	}
	w.chans[challengeID][ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.chans[challengeID], ch)
		if len(w.chans[challengeID]) == 0 {
			delete(w.chans, challengeID)
		}
	}
}

// notify wakes those who watch a challenge, or everybody when it is empty.
func (w *watchers) notify(challengeID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if challengeID != "" {
		wake(w.chans[challengeID])
		return
	}
	for _, chans := range w.chans {
		wake(chans)
	}
}

func wake(chans map[chan struct{}]bool) {
	for ch := range chans {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
