// Package tracing follows one login through everything that it takes: its HTTP requests, which the browser does not tie
// together, the calls to carriers that a worker makes later, perhaps on another node, and the receipts that carriers send
// back. What ties them is a W3C traceparent, which the AuthRequest, the challenge and the delivery keep.
//
// It is a thin layer over OpenTelemetry's API. Spans go to whatever provider the wiring gives; without one there is no
// Tracer, nothing is begun, and nothing is allocated. Names of spans and attributes are fixed words and our own random
// ids: never a person, a number, a token, an address or a URL.
package tracing

import (
	"context"
	"encoding/hex"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Tracer begins spans. A nil Tracer is tracing switched off, and every method of it may be called.
type Tracer struct{ begins trace.Tracer }

// New returns a Tracer whose spans go to p, which must make its ids by [IDs].
func New(p trace.TracerProvider) *Tracer {
	return &Tracer{begins: p.Tracer("github.com/parola-id/parola")}
}

// Span is something that takes time. A nil Span is one that nobody records, and every method of it may be called.
type Span struct {
	tracer *Tracer
	mu     sync.Mutex
	// self is the span as others name it; invalid while it waits to be begun.
	self trace.SpanContext
	span trace.Span // nil when it is not begun, or when there is no tracer
	// method is that of a request, and wait is there until its span is begun.
	method string
	wait   *waiting
}

// waiting is what a request's span begins with, once it is known what it is a part of.
type waiting struct {
	parent trace.SpanContext
	links  []trace.Link
	began  time.Time
}

type key struct{}

func from(ctx context.Context) *Span {
	s, _ := ctx.Value(key{}).(*Span)
	return s
}

// Work describes a span that does not begin with an HTTP request.
type Work struct {
	Name string
	// Parent is the traceparent of the span above it; empty is the one that the context carries.
	Parent string
	// As is the traceparent that the span is to bear, where others have been told it already; empty for a new one.
	As string
	// Cause is the traceparent of something in another trace that brought it about; empty for none.
	Cause string
	// Call says that it waits for an answer from outside.
	Call bool
	// Began is when it began; the zero time is now.
	Began time.Time
}

// Start begins a span below the one of ctx, by the tracer of that one. Without one it begins none.
func Start(ctx context.Context, name string) (context.Context, *Span) {
	s := from(ctx)
	if s == nil || s.tracer == nil {
		return ctx, nil
	}
	return s.tracer.start(ctx, s.context(), Work{Name: name})
}

// Start begins a span of work. It begins none when it would stand alone: only requests begin traces.
func (t *Tracer) Start(ctx context.Context, w Work) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	parent := parse(w.Parent)
	if s := from(ctx); s != nil && w.Parent == "" {
		parent = s.context()
	}
	if !parent.IsValid() {
		return ctx, nil
	}
	return t.start(ctx, parent, w)
}

func (t *Tracer) start(ctx context.Context, parent trace.SpanContext, w Work) (context.Context, *Span) {
	var options []trace.SpanStartOption
	if w.Call {
		options = append(options, trace.WithSpanKind(trace.SpanKindClient))
	}
	if !w.Began.IsZero() {
		options = append(options, trace.WithTimestamp(w.Began))
	}
	if cause := parse(w.Cause); cause.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: cause}))
	}
	above := trace.ContextWithSpanContext(ctx, parent)
	if as := parse(w.As); as.IsValid() {
		above = context.WithValue(above, presetKey{}, as.SpanID())
	}
	_, span := t.begins.Start(above, w.Name, options...)
	s := &Span{tracer: t, span: span, self: span.SpanContext()}
	return context.WithValue(ctx, key{}, s), s
}

// context is the span as others name it. It begins one that waited for being asked.
func (s *Span) context() trace.SpanContext {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	return s.self
}

// begin begins a request's span; s.mu is held.
func (s *Span) begin() {
	w := s.wait
	if w == nil {
		return
	}
	s.wait = nil
	if s.tracer == nil {
		s.self = w.parent // nobody records here: what came in is passed on
		return
	}
	_, s.span = s.tracer.begins.Start(trace.ContextWithRemoteSpanContext(context.Background(), w.parent), s.method,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(w.began), trace.WithLinks(w.links...))
	s.self = s.span.SpanContext()
}

// Set notes a fact about the span.
func (s *Span) Set(name, value string) {
	if s == nil || value == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begin(); s.span != nil {
		s.span.SetAttributes(attribute.String(name, value))
	}
}

// Fail marks the span as failed, for a reason in fixed words.
func (s *Span) Fail(reason string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begin(); s.span != nil {
		s.span.SetStatus(codes.Error, reason)
	}
}

// End ends the span.
func (s *Span) End() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begin(); s.span != nil {
		s.span.End()
	}
}

// ID is the id of the trace that ctx belongs to, as events and log lines tell it; empty for none.
func ID(ctx context.Context) string {
	s := from(ctx)
	if s == nil {
		return ""
	}
	id := s.context().TraceID()
	if !id.IsValid() {
		return ""
	}
	return hex.EncodeToString(id[:])
}
