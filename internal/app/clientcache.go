package app

import (
	"context"
	"sync"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/sqlite"
)

const (
	// clientAge is how long a client is believed without asking again: a change is seen on every node within a second, even
	// where the wake-up that tells of it is lost.
	clientAge = time.Second
	// maxClients bounds the memory; beyond it the cache begins anew.
	maxClients = 10_000
)

// cachedStore is the store with a short memory for clients, which every request of a login reads and hardly anybody
// changes. What is not there is never remembered: made-up ids cost no memory.
type cachedStore struct {
	*sqlite.Store
	clock clock.Clock

	mu      sync.RWMutex
	clients map[string]cachedClient
}

type cachedClient struct {
	client storage.Client
	read   time.Time
}

func newCachedStore(store *sqlite.Store, c clock.Clock) *cachedStore {
	s := &cachedStore{Store: store, clock: c, clients: make(map[string]cachedClient)}
	store.Listen(func(w storage.Wakeup) { // until it closes
		if w.Topic == storage.ClientsChanged || w.Topic == storage.Anything {
			s.mu.Lock()
			defer s.mu.Unlock()
			clear(s.clients)
		}
	})
	return s
}

// Client implements storage.Clients. Callers do not change what they are given.
func (s *cachedStore) Client(ctx context.Context, id string) (storage.Client, error) {
	now := s.clock.Now()
	s.mu.RLock()
	found, ok := s.clients[id]
	s.mu.RUnlock()
	if ok && now.Sub(found.read) < clientAge && !now.Before(found.read) {
		return found.client, nil
	}
	c, err := s.Store.Client(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.clients, id)
		return c, err
	}
	if len(s.clients) >= maxClients {
		clear(s.clients)
	}
	s.clients[id] = cachedClient{client: c, read: now}
	return c, nil
}
