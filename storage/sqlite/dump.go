package sqlite

import "github.com/parola-id/parola/storage/internal/sqlstore"

// What a dump of either database is made of; see Store.Dump and Store.Load.
type (
	Origin = sqlstore.Origin
	Count  = sqlstore.Count
)

// ErrDump says that a file cannot be loaded: it is no dump, damaged, or not for this database.
var ErrDump = sqlstore.ErrDump
