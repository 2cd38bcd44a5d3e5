package harness

import (
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/internal/clock"
)

// ahead is the clock of an installation's providers in the test process: the system's, moved forward by the test.
type ahead struct{ by atomic.Int64 }

var _ clock.Clock = (*ahead)(nil)

// Now implements clock.Clock.
func (c *ahead) Now() time.Time { return clock.System{}.Now().Add(time.Duration(c.by.Load())) }

// Forward moves the time of the installation's providers that run in the test process. The handset's stays.
func (in *Installation) Forward(d time.Duration) { in.clock.by.Add(int64(d)) }

// Clock is the time of the installation's providers that run in the test process.
func (in *Installation) Clock() clock.Clock { return in.clock }
