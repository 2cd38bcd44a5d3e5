package otlp_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/parola-id/parola/internal/tracing/otlp"
)

// golden is a span in the JSON encoding of OTLP, written by hand after the protocol's definition.
const golden = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"parola"}}]},
"scopeSpans":[{"scope":{"name":"s"},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",
"parentSpanId":"00f067aa0ba902b7","flags":769,"name":"send passcode","kind":3,"startTimeUnixNano":"1767225600000000001",
"endTimeUnixNano":"1767225601000000000","attributes":[{"key":"a","value":{"stringValue":""}},{"key":"n","value":{"intValue":"200"}}],
"links":[{"traceId":"11111111111111111111111111111111","spanId":"2222222222222222","flags":256}],
"status":{"message":"refused","code":2}}]}]}]}`

func spanContext(id byte, span string, remote bool, flags trace.TraceFlags) trace.SpanContext {
	traceID, _ := trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")
	if id != 0 {
		for i := range traceID {
			traceID[i] = id
		}
	}
	spanID, _ := trace.SpanIDFromHex(span)
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, Remote: remote, TraceFlags: flags})
}

func spans() []sdk.ReadOnlySpan {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 1, time.UTC)
	return tracetest.SpanStubs{{
		Name: "send passcode", SpanContext: spanContext(0, "b7ad6b7169203331", false, trace.FlagsSampled),
		Parent: spanContext(0, "00f067aa0ba902b7", true, trace.FlagsSampled), SpanKind: trace.SpanKindClient,
		StartTime: begin, EndTime: begin.Add(time.Second - time.Nanosecond),
		Attributes: []attribute.KeyValue{attribute.String("a", ""), attribute.Int("n", 200)},
		Links:      []sdk.Link{{SpanContext: spanContext(0x11, "2222222222222222", false, 0)}},
		Status:     sdk.Status{Code: codes.Error, Description: "refused"},
		Resource:   resource.NewSchemaless(attribute.String("service.name", "parola")), InstrumentationScope: instrumentation.Scope{Name: "s"},
	}}.Snapshots()
}

// collector answers with these in turn, and tells what arrived.
func collector(t *testing.T, answers ...http.HandlerFunc) (address string, arrived *[]*http.Request, bodies *[]any) {
	t.Helper()
	arrived, bodies = new([]*http.Request), new([]any)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Errorf("the body is not compressed: %v", err)
			return
		}
		var body any
		if err := json.NewDecoder(z).Decode(&body); err != nil {
			t.Errorf("the body is no JSON: %v", err)
		}
		answer := answers[min(len(*arrived), len(answers)-1)]
		*arrived, *bodies = append(*arrived, r), append(*bodies, body)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1/traces", arrived, bodies
}

func status(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

func TestSpansAreEncodedAsTheProtocolSays(t *testing.T) {
	address, arrived, bodies := collector(t, status(http.StatusOK, "{}"))
	e := otlp.New(otlp.Config{URL: address, Headers: map[string]string{"Authorization": "Bearer s"}})
	if err := e.ExportSpans(t.Context(), spans()); err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal([]byte(golden), &want); err != nil {
		t.Fatal(err)
	}
	if len(*bodies) != 1 {
		t.Fatalf("%d requests", len(*bodies))
	}
	if diff := cmp.Diff(want, (*bodies)[0]); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if r := (*arrived)[0]; r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "Bearer s" {
		t.Errorf("%s with %v", r.URL, r.Header)
	}
}

func TestWhatBecomesOfSpans(t *testing.T) {
	for name, c := range map[string]struct {
		answers           []http.HandlerFunc
		calls, took, lost int
	}{
		"taken":                       {[]http.HandlerFunc{status(200, "")}, 1, 1, 0},
		"taken at the second try":     {[]http.HandlerFunc{status(503, ""), status(200, "{}")}, 2, 1, 0},
		"refused for good":            {[]http.HandlerFunc{status(400, "")}, 1, 0, 1},
		"taken, but not in part":      {[]http.HandlerFunc{status(200, `{"partialSuccess":{"rejectedSpans":"1","errorMessage":"x"}}`)}, 1, 0, 1},
		"sent on elsewhere, and lost": {[]http.HandlerFunc{status(307, "")}, 1, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, arrived, _ := collector(t, c.answers...)
			took, lost, why := 0, 0, error(nil)
			e := otlp.New(otlp.Config{URL: address, Sent: func(a, b int, err error) { took, lost, why = took+a, lost+b, err }})
			if err := e.ExportSpans(t.Context(), spans()); err != nil {
				t.Errorf("the SDK is told %v, which it prints past the log", err)
			}
			if took != c.took || lost != c.lost || (lost > 0) != (why != nil) || len(*arrived) != c.calls {
				t.Errorf("taken %d, lost %d (%v) in %d calls; want %d, %d, %d", took, lost, why, len(*arrived), c.took, c.lost, c.calls)
			}
		})
	}
}

func TestStoppingServerDoesNotWaitForADeadCollector(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var why error
	e := otlp.New(otlp.Config{URL: "http://127.0.0.1:1/v1/traces", Sent: func(_, lost int, err error) { why = err }})
	began := time.Now()
	_ = e.ExportSpans(ctx, spans())
	if why == nil || time.Since(began) > 2*time.Second || errors.Is(why, context.Canceled) {
		t.Errorf("after %s: %v", time.Since(began), why)
	}
}
