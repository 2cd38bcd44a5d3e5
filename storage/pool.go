package storage

import "time"

// Pool is how busy a pool of connections of this node is.
type Pool struct {
	// Name is what it serves: reads, writes, or all.
	Name string
	// Max is how many connections there may be; InUse and Idle how many there are.
	Max, InUse, Idle int
	// Waits is how often somebody had to wait for a connection since the start, and Waited how long in all.
	Waits  int64
	Waited time.Duration
}
