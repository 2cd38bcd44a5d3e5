package sqlstore

import (
	"context"
	"database/sql"
	"sync"
)

// mostPrepared bounds the cache: texts with lists of values come in many lengths. Once it is full, further texts run
// unprepared; one that was dropped might be in use.
const mostPrepared = 256

// statements keeps the prepared statements of one pool. database/sql prepares each on every connection that runs it.
type statements struct {
	db *sql.DB
	mu sync.RWMutex
	m  map[string]*sql.Stmt
}

func newStatements(db *sql.DB) *statements { return &statements{db: db, m: make(map[string]*sql.Stmt)} }

func (s *statements) get(query string) *sql.Stmt {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[query]
}

// prepare returns the statement of a text, made now if need be; nil when the cache is full. It takes a connection of the
// pool, so it must not be called for the writer's pool while a transaction holds its only one.
func (s *statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt := s.get(query); stmt != nil || s.full() {
		return stmt, nil
	}
	stmt, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.m[query]; other != nil {
		stmt.Close()
		return other, nil
	}
	s.m[query] = stmt
	return stmt, nil
}

func (s *statements) full() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.m) >= mostPrepared
}
