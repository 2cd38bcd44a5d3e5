package otlp

import (
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The messages of opentelemetry/proto/collector/trace/v1, as the JSON encoding of OTLP has them: names in lower camel case,
// ids in hexadecimal, 64-bit numbers as text, enumerations as numbers.
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name string `json:"name"`
	}
	span struct {
		TraceID           string     `json:"traceId"`
		SpanID            string     `json:"spanId"`
		ParentSpanID      string     `json:"parentSpanId,omitempty"`
		Flags             uint32     `json:"flags"`
		Name              string     `json:"name"`
		Kind              int        `json:"kind"`
		StartTimeUnixNano string     `json:"startTimeUnixNano"`
		EndTimeUnixNano   string     `json:"endTimeUnixNano"`
		Attributes        []keyValue `json:"attributes,omitempty"`
		Links             []link     `json:"links,omitempty"`
		Status            status     `json:"status"`
	}
	link struct {
		TraceID string `json:"traceId"`
		SpanID  string `json:"spanId"`
		Flags   uint32 `json:"flags"`
	}
	status struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code,omitempty"`
	}
	keyValue struct {
		Key   string `json:"key"`
		Value value  `json:"value"`
	}
	value struct {
		String *string `json:"stringValue,omitempty"`
		Int    string  `json:"intValue,omitempty"`
	}
)

// SpanFlags of trace.proto, beside the eight bits of W3C: whether it is known that the parent is remote, and whether it is.
const (
	flagHasIsRemote = 0x100
	flagIsRemote    = 0x200
)

// encode makes one request of spans that share their resource and scope, as all of one process do.
func encode(spans []sdk.ReadOnlySpan) request {
	out := scopeSpans{Scope: scope{Name: spans[0].InstrumentationScope().Name}, Spans: make([]span, len(spans))}
	for i, s := range spans {
		out.Spans[i] = encodeSpan(s)
	}
	return request{ResourceSpans: []resourceSpans{{
		Resource:   resource{Attributes: encodeAttributes(spans[0].Resource().Attributes())},
		ScopeSpans: []scopeSpans{out},
	}}}
}

func encodeSpan(s sdk.ReadOnlySpan) span {
	self, parent := s.SpanContext(), s.Parent()
	out := span{
		TraceID: self.TraceID().String(), SpanID: self.SpanID().String(), Flags: flags(self, parent.IsRemote()),
		Name: s.Name(), Kind: int(s.SpanKind()), // the API numbers kinds as the protocol does
		StartTimeUnixNano: nano(s.StartTime()), EndTimeUnixNano: nano(s.EndTime()), Attributes: encodeAttributes(s.Attributes()),
		Status: encodeStatus(s.Status()),
	}
	if parent.SpanID().IsValid() {
		out.ParentSpanID = parent.SpanID().String()
	}
	for _, l := range s.Links() {
		out.Links = append(out.Links, link{TraceID: l.SpanContext.TraceID().String(), SpanID: l.SpanContext.SpanID().String(),
			Flags: flags(l.SpanContext, l.SpanContext.IsRemote())})
	}
	return out
}

func flags(c trace.SpanContext, remote bool) uint32 {
	f := uint32(c.TraceFlags()) | flagHasIsRemote
	if remote {
		f |= flagIsRemote
	}
	return f
}

func nano(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// encodeStatus: the API counts an error 1 and an OK 2, the protocol the other way round.
func encodeStatus(s sdk.Status) status {
	switch s.Code {
	case codes.Error:
		return status{Code: 2, Message: s.Description}
	case codes.Ok:
		return status{Code: 1}
	default:
		return status{}
	}
}

func encodeAttributes(attributes []attribute.KeyValue) []keyValue {
	out := make([]keyValue, len(attributes))
	for i, a := range attributes {
		out[i].Key = string(a.Key)
		if a.Value.Type() == attribute.INT64 {
			out[i].Value.Int = strconv.FormatInt(a.Value.AsInt64(), 10)
			continue
		}
		text := a.Value.String()
		out[i].Value.String = &text
	}
	return out
}
