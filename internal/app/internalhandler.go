package app

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// internalHandler is the listener for operators: liveness says nothing but that the process answers, readiness asks the
// database, metrics carry no personal data (ADM-09).
func (a *App) internalHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeStatus(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		switch err := a.store.Ping(ctx); {
		case a.stopping.Load():
			writeStatus(w, http.StatusServiceUnavailable, "stopping")
		case err != nil:
			a.log.WarnContext(ctx, "not ready: database", "err", err)
			writeStatus(w, http.StatusServiceUnavailable, "database does not answer")
		default:
			writeStatus(w, http.StatusOK, "ok")
		}
	})
	mux.Handle("GET /metrics", a.metrics.handler())
	return mux
}

func writeStatus(w http.ResponseWriter, code int, status string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": status}) // the prober has gone
}
