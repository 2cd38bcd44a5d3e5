package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/parola-id/parola/idp"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/tracing"
)

// inContext adds to every line what its context knows of the request: the correlation id, which the person sees on error
// pages and the audit log repeats, and the trace.
type inContext struct{ slog.Handler }

// Handle implements slog.Handler.
func (h inContext) Handle(ctx context.Context, r slog.Record) error {
	if id := reqinfo.From(ctx).CorrelationID; id != "" {
		r.AddAttrs(slog.String("correlation_id", id))
	}
	if id := tracing.ID(ctx); id != "" {
		r.AddAttrs(slog.String("trace_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h inContext) WithAttrs(attrs []slog.Attr) slog.Handler {
	return inContext{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h inContext) WithGroup(name string) slog.Handler { return inContext{h.Handler.WithGroup(name)} }

// observe returns what idp tells of every answer: metrics count it, and the log has a line at the configured level. The
// route stands for the path: paths and queries are chosen by strangers, and queries hold what must not be logged (LOG-03).
func (a *App) observe() func(context.Context, idp.Answer) {
	var level slog.Level
	silent := level.UnmarshalText([]byte(a.config.Log.Requests)) != nil // off
	return func(ctx context.Context, n idp.Answer) {
		if !n.Stream {
			a.metrics.observe(n.Route, n.Status, n.Took.Seconds())
		}
		if silent || !a.log.Enabled(ctx, level) {
			return
		}
		a.log.LogAttrs(ctx, level, "answered", slog.String("method", n.Method), slog.String("route", n.Route),
			slog.Int("status", n.Status), slog.Float64("ms", float64(n.Took.Round(10*time.Microsecond))/1e6))
	}
}
