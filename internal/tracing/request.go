package tracing

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Request makes the span of an HTTP request. It begins when it is first asked for, at the time given: which trace it
// belongs to is only known once the AuthRequest has been read that the browser came with (see [Join]). Incoming is the
// traceparent of the request's own header, if whoever sent it may be believed, and empty otherwise: strangers who choose
// ids would write into other people's traces. The method is a known one too.
func (t *Tracer) Request(ctx context.Context, method, incoming string, began time.Time) (context.Context, *Span) {
	if t == nil && incoming == "" {
		return ctx, nil
	}
	parent := parse(incoming)
	if t == nil && !parent.IsValid() {
		return ctx, nil
	}
	s := &Span{tracer: t, method: method, wait: &waiting{parent: parent, began: began}}
	return context.WithValue(ctx, key{}, s), s
}

// Join says that the request of ctx is a part of the trace that a record keeps. If it came with a trace of its own, or has
// been told under another one already, that one is linked.
func Join(ctx context.Context, traceparent string) {
	s := from(ctx)
	if s == nil || traceparent == "" {
		return
	}
	saved := parse(traceparent)
	if !saved.IsValid() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch w := s.wait; {
	case w != nil && w.parent.TraceID() == saved.TraceID(): // what came in continues it already, and more closely
	case w != nil:
		if w.parent.IsValid() {
			w.links = append(w.links, trace.Link{SpanContext: w.parent})
		}
		w.parent = saved
	case s.span != nil && s.self.TraceID() != saved.TraceID():
		s.span.AddLink(trace.Link{SpanContext: saved})
	}
}

// Answered ends the span of a request. Route is the pattern that answered, never the path that was asked for.
func (s *Span) Answered(route string, status int, correlationID string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begin(); s.span == nil {
		return
	}
	s.span.SetName(s.method + " " + route)
	s.span.SetAttributes(attribute.String("http.request.method", s.method), attribute.String("http.route", route),
		attribute.Int("http.response.status_code", status), attribute.String("parola.correlation_id", correlationID))
	if status >= http.StatusInternalServerError {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}
