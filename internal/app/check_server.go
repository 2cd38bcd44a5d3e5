package app

import "time"

// checkServer is about what bounds the listeners and the stop.
func (c Config) checkServer(bad func(format string, args ...any)) {
	if c.Server.MaxConnections < 16 || c.Server.MaxConnections > 1<<20 {
		bad("server.max_connections is %d: set it between 16 and %d; a node with as many people as seats needs a few thousand", c.Server.MaxConnections, 1<<20)
	}
	if n := c.Server.MaxConnectionsPerSource; n != 0 && (n < 16 || n > 1<<20) {
		bad("server.max_connections_per_source is %d: set it between 16 and %d, for a browser opens several and offices share an address, or to 0 for no bound", n, 1<<20)
	}
	if d := c.Server.StopDelay; d < 0 || d > time.Minute {
		bad("server.stop_delay is %s: set it between 0s and 1m0s, a little more than the balancer needs to notice /readyz", d)
	}
	if d := c.Server.StopWithin; d <= 0 || d > 5*time.Minute {
		bad("server.stop_within is %s: set it to at most 5m0s; 20s lets the slowest request finish", d)
	}
}
