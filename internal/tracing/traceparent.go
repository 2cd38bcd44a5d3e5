package tracing

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// The parts of a traceparent of version 00 (W3C Trace Context §3.2): 00-TRACE-SPAN-FLAGS, 55 characters.
const (
	traceAt, traceEnd = 3, 35
	spanAt, spanEnd   = 36, 52
	flagsAt, length   = 53, 55
)

// parse reads a traceparent. What is none, or of a version that nobody knows yet, is no span. Of the flags only "sampled" is
// taken: the others say nothing that we keep.
func parse(traceparent string) trace.SpanContext {
	if len(traceparent) != length || traceparent[:traceAt] != "00-" || traceparent[traceEnd] != '-' || traceparent[spanEnd] != '-' {
		return trace.SpanContext{}
	}
	id, err := trace.TraceIDFromHex(traceparent[traceAt:traceEnd])
	if err != nil {
		return trace.SpanContext{}
	}
	span, err := trace.SpanIDFromHex(traceparent[spanAt:spanEnd])
	if err != nil {
		return trace.SpanContext{}
	}
	var flags [1]byte
	if _, err := hex.Decode(flags[:], []byte(traceparent[flagsAt:])); err != nil {
		return trace.SpanContext{}
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: span, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true})
}

func format(c trace.SpanContext) string {
	if !c.IsValid() {
		return ""
	}
	flags := "-00"
	if c.IsSampled() {
		flags = "-01"
	}
	return "00-" + c.TraceID().String() + "-" + c.SpanID().String() + flags
}

// Valid says whether text is a traceparent.
func Valid(text string) bool { return parse(text).IsValid() }

// Parent is the traceparent of the span of ctx, for a record that keeps it; empty for none.
func Parent(ctx context.Context) string {
	s := from(ctx)
	if s == nil {
		return ""
	}
	return format(s.context())
}

// IDOf is the id of the trace of a traceparent; empty for none.
func IDOf(traceparent string) string {
	if len(traceparent) != length {
		return ""
	}
	return traceparent[traceAt:traceEnd]
}

// Ahead is the traceparent of a span below the given one that somebody will begin later (see [Work]); empty for none.
func Ahead(traceparent string) string {
	parent := parse(traceparent)
	if !parent.IsValid() {
		return ""
	}
	return format(parent.WithSpanID(IDs{}.NewSpanID(context.Background(), parent.TraceID())))
}

type presetKey struct{}

// IDs makes the ids of spans, for the provider of [New]: random ones, and those that were told ahead.
type IDs struct{}

// NewIDs makes the ids of a trace and its first span.
func (i IDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var id trace.TraceID
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	}
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID makes the id of a span.
func (IDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	id, _ := ctx.Value(presetKey{}).(trace.SpanID)
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}
