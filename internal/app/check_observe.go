package app

import (
	"net/url"
	"slices"
)

func (c Config) checkObservation(bad func(string, ...any)) {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		bad("log.level is %q: set debug, info, warn or error", c.Log.Level)
	}
	if !slices.Contains([]string{"json", "text"}, c.Log.Format) {
		bad("log.format is %q: set json or text", c.Log.Format)
	}
	if !slices.Contains([]string{"debug", "info", "off"}, c.Log.Requests) {
		bad("log.requests is %q: set debug, info or off", c.Log.Requests)
	}
	if c.Server.PProf && c.Server.InternalListen == "" {
		bad("server.pprof needs server.internal_listen: profiles are shown nowhere else")
	}
	t := c.Tracing
	if t.SampleRatio < 0 || t.SampleRatio > 1 {
		bad("tracing.sample_ratio is %v: set it between 0 and 1", t.SampleRatio)
	}
	if t.AcceptTraceparent && len(c.Server.TrustedProxies) == 0 {
		bad("tracing.accept_traceparent is set and server.trusted_proxies is empty: the header of anybody else is not looked at")
	}
	if t.Endpoint == "" {
		if t.Headers.Set() {
			bad("tracing.headers is set and tracing.endpoint is empty: set the collector's address")
		}
		return
	}
	c.checkBase("tracing.endpoint", t.Endpoint, bad)
	if u, err := url.Parse(t.Endpoint); err == nil && (u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		bad("tracing.endpoint must be an address without user, query and fragment: credentials go into tracing.headers")
	}
	if _, err := t.headers(); err != nil {
		bad("tracing.headers: %v", err)
	}
}
