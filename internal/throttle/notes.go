package throttle

import (
	"time"

	"github.com/parola-id/parola/storage"
)

// Notes is the bucket that events of one kind about refused requests of one source draw on: a burst, then one each
// interval. Nobody has to be known to cause such an event, so without a bound anyone could fill the audit log and keep
// its one writer busy. It is apart from Requests: another site that makes a browser post here must not use up what the
// people behind that address may ask for.
func (t *Throttle) Notes(kind, source string) storage.Throttle {
	return storage.Throttle{Key: t.key("note", kind+"|"+source), Interval: notesInterval, Burst: notesBurst}
}

const (
	notesInterval = 10 * time.Second
	notesBurst    = 10
)
