package sqlstore

import (
	"database/sql"

	"github.com/parola-id/parola/storage"
)

// Pools tells how busy the pools are. It does not touch the database.
func (s *Store) Pools() []storage.Pool {
	if s.reader == s.writer {
		return []storage.Pool{poolOf("all", s.writer)}
	}
	return []storage.Pool{poolOf("reads", s.reader), poolOf("writes", s.writer)}
}

func poolOf(name string, db *sql.DB) storage.Pool {
	now := db.Stats()
	return storage.Pool{Name: name, Max: now.MaxOpenConnections, InUse: now.InUse, Idle: now.Idle,
		Waits: now.WaitCount, Waited: now.WaitDuration}
}
