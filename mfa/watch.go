package mfa

import "sync"

// watchers wakes the event streams of this process. Pages poll storage slowly besides, so that a change made by another
// node shows too.
type watchers struct {
	mu    sync.Mutex
	chans map[string]map[chan struct{}]bool
}

func newWatchers() *watchers { return &watchers{chans: map[string]map[chan struct{}]bool{}} }

// Watch returns a channel that receives after a challenge or one of its deliveries changed in this process. Several
// changes may come as one. stop must be called once.
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

func (w *watchers) notify(challengeID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.chans[challengeID] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
