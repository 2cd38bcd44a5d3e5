package app

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"
)

// internalHandler is the listener for operators: liveness says nothing but that the process answers, readiness asks the
// database, metrics carry no personal data (ADM-09).
func (a *App) internalHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeStatus(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", a.ready())
	mux.Handle("GET /metrics", a.metrics.handler())
	if a.config.Server.PProf {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// ready says whether people can sign in by this node: it is not stopping, the database answers, and its schema is one that
// this release serves, whatever another release has made of it meanwhile.
func (a *App) ready() http.HandlerFunc {
	quiet := a.store.Unobserved()
	questions := []struct {
		*lastAnswer
		no string
	}{
		{&lastAnswer{ask: quiet.Ping, holds: pingHolds}, "database does not answer"},
		{&lastAnswer{ask: quiet.CheckSchema, holds: schemaHolds}, "database schema does not fit"},
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if a.stopping.Load() {
			writeStatus(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		for _, q := range questions {
			if err := q.get(r.Context()); err != nil {
				a.log.WarnContext(r.Context(), "not ready: "+q.no, "err", err)
				writeStatus(w, http.StatusServiceUnavailable, q.no)
				return
			}
		}
		writeStatus(w, http.StatusOK, "ok")
	}
}

const (
	// answerWithin is how long the database may take to answer readiness.
	answerWithin = 2 * time.Second
	// pingHolds and schemaHolds are how long its answers count.
	pingHolds   = 500 * time.Millisecond
	schemaHolds = 10 * time.Second
)

// lastAnswer remembers an answer of the database for a moment. Any number of probes is one question in that time, so
// that balancers do not weigh on a database that is struggling.
type lastAnswer struct {
	ask   func(context.Context) error
	holds time.Duration

	mu    sync.Mutex
	until time.Time
	err   error
}

// get asks, or repeats the last answer. Who comes while it asks waits for that answer. A "no" is asked again soon.
func (s *lastAnswer) get(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) { // the machine's time: a socket's answer grows old by it, whatever the logins' clock says
		return s.err
	}
	// Not with the prober's own end: others wait for the answer too.
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	s.err = s.ask(asking)
	s.until = time.Now().Add(s.holds)
	if s.err != nil {
		s.until = time.Now().Add(pingHolds)
	}
	return s.err
}

func writeStatus(w http.ResponseWriter, code int, status string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": status}) // the prober has gone
}
