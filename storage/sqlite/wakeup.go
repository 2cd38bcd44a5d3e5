package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/parola-id/parola/storage/internal/sqlstore"
)

// lookEvery is how soon a change by another process is noticed.
const lookEvery = time.Second

// otherProcesses returns a function that notices, until its context ends, that another process changed the file: the
// command line beside the server. SQLite tells nobody what changed; on the connection that makes all of this process's
// own changes, data_version moves when somebody else made one (https://www.sqlite.org/pragma.html#pragma_data_version).
func otherProcesses(writer *sql.DB) func(ctx context.Context, e sqlstore.Ear) {
	return func(ctx context.Context, e sqlstore.Ear) {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for known := 0; ; {
			var version int
			// An error is an outage, which the next transaction tells of.
			if writer.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version) == nil && version != known {
				known = version
				e.Missed()
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}
