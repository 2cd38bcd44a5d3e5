// Package otelx stands in for the one function of github.com/ory/x/otelx that fosite calls.
package otelx

import (
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// End finishes span and marks it failed when *err is set. Only the fact is recorded, never the text: it may hold
// request data.
func End(span trace.Span, err *error) {
	if err != nil && *err != nil {
		span.SetStatus(codes.Error, "error")
	}
	span.End()
}
